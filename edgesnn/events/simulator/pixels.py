"""The event camera: log-intensity pixels that fire when their brightness has changed by a contrast threshold.

A pixel remembers the log intensity of its last event. When the (low-pass filtered) log intensity is `threshold_on`
above it an ON event is due, `threshold_off` below it an OFF event, and the memory moves by that threshold. Between two
frames the log intensity is taken as linear, so that each crossing has its own time stamp inside the frame interval.
The memory leaks downwards (leak events are ON); shot noise, hot pixels, row cross-talk and the refractory time are
applied to the whole stream in `noise.py`.

All array work here is + - * / compare, floor and one table look-up, so that a seed gives the same bytes on any machine
and any numpy.

Source: Lichtsteiner, Posch, Delbruck, "A 128x128 120 dB 15 us latency asynchronous temporal contrast vision sensor",
IEEE JSSC 2008; Hu, Liu, Delbruck, "v2e", CVPR workshops 2021, for what a model of its noise needs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from edgesnn.events.simulator.noise import noise_events, row_crosstalk, settle
from edgesnn.events.types import EVENT

Floats = npt.NDArray[np.float64]

_LEVELS = 65536
_SMALLEST_THRESHOLD = 0.02


@dataclass(frozen=True)
class CameraParameters:
    """An event camera.

    Attributes:
        width, height: sensor size in pixels.
        threshold_on, threshold_off: mean contrast thresholds, in natural log intensity.
        threshold_spread: relative standard deviation of the thresholds from pixel to pixel.
        refractory_us: after an event a pixel is silent for this long.
        cutoff_hz: bandwidth of the photoreceptor (a first-order low-pass); 0 means none.
        leak_hz: leak (ON) events per pixel and second in a still scene.
        shot_hz: shot-noise events per pixel and second.
        hot_pixels: number of hot pixels.
        hot_hz: mean rate of a hot pixel.
        crosstalk: probability that an event is accompanied by a false one elsewhere in its row.
    """

    width: int = 128
    height: int = 128
    threshold_on: float = 0.2
    threshold_off: float = 0.2
    threshold_spread: float = 0.0
    refractory_us: int = 0
    cutoff_hz: float = 0.0
    leak_hz: float = 0.0
    shot_hz: float = 0.0
    hot_pixels: int = 0
    hot_hz: float = 0.0
    crosstalk: float = 0.0


class EventCamera:
    """Turns frames into events. One camera, one recording; not for use by two threads at once.

    >>> camera = EventCamera(CameraParameters(width=1, height=1, threshold_on=0.25), seed=1)
    >>> for k in range(3):
    ...     camera.frame(np.full((1, 1), 0.2 * math.exp(0.7 * k)), t_us=1000 * k)
    >>> camera.events()["t"].tolist()
    [357, 714, 1071, 1428, 1785]
    """

    def __init__(self, parameters: CameraParameters, seed: int | np.random.SeedSequence) -> None:
        self.parameters = parameters
        sequence = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
        fixed, self._noise_seed = sequence.spawn(2)
        rng = np.random.default_rng(fixed)
        pixels = parameters.width * parameters.height
        self._on = self._thresholds(rng, parameters.threshold_on, pixels)
        self._off = self._thresholds(rng, parameters.threshold_off, pixels)
        self._leak_per_us = self._on * (parameters.leak_hz * 1e-6)
        self._level: Floats | None = None
        self._reference: Floats = np.zeros(pixels)
        self._start_us = self._t_us = 0
        self._times: list[Floats] = []
        self._pixels: list[npt.NDArray[np.int64]] = []
        self._polarities: list[npt.NDArray[np.uint8]] = []

    def _thresholds(self, rng: np.random.Generator, mean: float, pixels: int) -> Floats:
        spread = rng.standard_normal(pixels) * (mean * self.parameters.threshold_spread)
        return np.maximum(mean + spread, min(mean, _SMALLEST_THRESHOLD))

    def frame(self, intensity: npt.NDArray[np.floating], t_us: int) -> None:
        """See one frame: intensities [height, width] in (0, 1] at time `t_us`, later than the frame before it."""
        codes = np.rint(np.clip(intensity, 0.0, 1.0) * (_LEVELS - 1)).astype(np.int64).reshape(-1)
        level = _log_table()[codes]
        if self._level is None:
            self._level, self._reference = level, level.copy()
            self._start_us = self._t_us = t_us
            return
        level = self._low_pass(level, t_us - self._t_us)
        before = self._level - self._reference
        self._reference -= self._leak_per_us * (t_us - self._t_us)
        after = level - self._reference
        self._fire(before, after, self._on, 1, t_us)
        self._fire(-before, -after, self._off, 0, t_us)
        self._level, self._t_us = level, t_us

    def _low_pass(self, level: Floats, step_us: int) -> Floats:
        assert self._level is not None
        if self.parameters.cutoff_hz <= 0:
            return level
        share = round(1.0 - math.exp(-2.0 * math.pi * self.parameters.cutoff_hz * step_us * 1e-6), 9)
        return self._level + share * (level - self._level)

    def _fire(self, before: Floats, after: Floats, threshold: Floats, polarity: int, t_us: int) -> None:
        """Emit the crossings of one sign; `before` and `after` are the distances from the memory, in that sign."""
        fired = np.flatnonzero(after >= threshold)
        if not len(fired):
            return
        step = threshold[fired]
        counts = (after[fired] / step).astype(np.int64)
        moved = counts * step
        self._reference[fired] += moved if polarity else -moved
        rows = np.repeat(np.arange(len(fired)), counts)
        number = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts) + 1
        start, span = before[fired][rows], (after[fired] - before[fired])[rows]
        share = np.clip((number * step[rows] - start) / span, 0.0, 1.0)
        self._times.append(self._t_us + share * (t_us - self._t_us))
        self._pixels.append(fired[rows])
        self._polarities.append(np.full(len(rows), polarity, dtype=np.uint8))

    def events(self) -> npt.NDArray[np.void]:
        """Return the recording so far, noise included: dtype EVENT, sorted by (t, y, x, p). The same at every call."""
        rng = np.random.default_rng(self._noise_seed)
        p = self.parameters
        empty = np.zeros(0)
        signal = (
            np.floor(np.concatenate([empty, *self._times])).astype(np.int64),
            np.concatenate([empty.astype(np.int64), *self._pixels]),
            np.concatenate([empty.astype(np.uint8), *self._polarities]),
        )
        false = noise_events(rng, p, self._start_us, self._t_us)
        ghost = row_crosstalk(rng, p, signal)
        t, pixel, polarity = settle([signal, ghost, false], p.refractory_us)
        out = np.empty(len(t), dtype=EVENT)
        out["t"], out["p"] = t, polarity
        out["y"], out["x"] = np.divmod(pixel, p.width)
        return out


@cache
def _log_table() -> Floats:
    """Return the natural log of the 16-bit intensities, rounded to 2**-20 so that no library's last bit matters."""
    smallest = 1.0 / _LEVELS
    return np.array([round(math.log(max(k / (_LEVELS - 1), smallest)) * 1048576.0) for k in range(_LEVELS)]) / 1048576.0
