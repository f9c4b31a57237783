"""Connections of bytes, ours to a server or a client's to us, that may break and come back. TCP and UNIX sockets."""

from __future__ import annotations

import contextlib
import errno
import logging
import select
import socket
import time
from typing import Any

from edgesnn.events.formats.base import printable
from edgesnn.events.sources.base import Message, PlainLink
from edgesnn.events.sources.sockets import allowed, ready

LISTEN = ("listen", "wait for a sender that connects, instead of connecting to one")
_READ_BYTES = 1 << 17
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
_CONNECT_S = 5.0
_DROPPED_S = 1.0  # until a server that sent what cannot be read is asked again

_log = logging.getLogger("edgesnn.events")


class StreamLink(PlainLink):
    """One connection at a time; who makes it is the child's business.

    Args:
        url: for messages.
    """

    can_wait = True

    def __init__(self, url: str) -> None:
        self.url = printable(url)
        self.counters: dict[str, int] = {"disconnections": 0, "dropped_connections": 0}
        self._connection: socket.socket | None = None
        self._dropped = False

    @property
    def connected(self) -> bool | None:
        """Whether there is a connection."""
        return self._connection is not None

    def drop(self) -> None:
        """Take nothing more of this connection."""
        self._dropped = True

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _begin(self, connection: socket.socket) -> Message:
        connection.setblocking(False)
        if connection.family != socket.AF_UNIX:
            _keep_alive(connection)
        self._connection = connection
        self._dropped = False
        return Message(begins=True)

    def _read(self) -> Message | None:
        assert self._connection is not None
        try:
            data = b"" if self._dropped else self._connection.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            data = b""
        if data:
            return Message(data)
        self._connection.close()
        self._connection = None
        self.counters["disconnections"] += 1
        return Message(ends=True)


class ServerLink(StreamLink):
    """Waits for senders, one after the other. A new one takes the place of one that has been silent.

    Args:
        url: for messages.
        listener: a bound socket.
        peers: IP addresses that may connect; none: all.
        silent_s: a sender that gave nothing for so long makes room for one that waits.
    """

    def __init__(
        self, url: str, listener: socket.socket, *, peers: frozenset[str] = frozenset(), silent_s: float
    ) -> None:
        super().__init__(url)
        listener.listen(4)
        listener.setblocking(False)
        self.counters["refused_peers"] = 0
        self._listener = listener
        self._peers = peers
        self._silent_s = silent_s
        self._heard_s = 0.0

    def receive(self, wait_s: float) -> Message | None:
        """Return bytes of the sender, or that one has come or gone."""
        if self._connection is None:
            return self._accept() if self._ready(self._listener, wait_s) else None
        if self._dropped or self._ready(self._connection, wait_s):
            message = self._read()
            if message is not None:
                self._heard_s = time.monotonic()
            return message
        silent = time.monotonic() - self._heard_s > self._silent_s
        return self._accept() if silent and self._ready(self._listener, 0) else None

    def close(self) -> None:
        """Close the connection, and the door."""
        super().close()
        self._listener.close()

    def _accept(self) -> Message | None:
        try:
            connection, sender = self._listener.accept()
        except OSError:  # it has gone again
            return None
        if connection.family != socket.AF_UNIX and not allowed(self._peers, sender):
            self.counters["refused_peers"] += 1
            connection.close()
            return None
        if self._connection is not None:
            self._connection.close()
            self.counters["disconnections"] += 1
        self._heard_s = time.monotonic()
        return self._begin(connection)

    @staticmethod
    def _ready(one: socket.socket, wait_s: float) -> bool:
        return bool(ready({one.fileno(): select.POLLIN}, wait_s))


class ClientLink(StreamLink):
    """Connects to a server, and again when it was lost: after 0.1 s, then twice as long each time, 5 s at most.

    Args:
        url: for messages.
        family, place: of the server, as `socket` takes them.
    """

    def __init__(self, url: str, family: int, place: Any) -> None:
        super().__init__(url)
        self.counters["failed_connections"] = 0
        self._family, self._place = family, place
        self._trying: socket.socket | None = None
        self._next_s = 0.0  # when to try again; while trying: when to give up
        self._wait_s = _FIRST_WAIT_S

    def receive(self, wait_s: float) -> Message | None:
        """Return bytes of the server, or that it is there or has gone."""
        if self._dropped and self._connection is not None:
            self._next_s = time.monotonic() + _DROPPED_S
            return self._read()
        if self._connection is not None:
            return self._read() if ready({self._connection.fileno(): select.POLLIN}, wait_s) else None
        if self._trying is not None:
            return self._connected(wait_s)
        rest_s = self._next_s - time.monotonic()
        if rest_s > 0:
            time.sleep(min(wait_s, rest_s))
            return None
        return self._connect()

    def close(self) -> None:
        """Close the connection."""
        super().close()
        if self._trying is not None:
            self._trying.close()

    def _connect(self) -> Message | None:
        trying = socket.socket(self._family, socket.SOCK_STREAM)
        trying.setblocking(False)
        code = trying.connect_ex(self._place)
        if code == 0:
            return self._success(trying)
        if code == errno.EINPROGRESS:
            self._trying = trying
            self._next_s = time.monotonic() + _CONNECT_S
            return None
        self._failure(trying, code)
        return None

    def _connected(self, wait_s: float) -> Message | None:
        trying = self._trying
        assert trying is not None
        if ready({trying.fileno(): select.POLLOUT}, wait_s):
            self._trying = None
            code = trying.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code == 0:
                return self._success(trying)
            self._failure(trying, code)
        elif time.monotonic() > self._next_s:
            self._trying = None
            self._failure(trying, errno.ETIMEDOUT)
        return None

    def _success(self, connection: socket.socket) -> Message:
        self._wait_s = _FIRST_WAIT_S
        self._next_s = time.monotonic() + self._wait_s  # should it be lost at once
        return self._begin(connection)

    def _failure(self, trying: socket.socket, code: int) -> None:
        trying.close()
        self.counters["failed_connections"] += 1
        if self.counters["failed_connections"] == 1:
            _log.warning("%s: cannot connect yet (error %d, %s)", self.url, code, errno.errorcode.get(code, "?"))
        self._next_s = time.monotonic() + self._wait_s
        self._wait_s = min(2 * self._wait_s, _LONGEST_WAIT_S)


def _keep_alive(connection: socket.socket) -> None:
    """Let the system find out within some seconds that a silent peer has gone."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 2)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
