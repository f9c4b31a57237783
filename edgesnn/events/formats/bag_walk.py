"""What bags of records and chunks share: a walk that goes on behind damage. docs/formats.md, "ROS bags"."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from edgesnn.events.formats.ros_packets import Place
from edgesnn.events.formats.ros_reader import Found, Position, damage
from edgesnn.events.formats.unpacking import FileSource, Source, UnpackError, unpacked

OVERLAP = 512  # the header of a chunk or message is shorter


class RecordError(Exception):
    """No record is here; the text says why. `cut`: the bytes end inside one."""

    def __init__(self, what: str, *, cut: bool = False) -> None:
        super().__init__(what)
        self.cut = cut


@dataclass(frozen=True)
class Chunk:
    """How a chunk of records lies in the file.

    Attributes:
        compression: as `unpacked` knows it.
        head_bytes: before its packed records.
        packed_bytes: of them.
        size: what they are to become, None: it does not say.
        crc: CRC-32 of that, 0: none.
    """

    compression: str
    head_bytes: int
    packed_bytes: int
    size: int | None
    crc: int = 0


class Walk(ABC):
    """One walk over the records of a bag.

    Args:
        where: the file.
        wanted: the connections whose messages are given.
        known: all connections, empty: not known.
        whole: the file has its end, so that no record reaches beyond it.
    """

    def __init__(self, where: str, wanted: frozenset[int], known: set[int], *, whole: bool) -> None:
        self.where = where
        self.wanted = wanted
        self.known = known
        self.whole = whole
        self.number = 0  # of the next message
        self.flat = False  # there were messages outside of chunks
        self.cut = False
        self.ended = False  # what follows holds no message

    @abstractmethod
    def length(self, source: Source) -> int | None:
        """Return the bytes of the record that comes next, which stays; None at the end. Raises RecordError.

        The other methods are asked of the same record, after this.
        """

    @abstractmethod
    def chunk(self, source: Source) -> Chunk | None:
        """Return the next record as a chunk, None where it is another. Raises RecordError."""

    @abstractmethod
    def take(self, source: Source, *, inside: bool) -> memoryview | None:
        """Take the next record, `inside` a chunk or not; return the data of a message that is wanted.

        Sets `ended`. Raises RecordError.
        """

    @abstractmethod
    def find_chunk(self, window: bytes) -> int | None:
        """Return where behind the window's first byte something is that a walk can go on with."""

    @abstractmethod
    def find_message(self, window: bytes) -> int | None:
        """The same inside a chunk."""

    def messages(self, file: BinaryIO, start: int, end: int, begin: Position | None = None) -> Iterator[Found]:
        """Yield the messages of the file, and damage between them; from `begin` on."""
        if begin is not None:
            start, self.number, self.flat = begin.offset, begin.number, begin.flat
        source = FileSource(file, start, end)
        while not self.ended:
            at = start + source.position
            try:
                length = self.length(source)
                if length is None:
                    return
                missing = max(at + length - end, 0)
                if missing and self.whole:
                    raise RecordError(f"a record of {length} bytes reaches beyond the end")
                yield from self._record(source, at, missing)
            except RecordError as error:
                yield self._lost(error, at, end - at)
                if error.cut or not source.search(self.find_chunk, OVERLAP):
                    return
                continue
            source.skip(at + length - start - source.position)
            behind = Position(start + source.position, self.number, self.flat)
            yield Found(start + source.position - at, behind=behind)
            if missing:
                yield self._lost(RecordError("the last record is cut", cut=True), at, missing)
                return

    def _record(self, source: FileSource, at: int, missing: int) -> Iterator[Found]:
        chunk = self.chunk(source)
        if chunk is not None:
            source.skip(chunk.head_bytes)
            yield from self._unpack(source, chunk, at, missing)
        elif not missing:
            begin = source.position
            data = self.take(source, inside=False)
            if data is not None:
                yield self._found(data, at + source.position - begin - len(data), exact=True)

    def _unpack(self, source: FileSource, chunk: Chunk, at: int, missing: int) -> Iterator[Found]:
        """Yield the messages of a chunk; `missing`: bytes of it that the file has not."""
        exact = at + chunk.head_bytes if chunk.compression == "none" else None
        try:
            size = max(chunk.packed_bytes - missing, 0)
            records = unpacked(source, size, chunk.compression, self.where, checked=chunk.crc != 0)
            yield from self._records(records, at, exact, cut=missing > 0)
            if missing:
                return
            if chunk.size not in (None, records.produced):
                raise UnpackError(f"it becomes {records.produced} bytes, not {chunk.size}")
            if chunk.crc not in (0, records.crc):
                raise UnpackError("its checksum is wrong")
        except UnpackError as error:
            yield Found(0, damage=damage(f"a chunk that cannot be unpacked: {error}", self.where, at))

    def _records(self, records: Source, at: int, exact: int | None, *, cut: bool) -> Iterator[Found]:
        """Yield the messages among the records of a chunk at this byte of the file."""
        while True:
            try:
                if self.length(records) is None:
                    return
                data = self.take(records, inside=True)
            except RecordError as error:
                if cut and error.cut:
                    return
                yield Found(0, damage=damage(f"in this chunk: {error}", self.where, at))
                if not records.search(self.find_message, OVERLAP):
                    return
                continue
            if data is not None:
                begin = at if exact is None else exact + records.position - len(data)
                yield self._found(data, begin, exact=exact is not None)
                data = None  # a large one is gone before the next is read

    def _found(self, data: memoryview, at: int, *, exact: bool) -> Found:
        self.number += 1
        return Found(0, Place(self.where, self.number - 1, at, exact), data)

    def _lost(self, error: RecordError, at: int, amount: int) -> Found:
        self.cut = self.cut or error.cut
        counter, amount = ("truncated_bytes", max(amount, 1)) if error.cut else ("bad_words", 1)
        what = f"the file is cut: {error}" if error.cut else f"no record of a bag: {error}"
        return Found(1, damage=damage(what, self.where, at, counter, amount))


def peek_whole(source: Source, length: int, most: int) -> memoryview:
    """Return a record of so many bytes, which stays. Raises RecordError where it is larger than `most` or cut."""
    if length > most:
        raise RecordError(f"a record of {length} bytes, more than {most}")
    view = source.peek(length)
    if len(view) < length:
        raise RecordError("its last record is cut", cut=True)
    return view
