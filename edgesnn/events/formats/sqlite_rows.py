"""The rows of a table of an SQLite file, page by page, in bounded memory. docs/formats.md, "ROS bags".

By ourselves, because SQLite says of no damage at which byte it lies, reads pages that are cut as zeros, and runs what a
hostile file declares.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

MAGIC = b"SQLite format 3\0"
HEADER_BYTES = 100
_LEAF, _INTERIOR = 13, 5
_MOST_DEPTH = 20
_BLOCK_BYTES = 1 << 16
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_MOST_SCHEMA_ROW = 1 << 16
_U16, _U32 = struct.Struct(">H"), struct.Struct(">I")


class PageError(Exception):
    """What is wrong, and at which byte; `cut`: the file ends before it."""

    def __init__(self, what: str, at: int, *, cut: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.at = at
        self.cut = cut


@dataclass(frozen=True)
class Table:
    """A table's first page and the names of its columns."""

    root: int
    columns: list[str]


class Row(NamedTuple):
    """One row, as far as its values lie in its page; `values` reads the others.

    Attributes:
        number: its rowid.
        size: bytes of all its values.
        at: where it lies in the file.
        trail: which of the pages of each level, and which row of the last, it lies in.
    """

    file: SqliteFile
    number: int
    size: int
    at: int
    local: bytes
    more: int
    trail: tuple[int, ...] = ()

    def integer(self, column: int) -> int | None:
        """Return a column that is an integer near the row's beginning, None where it is not."""
        values = _values(self.local, column + 1)
        return values[column] if len(values) > column and isinstance(values[column], int) else None

    def values(self) -> list[Any]:
        """Return all columns: integers, memoryviews of bytes, text; None for others. Raises PageError."""
        data = bytearray(self.size)
        data[: len(self.local)] = self.local
        self.file.overflow(self.more, self.at, memoryview(data)[len(self.local) :])
        return _values(data)


@dataclass
class _Level:
    """Pages of one level of a table's tree, and which of them comes next."""

    pages: list[int]
    at: int


class SqliteFile:
    """An open SQLite file. Raises PageError where it is not one."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = os.fstat(file.fileno()).st_size
        head = os.pread(file.fileno(), HEADER_BYTES, 0)
        if len(head) < HEADER_BYTES or not head.startswith(MAGIC):
            raise PageError("no header of SQLite", 0, cut=len(head) < HEADER_BYTES)
        page_bytes = _U16.unpack_from(head, 16)[0]
        self.page_bytes = 65536 if page_bytes == 1 else page_bytes
        self._usable = self.page_bytes - head[20]
        if self.page_bytes < 512 or self.page_bytes & (self.page_bytes - 1) or self._usable < 480:
            raise PageError(f"pages of {self.page_bytes} bytes", 16)
        promised = _U32.unpack_from(head, 28)[0] * self.page_bytes if head[24:28] == head[92:96] else 0
        self.missing = max(promised - self.size, self.size % self.page_bytes)
        self._pages = self.size // self.page_bytes
        self._seen = bytearray(self._pages // 8 + 1)  # a bit for each page that was used
        self._block = b""
        self._block_page = 0

    def tables(self, names: Collection[str]) -> dict[str, Table]:
        """Return the tables of these names."""
        found = {}
        for row in self.rows(1):
            if isinstance(row, PageError):
                raise row
            if row.size > _MOST_SCHEMA_ROW:
                continue
            values = row.values()
            if len(values) == 5 and values[0] == "table" and values[1] in names:
                found[values[1]] = Table(int(values[3] or 0), _columns(str(values[4])))
        return found

    def rows(self, root: int, behind: tuple[int, ...] = ()) -> Iterator[Row | PageError]:
        """Yield the rows of the table that begins at this page in their order, and damage between them.

        Args:
            behind: the trail of the row before the first one; none: all.
        """
        levels = [_Level([root], 0)]
        skipped = list(behind)
        while levels:
            level = levels[-1]
            if level.at >= len(level.pages):
                levels.pop()
                continue
            page = level.pages[level.at]
            level.at += 1
            try:
                if len(levels) > _MOST_DEPTH:
                    raise PageError("a tree of pages that is too deep", (page - 1) * self.page_bytes)
                kind, data, cells = self._cells(page)
                if kind == _INTERIOR:
                    levels.append(_Level(list(_children(data, cells, page)), skipped.pop(0) if skipped else 0))
                    continue
            except PageError as damage:
                yield damage
                if damage.cut:
                    return
                continue
            trail = tuple(one.at - 1 for one in levels[1:])
            for number in range(skipped.pop(0) + 1 if skipped else 0, len(cells)):
                try:
                    yield self._row(page, data, cells[number], (*trail, number))
                except PageError as damage:
                    yield damage

    def overflow(self, page: int, at: int, room: memoryview) -> None:
        """Fill `room` with what of the row at `at` lies in pages of their own, from this page on."""
        while len(room):
            data = self._page(page, at)
            some = data[4 : 4 + min(self._usable - 4, len(room))]
            room[: len(some)] = some
            room = room[len(some) :]
            page = _U32.unpack_from(data)[0]

    def _page(self, page: int, at: int) -> bytes:
        """Return a whole page that something at `at` names: each belongs to one place."""
        if not 1 <= page <= self._pages:
            cut = self.missing > 0 and page >= 1
            raise PageError(f"the file is cut before page {page}" if cut else f"there is no page {page}", at, cut=cut)
        if self._seen[page >> 3] >> (page & 7) & 1:
            raise PageError(f"page {page} is used twice", at)
        self._seen[page >> 3] |= 1 << (page & 7)
        start = (page - self._block_page) * self.page_bytes
        if start < 0 or start + self.page_bytes > len(self._block):
            count = max(_BLOCK_BYTES, self.page_bytes)
            self._block = os.pread(self._file.fileno(), count, (page - 1) * self.page_bytes)
            self._block_page, start = page, 0
        data = self._block[start : start + self.page_bytes]
        if len(data) < self.page_bytes:
            raise PageError("the file was cut while it was read", at, cut=True)
        return data

    def _cells(self, page: int) -> tuple[int, bytes, list[int]]:
        """Return a page's kind, its bytes, and where its cells begin."""
        at = (page - 1) * self.page_bytes
        data = self._page(page, at)
        head = HEADER_BYTES if page == 1 else 0
        kind, count = data[head], _U16.unpack_from(data, head + 3)[0]
        if kind not in (_LEAF, _INTERIOR):
            raise PageError(f"page {page} is none of a table", at)
        start = head + (12 if kind == _INTERIOR else 8)
        end = start + 2 * count
        if end > self._usable:
            raise PageError(f"page {page} cannot hold {count} rows", at)
        return kind, data, list(struct.unpack_from(f">{count}H", data, start))

    def _row(self, page: int, data: bytes, cell: int, trail: tuple[int, ...]) -> Row:
        at = (page - 1) * self.page_bytes + cell
        try:
            size, start = _varint(data, cell)
            number, start = _varint(data, start)
        except IndexError:
            raise PageError("a row beyond its page", at) from None
        local = _local_bytes(size, self._usable)
        end = start + local + (4 if local < size else 0)
        if end > self._usable:
            raise PageError(f"a row of {size} bytes beyond its page", at)
        more = _U32.unpack_from(data, start + local)[0] if local < size else 0
        number = number - (1 << 64) if number >> 63 else number
        return Row(self, number, size, at, data[start : start + local], more, trail)


def _children(data: bytes, cells: list[int], page: int) -> Iterator[int]:
    for cell in cells:
        if cell + 4 <= len(data):
            yield _U32.unpack_from(data, cell)[0]
    yield _U32.unpack_from(data, (HEADER_BYTES if page == 1 else 0) + 8)[0]


def _local_bytes(size: int, usable: int) -> int:
    """Return how many bytes of a row lie in its page (SQLite's "Database File Format", 1.6)."""
    if size <= usable - 35:
        return size
    least = (usable - 12) * 32 // 255 - 23
    most = least + (size - least) % (usable - 4)
    return most if most <= usable - 35 else least


def _varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """Return an integer of up to nine bytes, and where it ends. Raises IndexError."""
    value = 0
    for i in range(8):
        byte = data[at + i]
        value = value << 7 | byte & 127
        if byte < 128:
            return value, at + i + 1
    return value << 8 | data[at + 8], at + 9


def _values(record: bytes | bytearray, most: int = 1 << 10) -> list[Any]:
    """Return the first values of a record, as far as they are there."""
    values: list[Any] = []
    data = memoryview(record)
    try:
        end, at = _varint(data, 0)
        body = end
        while at < end and len(values) < most:
            kind, at = (data[at], at + 1) if data[at] < 128 else _varint(data, at)
            size = _INTEGERS.get(kind) or (8 if kind == 7 else 0 if kind < 12 else (kind - 12) // 2)
            raw = data[body : body + size]
            body += size
            if len(raw) < size:
                break
            if kind in _INTEGERS:
                values.append(int.from_bytes(raw, "big", signed=True))
            elif kind >= 12:
                values.append(raw if kind % 2 == 0 else str(raw, "utf-8", "replace"))
            else:
                values.append(kind - 8 if kind in (8, 9) else None)
    except IndexError:
        pass
    return values


def _columns(sql: str) -> list[str]:
    """Return the names of the columns of a CREATE TABLE."""
    inner = sql.partition("(")[2]
    return [words[0].strip('"`[]') for part in re.split(r",\s*", inner) if (words := part.split())]
