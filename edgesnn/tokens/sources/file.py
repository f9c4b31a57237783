"""A log file, once or followed as `tail -F` does: through rotation, truncation, and while it is away."""

from __future__ import annotations

import logging
import os
import select
import stat
import sys
import time
import zlib

from edgesnn.errors import RecordingError
from edgesnn.tokens.lines import Cut, Cutter, Line, LineCutter
from edgesnn.tokens.sources.base import Mark, Place

_PIECE = 1 << 16
_MARKED = 1024  # bytes before a place that say that it is the same file
_LOOK_S = 0.1  # between two looks at a file that does not grow
_log = logging.getLogger("edgesnn.tokens")


class FileLines:
    """The lines of a file. A last line without its end is one once the file is over: at its end, or when it was
    rotated or truncated.

    Args:
        path: the file.
        follow: go on at its end.
        cutter: what makes lines of its bytes; lines of text by default.

    Raises:
        RecordingError: it is not there, not readable, or no file of bytes.
    """

    coming = 0

    def __init__(self, path: str, *, follow: bool = False, cutter: Cutter | None = None) -> None:
        self.where = path
        self.live = follow
        self._cutter = cutter or LineCutter()
        self._follow = follow
        self._counts = {"bytes": 0, "rotations": 0, "truncations": 0, "vanished": 0}
        self._away = False
        self._fd = _open(path)
        self._inode = os.fstat(self._fd).st_ino
        self._text = 0  # the first part of a place
        self._base = self._read = 0  # where the cutter began, what was read

    @property
    def counters(self) -> dict[str, int]:
        """See `LineSource.counters`."""
        return {**self._counts, **self._cutter.counters}

    def read(self, wait_s: float) -> list[Line] | None:
        """See `LineSource.read`."""
        until_s = time.monotonic() + wait_s
        while True:
            data = self._next_bytes()
            if data:
                self._counts["bytes"] += len(data)
                self._read += len(data)
                lines = self._lines(self._cutter.feed(data))
            elif not self._follow:
                lines = self._lines(self._cutter.finish())
                return lines or None
            else:
                lines = self._changed()
            left_s = until_s - time.monotonic()
            if lines or left_s <= 0:
                return lines
            if not data:
                time.sleep(min(_LOOK_S, left_s))

    def mark(self, place: Place) -> Mark | None:
        """See `LineSource.mark`; None where the place is in a text that was rotated away or truncated."""
        text, byte = place
        return (self._inode, byte, self._sum_before(byte)) if text == self._text else None

    def seek(self, mark: Mark | None) -> Place | None:
        """See `LineSource.seek`: a file of that name that is another one is read from its start."""
        self._cutter.finish()
        self._begin(0)
        if mark is None:
            return None
        inode, byte, checksum = mark
        same = inode == self._inode and byte <= os.fstat(self._fd).st_size
        if not same or self._sum_before(byte) != checksum:
            self._counts["rotations"] += 1
            return None
        self._begin(byte)
        return self._text, byte

    def close(self) -> None:
        """See `LineSource.close`."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _next_bytes(self) -> bytes:
        try:
            return os.read(self._fd, _PIECE)
        except OSError as error:
            if not self._follow:
                raise RecordingError("cannot be read", where=self.where, found=error.strerror) from None
            self._note_away(error.strerror or "")
            return b""

    def _sum_before(self, byte: int) -> int:
        start = max(0, byte - _MARKED)
        return zlib.crc32(os.pread(self._fd, byte - start, start))

    def _begin(self, byte: int) -> None:
        os.lseek(self._fd, byte, os.SEEK_SET)
        self._base = self._read = byte

    def _lines(self, cuts: list[Cut]) -> list[Line]:
        return [Line(data, origin, (self._text, self._base + end)) for data, origin, end in cuts]

    def _changed(self) -> list[Line]:
        """Look whether the name is another file's by now, or this one has become shorter."""
        try:
            there = os.stat(self.where)
        except OSError as error:
            self._note_away(error.strerror or "")
            return []
        if there.st_ino != self._inode:
            return self._rotate()
        self._note_back()
        if there.st_size < self._read:
            self._counts["truncations"] += 1
            lines = self._lines(self._cutter.finish())
            self._begin(0)
            self._text += 1
            return lines
        return []

    def _rotate(self) -> list[Line]:
        try:
            fd = _open(self.where)
        except RecordingError as error:
            self._note_away(str(error))
            return []
        rest = os.read(self._fd, _PIECE)
        if rest:  # written between our look at its end and its rotation
            os.close(fd)
            self._counts["bytes"] += len(rest)
            self._read += len(rest)
            return self._lines(self._cutter.feed(rest))
        self._note_back()
        self._counts["rotations"] += 1
        lines = self._lines(self._cutter.finish())
        os.close(self._fd)
        self._fd, self._inode = fd, os.fstat(fd).st_ino
        self._text += 1
        self._base = self._read = 0
        return lines

    def _note_away(self, why: str) -> None:
        if not self._away:
            self._away = True
            self._counts["vanished"] += 1
            _log.warning("%s: the log is gone (%s); waiting for it", self.where, why.lower())

    def _note_back(self) -> None:
        if self._away:
            self._away = False
            _log.warning("%s: the log is back", self.where)


class StdinLines:
    """The lines of standard input, or of a descriptor.

    Args:
        fd: the descriptor; None: standard input's. It stays open.
        cutter: as `FileLines`.

    Raises:
        RecordingError: standard input is closed.
    """

    where = "standard input"
    live = True
    coming = 0

    def __init__(self, fd: int | None = None, *, cutter: Cutter | None = None) -> None:
        self._cutter = cutter or LineCutter()
        self._fd = _stdin(self.where) if fd is None else fd
        self._bytes = 0
        self._ended = False

    @property
    def counters(self) -> dict[str, int]:
        """See `LineSource.counters`."""
        return {"bytes": self._bytes, **self._cutter.counters}

    def read(self, wait_s: float) -> list[Line] | None:
        """See `LineSource.read`."""
        if self._ended:
            return None
        if not select.select([self._fd], [], [], wait_s)[0]:
            return []
        try:
            data = os.read(self._fd, _PIECE)
        except OSError as error:
            raise RecordingError("cannot be read", where=self.where, found=error.strerror) from None
        self._bytes += len(data)
        if data:
            return [Line(one.data, one.origin) for one in self._cutter.feed(data)]
        self._ended = True
        return [Line(one.data, one.origin) for one in self._cutter.finish()] or None

    def mark(self, place: Place) -> Mark | None:
        """See `LineSource.mark`."""
        return None

    def seek(self, mark: Mark | None) -> Place | None:
        """See `LineSource.seek`: what comes is what follows."""
        return None

    def close(self) -> None:
        """See `LineSource.close`."""


def _stdin(where: str) -> int:
    if sys.stdin is None:
        raise RecordingError("cannot be read", where=where, found="it is closed")
    return sys.stdin.fileno()


def _open(path: str) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        found = getattr(error, "strerror", None) or str(error)
        raise RecordingError("no log to read", where=path, found=found.lower()) from None
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    os.close(fd)
    raise RecordingError("not a file of lines", where=path, hint="pipe it into `edgesnn replay -`")
