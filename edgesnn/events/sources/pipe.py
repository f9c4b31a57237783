"""`pipe:PATH` and `pipe:-`: a named pipe, or standard input. docs/sources.md, "Pipes"."""

from __future__ import annotations

import contextlib
import os
import select
import stat
import time

from edgesnn.errors import RecordingError
from edgesnn.events.formats.base import printable
from edgesnn.events.sources.address import Address
from edgesnn.events.sources.base import Link, Message, PlainLink, failed
from edgesnn.events.sources.framing import check_format
from edgesnn.events.sources.sockets import ready

_READ_BYTES = 1 << 16
_HOW = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_AGAIN_S = 0.01
_LOOK_S = 0.5


class Pipe:
    """A pipe."""

    name = "pipe"
    form = "pipe:PATH"
    help = "a named pipe, or standard input (pipe:-)"
    options = (("once", "end when the first writer has closed the pipe (standard input always does)"),)

    def check(self, address: Address) -> None:
        """Raise where the format is not said, or none of a stream."""
        check_format(address.options.get("format"), False, address)

    def open(self, address: Address) -> Link:
        """Open the pipe; a writer may come later."""
        if address.host is not None or not address.path:
            raise address.wrong("not a pipe", expected="pipe:PATH, or pipe:- for standard input")
        once = address.flag("once")
        return _standard_input(address) if address.path == "-" else NamedPipeLink(address, once)


class PipeLink(PlainLink):
    """What comes out of a descriptor, until its end.

    Args:
        fd: taken over.
    """

    can_wait = True

    def __init__(self, fd: int) -> None:
        self.counters: dict[str, int] = {}
        self._fd = fd
        self._open = False

    @property
    def connected(self) -> bool | None:
        """Whether somebody has written and not closed it."""
        return self._open

    def receive(self, wait_s: float) -> Message | None:
        """Return what was written, or that it was closed."""
        if not ready({self._fd: select.POLLIN}, wait_s):
            self._look()
            return None
        try:
            data = os.read(self._fd, _READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return None
        begins, self._open = not self._open, bool(data)
        return Message(data, begins=begins) if data else self._end(not begins)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._fd)
        self._fd = -1

    def _end(self, written: bool) -> Message | None:
        return Message(last=True)

    def _look(self) -> None:
        """Nothing came."""


class NamedPipeLink(PipeLink):
    """A named pipe: other writers may follow.

    Args:
        address: its path.
        once: it ends with the first writer.
    """

    def __init__(self, address: Address, once: bool) -> None:
        self._path = address.path
        self._once = once
        self._looked_s = 0.0
        super().__init__(_open_pipe(address))

    def _end(self, written: bool) -> Message | None:
        if self._once and written:
            return Message(last=True)
        if not self._open_again():
            time.sleep(_AGAIN_S)
        return Message(ends=True) if written else None

    def _look(self) -> None:
        """Take the pipe that has this name now, where somebody made another one."""
        now_s = time.monotonic()
        if self._open or now_s - self._looked_s < _LOOK_S:
            return
        self._looked_s = now_s
        with contextlib.suppress(OSError):
            if os.stat(self._path).st_ino != os.fstat(self._fd).st_ino:
                self._open_again()

    def _open_again(self) -> bool:
        try:
            fd = os.open(self._path, _HOW)
        except OSError:  # it was removed
            return False
        os.close(self._fd)  # after the new one is there: what waits in the pipe stays
        self._fd = fd
        return True


def _open_pipe(address: Address) -> int:
    try:
        if not stat.S_ISFIFO(os.stat(address.path).st_mode):
            hint = "a file is opened by its name alone; `mkfifo` makes a pipe"
            raise RecordingError("not a named pipe", where=printable(address.url), hint=hint)
        return os.open(address.path, _HOW)
    except OSError as error:
        raise failed("cannot be opened", address.url, error, "`mkfifo` makes a pipe") from None


def _standard_input(address: Address) -> PipeLink:
    try:
        fd = os.dup(0)
    except OSError as error:
        raise failed("there is no standard input", address.url, error) from None
    if os.isatty(fd):
        os.close(fd)
        hint = f"pipe the bytes of a recording or a camera into it: ... | edgesnn info '{address.url}'"
        raise RecordingError("standard input is a terminal", where=printable(address.url), hint=hint)
    return PipeLink(fd)
