"""What a kind of live source offers. The contract in words: README.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from edgesnn.errors import RecordingError
from edgesnn.events.formats.base import Sensor, printable
from edgesnn.events.sources.address import Address

Events = npt.NDArray[Any]
TICK_S = 0.02
"""While time goes on without events, in their first second, it is said so often."""


class Packet(NamedTuple):
    """Events (dtype `edgesnn.EVENT`, may be none), and the sensor time reached after them."""

    events: Events
    t_end_us: int


class Ahead(NamedTuple):
    """Packets that are known before they are due.

    Attributes:
        events: of all of them (dtype `edgesnn.EVENT`).
        ends: where the events of each end among all, ascending; none is empty.
        due_ns: when each is due, on the monotonic clock.
        triggers: external ones up to the last.
    """

    events: Events
    ends: list[int]
    due_ns: list[int]
    triggers: Events | None = None


class Schedule(NamedTuple):
    """Packets of a live source that are known before they are due.

    Attributes:
        events: of all of them (dtype `edgesnn.EVENT`), in stream time.
        rows: int64 [packets, 3]: where its events end among all, the stream time reached after them, and when it is due
            (monotonic ns).
        before_us: the stream time reached before the first.
    """

    events: Events
    rows: npt.NDArray[Any]
    before_us: int

    def reached_us(self, now_ns: int) -> int:
        """Return the stream time reached by the packets that are due by now."""
        due = int(np.searchsorted(self.rows[:, 2], now_ns, "right"))
        return int(self.rows[due - 1, 1]) if due else self.before_us


@dataclass(frozen=True)
class Message:
    """What a link gave at once: bytes, or events, or only that something has changed.

    Attributes:
        data: bytes of the stream, in any split.
        events: of a link that decodes by itself.
        t_end_us: the sensor time reached after these events; None: that of the last.
        triggers: external ones that belong to these events.
        begins: a connection (a device, a sender) begins here: nothing before belongs to it.
        lost: something is missing before it.
        ends: the connection is over; another may follow.
        last: nothing will follow.
    """

    data: bytes | memoryview = b""
    events: Events | None = None
    t_end_us: int | None = None
    triggers: Events | None = None
    begins: bool = False
    lost: bool = False
    ends: bool = False
    last: bool = False


class Link(Protocol):
    """The way to one sender or device. One thread at a time.

    Attributes:
        gives_events: it decodes by itself: its messages have events, not bytes.
        format: of its bytes, else what the events come from; None: the address says it.
        sensor: (width, height) where the device says it.
        variant: of the format, as `edgesnn.Decoder`.
        datagrams: each message is a whole datagram (or several of whole words), and one may be missing.
        clock_sure: its messages say all that time does, quiet stretches too (a recording's): none of it is a jump.
        can_wait: the sender waits while nobody reads, and loses nothing.
        port: the one that it listens at; None: at none.
        connected: the sender is there; None where it cannot be told.
        counters: its own, by name; "lost_packets" adds to the decoder's.
    """

    gives_events: bool
    format: str | None
    sensor: Sensor | None
    variant: str
    datagrams: bool
    clock_sure: bool
    can_wait: bool
    port: int | None
    counters: dict[str, int]

    @property
    def connected(self) -> bool | None: ...

    def details(self) -> Mapping[str, Any]:
        """Return what else there is to tell of it, as JSON values."""

    def receive(self, wait_s: float) -> Message | None:
        """Return what comes next; None after `wait_s` without anything, or earlier. Never wait longer."""

    def drop(self) -> None:
        """End the connection: its bytes cannot be read. `receive` says `ends`, and another may follow."""

    def close(self) -> None:
        """Let go of everything."""


@runtime_checkable
class Foreseeing(Protocol):
    """A link that knows what comes before it is due: a recording's."""

    def ahead(self) -> Ahead | None:
        """Return what comes in the next moments, which counts as received; None: `receive` says what comes."""

    def given(self, late_ns: Sequence[int]) -> None:
        """Take note of how late the packets of `ahead` were given."""


class PlainLink:
    """The usual values of a Link's attributes."""

    gives_events = False
    format: str | None = None
    sensor: Sensor | None = None
    variant = ""
    datagrams = False
    clock_sure = False
    can_wait = False
    port: int | None = None

    def details(self) -> Mapping[str, Any]:
        """Return nothing."""
        return {}

    def drop(self) -> None:
        """Go on: there is no connection."""


class Scheme(Protocol):
    """One kind of source; made without arguments, holds no state.

    Attributes:
        name: its scheme.
        form: how its addresses look: "udp://HOST:PORT".
        help: what it is, one line.
        options: those of its own: (name, one line).
    """

    name: str
    form: str
    help: str
    options: tuple[tuple[str, str], ...]

    def open(self, address: Address) -> Link:
        """Begin to listen or connect. Its options are known ones.

        Raises:
            UsageError: an address or a value that cannot be.
            RecordingError: it cannot be had: a port in use, no such device. A peer that is not there yet is no error.
        """


@runtime_checkable
class Checks(Protocol):
    """A scheme that can say what is wrong with an address before it is opened."""

    def check(self, address: Address) -> None:
        """Raise where it can never be opened; waits for nothing, and asks no device. Its options are known ones.

        Raises:
            UsageError: an address or options that cannot be.
            RecordingError: what it needs is not installed.
        """


def failed(what: str, url: str, error: OSError, hint: str | None = None) -> RecordingError:
    """Return the error of what the system refused."""
    reason = (error.strerror or str(error)).lower()
    return RecordingError(f"{what}: {reason}", where=printable(url), hint=hint)
