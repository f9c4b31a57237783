"""The windows of a recording that is in memory, where the runtime cuts them, encoded as it does (docs/pipeline.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.encode.native import encode, encode_points
from edgesnn.encode.points import PointEncoding, PointWindow
from edgesnn.encode.spikes import SpikeEncoding, SpikeWindow

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


def spans(events: Events, encoding: Encoding) -> Iterator[Span]:
    """Yield the finished windows of a recording that are not idle, as docs/pipeline.md cuts them."""
    return (span for span in every_span(events, encoding) if not span.idle)


def every_span(events: Events, encoding: Encoding) -> Iterator[Span]:
    """Yield the finished windows of a recording, idle ones too."""
    if not len(events):
        return
    t, grid = np.maximum.accumulate(events["t"]), encoding.grid
    origin = int(t[0]) if grid.origin == "first" else 0
    for number in count(grid.first_number(int(t[0]) - origin)):
        start, end = origin + grid.start_us(number), origin + grid.end_us(number)
        if end > int(t[-1]):
            return
        first, last = (int(i) for i in np.searchsorted(t, [start, end]))
        yield Span(first, last, start, end, number, last - first < max(1, encoding.min_events))


def encode_span(events: Events, span: Span, encoding: Encoding, sensor: tuple[int, int]) -> PointWindow | SpikeWindow:
    """Return a window of a recording, encoded as the runtime does. Raises as `edgesnn.encode.native.encode`."""
    part = events[span.first : span.last]
    return encode(part, encoding, sensor, number=span.number, first_event=span.first, t0_us=span.t0_us)


def encoded(events: Events, encoding: PointEncoding, sensor: tuple[int, int]) -> list[PointWindow]:
    """Return all windows of points of a recording that are not idle, encoded as the runtime does."""
    return [
        encode_points(events[s.first : s.last], encoding, sensor, number=s.number, first_event=s.first, t0_us=s.t0_us)
        for s in spans(events, encoding)
    ]
