"""Bags of ROS 1, version 2.0. docs/formats.md, "ROS bags"."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from edgesnn.errors import RecordingError
from edgesnn.events.formats.base import Head, Header, Reader, ReaderOptions, open_file, printable
from edgesnn.events.formats.ros_messages import MOST_BYTES
from edgesnn.events.formats.ros_packets import Place
from edgesnn.events.formats.ros_reader import Found, RosReader, Topic, damage, read_header
from edgesnn.events.formats.unpacking import FileSource, Source, UnpackError, unpacked

MAGIC = b"#ROSBAG V2.0\n"
_MESSAGE, _BAG, _INDEX, _CHUNK, _CHUNK_INFO, _CONNECTION = 2, 3, 4, 5, 6, 7
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_LEAST_HEADER, _MOST_HEADER = 8, 1 << 16
_MOST_CONNECTION = 1 << 24
_MOST_CONNECTIONS = 10_000
_SCANNED_BYTES = 64 << 20  # for connections, where the bag has no index
_CUT = "the file is cut: its header says that its index lies behind its end"
_OVERLAP = 512  # the header of a chunk or message is shorter


class RecordError(Exception):
    """No record is here; the text says why. `cut`: the bytes end inside one."""

    def __init__(self, what: str, *, cut: bool = False) -> None:
        super().__init__(what)
        self.cut = cut


@dataclass(frozen=True)
class Record:
    """The header of a record, and how many bytes of data follow the `head_bytes` that it takes."""

    op: int
    fields: dict[bytes, bytes]
    head_bytes: int
    data_bytes: int

    def integer(self, name: bytes) -> int | None:
        """Return a field of four or eight bytes."""
        value = self.fields.get(name, b"")
        return int.from_bytes(value, "little") if len(value) in (4, 8) else None


class Rosbag1:
    """Chunks of messages, not packed or with lz4 or bz2: event packets and event arrays."""

    name = "rosbag1"
    title = "ROS 1 bag"
    has_magic = True
    native = False
    verified = True
    takes_topic = True

    def matches(self, head: Head) -> bool:
        """Say whether the version line is there."""
        return head.data.startswith(MAGIC)

    def header(self, head: Head) -> Header:
        """Read the topics and the first messages."""
        return read_header(_Bag(head.where), head)

    def reader(self, options: ReaderOptions) -> Reader:
        """Begin a pass over the file."""
        return RosReader(_Bag(options.path), options)


class _Bag:
    """See `Bag`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._where = printable(path)
        self._known: set[int] = set()

    def topics(self) -> list[Topic]:
        """Return all topics: of the index at the bag's end, else of the connections in its first chunks."""
        with open_file(self._path) as file:
            size = os.fstat(file.fileno()).st_size
            index = self._index_position(file, size)
            found = self._connections(FileSource(file, index, size)) if index else {}
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

    def messages(self, topic: Topic) -> Iterator[Found]:
        """Yield the messages of a topic, chunk by chunk."""
        with open_file(self._path) as file:
            size = os.fstat(file.fileno()).st_size
            index = self._index_position(file, size)
            walk = _Walk(self._where, topic.ids, self._known)
            yield from walk.records_of(file, len(MAGIC), size)
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
        walk = _Walk(self._where, frozenset(), set())
        for _ in walk.records_of(file, len(MAGIC), min(size, _SCANNED_BYTES)):
            pass
        yield from walk.connections


class _Walk:
    """One walk over the records of a bag."""

    def __init__(self, where: str, wanted: frozenset[int], known: set[int]) -> None:
        self._where = where
        self._wanted = wanted
        self._known = known
        self._number = 0  # of the next message
        self.cut = False
        self.connections: list[tuple[Record, bytes]] = []

    def records_of(self, file: BinaryIO, start: int, end: int) -> Iterator[Found]:
        """Yield what the records of the file hold."""
        source = FileSource(file, start, end)
        while True:
            at = start + source.position
            try:
                record = read_record(source)
            except RecordError as error:
                yield self._lost(error, at, end - at)
                if error.cut or not source.search(lambda window: find_record(window, b"op=\x05", 1), _OVERLAP):
                    return
                continue
            if record is None:
                return
            source.skip(record.head_bytes)
            have = min(record.data_bytes, end - at - record.head_bytes)
            if record.op == _CHUNK:
                yield from self._chunk(source, record, at, have)
            source.skip(start_of_next(at, record) - start - source.position)
            yield Found(start + source.position - at)
            if have < record.data_bytes:
                yield self._lost(RecordError("the last record is cut", cut=True), at, record.data_bytes - have)
                return

    def _chunk(self, source: FileSource, record: Record, at: int, have: int) -> Iterator[Found]:
        """Yield the messages of a chunk; `have`: bytes of it that the file has."""
        name = record.fields.get(b"compression", b"none").decode("utf-8", "replace")
        exact = at + record.head_bytes if name == "none" else None
        try:
            chunk = unpacked(source, have, name, self._where)
            yield from self._records(chunk, at, exact, cut=have < record.data_bytes)
            promised = record.integer(b"size")
            if have == record.data_bytes and promised not in (None, chunk.produced):
                what = f"a chunk that becomes {chunk.produced} bytes, not {promised}"
                yield Found(0, damage=damage(what, self._where, at))
        except UnpackError as error:
            yield Found(0, damage=damage(f"a chunk that cannot be unpacked: {error}", self._where, at))

    def _records(self, chunk: Source, at: int, exact: int | None, *, cut: bool) -> Iterator[Found]:
        """Yield the messages among the records of a chunk at this byte of the file."""
        while True:
            try:
                record = read_record(chunk)
                if record is None:
                    return
                data = self._data(chunk, record)
            except RecordError as error:
                if cut and error.cut:
                    return
                yield Found(0, damage=damage(f"in this chunk: {error}", self._where, at))
                if not chunk.search(lambda window: find_record(window, b"op=\x02", 1), _OVERLAP):
                    return
                continue
            if data is not None:
                begin = at if exact is None else exact + chunk.position - len(data)
                yield Found(0, Place(self._where, self._number, begin, exact is not None), data)
                self._number += 1

    def _data(self, chunk: Source, record: Record) -> memoryview | None:
        """Take a record of a chunk; return its data where it is a message that is wanted. Raises RecordError."""
        number = record.integer(b"conn")
        if record.op not in (_MESSAGE, _CONNECTION) or number is None:
            raise RecordError(f"a record of kind {record.op}")
        if record.op == _MESSAGE and self._known and number not in self._known:
            raise RecordError(f"a message of connection {number}, which there is not")
        if record.data_bytes > MOST_BYTES:
            raise RecordError(f"a record of {record.data_bytes} bytes, more than {MOST_BYTES}")
        view = chunk.peek(record.head_bytes + record.data_bytes)
        if len(view) < record.head_bytes + record.data_bytes:
            raise RecordError("its last record is cut", cut=True)
        chunk.take(len(view))
        data = view[record.head_bytes :]
        if record.op == _CONNECTION and len(self.connections) < _MOST_CONNECTIONS:
            self.connections.append((record, bytes(data)))
        return data if record.op == _MESSAGE and number in self._wanted else None

    def _lost(self, error: RecordError, at: int, amount: int) -> Found:
        self.cut = self.cut or error.cut
        counter, amount = ("truncated_bytes", max(amount, 1)) if error.cut else ("bad_words", 1)
        what = f"the file is cut: {error}" if error.cut else f"no record of a bag: {error}"
        return Found(1, damage=damage(what, self._where, at, counter, amount))


def start_of_next(at: int, record: Record) -> int:
    """Return where the record after this one lies."""
    return at + record.head_bytes + record.data_bytes


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
            if _LEAST_HEADER <= size <= _OVERLAP // 2 and at + 4 + size <= len(window):
                try:
                    if read_fields(window[at + 4 : at + 4 + size]).get(b"op") == mark[-1:]:
                        return at
                except RecordError:
                    continue
        hit = window.find(mark, hit + 1)
    return None
