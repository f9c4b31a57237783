"""Smooth random motion in time: what makes two performances of one gesture different."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_GRID = 4096.0
TWO_PI = 2.0 * math.pi


def snap(values: Floats) -> Floats:
    """Round to 1/4096, so that the last bit of a machine's sine cannot change a recording's bytes."""
    result: Floats = np.rint(values * _GRID) / _GRID
    return result


class Wobble:
    """A smooth random function of time: three sines of random rate and phase, at most `size` from zero."""

    def __init__(self, rng: np.random.Generator, size: float, rate_hz: float) -> None:
        self._rates = rate_hz * rng.uniform(0.4, 1.6, 3)
        self._phases = rng.uniform(0.0, TWO_PI, 3)
        shares = rng.uniform(0.2, 1.0, 3)
        self._sizes = size * shares / (shares[0] + shares[1] + shares[2])

    def __call__(self, t: Floats) -> Floats:
        """Return the values at times in seconds: [n]."""
        total = np.zeros_like(t)
        for rate, phase, size in zip(self._rates, self._phases, self._sizes, strict=True):
            total = total + size * np.sin(TWO_PI * rate * t + phase)
        return total


@dataclass(frozen=True)
class Beat:
    """A rhythm: the phase of a repeated movement, in radians, with a tempo that drifts a little."""

    rate_hz: float
    start: float
    drift: Wobble

    @staticmethod
    def draw(rng: np.random.Generator, slowest_hz: float, fastest_hz: float) -> Beat:
        """Draw a rhythm of between two rates."""
        return Beat(rng.uniform(slowest_hz, fastest_hz), rng.uniform(0.0, TWO_PI), Wobble(rng, 0.35, 0.7))

    def __call__(self, t: Floats) -> Floats:
        """Return the phase at times in seconds: [n]."""
        return TWO_PI * self.rate_hz * t + self.start + self.drift(t)


def strike(phase: Floats, sharpness: float) -> Floats:
    """Return a beat in [-1, 1] that falls faster than it rises: sine at sharpness 0, a drum stroke near 0.5."""
    result: Floats = np.sin(phase + sharpness * np.sin(phase))
    return result
