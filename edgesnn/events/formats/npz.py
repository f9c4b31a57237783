"""NumPy's .npz: a zip archive of arrays. docs/formats.md, "NPY and NPZ"."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import RecordingError
from edgesnn.events.formats import columns
from edgesnn.events.formats.array_header import MOST_BYTES, ArrayHeader, read_header
from edgesnn.events.formats.base import EncoderOptions, FormatEncoder, Head, Header, Reader, ReaderOptions, open_file
from edgesnn.events.formats.checks import refuse_compression, refuse_variant
from edgesnn.events.formats.npy import split
from edgesnn.events.formats.npz_writer import NpzEncoder
from edgesnn.events.formats.table import TableReader
from edgesnn.events.formats.zip_members import LOCAL, Member, MemberReader, read_members

_BLOCK_BYTES = 1 << 18
_FREE_BYTES = 16 << 20  # that an archive may unpack to, however small it is
_MOST_TIMES = 256  # that columns of events may unpack to; deflate reaches 1032

Array = npt.NDArray[Any]


class Npz:
    """Arrays t, x, y and p side by side, or one array as a .npy file holds it. Never a pickle."""

    name = "npz"
    title = "NPZ"
    has_magic = True
    native = False
    verified = True
    takes_columns = True
    needs_sensor = False
    keeps_triggers = False
    suffixes = (".npz",)

    def matches(self, head: Head) -> bool:
        """Say whether the file is a zip archive whose first member is an array."""
        length = int.from_bytes(head.data[26:28], "little")
        return head.data.startswith(LOCAL) and head.data[30 : 30 + length].endswith(b".npy")

    def header(self, head: Head) -> Header:
        """Return the empty header: what the archive holds stands at its end."""
        return Header(0, None, {}, None, head.columns or "")

    def reader(self, options: ReaderOptions) -> Reader:
        """Begin a pass over the file."""
        return TableReader(_ArchiveRows(options.path), self.title, options, options.header.variant)

    def encoder(self, options: EncoderOptions) -> FormatEncoder:
        """Make an encoder of one array of event records named `events`."""
        refuse_compression(self, options, ("none", "deflate"))
        refuse_variant(self, options)
        return NpzEncoder(options)


class _Part:
    """One array of an archive, read in blocks of rows."""

    def __init__(self, path: str, member: Member) -> None:
        self.member = member
        self.bytes = MemberReader(path, member)
        beginning = self.bytes.read(10)
        length = int.from_bytes(beginning[8:10], "little") if beginning[6:7] == b"\x01" else None
        if length is None:
            beginning += self.bytes.read(2)
            length = int.from_bytes(beginning[8:12], "little")
        beginning += self.bytes.read(min(length, MOST_BYTES))
        self.array: ArrayHeader = read_header(beginning, f"{path}: {member.shown}")
        self._left = self.array.rows if member.size is not None else None
        self._waiting = b""

    def read(self, rows: int) -> list[Array]:
        """Return up to so many rows, column by column."""
        rows = rows if self._left is None else min(rows, self._left)
        size = self.array.row_bytes
        data = self._waiting + self.bytes.read(rows * size - len(self._waiting))
        whole = len(data) // size * size
        self._waiting = data[whole:]
        if self._left is not None:
            self._left -= whole // size
        elements = np.frombuffer(data[:whole], self.array.dtype, -1)
        return split(elements, self.array)

    def ending(self) -> tuple[str, str, int] | None:
        """As `Rows.ending`."""
        name = self.member.shown
        if self.member.size is None:
            text = f"array {name} has no end: the archive was not finished"
            return text, "truncated_bytes", max(len(self._waiting), 1)
        promised = self.array.data_offset + self.array.rows * self.array.row_bytes
        if self.bytes.have < promised:
            why = f" ({self.bytes.problem})" if self.bytes.problem else ""
            text = f"array {name} is cut: {self.bytes.have} of {promised} bytes{why}"
            return text, "truncated_bytes", promised - self.bytes.have
        if self.bytes.read(1):
            return f"bytes after array {name}", "bad_words", 1
        return (f"the checksum of array {name} is wrong", "bad_words", 1) if self.bytes.crc_is_wrong() else None


class _ArchiveRows:
    """The rows of one array of an archive, or of its arrays of times, x, y and polarities side by side."""

    def __init__(self, path: str) -> None:
        with open_file(path) as file:
            members, self._finished = read_members(file, path)
        arrays = [member for member in members if member.name.endswith(".npy")]
        named = {columns.known(member.name.removesuffix(".npy")): member for member in arrays}
        sides = [name for name in named if name]
        together = columns.complete(sides)
        chosen = [named[name] for name in sides] if together else arrays
        _refuse_bomb(chosen, path)
        try:
            self._parts = [_Part(path, member) for member in chosen] if together else [_only(chosen, path)]
        except RecordingError as error:
            raise error if self._finished or not members else _cut(path, members) from error
        first = self._parts[0].array
        if together:
            self.names: Sequence[str] = sides
            lengths = sorted({part.array.rows for part in self._parts})
            if len(lengths) > 1 or any(len(part.array.shape) != 1 or part.array.dtype.names for part in self._parts):
                raise RecordingError("the arrays do not go together", where=path, found=f"lengths {lengths}")
        else:
            self.names = first.dtype.names or [""] * first.width
        if first.fortran and first.width > 1:
            raise RecordingError(
                "an array in column order inside an archive", where=path, expected="rows, or one array a column"
            )
        self._rows = max(_BLOCK_BYTES // sum(part.array.row_bytes for part in self._parts), 1)
        self._taken = 0
        self._says_none = all(part.array.rows == 0 and part.member.size is not None for part in self._parts)

    def read(self) -> tuple[list[Array], int]:
        block = [column for part in self._parts for column in part.read(self._rows)]
        shortest = min(map(len, block))
        taken = sum(part.bytes.taken for part in self._parts)
        step, self._taken = taken - self._taken, taken
        if shortest == 0:
            self._rows = 0
        return [column[:shortest] for column in block], 0 if self._says_none else step

    def offset(self, row: int) -> int:
        return self._parts[0].member.start

    def ending(self) -> tuple[str, str, int] | None:
        endings = [ending for part in self._parts if (ending := part.ending())]
        if not endings and not self._finished:
            return "the archive has no directory: its end is cut off", "truncated_bytes", 1
        return endings[0] if endings else None


def _cut(path: str, members: list[Member]) -> RecordingError:
    """Return what is wrong with an archive that ends before its arrays do."""
    return RecordingError(
        "the archive is cut off before all its arrays are there",
        where=path,
        offset=os.stat(path).st_size,
        found=f"its end after {members[-1].shown!r}, no directory",
        expected="arrays t, x, y and p, or one array of records or rows, then the directory",
        hint="what is left holds no whole event; get the whole file",
    )


def _only(arrays: list[Member], path: str) -> _Part:
    """Return the only array of an archive that may hold events."""
    parts: list[_Part] = []
    for member in arrays:
        part = _Part(path, member)
        if part.array.dtype.names or len(part.array.shape) == 2:
            parts.append(part)
    if len(parts) != 1:
        names = ", ".join(member.shown for member in arrays)
        raise RecordingError(
            "which arrays are the events is not known",
            where=path,
            found=names[:200] or "none",
            expected="arrays t, x, y and p, or one array of records or rows",
        )
    return parts[0]


def _refuse_bomb(members: list[Member], path: str) -> None:
    """Refuse what unpacks to far more than events do."""
    size = sum(member.size or 0 for member in members)
    packed = sum(member.packed or 0 for member in members)
    if size > _FREE_BYTES + _MOST_TIMES * packed:
        raise RecordingError(
            "the archive unpacks to more than events do",
            where=path,
            found=f"{packed} bytes that become {size}",
            expected=f"at most {_MOST_TIMES} times",
        )
