"""Random windows of recordings for training: anywhere, augmented, with a new draw of points each time."""

from __future__ import annotations

import numpy as np

from edgesnn.encode.native import encode_points
from edgesnn.encode.points import PointEncoding, PointWindow
from edgesnn.train.augment import augment
from edgesnn.train.config import AugmentConfig
from edgesnn.train.datasets import Events, Sample

_THIN = 8


def draw(
    sample: Sample,
    encoding: PointEncoding,
    sensor: tuple[int, int],
    config: AugmentConfig,
    rng: np.random.Generator,
) -> PointWindow | None:
    """Return a random window for training: place, events, drawn points and random bits differ from call to call.

    None where four tries found no window with enough events.
    """
    t = np.maximum.accumulate(sample.events["t"])
    if not len(t):
        return None
    for _ in range(4):
        start = _start(int(t[0]), int(t[-1]), encoding, config.any_start, rng)
        first, last = (int(i) for i in np.searchsorted(t, [start, start + encoding.window_us]))
        if last - first >= max(1, encoding.min_events):
            events = augment(_thinned(sample.events[first:last], encoding, rng), config, sensor, rng)
            number, stream = int(rng.integers(1 << 62)), int(rng.integers(1 << 40))
            return encode_points(events, encoding, sensor, number=number, first_event=stream, t0_us=start)
    return None


def _thinned(events: Events, encoding: PointEncoding, rng: np.random.Generator) -> Events:
    """Return a random part of a busy window, in order: still many times what is drawn, and quicker to change."""
    limit = _THIN * encoding.points
    if len(events) <= limit:
        return events
    return events[np.sort(rng.choice(len(events), limit, replace=False, shuffle=False))]


def _start(origin: int, end: int, encoding: PointEncoding, anywhere: bool, rng: np.random.Generator) -> int:
    room = max(0, end - origin - encoding.window_us)
    if anywhere:
        return origin + int(rng.integers(room + 1))
    return origin + encoding.hop_us * int(rng.integers(room // encoding.hop_us + 1))
