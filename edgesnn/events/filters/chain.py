"""Filters one after the other over a stream of event arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy.typing as npt

from edgesnn import _native
from edgesnn.events.decoder import whole_sensor
from edgesnn.events.filters.specification import FilterLike, parse_filters


class Chain:
    """A stream's filters and their state; the same stream in any packets gives the same events.

    One thread at a time uses it (another is refused); `push` works without the GIL.

    Args:
        filters: texts ("refractory:period=1ms"), JSON objects, or `Filter`s, in the order in which they work.
        sensor: (width, height) of the events that come in.

    Raises:
        UsageError: a filter that cannot be, or that the sensor which the one before it leaves cannot have.

    >>> import numpy as np
    >>> from edgesnn.events.types import EVENT
    >>> events = np.array([(0, 3, 0, 1), (400, 3, 0, 0), (2000, 3, 1, 1)], EVENT)
    >>> chain = Chain(["refractory:period=1ms", "transpose"], sensor=(4, 2))
    >>> chain.push(events).tolist(), chain.sensor, chain.counters["dropped.refractory"]
    ([(0, 0, 3, 1), (2000, 1, 3, 1)], (2, 4), 1)
    """

    def __init__(self, filters: Iterable[FilterLike], *, sensor: tuple[int, int]) -> None:
        self.filters = parse_filters(filters)
        self._native = _native.events.FilterChain([one.native for one in self.filters], whole_sensor(sensor))

    @property
    def sensor(self) -> tuple[int, int]:
        """(width, height) of the events that come out."""
        return self._native.sensor

    def push(self, events: npt.NDArray[Any], *, t_end_us: int | None = None) -> npt.NDArray[Any]:
        """Return what passes of the next events, a new array of dtype `edgesnn.EVENT`.

        An event earlier than the time reached takes that time and counts in `time_clamped`.

        Args:
            events: of dtype `edgesnn.EVENT`; it is not changed.
            t_end_us: sensor time reached at their end, where that is later than the last.

        Raises:
            UsageError: another dtype, or two threads at once.
            RecordingError: an event outside the sensor; nothing changes then.
        """
        return self._native.push(events, t_end_us)

    @property
    def counters(self) -> dict[str, int]:
        """`dropped.<filter>` of every filter, those of one name together, and `time_clamped`."""
        return self._native.counters()

    def save(self) -> dict[str, npt.NDArray[Any]]:
        """Return the state between two packets, name -> array."""
        return self._native.save()

    def load(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from a state of the same filters on the same sensor.

        Raises:
            ModelError: it is of others, or contradicts itself; nothing changes then.
        """
        self._native.load(dict(state))
