"""Windows of events as grouped points: SpikePoint's input, in integers (docs/arithmetic.md, section 8).

This is the plain numpy form, read first; `native/encode` is the fast one and equals it bit for bit. Training, the
reference backend and the tests use this module.

Source: Ren et al., "SpikePoint", ICLR 2024 (arXiv 2310.07189), section 3.2: sampling, farthest point sampling and
nearest neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from edgesnn.encode.grid import TimeGrid
from edgesnn.encode.philox import sampling_keys

GRID = 16384
"""Coordinates are integers in [0, GRID)."""

IntArray = npt.NDArray[np.int32]


@dataclass(frozen=True)
class PointEncoding:
    """How a window becomes points: the model file's `input` section for kind "points".

    Attributes:
        window_us: length of a window.
        hop_us: distance between the starts of two windows.
        min_events: a window with fewer is `idle`.
        points: N, points drawn from a window.
        groups: G, centroids.
        neighbours: K, members of a group, its centroid included.
        steps: time steps per window.
        time: "fixed" divides by window_us, "minmax" by the span of the window's own events.
        seed: 64-bit key of all random draws.
    """

    kind: ClassVar[str] = "points"

    window_us: int
    hop_us: int
    min_events: int
    points: int
    groups: int
    neighbours: int
    steps: int
    time: Literal["fixed", "minmax"] = "fixed"
    seed: int = 0

    @classmethod
    def from_section(cls, section: Mapping[str, Any]) -> PointEncoding:
        """Return the encoding of a checked `input` section of kind "points"."""
        return cls(**{name: value for name, value in section.items() if name not in ("kind", "sensor", "filters")})

    @property
    def grid(self) -> TimeGrid:
        """The windows, in bins of a microsecond."""
        return TimeGrid(self.window_us, self.hop_us)


@dataclass(frozen=True, eq=False)
class PointWindow:
    """One encoded window.

    Attributes:
        number: window number in the stream (part of the random counter).
        coordinates: int32 [N, 4]: X, Y, T in [0, 16383] and the polarity, 0 or 1, in time order.
        centroids: int32 [G], indices into the points.
        members: int32 [G, K], indices into the points, nearest first.
        sd: standard deviation of all G*K*3 differences between members and centroids; 0 where they are all equal.
    """

    number: int
    coordinates: IntArray
    centroids: IntArray
    members: IntArray
    sd: float


def encode_points(
    events: npt.NDArray[Any],
    encoding: PointEncoding,
    sensor: tuple[int, int],
    *,
    number: int = 0,
    first_event: int = 0,
    t0_us: int | None = None,
) -> PointWindow:
    """Return one window's points, groups and scale.

    Args:
        events: structured array of dtype `edgesnn.EVENT`, at least one event, in stream order; times that step back
            count as the largest time before them.
        encoding: the model's input section.
        sensor: (width, height) of the recording.
        number: window number in the stream.
        first_event: index in the stream of `events[0]`.
        t0_us: start of the window; default the first event's time.

    Returns:
        A new `PointWindow`; it owns its arrays.
    """
    chosen = sample(len(events), encoding, first_event)
    t = np.maximum.accumulate(events["t"].astype(np.int64))
    start = int(t[0]) if t0_us is None else t0_us
    coordinates = np.empty((encoding.points, 4), dtype=np.int32)
    coordinates[:, 0] = events["x"][chosen].astype(np.int64) * GRID // sensor[0]
    coordinates[:, 1] = events["y"][chosen].astype(np.int64) * GRID // sensor[1]
    coordinates[:, 2] = normalise_time(t, start, encoding)[chosen]
    coordinates[:, 3] = events["p"][chosen]
    return group_points(coordinates, encoding, number=number)


def group_points(coordinates: IntArray, encoding: PointEncoding, *, number: int = 0) -> PointWindow:
    """Return the window of given points int32 [N, 4]: centroids, neighbours and their standard deviation."""
    xyz = coordinates[:, :3].astype(np.int64)
    centroids = farthest_points(xyz, encoding.groups)
    members = nearest_neighbours(xyz, centroids, encoding.neighbours)
    differences = xyz[members] - xyz[centroids][:, None, :]
    return PointWindow(number, coordinates, centroids, members, standard_deviation(differences))


def sample(count: int, encoding: PointEncoding, first_event: int) -> npt.NDArray[np.int64]:
    """Return the indices of the drawn events, in time order: int64 [points].

    The smallest `points` ranks are drawn, ties by index; with fewer events than points all are drawn, then again from
    the smallest rank until there are enough.
    """
    rank = sampling_keys(encoding.seed, first_event, count)
    order = np.argsort(rank, kind="stable")
    return np.sort(np.resize(order, encoding.points), kind="stable")


def normalise_time(t: npt.NDArray[np.int64], t0_us: int, encoding: PointEncoding) -> npt.NDArray[np.int64]:
    """Return T in [0, 16383] of non-decreasing times in microseconds: int64 [n]."""
    if encoding.time == "minmax":
        scaled: npt.NDArray[np.int64] = (t - t[0]) * (GRID - 1) // max(1, int(t[-1] - t[0]))
        return scaled
    return np.clip((t - t0_us) * GRID // encoding.window_us, 0, GRID - 1)


def farthest_points(xyz: npt.NDArray[np.int64], groups: int) -> IntArray:
    """Return `groups` indices by farthest point sampling from point 0, ties to the lowest index: int32 [G]."""
    if groups == len(xyz):
        return np.arange(groups, dtype=np.int32)
    chosen = np.zeros(groups, dtype=np.int32)
    distance = np.full(len(xyz), np.iinfo(np.int64).max)
    for i in range(1, groups):
        distance = np.minimum(distance, np.square(xyz - xyz[chosen[i - 1]]).sum(axis=1))
        chosen[i] = np.argmax(distance)
    return chosen


def nearest_neighbours(xyz: npt.NDArray[np.int64], centroids: IntArray, neighbours: int) -> IntArray:
    """Return the `neighbours` points nearest to each centroid, by (squared distance, index): int32 [G, K]."""
    differences = xyz[None, :, :] - xyz[centroids][:, None, :]
    distance = np.square(differences).sum(axis=2)
    key = distance * len(xyz) + np.arange(len(xyz))
    nearest = np.argpartition(key, neighbours - 1, axis=1)[:, :neighbours]
    order = np.argsort(np.take_along_axis(key, nearest, axis=1), axis=1)
    return np.take_along_axis(nearest, order, axis=1).astype(np.int32)


def standard_deviation(differences: npt.NDArray[np.int64]) -> float:
    """Return sqrt((n sum d^2 - (sum d)^2) / (n (n-1))) of all the differences; the sums are exact in int64."""
    n = differences.size
    total = int(differences.sum())
    squares = int(np.square(differences).sum())
    return float(np.sqrt(np.float64(n * squares - total * total) / np.float64(n * (n - 1))))
