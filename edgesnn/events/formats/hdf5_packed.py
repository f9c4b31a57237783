"""Chunks of Prophesee's ECF and triggers, framed for the decoder: the worker's side. docs/formats.md, "ECF"."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from edgesnn.events.formats.hdf5_stored import (
    Stored,
    attributes,
    chunk_places,
    filters,
    member,
    refuse_bomb,
    storage,
)
from edgesnn.events.types import TRIGGER
from edgesnn.hdf5.wire import Link, Refused

ECF = 0x8ECF
_ROW_BYTES = 16
_MOST_ROWS = 65_535  # of a chunk
_MOST_BYTES = 1 << 20
_SEND_BYTES = 1 << 18
_TRIGGERS = 4096  # at once
_FRAME = struct.Struct("<4sBxxxIIqq")  # native/events/decode/ecf.hpp
_PACKED, _LOST, _EDGES = 0, 1, 2
_FAR_US = 1 << 62
_TIME = struct.Struct("<4xQ")


class Packed:
    """CD/events packed with ECF."""

    def __init__(self, file: Any, item: Any) -> None:
        if filters(item) != [ECF] or item.ndim != 1 or not item.chunks or item.chunks[0] > _MOST_ROWS:
            raise Refused(
                f"{item.name} is packed with ECF in another way: chunks {item.chunks}, filters {filters(item)}"
            )
        self._chunks = item.id
        self.rows = int(item.shape[0])
        self._chunk_rows = int(item.chunks[0])
        self._bytes = storage(item)
        refuse_bomb(self._bytes, self.rows * _ROW_BYTES)
        self._places = chunk_places(item)
        self._triggers = _Triggers(member(file, "EXT_TRIGGER/events"))

    def describe(self, file: Any) -> dict[str, Any]:
        """Return what is known of the file before its events are read."""
        fields = {"rows": str(self.rows), **attributes(file)}
        return {"layout": "ecf", "packed": True, "fields": fields, "sensor": fields.get("geometry")}

    def send(self, link: Link, start_us: int | None) -> None:
        """Send the chunks in frames, the triggers before each that are earlier than it."""
        first = 0 if start_us is None else self._first_row(start_us)
        frames, sent = bytearray(), first
        for row in range(first, self.rows, self._chunk_rows):
            frame, time_us = self._chunk(row)
            if Stored.cut and time_us < 0:
                link.send({"bytes": self._share(row) - self._share(sent)}, [np.frombuffer(frames, np.uint8)])
                return
            frames += self._triggers.before(time_us) + frame
            stop = min(row + self._chunk_rows, self.rows)
            if len(frames) >= _SEND_BYTES or stop == self.rows:
                link.send({"bytes": self._share(stop) - self._share(sent)}, [np.frombuffer(frames, np.uint8)])
                frames, sent = bytearray(), stop
        for frame in self._triggers.rest():
            link.send({"bytes": 0}, [np.frombuffer(frame, np.uint8)])

    def _share(self, row: int) -> int:
        """Return how many of the bytes lie before a row, about."""
        return self._bytes * row // self.rows

    def _chunk(self, row: int) -> tuple[bytes, int]:
        """Return a chunk as a frame, and the time of its first event (-1: none)."""
        rows, place, why = min(self._chunk_rows, self.rows - row), 0, ""
        try:
            info = self._places.get((row,)) or self._chunks.get_chunk_info_by_coord((row,))
            place = int(info.byte_offset or 0)
            if not info.size or info.size > _MOST_BYTES or info.filter_mask:
                why = f"its chunk of {info.size} bytes is none" if info.size else "its chunk was never written"
            elif place + info.size > Stored.file_bytes:
                why = "its chunk lies behind the end of the file"
            else:
                _, data = self._chunks.read_direct_chunk((row,))
                time_us = _TIME.unpack_from(data)[0] if len(data) >= _TIME.size else 0
                return frame(_PACKED, rows, data, row, place), time_us
        except (OSError, RuntimeError, ValueError) as error:
            why = " ".join(str(error).split())[:80]
        return frame(_LOST, rows, why.encode("utf-8", "replace"), row, place), -1

    def _first_row(self, start_us: int) -> int:
        """Return the first row of the last chunk that begins before this time."""
        if Stored.cut:
            return 0
        low, high = 0, -(-self.rows // self._chunk_rows)  # chunks before low begin before it, those from high on do not
        while low < high:
            middle = (low + high) // 2
            time_us = self._chunk(middle * self._chunk_rows)[1]
            if time_us < 0:
                return 0
            if time_us < start_us:
                low = middle + 1
            else:
                high = middle
        return max(low - 1, 0) * self._chunk_rows


class _Triggers:
    """External triggers in the file's order, read as far as they are wanted; what cannot be read is a lost frame."""

    def __init__(self, item: Any) -> None:
        names = item.dtype.names or () if item is not None else ()
        self._stored = Stored(item) if {"p", "t", "id"} <= set(names) else None
        self._read = 0
        self._ahead = np.zeros(0, TRIGGER)
        self._lost = b""

    def before(self, time_us: int) -> bytes:
        """Return the frames of those at the front that are before this time."""
        frames = b""
        while len(self._ahead) or self._more():
            later = self._ahead["t"] >= min(time_us, _FAR_US)
            count = int(np.argmax(later)) if later.any() else len(later)
            frames += self._frame(count)
            if len(self._ahead):
                break
        return frames

    def rest(self) -> Iterator[bytes]:
        """Yield the frames of all that are left."""
        while len(self._ahead) or self._more():
            yield self._frame(len(self._ahead))

    def _more(self) -> bool:
        """Read the next ones; False: there are none."""
        if self._stored is None or self._read >= self._stored.rows:
            return False
        start, self._read = self._read, min(self._read + _TRIGGERS, self._stored.rows)
        try:
            block = self._stored.item[start : self._read]
        except (OSError, RuntimeError, ValueError) as error:
            why = f"external triggers: {' '.join(str(error).split())[:80]}"
            self._lost = frame(_LOST, self._read - start, why.encode("utf-8", "replace"), 0, self._stored.place(start))
            return True
        self._ahead = np.zeros(len(block), TRIGGER)
        for name in ("t", "id", "p"):
            self._ahead[name] = block[name]
        return True

    def _frame(self, count: int) -> bytes:
        lost, self._lost = self._lost, b""
        taken, self._ahead = self._ahead[:count], self._ahead[count:]
        return lost + (frame(_EDGES, 0, taken.tobytes(), 0, 0) if count else b"")


def frame(kind: int, rows: int, data: bytes, row: int, place: int) -> bytes:
    """Return the bytes of a frame."""
    return _FRAME.pack(b"ECFC", kind, rows, len(data), row, place) + data
