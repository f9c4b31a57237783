"""What the sources over the network share: addresses, peers, waiting."""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
import struct
from typing import Any

from edgesnn.events.sources.address import Address
from edgesnn.events.sources.base import failed

HERE = "127.0.0.1"
_RXQ_OVFL = getattr(socket, "SO_RXQ_OVFL", 40)
PEERS = ("peers", "only these IP addresses may send, a comma between them")


class QueueDrops:
    """Counts the datagrams for which the system's queue of a socket had no room: it says so with the next one.

    Where the system does not say it, there are none.
    """

    def __init__(self, of: socket.socket) -> None:
        self._before = 0
        with contextlib.suppress(OSError):
            of.setsockopt(socket.SOL_SOCKET, _RXQ_OVFL, 1)

    def new(self, ancillary: list[tuple[int, int, bytes]]) -> int:
        """Return how many were dropped since the datagram before, by what `recvmsg` said beside this one."""
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == _RXQ_OVFL:
                drops = struct.unpack("@I", data[:4])[0]
                before, self._before = self._before, drops
                return int(drops - before) & 0xFFFFFFFF
        return 0


def resolve(address: Address, kind: socket.SocketKind, *, bind: bool) -> tuple[int, Any]:
    """Return (family, socket address) of a host and port; the host is this machine where none is said.

    A name that has addresses of both kinds ("localhost") means that of IPv4: most senders do.
    """
    if address.port is None or address.path not in ("", "/"):
        raise address.wrong("no port", expected=f"{address.scheme}://HOST:PORT")
    flags = socket.AI_PASSIVE if bind else 0
    try:
        found = socket.getaddrinfo(address.host or HERE, address.port, type=kind, flags=flags)
    except OSError as error:
        raise failed("no such host", address.url, error) from None
    family, _, _, _, place = min(found, key=lambda one: one[0] != socket.AF_INET)
    return family, place


def peers(address: Address) -> frozenset[str]:
    """Return the IP addresses that may send; none: all."""
    texts = address.options["peers"].split(",") if "peers" in address.options else []
    try:
        return frozenset(str(ipaddress.ip_address(text.strip())) for text in texts)
    except ValueError as error:
        raise address.wrong("peers are IP addresses", found=str(error)) from None


def allowed(peers: frozenset[str], sender: Any) -> bool:
    """Say whether this socket address may send."""
    return not peers or str(sender[0]).partition("%")[0].removeprefix("::ffff:") in peers


def ready(fds: dict[int, int], wait_s: float) -> dict[int, int]:
    """Wait until one of these descriptors is ready: descriptor -> events of poll(2), as they are asked and answered."""
    poll = select.poll()
    for fd, events in fds.items():
        poll.register(fd, events)
    return dict(poll.poll(max(0, round(wait_s * 1000))))
