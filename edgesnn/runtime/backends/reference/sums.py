"""The orders of sums, plainly, and the forms of a weight (docs/arithmetic.md, sections 3 to 5)."""

from __future__ import annotations

import numpy as np

from edgesnn.runtime.backends.reference.base import Array, float32, larger, smaller

LANES = 16


def integer_sum(weight: Array, x: Array) -> Array:
    """Return the exact integer sums: integers [N, K], integers [.., K] -> int64 [.., N].

    Below 2^31 by the graph's rules, so float64 holds every partial sum exactly, in any order.
    """
    exact: Array = x.astype(np.float64) @ weight.T.astype(np.float64)
    return exact.astype(np.int64)


def ascending_sum(weight: Array, x: Array) -> Array:
    """Return sums of weight * count in ascending input index: float32 [N, K], integers [.., K] -> float32 [.., N]."""
    total = np.zeros((*x.shape[:-1], len(weight)), dtype=np.float32)
    for k in range(x.shape[-1]):
        total = total + weight[:, k] * float32(x[..., k : k + 1])
    return total


def lane_product(weight: Array, x: Array) -> Array:
    """Return sums in sixteen lanes: float32 [N, K], float32 [.., K] -> float32 [.., N].

    Lane j takes the products j, j + 16, ... in order; then lanes j and j + 8, + 4, + 2, + 1 are added.
    """
    lanes = [np.zeros((*x.shape[:-1], len(weight)), dtype=np.float32) for _ in range(LANES)]
    for k in range(x.shape[-1]):
        lanes[k % LANES] = lanes[k % LANES] + weight[:, k] * x[..., k : k + 1]
    for half in (8, 4, 2, 1):
        lanes = [lanes[j] + lanes[j + half] for j in range(half)]
    return lanes[0]


def quantised(x: Array) -> tuple[Array, Array]:
    """Return (int64 values in [-127, 127], float32 [.., 1] scales) of float32 vectors [.., K].

    a = max|x|; below 1e-30: zeros; else rint(x * (127 / a)) and a / 127. a is at most the largest finite
    number; what is not a number is no maximum and gives -127.
    """
    a = np.where(np.isnan(x), np.float32(0), np.abs(x)).max(axis=-1, keepdims=True)
    a = smaller(a, np.finfo(np.float32).max)
    silent, largest = a < np.float32(1e-30), np.float32(127)
    with np.errstate(all="ignore"):
        whole = np.rint(smaller(larger(x * (largest / a), -largest), largest))
    return np.where(silent, np.float32(0), whole).astype(np.int64), np.where(silent, np.float32(0), a / largest)


def grouped(weight: Array, multiplier: Array, group: int) -> Array:
    """Return m * w: int4 weights [N, K] times their group's multiplier [N, G], int64."""
    spread = np.repeat(multiplier.astype(np.int64), group, axis=1)[:, : weight.shape[1]]
    return np.asarray(spread * weight)
