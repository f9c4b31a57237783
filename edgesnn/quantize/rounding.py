"""A matrix to integers and their steps: round to nearest, the range as wide as the weights or clipped.

A clipped range has a smaller step: small weights are rounded less, the largest ones are cut off. Which share of the
whole range is best depends on the inputs, whose `Moments` say what a weight's error does to the sums. A share other
than the whole is taken only where it makes that error smaller, so with moments it is never larger than without (where
they are whole; see `edgesnn.quantize.moments`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgesnn.quantize.moments import Floats, Moments

SHARES = tuple(1 - i / 40 for i in range(17))
"""Shares of the whole range that are tried: 1, 0.975, .. 0.6."""

_WORTH = 0.999  # of the error that a share must reach; the rounding of the scale to float32 changes less
_ROUNDS = 2  # over the groups of a row: what is best for one depends on the others

Int8 = npt.NDArray[np.int8]


def quantize_rows(
    matrix: npt.NDArray[np.float32], number: str = "int8", moments: Moments | None = None
) -> tuple[Int8, Floats]:
    """Return (integers [N, K], float64 [N] quantisation steps) of a float32 matrix [N, K].

    int8 lies in [-127, 127]; int4 in [-8, 7]: without moments its step is the smallest that reaches both ends.

    >>> q, step = quantize_rows(np.array([[1.0, -0.5], [0.0, 0.0]], dtype=np.float32))
    >>> q.tolist(), step.round(6).tolist()
    ([[127, -64], [0, 0]], [0.007874, 1.0])
    """
    low, high = (-127, 127) if number == "int8" else (-8, 7)
    wide = matrix.astype(np.float64)
    step = _step(wide, low, high, axis=1)
    if moments is not None:
        step = _clipped(wide, step, low, high, moments)
    return np.clip(np.rint(wide / step[:, None]), low, high).astype(np.int8), step


def quantize_groups(
    matrix: npt.NDArray[np.float32], group: int, moments: Moments | None = None
) -> tuple[Int8, npt.NDArray[np.uint8], Floats]:
    """Return (int4 [N, K] in [-8, 7], uint8 [N, G] multipliers, float64 [N] steps) of a float32 matrix [N, K].

    The step of a row is a 255th of its largest group's; m = rint(step of the group / step of the row), at least 1.
    """
    wide = matrix.astype(np.float64)
    columns = [slice(k, min(k + group, wide.shape[1])) for k in range(0, wide.shape[1], group)]
    parts = [wide[:, c] for c in columns]
    steps = np.stack([np.where(part.any(axis=1), _step(part, -8, 7, axis=1), 0.0) for part in parts], axis=1)
    largest = steps.max(axis=1)
    step = np.where(largest > 0, largest / 255, 1.0)
    multiplier = _multiplier(steps, step[:, None])
    if moments is not None:
        _clip_groups(wide, columns, steps, step, multiplier, moments)
    integers = [_int4(part, m * step) for part, m in zip(parts, multiplier.T, strict=True)]
    return np.concatenate(integers, axis=1).astype(np.int8), multiplier.astype(np.uint8), step


def _clipped(wide: Floats, step: Floats, low: int, high: int, moments: Moments) -> Floats:
    """Return the step of each row that gives the smallest error of the sums."""
    chosen: Floats = step.copy()
    smallest = np.full(len(step), np.inf)
    for share in SHARES:
        tried = step * share
        error = moments.error(np.clip(np.rint(wide / tried[:, None]), low, high) * tried[:, None] - wide)
        better = error < smallest
        chosen[better], smallest[better] = tried[better], error[better]
        if share == 1:
            smallest *= _WORTH
    return chosen


def _clip_groups(
    wide: Floats, columns: list[slice], steps: Floats, step: Floats, multiplier: Floats, moments: Moments
) -> None:
    """Change the multipliers [N, G], group after group, to those that give the smallest error of the sums."""
    error = np.empty_like(wide)
    for g, c in enumerate(columns):
        error[:, c] = _group_error(wide[:, c], multiplier[:, g] * step)
    pull = moments.times(error)
    for _ in range(_ROUNDS):
        for g, c in enumerate(columns):
            part = moments.part(c)
            change = _best_change(wide[:, c], error[:, c], pull[:, c], part[:, c], steps[:, g], step, multiplier[:, g])
            error[:, c] += change
            pull += change @ part


def _best_change(
    weights: Floats, error: Floats, pull: Floats, part: Floats, steps: Floats, step: Floats, multiplier: Floats
) -> Floats:
    """Return what the best multiplier of one group changes in its weights [N, n], and write it to `multiplier` [N].

    With a change c the error (d + c) M (d + c) grows by 2 c (M d) + c M c.
    """
    best, smallest = np.zeros_like(weights), np.zeros(len(weights))
    for share in SHARES:
        tried = _multiplier(steps * share, step)
        change = _group_error(weights, tried * step) - error
        growth = 2 * (change * pull).sum(axis=1) + ((change @ part) * change).sum(axis=1)
        better = growth < smallest
        best[better], smallest[better], multiplier[better] = change[better], growth[better], tried[better]
    return best


def _group_error(weights: Floats, size: Floats) -> Floats:
    return _int4(weights, size) * size[:, None] - weights


def _int4(weights: Floats, size: Floats) -> Floats:
    return np.clip(np.rint(weights / size[:, None]), -8, 7)


def _multiplier(steps: Floats, step: Floats) -> Floats:
    return np.clip(np.rint(steps / step), 1, 255)


def _step(wide: Floats, low: int, high: int, axis: int) -> Floats:
    """Return the smallest step with which all values lie between low and high; 1 where all are zero."""
    step = np.maximum(wide.max(axis=axis) / high, wide.min(axis=axis) / low)
    return np.where(step > 0, step, 1.0)
