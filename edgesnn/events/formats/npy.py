"""NumPy's .npy: an array of event records, or rows of numbers. docs/formats.md, "NPY and NPZ"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from edgesnn.errors import RecordingError
from edgesnn.events.formats.array_header import MAGIC, MOST_BYTES, ArrayHeader, read_header
from edgesnn.events.formats.base import Head, Header, Reader, ReaderOptions, open_file
from edgesnn.events.formats.table import TableReader

_BLOCK_BYTES = 1 << 18

Array = npt.NDArray[Any]


class Npy:
    """One array: records with a time, x, y and polarity, or rows of at least four numbers. Never a pickle."""

    name = "npy"
    title = "NPY"
    has_magic = True
    native = False
    verified = True
    takes_columns = True

    def matches(self, head: Head) -> bool:
        """Say whether the file begins as an array does."""
        return head.data.startswith(MAGIC)

    def header(self, head: Head) -> Header:
        """Read the array's header."""
        array = read_header(head.data[:MOST_BYTES], head.where)
        if array.dtype.names is None and len(array.shape) == 1:
            raise RecordingError(
                "not an array of events",
                where=head.where,
                found=f"one dimension of {array.dtype}",
                expected="records, or rows of at least four numbers",
            )
        fields = {"dtype": str(array.dtype), "shape": "x".join(map(str, array.shape))}
        return Header(array.data_offset, None, fields, None, head.columns or "")

    def reader(self, options: ReaderOptions) -> Reader:
        """Begin a pass over the file."""
        return _Reader(_FileRows(options.path), self.title, options)


class _Reader(TableReader):
    """A pass that begins at the last place before `start_us`, and keeps places on its way."""

    def __init__(self, rows: _FileRows, title: str, options: ReaderOptions) -> None:
        super().__init__(rows, title, options, options.header.variant)
        self._row_bytes = rows.row_bytes
        self._index = options.index
        if options.start_us is not None and (place := options.index.before(options.start_us)):
            rows.seek(self.go_on(place))
            self._first = rows.read()

    def keep(self) -> None:
        """Keep this place in the index."""
        if place := self.place(self._row_bytes):
            self._index.add(place)


class _FileRows:
    """The rows of an array in a file."""

    def __init__(self, path: str) -> None:
        self._path = path
        with open_file(path) as file:
            self._array = read_header(file.read(MOST_BYTES), path)
            self._data_bytes = file.seek(0, 2) - self._array.data_offset
        self.names: Sequence[str] = self._array.dtype.names or [""] * self._array.width
        self.row_bytes = self._array.row_bytes
        self._row = 0

    def seek(self, row: int) -> None:
        """Go on with this row."""
        self._row = row

    def read(self) -> tuple[list[Array], int]:
        array = self._array
        count = min(max(_BLOCK_BYTES // array.row_bytes, 1), array.rows - self._row)
        with open_file(self._path) as file:
            if array.fortran and array.width > 1:
                columns = [self._column(file, at, count) for at in range(array.width)]
                shortest = min(map(len, columns))
                columns = [column[:shortest] for column in columns]
            else:
                columns = split(self._elements(file, self._row * array.row_bytes, count * array.width), array)
        self._row += len(columns[0])
        return columns, len(columns[0]) * array.row_bytes

    def offset(self, row: int) -> int:
        size = self._array.dtype.itemsize if self._array.fortran else self._array.row_bytes
        return self._array.data_offset + row * size

    def ending(self) -> tuple[str, str, int] | None:
        promised = self._array.rows * self._array.row_bytes
        return missing("NPY", self._data_bytes, promised)

    def _column(self, file: BinaryIO, at: int, count: int) -> Array:
        return self._elements(file, (at * self._array.rows + self._row) * self._array.dtype.itemsize, count)

    def _elements(self, file: BinaryIO, start: int, count: int) -> Array:
        size = self._array.dtype.itemsize
        file.seek(self._array.data_offset + start)
        data = b""
        while len(data) < count * size and (part := file.read(count * size - len(data))):
            data += part
        return np.frombuffer(data, self._array.dtype, len(data) // size)


def split(elements: Array, array: ArrayHeader) -> list[Array]:
    """Return the columns of whole rows; a row that is not whole is left out."""
    if array.dtype.names:
        return [elements[name] for name in array.dtype.names]
    rows = elements[: len(elements) // array.width * array.width].reshape(-1, array.width)
    return [rows[:, at] for at in range(array.width)]


def missing(title: str, have: int, promised: int) -> tuple[str, str, int] | None:
    """Return what is wrong with data of another length than their header says, as `Rows.ending`."""
    if have < promised:
        return f"the {title} array is cut: {have} of {promised} bytes", "truncated_bytes", promised - have
    if have > promised:
        return f"{have - promised} bytes after the {title} array", "bad_words", 1
    return None
