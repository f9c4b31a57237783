"""What `edgesnn.mqtt.Client` returns of what happened, and the will that it takes."""

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
    """The broker acknowledged message `mid`; `received` is False where it said that nobody subscribes (MQTT 5)."""

    mid: int
    received: bool


@dataclass(frozen=True)
class Refused:
    """The broker answered message `mid` with an error (MQTT 5). `final`: sending it again cannot mend that."""

    mid: int
    error: PublishError
    final: bool


@dataclass(frozen=True)
class Subscribed:
    """The broker granted the subscription `mid`."""

    mid: int


@dataclass(frozen=True)
class Message:
    """A message that arrived."""

    topic: str
    payload: bytes
    retained: bool


@dataclass(frozen=True)
class Will:
    """What the broker publishes for us, retained, when the connection breaks without a goodbye."""

    topic: str
    payload: bytes


Event = Connected | Lost | Acknowledged | Refused | Subscribed | Message
