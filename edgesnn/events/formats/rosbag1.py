"""Bags of ROS 1, version 2.0. docs/formats.md, "ROS bags"."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from edgesnn.errors import RecordingError
from edgesnn.events.formats.bag_walk import OVERLAP, Chunk, RecordError, Walk, peek_whole
from edgesnn.events.formats.base import open_file, printable
from edgesnn.events.formats.ros_messages import MOST_BYTES
from edgesnn.events.formats.ros_reader import Bag, Found, Position, RosFormat, Topic, damage
from edgesnn.events.formats.unpacking import FileSource, Source

MAGIC = b"#ROSBAG V2.0\n"
_MESSAGE, _BAG, _INDEX, _CHUNK, _CHUNK_INFO, _CONNECTION = 2, 3, 4, 5, 6, 7
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_LEAST_HEADER, _MOST_HEADER = 8, 1 << 16
_MOST_CONNECTION = 1 << 24
_MOST_CONNECTIONS = 10_000
_SCANNED_BYTES = 64 << 20  # for connections, where the bag has no index
_CUT = "the file is cut: its header says that its index lies behind its end"


class Record(NamedTuple):
    """The header of a record, and how many bytes of data follow the `head_bytes` that it takes."""

    op: int
    fields: dict[bytes, bytes]
    head_bytes: int
    data_bytes: int

    def integer(self, name: bytes) -> int | None:
        """Return a field of four or eight bytes."""
        value = self.fields.get(name, b"")
        return int.from_bytes(value, "little") if len(value) in (4, 8) else None


class Rosbag1(RosFormat):
    """Chunks of messages, not packed or with lz4 or bz2: event packets and event arrays."""

    name = "rosbag1"
    title = "ROS 1 bag"
    verified = True
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
        self._whole = False  # it has its index

    def topics(self) -> list[Topic]:
        """Return all topics: of the index at the bag's end, else of the connections in its first chunks."""
        with open_file(self._path) as file:
            size = os.fstat(file.fileno()).st_size
            index = self._index_position(file, size)
            found = self._connections(FileSource(file, index, size)) if index else {}
            self._whole = bool(found)
            if not found:
                for record, data in self._scan(file, size):
                    self._connect(record, data, found)
        if not found and index > size:
            raise RecordingError(_CUT, where=self._where, offset=size)
        self._known = set(found)
        topics: dict[tuple[str, str], set[int]] = {}
        for number, key in found.items():
            topics.setdefault(key, set()).add(number)
        return [Topic(name, kind, frozenset(ids), False) for (name, kind), ids in topics.items()]

    def messages(self, topic: Topic, begin: Position | None = None) -> Iterator[Found]:
        """Yield the messages of a topic, chunk by chunk."""
        with open_file(self._path) as file:
            size = os.fstat(file.fileno()).st_size
            index = self._index_position(file, size)
            walk = _Walk(self._where, topic.ids, self._known, whole=self._whole)
            yield from walk.messages(file, len(MAGIC), size, begin)
            if index > size and not walk.cut:
                yield Found(1, damage=damage(_CUT, self._where, size, "truncated_bytes", index - size))

    def _index_position(self, file: BinaryIO, size: int) -> int:
        """Return where the bag's header says that its index lies, 0: it has none."""
        source = FileSource(file, 0, size)
        if bytes(source.take(len(MAGIC))) != MAGIC:
            raise RecordingError("no ROS 1 bag of version 2.0", where=self._where, offset=0)
        try:
            record = read_record(source)
        except RecordError as error:
            raise RecordingError("the header is damaged", where=self._where, offset=13, found=str(error)) from None
        if record is None or record.op != _BAG:
            raise RecordingError("the header is cut", where=self._where, offset=13, expected="the bag's header")
        return record.integer(b"index_pos") or 0

    def _connections(self, source: FileSource) -> dict[int, tuple[str, str]]:
        """Return the connections of the index: number -> topic and type."""
        found: dict[int, tuple[str, str]] = {}
        try:
            while (record := read_record(source)) and record.op == _CONNECTION and len(found) < _MOST_CONNECTIONS:
                if record.data_bytes > _MOST_CONNECTION:
                    break
                source.skip(record.head_bytes)
                self._connect(record, bytes(source.take(record.data_bytes)), found)
        except RecordError:
            return found
        return found

    def _connect(self, record: Record, data: bytes, found: dict[int, tuple[str, str]]) -> None:
        number = record.integer(b"conn")
        try:
            fields = read_fields(data)
        except RecordError:
            return
        topic = record.fields.get(b"topic") or fields.get(b"topic", b"")
        if number is not None and len(found) < _MOST_CONNECTIONS:
            found[number] = topic.decode("utf-8", "replace"), fields.get(b"type", b"").decode("utf-8", "replace")

    def _scan(self, file: BinaryIO, size: int) -> Iterator[tuple[Record, bytes]]:
        """Yield the connections that stand in the first chunks."""
        walk = _Walk(self._where, frozenset(), set(), whole=False)
        for _ in walk.messages(file, len(MAGIC), min(size, _SCANNED_BYTES)):
            pass
        yield from walk.connections


class _Walk(Walk):
    """See `Walk`."""

    def __init__(self, where: str, wanted: frozenset[int], known: set[int], *, whole: bool) -> None:
        super().__init__(where, wanted, known, whole=whole)
        self.connections: list[tuple[Record, bytes]] = []
        self._next: Record | None = None

    def length(self, source: Source) -> int | None:
        """Return the bytes of the record that comes next."""
        record = self._next = read_record(source)
        return None if record is None else record.head_bytes + record.data_bytes

    def chunk(self, source: Source) -> Chunk | None:
        """Return the next record as a chunk."""
        record = self._next
        if record is None or record.op != _CHUNK:
            return None
        compression = record.fields.get(b"compression", b"none").decode("utf-8", "replace")
        return Chunk(compression, record.head_bytes, record.data_bytes, record.integer(b"size"))

    def take(self, source: Source, *, inside: bool) -> memoryview | None:
        """Take the next record."""
        record = self._next
        if record is None:
            return None
        if not inside:
            _check_between(record)
            return None
        number = record.integer(b"conn")
        if record.op not in (_MESSAGE, _CONNECTION) or number is None:
            raise RecordError(f"a record of kind {record.op}")
        if record.op == _MESSAGE and self.known and number not in self.known:
            raise RecordError(f"a message of connection {number}, which there is not")
        length = record.head_bytes + record.data_bytes
        data = peek_whole(source, length, MOST_BYTES)[record.head_bytes :]
        source.skip(length)
        if record.op == _CONNECTION and len(self.connections) < _MOST_CONNECTIONS:
            self.connections.append((record, bytes(data)))
        return data if record.op == _MESSAGE and number in self.wanted else None

    def find_chunk(self, window: bytes) -> int | None:
        """Return where a chunk begins."""
        return find_record(window, b"op=\x05", 1)

    def find_message(self, window: bytes) -> int | None:
        """Return where a message begins."""
        return find_record(window, b"op=\x02", 1)


def _check_between(record: Record) -> None:
    """Raise RecordError where such a record cannot stand between chunks."""
    entry_bytes = {_INDEX: 12, _CHUNK_INFO: 8}.get(record.op)
    if entry_bytes is None:
        sane = record.op == _BAG or (record.op == _CONNECTION and record.integer(b"conn") is not None)
    else:
        sane = record.integer(b"count") == record.data_bytes // entry_bytes
    if not sane:
        raise RecordError(f"a record of kind {record.op}, {record.data_bytes} bytes")


def read_record(source: Source) -> Record | None:
    """Return the header of the record that comes next, which stays; None at the end. Raises RecordError."""
    view = source.peek(4)
    if not len(view):
        return None
    if len(view) < 4:
        raise RecordError("the header of a record is cut", cut=True)
    size = _U32.unpack(view)[0]
    if not _LEAST_HEADER <= size <= _MOST_HEADER:
        raise RecordError(f"the header of a record cannot have {size} bytes")
    view = source.peek(size + 8)
    if len(view) < size + 8:
        raise RecordError("the header of a record is cut", cut=True)
    fields = read_fields(bytes(view[4 : size + 4]))
    op = fields.get(b"op", b"")
    if len(op) != 1 or not _MESSAGE <= op[0] <= _CONNECTION:
        raise RecordError(f"a record of kind {op[:8]!r}")
    return Record(op[0], fields, size + 8, _U32.unpack_from(view, size + 4)[0])


def read_fields(data: bytes) -> dict[bytes, bytes]:
    """Return the fields of a header by name. Raises RecordError."""
    fields: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        size = _U32.unpack_from(data, at)[0] if at + 4 <= len(data) else len(data)
        field = data[at + 4 : at + 4 + size]
        name, equals, value = field.partition(b"=")
        if len(field) < size or not equals:
            raise RecordError("a field of a header is none")
        fields[name] = value
        at += 4 + size
    return fields


def find_record(window: bytes, mark: bytes, start: int) -> int | None:
    """Return where in the window, from `start` on, a record begins whose header holds this field; None: nowhere."""
    hit = window.find(mark, start)
    while hit >= 0:
        for at in range(max(hit - 128, start), hit - 7):
            size = _U32.unpack_from(window, at)[0]
            if _LEAST_HEADER <= size <= OVERLAP // 2 and at + 4 + size <= len(window):
                try:
                    if read_fields(window[at + 4 : at + 4 + size]).get(b"op") == mark[-1:]:
                        return at
                except RecordError:
                    continue
        hit = window.find(mark, hit + 1)
    return None
