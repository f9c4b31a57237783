"""The header of a .npy array, read by ourselves: numbers and records of them, never a pickle. docs/formats.md."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesnn.errors import RecordingError

MAGIC = b"\x93NUMPY"
MOST_BYTES = 8192
"""Of a header, its magic included."""
_KINDS = re.compile(r"[<>|=]?(?:[iu][1248]|f[248]|b1|\?)")
_PADDING = re.compile(r"[|<>]?V[1-9][0-9]{0,3}")
_MOST_FIELDS = 64
_LIMIT = 1 << 60


@dataclass(frozen=True)
class ArrayHeader:
    """What a .npy file says of its array.

    Attributes:
        dtype: of one element: a number, or a record of numbers.
        shape: one or two sides.
        fortran: columns lie one after the other.
        data_offset: where the elements begin.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    data_offset: int

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.shape[0]

    @property
    def width(self) -> int:
        """Elements of a row."""
        return self.shape[1] if len(self.shape) == 2 else 1

    @property
    def row_bytes(self) -> int:
        """Size of a row."""
        return self.dtype.itemsize * self.width


def read_header(data: bytes, where: str) -> ArrayHeader:
    """Read the header that `data` (the first MOST_BYTES of an array) begins with.

    Raises:
        RecordingError: it is none, or its array is none of numbers in one or two dimensions.
    """

    def wrong(found: str, expected: str) -> RecordingError:
        return RecordingError("not an array of events", where=where, offset=0, found=found[:200], expected=expected)

    if not data.startswith(MAGIC) or len(data) < 12 or data[6] not in (1, 2, 3):
        raise wrong(repr(data[:8]), "a .npy header, version 1 to 3")
    start = 10 if data[6] == 1 else 12
    length = int.from_bytes(data[8:start], "little")
    if start + length > MOST_BYTES or len(data) < start + length:
        raise wrong(f"a header of {length} bytes, {len(data) - start} there", f"at most {MOST_BYTES - start}, whole")
    text = data[start : start + length].decode("latin-1" if data[6] < 3 else "utf-8", "replace")
    if "\\" in text:  # Python would warn of some escapes
        raise wrong(repr(text), "names without backslashes")
    try:
        facts = ast.literal_eval(text.strip())
        descr, fortran, shape = facts["descr"], facts["fortran_order"], facts["shape"]
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError):
        raise wrong(repr(text), "descr, fortran_order and shape") from None
    dtype = _record(descr) if isinstance(descr, list) else _number(descr)
    if dtype is None:
        raise wrong(f"elements {descr!r}", "numbers, or records of numbers; other Python objects are never loaded")
    sides = shape if isinstance(shape, tuple) else ()
    if not 1 <= len(sides) <= 2 or not all(type(side) is int and 0 <= side < _LIMIT for side in sides):
        raise wrong(f"shape {shape!r}", "one or two dimensions")
    if len(sides) == 2 and (dtype.names or not 4 <= sides[1] <= _MOST_FIELDS):
        raise wrong(f"shape {shape!r} of {dtype}", "rows of at least four numbers")
    header = ArrayHeader(dtype, sides, fortran is True, start + length)
    if header.rows * header.row_bytes >= _LIMIT:
        raise wrong(f"shape {shape!r}", "an array that a disk can hold")
    return header


def _number(descr: object) -> np.dtype[Any] | None:
    return np.dtype(descr) if isinstance(descr, str) and _KINDS.fullmatch(descr) else None


def _record(descr: list[Any]) -> np.dtype[Any] | None:
    """Return the dtype of a record whose fields are numbers; what only fills gaps is left out."""
    names: list[str] = []
    formats: list[np.dtype[Any]] = []
    offsets: list[int] = []
    offset = 0
    for field in descr[: _MOST_FIELDS + 1]:
        if not (isinstance(field, tuple) and len(field) == 2 and all(isinstance(part, str) for part in field)):
            return None
        name, text = field
        if _PADDING.fullmatch(text):
            offset += int(text.lstrip("|<>V"))
            continue
        number = _number(text)
        if number is None or name in names:
            return None
        names.append(name)
        formats.append(number)
        offsets.append(offset)
        offset += number.itemsize
    if not names or len(descr) > _MOST_FIELDS:
        return None
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": offset})
