"""`unix:PATH`: a stream of bytes over a UNIX socket. docs/sources.md, "UNIX sockets"."""

from __future__ import annotations

import contextlib
import os
import socket
import stat

from edgesnn.events.sources.address import Address
from edgesnn.events.sources.base import Link, failed
from edgesnn.events.sources.framing import check_format
from edgesnn.events.sources.streams import LISTEN, ClientLink, ServerLink

_LONGEST = 107  # bytes of a path, as the system has room for them


class Unix:
    """A UNIX socket."""

    name = "unix"
    form = "unix:PATH"
    help = "a stream of bytes from a server; with ?listen from who connects here"
    options = (LISTEN,)

    def check(self, address: Address) -> None:
        """Raise where the format is not said, or none of a stream."""
        check_format(address.options.get("format"), False, address)

    def open(self, address: Address) -> Link:
        """Begin to connect, or listen."""
        path = address.path
        if address.host is not None or not 0 < len(os.fsencode(path)) <= _LONGEST:
            expected = f"unix:PATH of at most {_LONGEST} bytes, or unix:///PATH from the root on"
            raise address.wrong("not the path of a socket", expected=expected)
        if not address.flag("listen"):
            return ClientLink(address.url, socket.AF_UNIX, path)
        silent_s = address.number("dead_ms", 2000, 10, 3_600_000) / 1000
        return UnixServerLink(address.url, path, silent_s)


class UnixServerLink(ServerLink):
    """A ServerLink that takes its socket out of the folder when it closes."""

    def __init__(self, url: str, path: str, silent_s: float) -> None:
        self._path = path
        super().__init__(url, _listener(url, path), silent_s=silent_s)
        self._made = os.stat(path).st_ino

    def close(self) -> None:
        """Close the connection and the door."""
        super().close()
        with contextlib.suppress(OSError):
            if os.stat(self._path).st_ino == self._made:
                os.unlink(self._path)


def _listener(url: str, path: str) -> socket.socket:
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _abandoned(path):
            os.unlink(path)
        one.bind(path)
    except OSError as error:
        one.close()
        raise failed("cannot listen", url, error, "is another program listening there?") from None
    return one


def _abandoned(path: str) -> bool:
    """Say whether a socket lies there that nobody listens at."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
            knock.setblocking(False)
            knock.connect(path)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False
