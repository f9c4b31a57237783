"""`tcp://HOST:PORT`: a stream of bytes from a server, or with `?listen` from who connects. docs/sources.md, "TCP"."""

from __future__ import annotations

import socket

from edgesnn.events.sources.address import Address
from edgesnn.events.sources.base import Link, failed
from edgesnn.events.sources.framing import check_format
from edgesnn.events.sources.sockets import PEERS, peers, resolve
from edgesnn.events.sources.streams import LISTEN, ClientLink, ServerLink


class Tcp:
    """A TCP connection."""

    name = "tcp"
    form = "tcp://HOST:PORT"
    help = "a stream of bytes from a server; with ?listen from who connects here"
    options = (LISTEN, PEERS)

    def check(self, address: Address) -> None:
        """Raise where the format is not said, or none of a stream."""
        check_format(address.options.get("format"), False, address)

    def open(self, address: Address) -> Link:
        """Begin to connect, or listen."""
        if not address.flag("listen"):
            if "peers" in address.options:
                raise address.wrong("peers are those who connect", hint="add &listen, or leave peers out")
            return ClientLink(address.url, *resolve(address, socket.SOCK_STREAM, bind=False))
        allowed = peers(address)
        silent_s = address.number("dead_ms", 2000, 10, 3_600_000) / 1000
        listener = _listener(address)
        link = ServerLink(address.url, listener, peers=allowed, silent_s=silent_s)
        link.port = listener.getsockname()[1]
        return link


def _listener(address: Address) -> socket.socket:
    family, place = resolve(address, socket.SOCK_STREAM, bind=True)
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(place)
    except OSError as error:
        one.close()
        raise failed("cannot listen", address.url, error, "is another program listening there?") from None
    return one
