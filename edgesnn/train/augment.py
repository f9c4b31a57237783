"""Random changes of a training window's events, back on the pixel grid, so that the encoding is that of the runtime."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.train.config import AugmentConfig

Events = npt.NDArray[Any]


def augment(events: Events, config: AugmentConfig, sensor: tuple[int, int], rng: np.random.Generator) -> Events:
    """Return changed events: an affine map of x and y about the events' centre, some events left out.

    Events that leave the sensor are dropped; where too few would be left (under 16 or a quarter), the window is
    returned as it was.
    """
    kept = events
    if config.drop > 0:
        kept = events[rng.random(len(events)) >= rng.uniform(0, config.drop)]
    x, y = kept["x"].astype(np.float64), kept["y"].astype(np.float64)
    matrix = _matrix(config, rng)
    shift = rng.uniform(-config.shift, config.shift, 2) * sensor
    if len(kept) < 16:
        return events
    cx, cy = x.mean(), y.mean()
    new_x = np.rint(matrix[0, 0] * (x - cx) + matrix[0, 1] * (y - cy) + cx + shift[0])
    new_y = np.rint(matrix[1, 0] * (x - cx) + matrix[1, 1] * (y - cy) + cy + shift[1])
    inside: npt.NDArray[np.bool_] = (new_x >= 0) & (new_x < sensor[0]) & (new_y >= 0) & (new_y < sensor[1])
    if inside.sum() < max(16, len(events) // 4):
        return events
    changed: Events = kept[inside].copy()
    changed["x"], changed["y"] = new_x[inside], new_y[inside]
    return changed


def _matrix(config: AugmentConfig, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    angle = rng.normal(0, config.rotate)
    factors = np.exp(rng.normal(0, config.scale, 2))
    if rng.random() < config.mirror:
        factors[0] = -factors[0]
    shear = rng.normal(0, config.shear)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix: npt.NDArray[np.float64] = turn @ np.array([[1.0, shear], [0.0, 1.0]]) @ np.diag(factors)
    return matrix
