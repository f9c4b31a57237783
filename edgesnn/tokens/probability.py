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
_EXP = tuple(1.0 / math.factorial(k) for k in range(11, -1, -1))
_ATANH = tuple(1.0 / k for k in range(25, 0, -2))
_LOWEST = -40.0  # its weight is 0
_ROWS = 1 << 16  # values that are worked on at once


def check_logits(logits: npt.NDArray[Any]) -> None:
    """Raise a ModelError where a logit is no number."""
    if not np.isfinite(logits).all():
        raise ModelError("the model gives values that are not numbers", where="logits", found="NaN or infinity")


def weights(logits: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return integers in proportion to the probabilities: rint(exp(x - largest x) * 2^40).

    Args:
        logits: finite numbers [..., V], V < 2^22.

    >>> weights(np.array([0.0, -1.0])).tolist()
    [1099511627776, 404487723188]
    """
    x = np.asarray(logits, dtype=np.float64)
    y = _exp(x - x.max(axis=-1, keepdims=True))
    y *= float(1 << ONE)
    return np.rint(y, out=y).astype(np.int64)


def surprise_bits(logits: npt.NDArray[Any], tokens: npt.NDArray[np.int64]) -> Floats:
    """Return -log2 of the probability of each token.

    Args:
        logits: finite numbers [T, V].
        tokens: int64 [T].

    >>> surprise_bits(np.zeros((1, 8)), np.array([3])).tolist()
    [3.0]
    """
    rows = max(1, _ROWS // logits.shape[1])
    parts = [_bits(logits[i : i + rows], tokens[i : i + rows]) for i in range(0, len(tokens), rows)]
    return np.concatenate(parts) if parts else np.zeros(0)


def _bits(logits: npt.NDArray[Any], tokens: npt.NDArray[np.int64]) -> Floats:
    x = np.asarray(logits, dtype=np.float64)
    below = x.max(axis=-1) - np.take_along_axis(x, tokens[:, None], axis=-1)[:, 0]
    total = weights(x).sum(axis=-1).astype(np.float64)
    return np.asarray((_log2(total) - ONE) + below * _LOG2_E, dtype=np.float64)


def _exp(x: Floats) -> Floats:
    """Return e^x for x <= 0, and e^-40 below -40; x is used up."""
    np.maximum(x, _LOWEST, out=x)
    n = np.rint(x * _LOG2_E)
    x -= n * _LN2_HIGH
    x -= n * _LN2_LOW
    p = x * _EXP[0]
    for coefficient in _EXP[1:-1]:
        p += coefficient
        p *= x
    p += _EXP[-1]
    return np.ldexp(p, n.astype(np.int32), out=p)


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
