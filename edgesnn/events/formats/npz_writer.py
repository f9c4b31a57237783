"""Write .npz: one member `events.npy`, records of `edgesnn.EVENT`, whose count is filled in at the end."""

from __future__ import annotations

import zlib
from struct import pack
from typing import Any

import numpy.typing as npt

from edgesnn.events.formats.base import EncoderOptions
from edgesnn.events.formats.checks import Jumps, check_events
from edgesnn.events.formats.zip_members import DEFLATED, LOCAL, STORED
from edgesnn.events.types import EVENT

Array = npt.NDArray[Any]

_NAME = b"events.npy"
_HEADER_BYTES = 192
_FULL = 0xFFFFFFFF
_DATE = 33  # 1980-01-01, the first that an archive can say


def array_header(count: int) -> bytes:
    """Return the header of an array of so many events; its length is the same for every count."""
    fields = ", ".join(f"({name!r}, {EVENT[name].str!r})" for name in EVENT.names or ())
    text = f"{{'descr': [{fields}], 'fortran_order': False, 'shape': ({count},), }}"
    return b"\x93NUMPY\x01\x00" + pack("<H", _HEADER_BYTES - 10) + text.encode().ljust(_HEADER_BYTES - 11) + b"\n"


class NpzEncoder:
    """An archive that grows: until it is finished it has no directory, and its array says no length."""

    def __init__(self, options: EncoderOptions) -> None:
        self._sensor = options.sensor
        self._method = DEFLATED if options.compression == "deflate" else STORED
        self._deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
        self._jumps = Jumps()
        self._packed = 0
        self._events = 0
        self._crc = 0  # of the elements
        self._array_at = 0

    def begin(self) -> bytes:
        head = self._local(0, 0, 0)
        array = array_header(0)
        # A stored block of deflate keeps its bytes, so that the count can be filled in.
        block = b"\0" + pack("<HH", len(array), len(array) ^ 0xFFFF) if self._method == DEFLATED else b""
        self._array_at = len(head) + len(block)
        self._packed = len(block) + len(array)
        return head + block + array

    def encode(self, events: Array, triggers: Array, t_end_us: int | None, /) -> bytes:
        check_events(events, self._sensor)
        self._jumps.check(events["t"])
        data = events.tobytes()
        self._crc = zlib.crc32(data, self._crc)
        self._events += len(events)
        if self._method == DEFLATED and data:
            data = self._deflater.compress(data) + self._deflater.flush(zlib.Z_SYNC_FLUSH)
        self._packed += len(data)
        return data

    def finish(self) -> tuple[bytes, list[tuple[int, bytes]]]:
        rest = self._deflater.flush() if self._method == DEFLATED else b""
        self._packed += len(rest)
        array = array_header(self._events)
        size = len(array) + self._events * EVENT.itemsize
        crc = joined_crc(zlib.crc32(array), self._crc, self._events * EVENT.itemsize)
        head = self._local(crc, size, self._packed)
        directory = self._entry(crc, size)
        at = len(head) + self._packed
        return rest + directory + _end(at, len(directory)), [(0, head), (self._array_at, array)]

    def _local(self, crc: int, size: int, packed: int) -> bytes:
        """Return the member's own header; its sizes have 64 bits and the same place for every size."""
        extra = pack("<HHQQ", 1, 16, size, packed)
        facts = pack("<4s5H3I2H", LOCAL, 45, 0, self._method, 0, _DATE, crc, _FULL, _FULL, len(_NAME), len(extra))
        return facts + _NAME + extra

    def _entry(self, crc: int, size: int) -> bytes:
        """Return the member's line of the directory."""
        extra = pack("<HHQQ", 1, 16, size, self._packed)
        sizes = (crc, _FULL, _FULL, len(_NAME), len(extra), 0, 0, 0, 0, 0)
        return pack("<4s6H3I5H2I", b"PK\x01\x02", 45, 45, 0, self._method, 0, _DATE, *sizes) + _NAME + extra


def _end(at: int, length: int) -> bytes:
    """Return the records that end an archive whose directory of one member lies there."""
    if at < _FULL:
        return pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, length, at, 0)
    end64 = pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, length, at)
    locator = pack("<4sIQI", b"PK\x06\x07", 0, at + length, 1)
    return end64 + locator + pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, length, _FULL, 0)


def joined_crc(first: int, second: int, second_bytes: int) -> int:
    """Return the CRC-32 of two pieces together: that of the first times x^(8 second_bytes), plus the second."""
    power, factor = 1 << 31, 1 << 30  # 1 and x, the highest bit first
    count = 8 * second_bytes
    while count:
        if count & 1:
            power = _times(power, factor)
        factor = _times(factor, factor)
        count >>= 1
    return _times(power, first) ^ second


def _times(a: int, b: int) -> int:
    """Multiply two polynomials modulo that of CRC-32."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (0xEDB88320 if b & 1 else 0)
    return product
