"""AEDAT 4.0 of iniVation's DV. docs/formats.md, "AEDAT4"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgesnn.events.formats import aedat4_header, rooms
from edgesnn.events.formats.aedat4_frames import MAGICS
from edgesnn.events.formats.aedat4_header import IoHeader
from edgesnn.events.formats.aedat4_packets import Packets
from edgesnn.events.formats.aedat4_writer import MAGIC, Aedat4Encoder
from edgesnn.events.formats.base import (
    HEAD_BYTES,
    EncoderOptions,
    FormatEncoder,
    Head,
    Header,
    Reader,
    ReaderOptions,
    Step,
    open_file,
)
from edgesnn.events.formats.checks import refuse_compression, refuse_variant
from edgesnn.events.seek import Place

_LENGTH_BYTES = 4


class Aedat4:
    """Files of packets behind an IOHeader: events and triggers are read, frames and IMU samples passed over."""

    name = "aedat4"
    title = "AEDAT4"
    has_magic = True
    native = False
    verified = True
    suffixes = (".aedat4",)

    def matches(self, head: Head) -> bool:
        """Say whether the version line is there."""
        return head.data.startswith(MAGIC)

    def header(self, head: Head) -> Header:
        """Read the IOHeader."""
        io = _io_header(head.data, head.where)
        sensor, complaint = io.sensor()
        return Header(_data_offset(head.data), sensor, io.fields, complaint, io.compression)

    def reader(self, options: ReaderOptions) -> Reader:
        """Begin a pass over the file."""
        return _Reader(options)

    def encoder(self, options: EncoderOptions) -> FormatEncoder:
        """Make an encoder: compression "lz4" (the default where it is installed), "zstd" or "none"."""
        refuse_compression(self, options, ("none", "lz4", "zstd"))
        refuse_variant(self, options)
        return Aedat4Encoder(options)


class _Reader:
    """A pass over a file: chunks of bytes through `Packets`."""

    def __init__(self, options: ReaderOptions) -> None:
        self._path = options.path
        self._file = open_file(self._path)
        self._start = options.header.data_offset
        self._header = _io_header(self._file.read(self._start), self._path, options.header.fields)
        self._end, self._complaint = _packets_end(self._file, self._header, self._start)
        self._packets = Packets(
            self._header,
            sensor=options.sensor,
            on_corrupt=options.on_corrupt,
            where=self._path,
            offset=self._start,
            end=self._end,
        )
        self.triggers = self._packets.triggers
        self._index = options.index
        self._at = self._start
        place = None if options.start_us is None else self._index.before(options.start_us)
        if place is not None:
            self._at += place.offset
            self._packets.load(place.state, self._at)

    @property
    def t_end_us(self) -> int | None:
        return self._packets.t_end_us

    @property
    def counters(self) -> dict[str, int]:
        return self._packets.counters

    def __iter__(self) -> Iterator[Step]:
        room = rooms.borrow()
        view = memoryview(room)
        with self._file as file:
            file.seek(self._at)
            while count := file.readinto(view[: self._next_bytes()]):
                self._at += count
                for events, _, error in self._packets.parts(view[:count]):
                    yield events, count, error
                    count = 0  # of the file they are counted once
                self._keep()
        rooms.give_back(room)
        error = None
        for events, _, error in self._packets.last_parts():
            yield events, 0, error
        if error is None and self._complaint is not None:
            self._packets.refuse(self._end, self._complaint)
            events, _, error = self._packets.feed(b"")
            yield events, 0, error

    def _next_bytes(self) -> int:
        """Return how many bytes to read at most: no more than its packet has where the index wants a place."""
        lacks = self._packets.lacks() if self._index.wants(self._at - self._start) else 0
        return min(lacks if lacks > 0 else rooms.ROOM_BYTES, self._end - self._at)

    def _keep(self) -> None:
        """Keep this place in the index, where it wants one and a packet has just ended."""
        offset, reached_us = self._at - self._start, self._packets.t_end_us
        if reached_us is not None and self._index.wants(offset) and self._packets.lacks() == 0:
            self._index.add(Place(reached_us, offset, self._packets.save()))


def _data_offset(data: bytes) -> int:
    at = len(MAGIC) + _LENGTH_BYTES
    return at + int.from_bytes(data[len(MAGIC) : at], "little")


def _io_header(data: bytes, where: str, fields: dict[str, str] | None = None) -> IoHeader:
    end = _data_offset(data)
    if not data.startswith(MAGIC) or len(data) < len(MAGIC) + _LENGTH_BYTES or end > len(data):
        longer = len(data) == HEAD_BYTES
        what = "the IOHeader is larger than 60 KB" if longer else "the header is cut"
        raise aedat4_header.damaged(what, where, len(MAGIC))
    return aedat4_header.read(memoryview(data)[len(MAGIC) : end], where, len(MAGIC), fields)


def _packets_end(file: Any, header: IoHeader, start: int) -> tuple[int, str | None]:
    """Return where the packets end, and what is wrong with the place of the file data table."""
    size = file.seek(0, 2)
    table = header.table_position
    if table < 0:
        return size, None
    if table > size:
        return size, f"the file is cut: its header says that its table lies at byte {table}"
    file.seek(max(table, start))
    if table >= start and _begins_table(file.read(12), header):
        return table, None
    return size, f"its header says that its table lies at byte {table}, where none is"


def _begins_table(data: bytes, header: IoHeader) -> bool:
    """Say whether a table begins so: where it is packed its frame does, eight bytes before that of any packet."""
    magic = MAGICS[header.compression]
    return data.startswith(magic) if magic else data[8:] == b"FTAB"
