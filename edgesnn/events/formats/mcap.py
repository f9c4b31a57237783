"""MCAP files, as ROS 2 (and ROS 1) record them. docs/formats.md, "ROS bags"."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

from edgesnn.errors import RecordingError
from edgesnn.events.formats.bag_walk import Chunk, RecordError, Walk, peek_whole
from edgesnn.events.formats.base import open_file, printable
from edgesnn.events.formats.ros_messages import MOST_BYTES
from edgesnn.events.formats.ros_reader import Bag, Found, Position, RosFormat, Topic, damage
from edgesnn.events.formats.unpacking import FileSource, Source

MAGIC = b"\x89MCAP0\r\n"
_HEADER, _FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK = 1, 2, 3, 4, 5, 6
_MESSAGE_INDEX, _ATTACHMENT, _METADATA, _DATA_END = 7, 9, 12, 15
_HEAD = struct.Struct("<BQ")
_CHUNK_HEAD = struct.Struct("<QQQII")  # first and last time, size, CRC-32, length of the compression's name
_MESSAGE_BYTES = 22  # before the data: channel, sequence, two times
_U16, _U32, _U64 = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<Q")
_FOOTER_BYTES = 9 + 20 + len(MAGIC)
_MOST_NAME = 16
_MOST_CHANNELS = 10_000
_MOST_RECORD = 1 << 48
_SCANNED_BYTES = 64 << 20  # for channels, where the file has no summary
_COMPRESSIONS = {"": "none", "lz4": "lz4", "zstd": "zstd"}


class Mcap(RosFormat):
    """Messages in chunks, not packed or with lz4 or zstd, or without chunks: event packets and event arrays."""

    name = "mcap"
    title = "MCAP"
    verified = False
    magic = MAGIC

    def bag(self, path: str) -> Bag:
        """See `RosFormat`."""
        return _Bag(path)


class _Bag:
    """See `Bag`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._where = printable(path)
        self._known: set[int] = set()

    def topics(self) -> list[Topic]:
        """Return all topics: of the summary at the file's end, else of what stands in its first chunks."""
        with open_file(self._path) as file:
            size = os.fstat(file.fileno()).st_size
            if os.pread(file.fileno(), len(MAGIC), 0) != MAGIC:
                raise RecordingError("no MCAP file", where=self._where, offset=0)
            names = _Names()
            start = _summary_start(file, size)
            if start:
                names.read(FileSource(file, start, size))
            if not names.channels:
                walk = _Walk(self._where, frozenset(), set(), whole=False)
                for _ in walk.messages(file, len(MAGIC), min(size, _SCANNED_BYTES)):
                    pass
                names = walk.names
            if not names.channels and not _is_whole(file, size):
                raise RecordingError("the file is cut: it names no topic", where=self._where, offset=size)
        self._known = set(names.channels)
        return names.topics()

    def messages(self, topic: Topic, begin: Position | None = None) -> Iterator[Found]:
        """Yield the messages of a topic as they stand in the file."""
        with open_file(self._path) as file:
            size = os.fstat(file.fileno()).st_size
            walk = _Walk(self._where, topic.ids, self._known, whole=_is_whole(file, size))
            yield from walk.messages(file, len(MAGIC), size, begin)
            if not walk.whole and not walk.cut:
                what = "the file is cut, or its writer did not finish it: it has no end"
                yield Found(1, damage=damage(what, self._where, size, "truncated_bytes"))


class _Names:
    """Schemas and channels."""

    def __init__(self) -> None:
        self.schemas: dict[int, str] = {}
        self.channels: dict[int, tuple[str, int, str]] = {}  # topic, schema, encoding of messages

    def read(self, source: Source) -> None:
        """Take records up to the first that is none."""
        try:
            while (head := read_head(source)) and head[0] != _FOOTER:
                if head[0] in (_SCHEMA, _CHANNEL):
                    self.add(head[0], peek_whole(source, _HEAD.size + head[1], MOST_BYTES)[_HEAD.size :])
                source.skip(_HEAD.size + head[1])
        except RecordError:
            return

    def add(self, op: int, content: memoryview) -> None:
        """Read a schema or a channel. Raises RecordError."""
        try:
            number = _U16.unpack_from(content)[0]
            if op == _SCHEMA and number and len(self.schemas) < _MOST_CHANNELS:
                self.schemas[number] = _text(content, 2)[0]
            elif op == _CHANNEL and len(self.channels) < _MOST_CHANNELS:
                topic, at = _text(content, 4)
                self.channels[number] = topic, _U16.unpack_from(content, 2)[0], _text(content, at)[0]
        except struct.error:
            raise RecordError("a schema or a channel that ends early") from None

    def topics(self) -> list[Topic]:
        """Return the topics that ROS writes."""
        found: dict[tuple[str, str, str], set[int]] = {}
        for number, (topic, schema, encoding) in self.channels.items():
            if encoding in ("cdr", "ros1"):
                found.setdefault((topic, self.schemas.get(schema, ""), encoding), set()).add(number)
        return [Topic(name, kind, frozenset(ids), encoding == "cdr") for (name, kind, encoding), ids in found.items()]


class _Walk(Walk):
    """See `Walk`."""

    def __init__(self, where: str, wanted: frozenset[int], known: set[int], *, whole: bool) -> None:
        super().__init__(where, wanted, known, whole=whole)
        self.names = _Names()
        self._next: tuple[int, int] | None = None

    def length(self, source: Source) -> int | None:
        """Return the bytes of the record that comes next."""
        head = self._next = read_head(source)
        return None if head is None else _HEAD.size + head[1]

    def chunk(self, source: Source) -> Chunk | None:
        """Return the next record as a chunk."""
        view = source.peek(_HEAD.size + _CHUNK_HEAD.size + _MOST_NAME + _U64.size)
        if view[0] != _CHUNK:
            return None
        try:
            return _chunk(view)
        except struct.error:
            raise RecordError("the header of a chunk is cut", cut=True) from None

    def take(self, source: Source, *, inside: bool) -> memoryview | None:
        """Take the next record."""
        head = self._next
        if head is None:
            return None
        op, length = head
        if op not in (_SCHEMA, _CHANNEL, _MESSAGE):
            if op < 0x80 and (inside or not _stands_between(source, op, length)):
                raise RecordError(f"a record of kind {op}, {length} bytes")
            self.ended = op == _DATA_END
            if source.skip(_HEAD.size + length) < _HEAD.size + length:
                raise RecordError("its last record is cut", cut=True)
            return None
        content = peek_whole(source, _HEAD.size + length, MOST_BYTES)[_HEAD.size :]
        wanted = op == _MESSAGE and self._channel(content) in self.wanted
        if op != _MESSAGE:
            self.names.add(op, content)
        self.flat = self.flat or (op == _MESSAGE and not inside)
        source.skip(_HEAD.size + length)
        return content[_MESSAGE_BYTES:] if wanted else None

    def _channel(self, content: memoryview) -> int:
        """Return the channel of a message. Raises RecordError where there is none."""
        channel: int = _U16.unpack_from(content)[0] if len(content) >= _MESSAGE_BYTES else -1
        if channel < 0 or (self.known and channel not in self.known):
            raise RecordError(f"a message of {len(content)} bytes, of channel {channel}")
        return channel

    def find_chunk(self, window: bytes) -> int | None:
        """Return where a chunk begins, or a message where there were some outside of chunks."""
        at = 0
        while (at := window.find(b"\x06", at + 1)) >= 0:
            try:
                chunk = _chunk(memoryview(window)[at:])
                length = _HEAD.unpack_from(window, at)[1]
                exact = chunk.head_bytes + chunk.packed_bytes == _HEAD.size + length
                if exact and chunk.compression in _COMPRESSIONS.values():
                    return at
            except (RecordError, struct.error):
                continue
        return self.find_message(window) if self.flat else None

    def find_message(self, window: bytes) -> int | None:
        """Return where a message begins whose channel is known."""
        at = 0
        while (at := window.find(b"\x05", at + 1)) >= 0 and at + _HEAD.size + 2 <= len(window):
            length = _U64.unpack_from(window, at + 1)[0]
            channel = _U16.unpack_from(window, at + _HEAD.size)[0]
            if _MESSAGE_BYTES <= length <= MOST_BYTES and channel in self.known:
                return at
        return None


def read_head(source: Source) -> tuple[int, int] | None:
    """Return kind and length of the record that comes next, which stays; None at the end. Raises RecordError."""
    view = source.peek(_HEAD.size)
    if not len(view):
        return None
    if len(view) < _HEAD.size:
        raise RecordError("the header of a record is cut", cut=True)
    op, length = _HEAD.unpack(view)
    if op == 0 or _DATA_END < op < 0x80 or length > _MOST_RECORD:
        raise RecordError(f"kind {op}, {length} bytes")
    return op, length


def _stands_between(source: Source, op: int, length: int) -> bool:
    """Say whether a record of this kind and length may stand between chunks."""
    if op == _MESSAGE_INDEX:
        view = source.peek(_HEAD.size + 6)
        return len(view) < _HEAD.size + 6 or _U32.unpack_from(view, _HEAD.size + 2)[0] + 6 == length
    return op in (_HEADER, _ATTACHMENT, _METADATA) or (op == _DATA_END and length == _U32.size)


def _chunk(view: memoryview) -> Chunk:
    """Read the header of a chunk. Raises RecordError where its numbers do not fit, struct.error where it is cut."""
    _, length = _HEAD.unpack_from(view)
    first, last, size, crc, name_bytes = _CHUNK_HEAD.unpack_from(view, _HEAD.size)
    at = _HEAD.size + _CHUNK_HEAD.size
    if name_bytes > _MOST_NAME or first > last:
        raise RecordError("the header of a chunk is damaged")
    name = bytes(view[at : at + name_bytes]).decode("utf-8", "replace")
    packed = _U64.unpack_from(view, at + name_bytes)[0]
    head_bytes = at + name_bytes + _U64.size
    if head_bytes + packed > _HEAD.size + length or packed == 0 < size:
        raise RecordError("the header of a chunk is damaged")
    return Chunk(_COMPRESSIONS.get(name, name), head_bytes, packed, size, crc)


def _text(content: memoryview, at: int) -> tuple[str, int]:
    """Return a text and where it ends. Raises struct.error."""
    length = _U32.unpack_from(content, at)[0]
    start = at + _U32.size
    if start + length > len(content):
        raise struct.error
    return bytes(content[start : start + length]).decode("utf-8", "replace"), start + length


def _is_whole(file: BinaryIO, size: int) -> bool:
    """Say whether the file has its end."""
    return size >= _FOOTER_BYTES and os.pread(file.fileno(), len(MAGIC), size - len(MAGIC)) == MAGIC


def _summary_start(file: BinaryIO, size: int) -> int:
    """Return where the summary lies, 0: there is none."""
    footer = os.pread(file.fileno(), _FOOTER_BYTES, max(size - _FOOTER_BYTES, 0))
    if not footer.endswith(MAGIC) or len(footer) < _FOOTER_BYTES or footer[0] != _FOOTER:
        return 0
    start: int = _U64.unpack_from(footer, _HEAD.size)[0]
    return start if start < size else 0
