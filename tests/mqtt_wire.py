"""MQTT as bytes, just enough to see who published what and who acknowledged it: CONNECT, PUBLISH, PUBACK."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

CONNECT, CONNACK, PUBLISH, PUBACK = 1, 2, 3, 4
SUCCESS = 0
V5 = 5


@dataclass(frozen=True)
class Sent:
    """A QoS 1 PUBLISH of the client that the broker was given."""

    at: float
    connection: int
    topic: str
    payload: bytes


@dataclass(frozen=True)
class Acked:
    """The broker's PUBACK for it that the client was given. `reason`: 0 without one, as always in 3.1.1."""

    at: float
    sent: Sent
    reason: int
    era: int


class Packets:
    """Cuts a stream of bytes, in any split, into packets: type, flags, body."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        self._held += data
        while (end := self._end()) is not None:
            head, (begin, stop) = self._held[0], end
            body = bytes(self._held[begin:stop])
            del self._held[:stop]
            yield head >> 4, head & 15, body

    def _end(self) -> tuple[int, int] | None:
        """Return where the first packet's body begins and ends; None: not all of it is here."""
        try:
            length, begin = _variable(self._held, 1)
        except IndexError:
            return None
        return (begin, begin + length) if begin + length <= len(self._held) else None


@dataclass
class Watch:
    """What went over one connection. `up` and `down` take the bytes as they are passed on."""

    connection: int
    era: int
    version: int = 0
    sent: list[Sent] = field(default_factory=list)
    acked: list[Acked] = field(default_factory=list)
    _open: dict[int, Sent] = field(default_factory=dict)
    _up: Packets = field(default_factory=Packets)
    _down: Packets = field(default_factory=Packets)

    def up(self, data: bytes) -> None:
        """Take what the broker was given."""
        for kind, flags, body in self._up.feed(data):
            if kind == CONNECT:
                self.version = body[2 + _u16(body, 0)]
            elif kind == PUBLISH and (flags >> 1) & 3 == 1:
                number, sent = self._publish(body)
                self.sent.append(sent)
                self._open[number] = sent

    def down(self, data: bytes) -> None:
        """Take what the client was given."""
        for kind, _, body in self._down.feed(data):
            if kind == PUBACK and (sent := self._open.pop(_u16(body, 0), None)) is not None:
                reason = body[2] if len(body) > 2 else SUCCESS
                self.acked.append(Acked(time.monotonic(), sent, reason, self.era))

    def _publish(self, body: bytes) -> tuple[int, Sent]:
        at = 2 + _u16(body, 0)
        topic, number, at = body[2:at].decode(), _u16(body, at), at + 2
        if self.version == V5:
            length, at = _variable(body, at)
            at += length
        return number, Sent(time.monotonic(), self.connection, topic, body[at:])


def _u16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")


def _variable(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """Return a number of variable length and where it ends."""
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if not data[at - 1] & 128:
            return value, at
