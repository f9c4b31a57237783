"""AEDAT4 files, packet by packet: what lies on the disk is readable at any time. docs/formats.md, "AEDAT4"."""

from __future__ import annotations

import html
import struct
from array import array
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import RecordingError, UsageError
from edgesnn.events.formats.aedat4_header import LIMIT
from edgesnn.events.formats.base import EncoderOptions, Sensor
from edgesnn.events.formats.checks import TIME_LIMIT_US, check_events

MAGIC = b"#!AER-DAT4.0\r\n"
_NUMBERS = {"none": 0, "lz4": 1, "zstd": 3}
_EVENTS, _TRIGGERS = 0, 1  # streams
_PACKET_EVENTS = 10_000
_PACKET_TRIGGERS = 1000
_RECORD = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1"), ("spare", "V3")])
_TRIGGER_TYPES = {(0, 1): 1, (0, 0): 2, (3, 1): 4, (3, 0): 5}  # (id, p) -> type
_MOST_ENTRIES = 1 << 18  # 12 MB of memory; a file of more packets has no table
_NUMBERS_EACH = 6
_TABLE_PLACE = len(MAGIC) + 4 + 28  # of its position, in the file

Array = npt.NDArray[Any]


class Aedat4Encoder:
    """Turns events and triggers into the bytes of a file; see `FormatEncoder`."""

    def __init__(self, options: EncoderOptions) -> None:
        self._compression = options.compression or ("lz4" if find_spec("lz4") else "none")
        if max(options.sensor) > LIMIT:
            raise UsageError("AEDAT4 holds coordinates up to 32766", where="sensor", found=repr(options.sensor))
        self._sensor = options.sensor
        self._pack = _packer(self._compression)
        self._source = options.fields.get("source", "edgesnn")
        self._position = 0
        self._last_us = {_EVENTS: 0, _TRIGGERS: 0}
        self._table = array("q")  # of each packet: stream, size and place of its content, count, first and last time

    def begin(self) -> bytes:
        """Return the magic and the IOHeader."""
        header = MAGIC + _io_header(self._compression, self._sensor, self._source)
        self._position = len(header)
        return header

    def encode(self, events: Array, triggers: Array, t_end_us: int | None, /) -> bytes:
        """Return packets of these events and triggers; AEDAT4 has no place for a time without either."""
        types = self._check(events, triggers)
        out = []
        for at in range(0, len(events), _PACKET_EVENTS):
            part = events[at : at + _PACKET_EVENTS]
            out.append(self._packet(_EVENTS, _event_content(part), part["t"]))
        for at in range(0, len(triggers), _PACKET_TRIGGERS):
            t_us = triggers["t"][at : at + _PACKET_TRIGGERS]
            content = _trigger_content(t_us.tolist(), types[at : at + _PACKET_TRIGGERS])
            out.append(self._packet(_TRIGGERS, content, t_us))
        return b"".join(out)

    def finish(self) -> tuple[bytes, list[tuple[int, bytes]]]:
        """Return the file data table, and its position for the IOHeader."""
        if len(self._table) > _MOST_ENTRIES * _NUMBERS_EACH:
            return b"", []
        return self._pack(_table_content(self._table)), [(_TABLE_PLACE, struct.pack("<q", self._position))]

    def _packet(self, stream: int, content: bytes, t_us: Array) -> bytes:
        packed = self._pack(content)
        first_us, last_us = int(t_us[0]), int(t_us[-1])
        if len(self._table) <= _MOST_ENTRIES * _NUMBERS_EACH:
            self._table.extend((stream, len(packed), self._position + 8, len(t_us), first_us, last_us))
        self._last_us[stream] = last_us
        self._position += 8 + len(packed)
        return struct.pack("<ii", stream, len(packed)) + packed

    def _check(self, events: Array, triggers: Array) -> list[int]:
        """Raise RecordingError where the format cannot hold them; return the triggers' types."""
        check_events(events, self._sensor)
        _check_times(events["t"], self._last_us[_EVENTS])
        _check_times(triggers["t"], self._last_us[_TRIGGERS])
        types = [
            _TRIGGER_TYPES.get(one, 0) for one in zip(triggers["id"].tolist(), triggers["p"].tolist(), strict=True)
        ]
        if 0 in types:
            bad = triggers[types.index(0)]
            raise RecordingError(
                "AEDAT4 has no such trigger", found=f"id={bad['id']} p={bad['p']}", expected="id 0 or 3, p 0 or 1"
            )
        return types


def _check_times(t_us: Array, last_us: int) -> None:
    if not len(t_us):
        return
    if t_us.min() < 0 or t_us.max() >= TIME_LIMIT_US:
        raise RecordingError(
            "AEDAT4 holds no such time", found=f"{t_us.min()} to {t_us.max()} us", expected="0 to 2^60"
        )
    if t_us[0] < last_us or (np.diff(t_us) < 0).any():
        raise RecordingError("times fall", expected="times that never fall", hint="sort the events by time")


def _packer(compression: str) -> Callable[[bytes], bytes]:
    package = {"lz4": "lz4.frame", "zstd": "zstandard"}.get(compression)
    if package is None:
        return lambda content: content
    try:
        module: Any = import_module(package)
    except ImportError:
        raise UsageError(
            f"{package.partition('.')[0]} is not installed",
            where="compression",
            found=repr(compression),
            hint="pip install 'edgesnn[events]'",
        ) from None
    pack: Callable[[bytes], bytes] = module.compress if compression == "lz4" else module.ZstdCompressor().compress
    return pack


def _prefixed(flat: bytes) -> bytes:
    return struct.pack("<I", len(flat)) + flat


def _aligned(size: int) -> int:
    return -(-size // 8) * 8


def _event_content(events: Array) -> bytes:
    records = np.zeros(len(events), _RECORD)
    for name in "txyp":
        records[name] = events[name]
    table = struct.pack("<I4sHHHHiII", 16, b"EVTS", 6, 8, 4, 0, 8, 4, len(events))
    return _prefixed(table + records.tobytes())


def _trigger_content(times: list[int], types: list[int]) -> bytes:
    """Tables of one vtable: time at 4, type at 12. Numbers of eight bytes are aligned, the length counted."""
    size, first = 16, _aligned(36 + 4 * len(times))
    flat = struct.pack("<I4sHHHHHHHHiII", 24, b"TRIG", 8, size, 4, 12, 6, 8, 4, 0, 8, 4, len(times))
    offsets = [first + size * i - (36 + 4 * i) for i in range(len(times))]
    flat = (flat + struct.pack(f"<{len(times)}I", *offsets)).ljust(first, b"\0")
    tables = (struct.pack("<iqB3x", first + size * i - 8, *row) for i, row in enumerate(zip(times, types, strict=True)))
    return _prefixed(flat + b"".join(tables))


def _table_content(table: array[int]) -> bytes:
    """Tables of one vtable: offset at 12, stream and size at 4, count at 20, times at 28 and 36."""
    count = len(table) // _NUMBERS_EACH
    size, first = 48, _aligned(44 + 4 * count)
    vtables = struct.pack("<HHHHHHHHHHH2x", 14, size, 12, 4, 20, 28, 36, 6, 8, 4, 0)
    flat = struct.pack("<I4s", 32, b"FTAB") + vtables + struct.pack("<iII", 32 - 22, 4, count)
    offsets = [first + size * i - (44 + 4 * i) for i in range(count)]
    flat = (flat + struct.pack(f"<{count}I", *offsets)).ljust(first, b"\0")
    rows = (table[at : at + _NUMBERS_EACH] for at in range(0, len(table), _NUMBERS_EACH))
    tables = (struct.pack("<iiiqqqq4x", first + size * i - 8, *row) for i, row in enumerate(rows))
    return _prefixed(flat + b"".join(tables))


def _io_header(compression: str, sensor: Sensor, source: str) -> bytes:
    """The table's position is field 1, at _TABLE_PLACE; -1 until the file is finished."""
    text = _info(compression, sensor, source).encode()
    flat = struct.pack(
        "<I4sHHHHH2xiiqII", 20, b"IOHE", 10, 20, 4, 8, 16, 20 - 8, _NUMBERS[compression], -1, 4, len(text)
    )
    return _prefixed(flat + text + b"\0")


def _info(compression: str, sensor: Sensor, source: str) -> str:
    size = (("sizeX", "int", sensor[0]), ("sizeY", "int", sensor[1]))
    streams = ((_EVENTS, "events", "EVTS", size), (_TRIGGERS, "triggers", "TRIG", ()))
    lines = ['<dv version="2.0">', '<node name="outInfo" path="/outInfo/">']
    for number, name, kind, more in streams:
        path = f"/outInfo/{number}/"
        lines.append(f'<node name="{number}" path="{path}">')
        lines += [
            _attribute("compression", "string", compression.upper()),
            _attribute("originalModuleName", "string", "edgesnn"),
            _attribute("originalOutputName", "string", name),
            _attribute("typeDescription", "string", name),
            _attribute("typeIdentifier", "string", kind),
            f'<node name="info" path="{path}info/">',
            *(_attribute(*one) for one in more),
            _attribute("source", "string", source),
            "</node>",
            "</node>",
        ]
    return "\n".join([*lines, "</node>", "</dv>", ""])


def _attribute(key: str, kind: str, value: object) -> str:
    return f'<attr key="{key}" type="{kind}">{html.escape(str(value), quote=False)}</attr>'
