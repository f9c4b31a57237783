"""`replay:FILE`: a recording as if it came now. docs/sources.md, "Replay"."""

from __future__ import annotations

import time
from array import array
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import numpy as np

from edgesnn.events import recording
from edgesnn.events.packets import Block, regroup, timed_blocks
from edgesnn.events.recording import Recording
from edgesnn.events.sources.address import Address
from edgesnn.events.sources.base import TICK_S, Ahead, Events, Link, Message, PlainLink
from edgesnn.events.types import EVENT
from edgesnn.spread import spread
from edgesnn.units import parse_sensor, parse_speed

_PIECE_US, _LARGEST_PIECE_US = 2_000, 100_000
_PIECE_EVENTS = 1 << 13
_MOST_SAMPLES = 1 << 16
_AHEAD_S = 0.1  # `close` waits for nothing of it
_MOST_AHEAD = 16  # making it holds the interpreter: a prediction that is to be published waits for it


class Replay:
    """A recording at its own pace."""

    name = "replay"
    form = "replay:FILE"
    help = "a recording at its own pace, faster or slower, once or again and again"
    options = (
        ("speed", "1x (default), a factor such as 0.5x or 4x, or max: as fast as it is read"),
        ("loop", "begin again at its end"),
        ("topic", "of a bag, where more than one of its topics has events"),
    )

    def check(self, address: Address) -> None:
        """Raise where it names no file, or its pace cannot be."""
        _pace(address)

    def open(self, address: Address) -> Link:
        """Open the recording."""
        speed, loop = _pace(address)
        text = address.options.get("sensor")
        sensor = None if text is None else parse_sensor(text, where=address.url)
        format, topic, columns = map(address.options.get, ("format", "topic", "variant"))
        opened = recording.open(
            address.path, on_corrupt="skip", format=format, sensor=sensor, topic=topic, columns=columns
        )
        return ReplayLink(opened, speed, loop)


def _pace(address: Address) -> tuple[float | None, bool]:
    """Return speed, and whether it begins again."""
    if address.host is not None or not address.path:
        raise address.wrong("no recording", expected="replay:FILE")
    return parse_speed(address.options.get("speed", "1x"), where=address.url), address.flag("loop")


class ReplayLink(PlainLink):
    """The packets of a recording and its triggers, each when its last event is due.

    Args:
        recording: what is played.
        speed: sensor seconds per second; None: as fast as it is read.
        loop: its end is followed by its beginning; times go on.
    """

    gives_events = True
    clock_sure = True
    can_wait = True

    def __init__(self, recording: Recording, speed: float | None, loop: bool) -> None:
        self.format = recording.format
        self.sensor = recording.sensor
        self.counters = {"loops": 0}
        self._recording = recording
        self._speed = speed
        self._loop = loop
        self._late_us = array("d")
        self._shift_us = 0
        self._origin: tuple[int, float] | None = None  # a time and when it was due
        self._reached_us = 0
        self._given = False  # in this pass
        self._triggers: list[Events] = []  # read and not given yet
        self._blocks = self._pass()
        self._block = np.zeros(0, EVENT)  # packets that were read: where each ends, and its latest time
        self._ends: list[int] = []
        self._latest: list[int] = []
        self._at = 0  # the next of them

    @property
    def connected(self) -> bool | None:
        """A recording is always there."""
        return True

    def receive(self, wait_s: float) -> Message | None:
        """Return the next packet when it is due, before that the time that has passed."""
        if not self._coming():
            return self._end(wait_s)
        latest_us = self._latest[self._at]
        if not self._due(latest_us, wait_s):
            return self._time_passed(int(self._block["t"][self._begin()]))
        if self._speed is not None:
            self._count_late(time.monotonic() - self._due_s(latest_us))
        self._reached_us = max(self._reached_us, latest_us)
        return Message(events=self._take(1), t_end_us=self._reached_us, triggers=self._edges(latest_us))

    def ahead(self) -> Ahead | None:
        """Return the packets of the next tenth of a second up to a pause; None where time passes without events first,
        at the end of a pass, and of what has no pace."""
        if self._speed is None:
            return None
        parts: list[Events] = []
        ends: list[int] = []
        due_ns: list[int] = []
        last_s = time.monotonic()
        most_s = last_s + _AHEAD_S
        while len(ends) < _MOST_AHEAD and self._coming():
            n, before = 0, ends[-1] if ends else 0
            for latest_us in self._latest[self._at : self._at + _MOST_AHEAD - len(ends)]:
                due_s = self._due_s(latest_us)
                if due_s > min(most_s, last_s + TICK_S):
                    break
                n += 1
                due_ns.append(round(due_s * 1e9))
                last_s = max(last_s, due_s)
                self._reached_us = max(self._reached_us, latest_us)
            if not n:
                break
            begin = self._begin()
            ends += [end - begin + before for end in self._ends[self._at : self._at + n]]
            parts.append(self._take(n))
        if not parts:
            return None
        edges = self._edges(self._reached_us)
        return Ahead(parts[0] if len(parts) == 1 else np.concatenate(parts), ends, due_ns, edges)

    def given(self, late_ns: Sequence[int]) -> None:
        """Count how late packets were given."""
        for late in late_ns:
            self._count_late(late / 1e9)

    def details(self) -> dict[str, Any]:
        """Return how late packets were given: "jitter_us" {"p50", "p99", "max"}, None while there is none."""
        late_us = spread(self._late_us)
        return {"jitter_us": None if late_us is None else {**late_us, "max": max(self._late_us)}}

    def close(self) -> None:
        """Close the file."""
        self._blocks.close()

    def _pass(self) -> Generator[Block, None, None]:
        """Yield packets by the block: its events, where each packet ends, and the latest time in each."""
        events = self._read_events()
        if self._speed is None:
            return ((part, [len(part)], [int(part["t"].max())]) for part in regroup(events, count=_PIECE_EVENTS))
        piece_us = min(round(_PIECE_US * max(self._speed, 1.0)), _LARGEST_PIECE_US)  # of which a second takes so many
        return timed_blocks(events, piece_us)

    def _read_events(self) -> Iterator[Events]:
        for events, triggers in self._recording.steps():
            if len(triggers):
                self._triggers.append(triggers)
            yield events

    def _coming(self) -> bool:
        """Say whether there is a packet, which is read; False at the end of a pass."""
        if self._at < len(self._ends):
            return True
        found = next(self._blocks, None)
        if found is None:
            return False
        self._block, self._ends, latest = found
        first_us = int(self._block["t"][0])
        if self._origin is None:
            self._origin = (first_us, time.monotonic())
            self._reached_us = first_us
        elif not self._given:
            self._shift_us = self._reached_us + 1 - first_us
        self._given = True
        self._block["t"] += self._shift_us
        self._latest = [latest_us + self._shift_us for latest_us in latest]
        self._at = 0
        return True

    def _begin(self) -> int:
        """Return where in the block the next packet begins."""
        return self._ends[self._at - 1] if self._at else 0

    def _take(self, n: int) -> Events:
        begin = self._begin()
        self._at += n
        return self._block[begin : self._ends[self._at - 1]]

    def _edges(self, latest_us: int | None) -> Events | None:
        """Return the triggers up to this time, or all, that were not given yet."""
        if not self._triggers:
            return None
        edges = np.concatenate(self._triggers)
        edges["t"] += self._shift_us
        due = edges["t"] <= latest_us if latest_us is not None else np.ones(len(edges), bool)
        rest = edges[~due]
        rest["t"] -= self._shift_us
        self._triggers = [rest] if len(rest) else []
        given: Events = edges[due]
        return given

    def _end(self, wait_s: float) -> Message | None:
        """Return the time that passes behind the last event; after that the recording begins again, or is over."""
        end_us = self._reached_us
        if self._given and self._recording.t_end_us is not None:
            end_us = max(end_us, self._recording.t_end_us + self._shift_us)
        if end_us == self._reached_us and not self._triggers:
            return self._begin_again()
        if not self._due(end_us, wait_s):
            return self._time_passed(end_us)
        self._reached_us = end_us
        return Message(events=np.zeros(0, EVENT), t_end_us=end_us, triggers=self._edges(None))

    def _begin_again(self) -> Message | None:
        if not self._loop or not self._given:
            return Message(last=True)
        self.counters["loops"] += 1
        self._given = False
        self._blocks = self._pass()
        return None

    def _due(self, t_us: int, wait_s: float) -> bool:
        """Wait until this time is due, at most so long; say whether it is."""
        if self._speed is None:
            return True
        rest_s = self._due_s(t_us) - time.monotonic()
        time.sleep(min(wait_s, max(rest_s, 0.0)))
        return rest_s <= wait_s

    def _due_s(self, t_us: int) -> float:
        assert self._origin is not None
        assert self._speed is not None
        return self._origin[1] + (t_us - self._origin[0]) / 1e6 / self._speed

    def _time_passed(self, next_us: int) -> Message | None:
        """Return the time that has passed, which is not past the next event."""
        assert self._origin is not None
        assert self._speed is not None
        passed_us = int((time.monotonic() - self._origin[1]) * 1e6 * self._speed)
        t_us = min(self._origin[0] + passed_us, next_us)
        if t_us <= self._reached_us:
            return None
        self._reached_us = t_us
        return Message(events=np.zeros(0, EVENT), t_end_us=t_us)

    def _count_late(self, late_s: float) -> None:
        if len(self._late_us) >= _MOST_SAMPLES:
            del self._late_us[: _MOST_SAMPLES // 2]
        self._late_us.append(late_s * 1e6)
