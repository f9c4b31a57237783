"""Float32 arithmetic that gives the same bits on every backend (docs/arithmetic.md, sections 5 and 6).

The native twin is `native/base/exp32.hpp`. Every operation is an elementwise float32 ufunc: no np.exp, no np.sum.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

_F = np.float32
_COEFFICIENTS = tuple(
    _F(c)
    for c in (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
)


def exp32(x: npt.ArrayLike) -> FloatArray:
    """Return e^x in float32, within 1 ulp: 0 below -87.33654, infinity above 88.72283.

    >>> float(exp32(0.0)), float(exp32(1.0)), float(exp32(-100.0))
    (1.0, 2.7182817459106445, 0.0)
    """
    values = np.asarray(x, dtype=np.float32)
    inside = np.clip(values, _F(-87.33654), _F(88.72283))
    n = np.rint(inside * _F(1.44269504))
    r = (inside - n * _F(0.693359375)) - n * _F(-2.12194440e-4)
    p = np.full_like(r, _COEFFICIENTS[0])
    for coefficient in _COEFFICIENTS[1:]:
        p = p * r + coefficient
    y = (p * (r * r) + r) + _F(1)
    k = np.nan_to_num(n).astype(np.int32)
    with np.errstate(over="ignore"):
        y = (y * power_of_two(k >> 1)) * power_of_two(k - (k >> 1))
    y = np.where(values < _F(-87.33654), _F(0), y)
    return np.asarray(np.where(values > _F(88.72283), _F(np.inf), y), dtype=np.float32)


def power_of_two(n: npt.NDArray[np.int32]) -> FloatArray:
    """Return 2^n exactly, for n in [-126, 127]."""
    bits: npt.NDArray[np.int32] = (n.astype(np.int32) + np.int32(127)) << np.int32(23)
    return bits.view(np.float32)


def lane_sum(values: FloatArray) -> FloatArray:
    """Return the sum over the last axis in sixteen lanes: lane j takes j, j+16, ... in order, then the lanes fold.

    >>> float(lane_sum(np.ones(40, np.float32)))
    40.0
    """
    values = np.asarray(values, dtype=np.float32)
    count = values.shape[-1]
    padded = np.zeros((*values.shape[:-1], (count + 15) // 16 * 16), dtype=np.float32)
    padded[..., :count] = values
    lanes = np.zeros((*values.shape[:-1], 16), dtype=np.float32)
    for start in range(0, padded.shape[-1], 16):
        lanes = lanes + padded[..., start : start + 16]
    for width in (8, 4, 2, 1):
        lanes = lanes[..., :width] + lanes[..., width:]
    return np.asarray(lanes[..., 0], dtype=np.float32)


def softmax32(values: FloatArray) -> FloatArray:
    """Return the softmax over the last axis: the largest is subtracted, exp32, divided by the lane sum."""
    values = np.asarray(values, dtype=np.float32)
    e = exp32(values - values.max(axis=-1, keepdims=True))
    return e / lane_sum(e)[..., None]


def sigmoid32(x: npt.ArrayLike) -> FloatArray:
    """Return 1 / (1 + exp32(-x))."""
    return np.asarray(_F(1) / (_F(1) + exp32(-np.asarray(x, dtype=np.float32))), dtype=np.float32)
