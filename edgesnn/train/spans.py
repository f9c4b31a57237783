"""The windows of a recording, where the runtime cuts them, encoded as it does (no torch here)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgesnn.encode.native import encode_points
from edgesnn.encode.points import PointEncoding, PointWindow
from edgesnn.train.datasets import Events, Sample


@dataclass(frozen=True)
class Span:
    """One window of a recording: events [first, last), from `t0_us` on, number `number`."""

    first: int
    last: int
    t0_us: int
    number: int


def spans(events: Events, encoding: PointEncoding) -> Iterator[Span]:
    """Yield the finished windows of a recording that are not idle, as docs/architecture.md cuts them."""
    if not len(events):
        return
    t = np.maximum.accumulate(events["t"])
    origin, end = int(t[0]), int(t[-1])
    count = max(0, (end - origin - encoding.window_us) // encoding.hop_us + 1)
    for number in range(count):
        start = origin + number * encoding.hop_us
        first, last = (int(i) for i in np.searchsorted(t, [start, start + encoding.window_us]))
        if last - first >= max(1, encoding.min_events):
            yield Span(first, last, start, number)


def encoded(sample: Sample, encoding: PointEncoding, sensor: tuple[int, int]) -> list[PointWindow]:
    """Return all windows of a recording, encoded as the runtime does."""
    return [
        encode_points(
            sample.events[s.first : s.last],
            encoding,
            sensor,
            number=s.number,
            first_event=s.first,
            t0_us=s.t0_us,
        )
        for s in spans(sample.events, encoding)
    ]
