"""HDF5 files that are shorter than they say: the rows before the cut are read. docs/formats.md, "HDF5"."""

from __future__ import annotations

import io
from typing import Any

from edgesnn.events.formats.base import open_file

HEAD_BYTES = 64
LEAST_BYTES = 2048
"""A shorter piece holds no events."""


def stored_end(data: bytes) -> int:
    """Return where the file ends by its superblock (HDF5 File Format Specification, II.A); 0 where that is not known.

    Args:
        data: its first bytes.
    """
    version = data[8] if len(data) > 8 else 0
    at, size = {0: (40, 13), 1: (44, 13)}.get(version, (28, 9))
    if len(data) < at + 8:
        return at + 8
    return int.from_bytes(data[at : at + 8], "little") if data[size] == 8 else 0


class Padded(io.RawIOBase):
    """A file, read only, with zeros behind its end, so that libhdf5 opens it."""

    def __init__(self, path: str, end: int) -> None:
        self._file: Any = open_file(path)
        self._end = end
        self._at = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of a file of the whole length."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._end}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """As of a file."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill all of the buffer."""
        view = memoryview(buffer).cast("B")
        have = 0
        self._file.seek(self._at)
        while have < len(view) and (count := self._file.readinto(view[have:])):
            have += count
        view[have:] = bytes(len(view) - have)
        self._at += len(view)
        return len(view)

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True
