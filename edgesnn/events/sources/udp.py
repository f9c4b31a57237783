"""`udp://HOST:PORT`: datagrams of words. docs/sources.md, "UDP"."""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from dataclasses import replace
from typing import Any

from edgesnn.events.sources.address import Address
from edgesnn.events.sources.base import Link, Message, PlainLink, failed
from edgesnn.events.sources.framing import check_format, word_bytes
from edgesnn.events.sources.sockets import PEERS, QueueDrops, allowed, peers, ready, resolve

SENDER = ("sender", "first (default): who sends first, until it is silent; any: all are one stream")
_QUEUE_BYTES = 4 << 20  # asked for; the system gives less where it is told to
_MOST_BYTES = 1 << 16  # of a datagram
_ROOM_BYTES = 1 << 18
_SMALLEST_REPEATED = 32  # smaller datagrams may be the same without being one twice
_REMEMBERED = 4
_SETTLED = 8  # datagrams after which a sender keeps the port until it is silent
_DIFFERENCES = ("es",)  # formats that say time by differences: the same bytes again may be another time


class Udp:
    """Datagrams that somebody sends here."""

    name = "udp"
    form = "udp://HOST:PORT"
    help = "datagrams of words, sent to this port"
    options = (PEERS, SENDER)

    def check(self, address: Address) -> None:
        """Raise where the format is not said, or none of datagrams."""
        check_format(address.options.get("format"), True, address)

    def open(self, address: Address) -> Link:
        """Bind the port."""
        return UdpLink(address)


class UdpLink(PlainLink):
    """A bound socket.

    Args:
        alone: each message is one datagram.
    """

    datagrams = True
    connected = None

    def __init__(self, address: Address, *, alone: bool = False) -> None:
        self.counters = dict.fromkeys(
            ("datagrams", "duplicate_datagrams", "foreign_datagrams", "refused_peers", "lost_packets"), 0
        )
        self._peers = peers(address)
        self._any = address.choice("sender", "first", "any") == "any"
        self._silent_s = address.number("dead_ms", 2000, 10, 3_600_000) / 1000
        self._word_bytes = _MOST_BYTES if alone else word_bytes(address.options.get("format"))
        self._format = address.options.get("format")
        self._socket = _bind(address)
        self.port = self._socket.getsockname()[1]
        self._room = memoryview(bytearray(_ROOM_BYTES))
        self._sender: Any = None
        self._heard_s = 0.0
        self._held = 0  # datagrams of the sender
        self._rival: tuple[Any, int] = None, 0  # another one, and its datagrams since the sender's last
        self._begins = self._lost = False
        self._drops = QueueDrops(self._socket)
        self._recent: deque[bytes] = deque(maxlen=_REMEMBERED)
        self._waiting: Message | None = None

    def receive(self, wait_s: float) -> Message | None:
        """Return the datagrams that are there, as many as may be one message."""
        message, self._waiting = self._waiting, None
        if message is not None:
            return message
        if not ready({self._socket.fileno(): select.POLLIN}, wait_s):
            return None
        at = 0
        while at + _MOST_BYTES <= _ROOM_BYTES:
            size = self._next(self._room[at : at + _MOST_BYTES])
            if size is None:
                break
            data = self._room[at : at + size]
            message = self._message(data)
            apart = message.begins or message.lost or size % self._word_bytes != 0
            if at and apart:
                self._waiting = replace(message, data=bytes(data))
                break
            if apart:
                return message
            at += size
        return Message(self._room[:at]) if at else None

    def close(self) -> None:
        """Close the port."""
        self._socket.close()

    def _message(self, data: memoryview) -> Message:
        message = Message(data, begins=self._begins, lost=self._lost and not self._begins)
        self._begins = self._lost = False
        return message

    def _next(self, room: memoryview) -> int | None:
        """Read the next datagram that counts into `room`; None where none waits."""
        while True:
            try:
                size, ancillary, _, sender = self._socket.recvmsg_into([room], 64)
            except OSError:  # none is there, or what another sender's host said of an earlier one
                return None
            lost = self._drops.new(ancillary)
            self.counters["lost_packets"] += lost
            self._lost = self._lost or bool(lost)
            if size and self._accepts(sender) and not self._repeated(room[:size]):
                self.counters["datagrams"] += 1
                return size

    def _accepts(self, sender: Any) -> bool:
        if not allowed(self._peers, sender):
            self.counters["refused_peers"] += 1
            return False
        now_s = time.monotonic()
        other = self._sender is not None and sender != self._sender and not self._any
        if other and not self._gives_way(sender, now_s):
            self.counters["foreign_datagrams"] += 1
            return False
        if self._sender is None or other:
            self._begins = True
            self._sender = sender
            self._held = 0
            self._recent.clear()
        self._held += 1
        self._rival = None, 0
        self._heard_s = now_s
        return True

    def _gives_way(self, sender: Any, now_s: float) -> bool:
        """Say whether the sender that has the port has been silent, or is no more than some forged datagrams."""
        rival, count = self._rival
        self._rival = sender, count + 1 if sender == rival else 1
        few = self._held < _SETTLED <= self._rival[1]
        return few or now_s - self._heard_s > self._silent_s

    def _dated(self, data: memoryview) -> bool:
        """Say whether these bytes tell their time: only then are the same bytes the same events."""
        return self._format not in _DIFFERENCES

    def _repeated(self, data: memoryview) -> bool:
        if len(data) < _SMALLEST_REPEATED or not self._dated(data):
            return False
        if any(data == one for one in self._recent):
            self.counters["duplicate_datagrams"] += 1
            return True
        self._recent.append(bytes(data))
        return False


def _bind(address: Address) -> socket.socket:
    family, place = resolve(address, socket.SOCK_DGRAM, bind=True)
    one = socket.socket(family, socket.SOCK_DGRAM)
    try:
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _QUEUE_BYTES)
        one.bind(place)
    except OSError as error:
        one.close()
        raise failed("cannot listen", address.url, error, "is another program listening there?") from None
    return one
