"""What a client tells its owner: `Client.poll` returns these."""

from __future__ import annotations

from dataclasses import dataclass

from edgesnn.errors import PublishError


@dataclass(frozen=True)
class Connected:
    """The broker accepted the connection; `protocol` is "5" or "3.1.1"."""

    protocol: str


@dataclass(frozen=True)
class Lost:
    """A connection, or an attempt at one, failed. `final`: the client has stopped trying."""

    error: PublishError
    final: bool


@dataclass(frozen=True)
class Acknowledged:
    """The broker acknowledged message `mid`; `received` is False where it said that nobody subscribes (MQTT 5).

    Of QoS 0: it was given to the system's socket.
    """

    mid: int
    received: bool


@dataclass(frozen=True)
class Refused:
    """The broker answered message or subscription `mid` with an error. `final`: sending it again cannot mend that."""

    mid: int
    error: PublishError
    final: bool


@dataclass(frozen=True)
class Subscribed:
    """The broker granted the subscription `mid`."""

    mid: int


@dataclass(frozen=True)
class Message:
    """A message that arrived. `response_topic`, `correlation`: where and how its sender wants an answer (MQTT 5)."""

    topic: str
    payload: bytes
    retained: bool
    response_topic: str | None = None
    correlation: bytes | None = None


@dataclass(frozen=True)
class Will:
    """What the broker publishes for us, retained, when the connection breaks without a goodbye."""

    topic: str
    payload: bytes


Event = Connected | Lost | Acknowledged | Refused | Subscribed | Message
