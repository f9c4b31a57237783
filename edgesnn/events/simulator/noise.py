"""What a still scene looks like to an event camera: shot noise, hot pixels, row cross-talk; and the refractory time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from edgesnn.events.simulator.pixels import CameraParameters

Columns = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint8]]
"""Times in microseconds, pixel numbers y * width + x, polarities."""

_ON_SHARE = 0.4
_CROSSTALK_DELAY_US = 1000


def noise_events(rng: np.random.Generator, parameters: CameraParameters, start_us: int, end_us: int) -> Columns:
    """Return shot noise (uniform over pixels and time) and the hot pixels' events in [start_us, end_us)."""
    pixels = parameters.width * parameters.height
    seconds = (end_us - start_us) * 1e-6
    shot = rng.integers(0, pixels, rng.poisson(parameters.shot_hz * pixels * seconds))
    hot = rng.integers(0, pixels, parameters.hot_pixels)
    rates = parameters.hot_hz * rng.standard_exponential(parameters.hot_pixels)
    pixel = np.concatenate([shot, np.repeat(hot, rng.poisson(rates * seconds))]).astype(np.int64)
    t = rng.integers(start_us, max(end_us, start_us + 1), len(pixel))
    return t.astype(np.int64), pixel, (rng.random(len(pixel)) < _ON_SHARE).astype(np.uint8)


def row_crosstalk(rng: np.random.Generator, parameters: CameraParameters, signal: Columns) -> Columns:
    """Return false events that a busy row causes: the same row, any column, within a millisecond of a true event."""
    t, pixel, _ = signal
    chosen = np.flatnonzero(rng.random(len(t)) < parameters.crosstalk)
    column = rng.integers(0, parameters.width, len(chosen))
    later = t[chosen] + rng.integers(0, _CROSSTALK_DELAY_US, len(chosen))
    row = pixel[chosen] // parameters.width
    return later, row * parameters.width + column, (rng.random(len(chosen)) < _ON_SHARE).astype(np.uint8)


def settle(streams: list[Columns], refractory_us: int) -> Columns:
    """Merge streams, drop what falls into a pixel's refractory time, and sort by (t, pixel, polarity)."""
    t, pixel, polarity = (np.concatenate(column) for column in zip(*streams, strict=True))
    if refractory_us > 0:
        order = np.lexsort((polarity, t, pixel))
        order = order[outside_refractory(t[order], pixel[order], refractory_us)]
        t, pixel, polarity = t[order], pixel[order], polarity[order]
    order = np.lexsort((polarity, pixel, t))
    return t[order], pixel[order], polarity[order]


def outside_refractory(
    t: npt.NDArray[np.int64], pixel: npt.NDArray[np.int64], refractory_us: int
) -> npt.NDArray[np.bool_]:
    """Return which events survive, of events sorted by (pixel, t): each at least refractory_us after the last survivor.

    Each round drops the events that follow too soon after one that certainly survives; a few rounds settle all.
    """
    alive = np.arange(len(t))
    while True:
        close = np.zeros(len(alive), dtype=bool)
        close[1:] = (np.diff(pixel[alive]) == 0) & (np.diff(t[alive]) < refractory_us)
        if not close.any():
            break
        certain = np.zeros(len(alive), dtype=bool)
        certain[1:] = close[1:] & ~close[:-1]
        alive = alive[~certain]
    kept = np.zeros(len(t), dtype=bool)
    kept[alive] = True
    return kept
