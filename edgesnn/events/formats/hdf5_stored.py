"""Data sets of HDF5 as rows of events, sent in blocks: the worker's side. docs/formats.md, "HDF5"."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.hdf5.wire import Link, Refused

BLOCK_ROWS = 1 << 16
MOST_CHUNK_BYTES = 1 << 26
MOST_FIELDS = 100
_PIECE_ROWS = 4096  # of a data set without chunks, as if they were one
_SHUFFLE, _CHECKSUM, _BLOSC = 2, 3, 32001  # filters by their registered numbers
_FREE_BYTES = 16 << 20  # that a file may unpack to, however small it is
_NEVER_WRITTEN = "its chunk was never written"
_MOST_TIMES = 256  # that columns of events may unpack to

Array = npt.NDArray[Any]
Lost = tuple[int, int, int, str]
"""(first row, row behind the last, byte of the file, why)."""


def member(group: Any, path: str, *, group_wanted: bool = False) -> Any:
    """Return the data set (or group) at this path inside the file, None where there is none."""
    import h5py

    item = group
    for name in path.split("/"):
        if not isinstance(item, h5py.Group) or not isinstance(item.get(name, getlink=True), h5py.HardLink):
            return None
        item = item[name]
    return item if isinstance(item, h5py.Group if group_wanted else h5py.Dataset) else None


def attributes(file: Any) -> dict[str, str]:
    """Return the attributes of a file as texts."""
    fields = {}
    for name in list(file.attrs)[:MOST_FIELDS]:
        value = file.attrs[name]
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        fields[str(name)[:200]] = text[:200]
    return fields


def refuse_bomb(stored_bytes: int, size: int) -> None:
    """Refuse what unpacks to far more than events do."""
    if size > _FREE_BYTES + _MOST_TIMES * stored_bytes:
        raise Refused(f"it unpacks to more than events do: {stored_bytes} bytes that become {size}")


def filters(item: Any) -> list[int]:
    """Return the numbers of a data set's filters."""
    plan = item.id.get_create_plist()
    return [int(plan.get_filter(at)[0]) for at in range(plan.get_nfilters())]


def require_filters(item: Any) -> None:
    """Raise ModuleNotFoundError where a package has the compression of a data set and is not there, else Refused."""
    import h5py

    plan = item.id.get_create_plist()
    for number, _, _, name in map(plan.get_filter, range(plan.get_nfilters())):
        if not h5py.h5z.filter_avail(number):
            import hdf5plugin  # noqa: F401 - says that it is missing

            raise Refused(f"{item.name} is packed with {name.decode('utf-8', 'replace')!r} (filter {number})")


def chunk_places(item: Any) -> dict[tuple[int, ...], Any]:
    """Return what HDF5 knows of the chunks of a data set, by their first elements, as far as it tells.

    Asked for one chunk it looks through all before it.
    """
    places: dict[tuple[int, ...], Any] = {}
    if hasattr(item.id, "chunk_iter"):  # h5py 3.8
        with contextlib.suppress(OSError, RuntimeError, ValueError):
            item.id.chunk_iter(lambda info: places.__setitem__(tuple(info.chunk_offset), info))
    return places


def short_chunks(item: Any, path: str) -> dict[int, str]:
    """Return what is wrong with chunks of other sizes than their rows have, by their first rows.

    libhdf5 does not look, and gives what lies in memory for the rest of them. Of packed chunks only Blosc says a size.

    Args:
        path: of the file, whose chunks have their places from its beginning on.
    """
    size, numbers = int(np.prod(item.chunks)) * int(item.dtype.itemsize), filters(item)
    found: dict[int, str] = {}

    def look(info: Any) -> None:
        applied = [number for at, number in enumerate(numbers) if not info.filter_mask >> at & 1]
        have, wanted = info.size, size + 4 * applied.count(_CHECKSUM)
        if applied and applied[-1] == _BLOSC:
            have = int.from_bytes(os.pread(file.fileno(), 4, info.byte_offset + 4), "little")
        elif not set(applied) <= {_SHUFFLE, _CHECKSUM}:
            return
        if have != wanted:
            found[int(info.chunk_offset[0])] = f"its chunk holds {have} of {wanted} bytes"

    if numbers and hasattr(item.id, "chunk_iter"):
        with contextlib.suppress(OSError, RuntimeError, ValueError), open(path, "rb") as file:
            item.id.chunk_iter(look)
    return found


def storage(item: Any) -> int:
    """Return the bytes that a data set has in the file; those of the file where the index of its chunks is damaged."""
    try:
        return int(item.id.get_storage_size())
    except RuntimeError:
        return Stored.file_bytes


def lies_inside(item: Any) -> bool:
    """Say whether a data set that is not in chunks lies in the file."""
    return 0 < int(item.id.get_offset() or 0) <= Stored.file_bytes - storage(item)


def _filled_with_zeros(item: Any) -> bool:
    """Say whether zeros are read where a chunk was never written."""
    import h5py

    plan = item.id.get_create_plist()
    filled = plan.fill_value_defined() != h5py.h5d.FILL_VALUE_UNDEFINED
    return filled and plan.get_fill_time() != h5py.h5d.FILL_TIME_NEVER and not any(np.asarray(item.fillvalue).tobytes())


def _holds(column: Array) -> bool:
    """Say whether one of these is not zero."""
    return column.ndim == 1 and column.dtype.kind in "biuf" and (bool(column[0]) or bool(column.any()))


class Stored:
    """A data set of rows, and where they lie in the file.

    Args:
        item: the data set.
        fields: of its records, which are columns.

    Attributes:
        path, file_bytes, cut: of the one file that this process reads: its name, its size, and whether it is shorter
            than it says.
    """

    path = ""
    file_bytes = 0
    cut = False

    def __init__(self, item: Any, fields: Sequence[str] = ()) -> None:
        if item.external is not None or item.is_virtual:
            raise Refused(f"{item.name} keeps its data in another file")
        if not 1 <= len(item.shape or ()) <= 2:
            raise Refused(f"{item.name} of shape {item.shape} holds no rows")
        require_filters(item)
        self.item = item
        self.fields = fields
        self.rows = int(item.shape[0])
        self.width = int(item.shape[1]) if len(item.shape) == 2 else 1
        self.row_bytes = int(item.dtype.itemsize) * self.width
        self.bytes = storage(item)
        self.chunk = item.chunks
        self.chunk_rows = int(item.chunks[0]) if item.chunks else _PIECE_ROWS
        self._chunk_columns = int(item.chunks[1]) if item.chunks and self.width > 1 else self.width
        self._places = chunk_places(item) if item.chunks and Stored.cut else {}
        self._zeros = _filled_with_zeros(item)
        if item.chunks and int(np.prod(item.chunks)) * item.dtype.itemsize > MOST_CHUNK_BYTES:
            raise Refused(f"{item.name} has chunks of more than {MOST_CHUNK_BYTES} bytes")

    def places(self, row: int) -> Iterator[tuple[int, int]]:
        """Yield (byte of the file, bytes) of each part of this row; (0, 0) of one that was never written."""
        first = row // self.chunk_rows * self.chunk_rows
        if self.chunk is None:
            at, rows = self.item.id.get_offset(), min(self.chunk_rows, self.rows - first)
            compact = at is None and self.bytes > 0
            yield (
                (1, self.bytes) if compact else ((at or 0) + first * self.row_bytes, rows * self.row_bytes if at else 0)
            )
            return
        for column in range(0, self.width, self._chunk_columns):
            element = (first, column) if len(self.chunk) == 2 else (first,)
            info = self._places.get(element) or self.item.id.get_chunk_info_by_coord(element)
            yield int(info.byte_offset or 0), int(info.size)

    def place(self, row: int) -> int:
        """Return the byte of the file at which this row's chunk begins; 0 where that is not known."""
        try:
            return min(at for at, _ in self.places(row))
        except (OSError, RuntimeError, ValueError):
            return 0

    def missing(self, row: int) -> bool:
        """Say whether a part of this row was never written."""
        try:
            return not all(size for _, size in self.places(row))
        except (OSError, RuntimeError, ValueError):
            return False

    def written(self, start: int, stop: int, columns: list[Array]) -> bool:
        """Say whether all chunks of these rows, read as `columns`, are in the file: HDF5 fills the others with zeros.

        Those that hold nothing else are fetched, as reading does it. (Asked for a chunk's place HDF5 looks through all
        chunks before it.) That raises where there is none, or a damaged index has an entry that reading does not find.
        """
        for row in range(start // self.chunk_rows * self.chunk_rows, stop, self.chunk_rows):
            sure = self.chunk is not None and not Stored.cut
            if not sure and not all(size and at + size <= Stored.file_bytes for at, size in self.places(row)):
                return False
            if self.chunk is not None:
                self._fetch_zeros(row, [column[max(row - start, 0) :][: self.chunk_rows] for column in columns])
        return True

    def _fetch_zeros(self, row: int, columns: list[Array]) -> None:
        """Fetch the chunks of this row that hold zeros alone."""
        for first in range(0, self.width, self._chunk_columns):
            part = columns[first : first + self._chunk_columns] if self.width > 1 else columns
            if not self._zeros or not any(map(_holds, part)):
                self.item.id.read_direct_chunk((row, first) if self.item.ndim == 2 else (row,))

    @cached_property
    def _short(self) -> dict[int, str]:
        return short_chunks(self.item, Stored.path) if self.chunk else {}

    def columns(self, start: int, stop: int) -> list[Array]:
        """Return these rows, column by column; raises ValueError where a chunk holds another number of them."""
        for row in range(start // self.chunk_rows * self.chunk_rows, stop, self.chunk_rows) if self._short else ():
            if row in self._short:
                raise ValueError(self._short[row])
        if self.width > 1:  # several times as fast as all at once, where chunks hold one column
            return [self.item[start:stop, column] for column in range(self.width)]
        return self._split(self.item[start:stop])

    def blank(self, rows: int) -> list[Array]:
        """Return so many rows of zeros as `columns` does."""
        return self._split(np.zeros((rows, *self.item.shape[1:]), self.item.dtype))

    def _split(self, block: Array) -> list[Array]:
        if self.fields:
            return [block[name] for name in self.fields]
        return [block] if block.ndim == 1 else [block[:, column] for column in range(self.width)]


class Table:
    """Rows of events, in one data set or in several side by side.

    Args:
        layout: its name.
        stored: the data sets.
        names: of all columns in their order, "-" for one that is left out.
    """

    def __init__(self, layout: str, stored: list[Stored], names: list[str]) -> None:
        self.layout = layout
        self.stored = stored
        self.names = names
        lengths = {one.rows for one in stored}
        if len(lengths) != 1:
            raise Refused(f"the columns do not go together: lengths {sorted(lengths)}")
        self.rows = lengths.pop()
        self.bytes = sum(one.bytes for one in stored)
        refuse_bomb(self.bytes, sum(one.rows * one.row_bytes for one in stored))

    def describe(self, file: Any) -> dict[str, Any]:
        """Return what is known of the file before its events are read."""
        fields = {"rows": str(self.rows), **attributes(file)}
        return {"layout": self.layout, "names": self.names, "rows": self.rows, "fields": fields, "sensor": None}

    def first_row(self, start_us: int) -> int:
        """Return a row all of whose earlier events are before this time."""
        return 0

    def place(self, row: int) -> int:
        """Return the byte of the file at which a row begins to lie, as nearly as it can be said."""
        return min(one.place(row) for one in self.stored)

    def send(self, link: Link, start_us: int | None) -> None:
        """Send the rows in blocks."""
        first = 0 if start_us is None else self.first_row(start_us)
        largest = max(one.chunk_rows for one in self.stored)
        step = max(BLOCK_ROWS // largest, 1) * largest if largest <= 2 * BLOCK_ROWS else BLOCK_ROWS
        start = first
        while start < self.rows:
            stop = min((start // step + 1) * step, self.rows)
            arrays, lost = self._block(start, stop)
            taken = max(self.bytes * stop // self.rows - self.bytes * start // self.rows, 1)
            message = {"row": start, "bytes": taken}
            if Stored.cut and lost:
                whole = lost[0][0] - start
                link.send({**message, "lost": []}, [column[:whole] for column in arrays])
                return
            link.send({**message, "lost": lost}, arrays)
            start = stop

    def _block(self, start: int, stop: int) -> tuple[list[Array], list[Lost]]:
        """Return the columns of these rows, and which of them could not be read."""
        with contextlib.suppress(OSError, RuntimeError, ValueError):
            parts = [one.columns(start, stop) for one in self.stored]
            if all(one.written(start, stop, its) for one, its in zip(self.stored, parts, strict=True)):
                return [column for its in parts for column in its], []
        blocks, lost = [], []
        for first, last in self._pieces(start, stop):
            block, loss = self._piece(first, last)
            blocks.append(block)
            lost += [loss] if loss else []
        return [np.concatenate(columns) for columns in zip(*blocks, strict=True)], lost

    def _piece(self, start: int, stop: int) -> tuple[list[Array], Lost | None]:
        """Return the columns of rows in one chunk, zeros where a data set does not give them."""
        piece: list[Array] = []
        for one in self.stored:
            try:
                columns = one.columns(start, stop)
                why = None if one.written(start, stop, columns) else _NEVER_WRITTEN
                piece += columns
            except (OSError, RuntimeError, ValueError) as error:
                why = _NEVER_WRITTEN if one.missing(start) else " ".join(str(error).split())[:80]
            if why is not None:
                blank = [column for each in self.stored for column in each.blank(stop - start)]
                return blank, (start, stop, one.place(start), why)
        return piece, None

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield the stretches of rows that lie in one chunk of each data set."""
        cuts = {start, stop}
        for one in self.stored:
            cuts |= set(range(start // one.chunk_rows * one.chunk_rows + one.chunk_rows, stop, one.chunk_rows))
        yield from pairwise(sorted(cuts))
