"""The windows of a recording that is in memory, where the runtime cuts them, encoded as it does (docs/pipeline.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.encode.native import encode, encode_points
from edgesnn.encode.points import PointEncoding, PointWindow
from edgesnn.encode.spikes import SpikeEncoding, SpikeWindow
from edgesnn.events.filters import Chain, FilterLike

Events = npt.NDArray[Any]
Encoding = PointEncoding | SpikeEncoding


@dataclass(frozen=True)
class Span:
    """One window of a recording: events [first, last), from `t0_us` to `t1_us`, number `number`."""

    first: int
    last: int
    t0_us: int
    t1_us: int
    number: int
    idle: bool


@dataclass(frozen=True, eq=False)
class Seen:
    """What filters leave of a recording: the events, their sensor, and the time that the recording reached."""

    events: Events
    sensor: tuple[int, int]
    t_end_us: int | None


def filtered(events: Events, filters: Iterable[FilterLike], sensor: tuple[int, int]) -> Seen:
    """Return what filters leave of a whole recording, as a pipeline's chain does (docs/filters.md).

    Raises:
        UsageError: filters that the sensor cannot have.
        RecordingError: an event outside the sensor.
    """
    filters = tuple(filters)
    if not filters:
        return Seen(events, sensor, None)
    chain = Chain(filters, sensor=sensor)
    return Seen(chain.push(events), chain.sensor, int(events["t"].max()) if len(events) else None)


def spans(events: Events, encoding: Encoding, t_end_us: int | None = None) -> Iterator[Span]:
    """Yield the finished windows of a recording that are not idle, as docs/pipeline.md cuts them."""
    return (span for span in every_span(events, encoding, t_end_us) if not span.idle)


def every_span(events: Events, encoding: Encoding, t_end_us: int | None = None) -> Iterator[Span]:
    """Yield the finished windows of a recording, idle ones too.

    Args:
        t_end_us: time that the recording reached, where that is later than its last event.
    """
    if not len(events):
        return
    t, grid = np.maximum.accumulate(events["t"]), encoding.grid
    reached_us = int(t[-1]) if t_end_us is None else max(int(t[-1]), t_end_us)
    origin = int(t[0]) if grid.origin == "first" else 0
    for number in count(grid.first_number(int(t[0]) - origin)):
        start, end = origin + grid.start_us(number), origin + grid.end_us(number)
        if end > reached_us:
            return
        first, last = (int(i) for i in np.searchsorted(t, [start, end]))
        yield Span(first, last, start, end, number, last - first < max(1, encoding.min_events))


def encode_span(events: Events, span: Span, encoding: Encoding, sensor: tuple[int, int]) -> PointWindow | SpikeWindow:
    """Return a window of a recording, encoded as the runtime does. Raises as `edgesnn.encode.native.encode`."""
    part = events[span.first : span.last]
    return encode(part, encoding, sensor, number=span.number, first_event=span.first, t0_us=span.t0_us)


def encoded(
    events: Events, encoding: PointEncoding, sensor: tuple[int, int], t_end_us: int | None = None
) -> list[PointWindow]:
    """Return all windows of points of a recording that are not idle, encoded as the runtime does."""
    return [
        encode_points(events[s.first : s.last], encoding, sensor, number=s.number, first_event=s.first, t0_us=s.t0_us)
        for s in spans(events, encoding, t_end_us)
    ]
