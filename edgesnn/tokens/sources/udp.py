"""`udp://HOST:PORT`: datagrams of one line or several (syslog)."""

from __future__ import annotations

import select
import socket

from edgesnn.events.sources.address import Address, parse
from edgesnn.events.sources.base import failed
from edgesnn.events.sources.sockets import PEERS, QueueDrops, allowed, peers, ready, resolve
from edgesnn.tokens.lines import MOST_BYTES, Line
from edgesnn.tokens.sources.base import Mark, Place

_QUEUE_BYTES = 1 << 22
_MOST_DATAGRAMS = 256  # at once
_MOST_LINES = 1 << 12  # after which no datagram is read at once; one may be of 65,508


def parse_address(url: str) -> Address:
    """Return an address; UsageError: a wrong one."""
    address = parse(url)
    address.check([PEERS[0]])
    return address


class UdpLines:
    """A bound socket; a line's origin is its sender's IP address.

    Args:
        url: udp://HOST:PORT, with ?peers=... for those that may send.
    """

    live = True
    coming = 0

    def __init__(self, url: str) -> None:
        address = parse_address(url)
        self.where = url
        self._peers = peers(address)
        family, place = resolve(address, socket.SOCK_DGRAM, bind=True)
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _QUEUE_BYTES)
            self._socket.bind(place)
        except OSError as error:
            self._socket.close()
            raise failed("cannot listen", url, error, "is another program listening there?") from None
        self._drops = QueueDrops(self._socket)
        self.port: int = self._socket.getsockname()[1]
        self._counts = {"datagrams": 0, "refused_peers": 0, "lost_packets": 0}

    @property
    def counters(self) -> dict[str, int]:
        """See `LineSource.counters`."""
        return dict(self._counts)

    def read(self, wait_s: float) -> list[Line] | None:
        """See `LineSource.read`."""
        lines: list[Line] = []
        if not ready({self._socket.fileno(): select.POLLIN}, wait_s):
            return lines
        for _ in range(_MOST_DATAGRAMS):
            if len(lines) >= _MOST_LINES:
                break
            try:
                data, more, _, sender = self._socket.recvmsg(MOST_BYTES, 64)
            except OSError:  # none is there, or what another sender's host said of an earlier one
                break
            self._counts["lost_packets"] += self._drops.new(more)
            if not allowed(self._peers, sender):
                self._counts["refused_peers"] += 1
                continue
            self._counts["datagrams"] += 1
            lines += [Line(one.removesuffix(b"\r"), str(sender[0])) for one in data.removesuffix(b"\n").split(b"\n")]
        return lines

    def mark(self, place: Place) -> Mark | None:
        """See `LineSource.mark`."""
        return None

    def seek(self, mark: Mark | None) -> Place | None:
        """See `LineSource.seek`: what comes is what follows."""
        return None

    def close(self) -> None:
        """See `LineSource.close`."""
        self._socket.close()
