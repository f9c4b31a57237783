"""Parts of a recording by time, and the index that finds where one begins: built while the file is read."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import UsageError

STRIDE_BYTES = 4 << 20
"""Bytes of the file between two entries of an index; twice as many each time that it is full."""
MOST_BYTES = 4 << 20
"""Of an index."""
_MOST_STATE_BYTES = 1 << 16  # of a decoder that is kept; one that holds many events back is passed over
_PLACE_BYTES = 5 << 10  # that a place takes beside what its arrays hold: measured, rounded up

State = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Place:
    """A place in a file from which it can be read on.

    Attributes:
        reached_us: sensor time reached before it; no earlier event is later.
        offset: bytes after the header, or of what a reader counts instead, which rises.
        state: of the decoder there.
        more: what else a reader needs to go on; small.
    """

    reached_us: int
    offset: int
    state: State
    more: Any = None

    @property
    def size_bytes(self) -> int:
        """What it takes in memory."""
        return _PLACE_BYTES + sum(array.nbytes for array in self.state.values())


class TimeIndex:
    """Places in a file, in its order, so that their times rise too. Where it is full it forgets every other one."""

    def __init__(self) -> None:
        self._places: list[Place] = []
        self._halvings = 0
        self._size_bytes = 0
        self._stamp: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self._places)

    def check(self, stamp: tuple[int, int]) -> None:
        """Forget everything where the file has another stamp (size, time of change) than it had."""
        if stamp != self._stamp:
            self._places = []
            self._halvings = self._size_bytes = 0
            self._stamp = stamp

    def wants(self, offset: int) -> bool:
        """Say whether a place here is worth keeping."""
        stride = STRIDE_BYTES << self._halvings
        return offset >= (self._places[-1].offset if self._places else 0) + stride

    def add(self, place: Place) -> None:
        """Keep a place behind all others, unless its state is large."""
        if not self.wants(place.offset) or place.size_bytes > _MOST_STATE_BYTES:
            return
        self._places.append(place)
        self._size_bytes += place.size_bytes
        if self._size_bytes > MOST_BYTES:
            self._places = self._places[1::2]
            self._halvings += 1
            self._size_bytes = sum(one.size_bytes for one in self._places)

    def before(self, start_us: int) -> Place | None:
        """Return the last place all of whose earlier events are before start_us."""
        at = bisect_left(self._places, start_us, key=lambda place: place.reached_us)
        return self._places[at - 1] if at else None


class Span:
    """The events [start_us, stop_us) of a stream by the running maximum of their times: one stretch of the file."""

    def __init__(self, start_us: int | None, stop_us: int | None) -> None:
        for name, value in (("start_us", start_us), ("stop_us", stop_us)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, np.integer))):
                raise UsageError("not a time in microseconds", where=name, found=repr(value), expected="an integer")
        if start_us is not None and stop_us is not None and stop_us < start_us:
            raise UsageError("the range ends before it begins", where="stop_us", found=f"{start_us} to {stop_us} us")
        self._start_us = start_us
        self._stop_us = stop_us
        self._latest_us: int | None = None
        self.over = False

    @property
    def whole(self) -> bool:
        """No bound at all."""
        return self._start_us is None and self._stop_us is None

    def clip(self, events: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return those of the next events that lie inside; `over` says that none will follow."""
        if self.whole or not len(events):
            return events
        clock = np.maximum.accumulate(events["t"])
        if self._latest_us is not None:
            clock = np.maximum(clock, self._latest_us)
        self._latest_us = int(clock[-1])
        first = 0 if self._start_us is None else int(np.searchsorted(clock, self._start_us))
        last = len(clock) if self._stop_us is None else int(np.searchsorted(clock, self._stop_us))
        self.over = last < len(clock)
        return events[first:last]

    def clip_triggers(self, triggers: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return those of these triggers whose times lie inside."""
        if self.whole or not len(triggers):
            return triggers
        inside = np.ones(len(triggers), bool)
        if self._start_us is not None:
            inside &= triggers["t"] >= self._start_us
        if self._stop_us is not None:
            inside &= triggers["t"] < self._stop_us
        return triggers[inside]
