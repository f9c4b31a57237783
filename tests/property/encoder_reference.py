"""The encoders of docs/encoders.md once more, event by event in plain Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from edgesnn.encode.points import PointEncoding, encode_points
from edgesnn.runtime.arithmetic import exp32

Array = np.ndarray
NEVER = None


def frames(events: Array, t0: int, t1: int, sensor: tuple[int, int], values: Mapping[str, Any], memory: Any) -> Array:
    steps, split, binary = values["steps"], values["polarity"] == "split", values["value"] == "binary"
    counts = np.zeros((steps, 2 if split else 1, sensor[1], sensor[0]), np.uint8 if binary else np.uint16)
    for t, x, y, p in events.tolist():
        step = min(steps - 1, (t - t0) * steps // max(1, t1 - t0))
        place = (step, p if split else 0, y, x)
        counts[place] = 1 if binary else min(65535, int(counts[place]) + 1)
    return counts


def voxel(events: Array, t0: int, t1: int, sensor: tuple[int, int], values: Mapping[str, Any], memory: Any) -> Array:
    bins = values["bins"]
    grid = np.zeros((bins, sensor[1], sensor[0]), np.float32)
    if values["time"] == "events" and len(events):
        t0, t1 = int(events["t"][0]), int(events["t"][-1])
    scale = np.float64(bins) / np.float64(max(1, t1 - t0))
    for t, x, y, p in events.tolist():
        place = np.float64(t - t0) * scale
        lower = int(place)
        share = np.float32(place - np.float64(lower))
        sign = np.float32(1 if p else -1)
        for bin, part in ((lower, np.float32(1) - share), (lower + 1, share)):
            if bin < bins:
                grid[bin, y, x] += sign * part
    return grid


def surface(events: Array, t0: int, t1: int, sensor: tuple[int, int], values: Mapping[str, Any], memory: Any) -> Array:
    split, tau = values["polarity"] == "split", values["tau"]
    if values["memory"] == "window":
        memory.clear()
    for t, x, y, p in events.tolist():
        memory[(p if split else 0, y, x)] = t
    made = np.zeros((2 if split else 1, sensor[1], sensor[0]), np.float32)
    bits = 0
    while 1 << (2 * bits) < 88 * tau:
        bits += 1
    for place, t in memory.items():
        age = t1 - t
        if age <= 88 * tau:
            low, high = age & ((1 << bits) - 1), age >> bits << bits
            factors = [exp32(np.array([-np.float64(part) / np.float64(tau)], np.float32))[0] for part in (high, low)]
            made[place] = factors[0] * factors[1]
    return made


def points(events: Array, t0: int, t1: int, sensor: tuple[int, int], values: Mapping[str, Any], memory: Any) -> Array:
    count = values["points"]
    if not len(events):
        return np.zeros((count, 4), np.int32)
    time = "minmax" if values["time"] == "events" else "fixed"
    length = max(1, t1 - t0)
    encoding = PointEncoding(length, length, 0, count, 1, 1, 1, time, values["seed"])
    return encode_points(events, encoding, sensor, first_event=memory["first_event"], t0_us=t0).coordinates


ENCODERS: dict[str, Callable[..., Array]] = {"frames": frames, "points": points, "surface": surface, "voxel": voxel}


def windows(
    events: Array, length: int, hop: int, by_count: bool, t_end_us: int | None = None
) -> list[tuple[int, int, int, int, Array]]:
    """Return (number, t0, t1, index of the first event, events) of every complete window."""
    made = []
    t = np.maximum.accumulate(events["t"])
    rising = events.copy()
    rising["t"] = t
    if by_count:
        for number in range(len(events)):
            part = rising[number * hop : number * hop + length]
            if len(part) < length:
                break
            made.append((number, int(part["t"][0]), int(part["t"][-1]), number * hop, part))
        return made
    origin, number = int(t[0]), 0
    reached = int(t[-1]) if t_end_us is None else max(int(t[-1]), t_end_us)
    while origin + number * hop + length <= reached:
        start = origin + number * hop
        first, last = (int(i) for i in np.searchsorted(t, [start, start + length]))
        made.append((number, start, start + length, first, rising[first:last]))
        number += 1
    return made


def exact_voxel(events: Array, bins: int, sensor: tuple[int, int]) -> list[Fraction]:
    """Return what each bin holds in all, without rounding, over the events' own span."""
    t0, span = int(events["t"][0]), max(1, int(events["t"][-1]) - int(events["t"][0]))
    sums = [Fraction(0)] * (bins + 2)
    for t, _, _, p in events.tolist():
        place = Fraction((t - t0) * bins, span)
        lower = int(place)
        sums[lower] += (1 if p else -1) * (1 - (place - lower))
        sums[lower + 1] += (1 if p else -1) * (place - lower)
    return sums[:bins]
