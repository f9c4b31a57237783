"""Probabilities of the next token, in arithmetic that gives the same bits everywhere (docs/arithmetic.md, section 11).

Every float64 operation is elementwise and rounded once; sums are of integers. No np.exp, np.log2, np.sum of floats.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError

Floats = npt.NDArray[np.float64]
ONE = 40
"""A weight of 2^ONE is that of the most probable token."""

_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_EXP = tuple(1.0 / math.factorial(k) for k in range(13, -1, -1))
_ATANH = tuple(1.0 / k for k in range(25, 0, -2))
_LOWEST = -700.0


def check_logits(logits: npt.NDArray[Any]) -> None:
    """Raise a ModelError where a logit is no number."""
    if not np.isfinite(logits).all():
        raise ModelError("the model gives values that are not numbers", where="logits", found="NaN or infinity")


def weights(logits: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return integers in proportion to the probabilities: rint(exp(x - largest x) * 2^40).

    Args:
        logits: finite numbers [..., V], V < 2^22.

    >>> weights(np.array([0.0, -1.0])).tolist()
    [1099511627776, 404487723505]
    """
    x = np.asarray(logits, dtype=np.float64)
    return np.rint(_exp(x - x.max(axis=-1, keepdims=True)) * float(1 << ONE)).astype(np.int64)


def surprise_bits(logits: npt.NDArray[Any], tokens: npt.NDArray[np.int64]) -> Floats:
    """Return -log2 of the probability of each token.

    Args:
        logits: finite numbers [T, V].
        tokens: int64 [T].

    >>> surprise_bits(np.zeros((1, 8)), np.array([3])).tolist()
    [3.0]
    """
    x = np.asarray(logits, dtype=np.float64)
    below = x.max(axis=-1) - np.take_along_axis(x, tokens[:, None], axis=-1)[:, 0]
    total = weights(x).sum(axis=-1).astype(np.float64)
    return np.asarray((_log2(total) - ONE) + below * _LOG2_E, dtype=np.float64)


def _exp(x: Floats) -> Floats:
    """Return e^x for x <= 0."""
    inside = np.maximum(x, _LOWEST)
    n = np.rint(inside * _LOG2_E)
    r = (inside - n * _LN2_HIGH) - n * _LN2_LOW
    p = np.full_like(r, _EXP[0])
    for coefficient in _EXP[1:]:
        p = p * r + coefficient
    return np.where(x < _LOWEST, 0.0, np.ldexp(p, n.astype(np.int32)))


def _log2(x: Floats) -> Floats:
    """Return log2 of x >= 1."""
    m, n = np.frexp(x)
    small = m < 0.7071067811865476
    m, n = np.where(small, m * 2, m), np.where(small, n - 1, n)
    s = (m - 1) / (m + 1)
    p = np.full_like(s, _ATANH[0])
    for coefficient in _ATANH[1:]:
        p = p * (s * s) + coefficient
    return np.asarray(n + (2 * s * p) * _LOG2_E, dtype=np.float64)
