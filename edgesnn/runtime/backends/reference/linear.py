"""linear: the order of every sum, plainly (docs/arithmetic.md, sections 3 to 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator, float32

LANES = 16


class Linear(ReferenceOperator):
    """See `edgesnn.graph.operators.linear`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        weight, scale, bias = (self.constant(role) for role in ("weight", "scale", "bias"))
        if self.view.inputs[0].kind == "int":
            total = integer_sum if weight.dtype == np.int8 else ascending_sum
            return (total(weight, inputs[0]) * scale + bias,)
        if weight.dtype == np.int8:
            return (lane_sum(weight.astype(np.float32) * scale[:, None], inputs[0]) + bias,)
        return (lane_sum(weight, inputs[0]) * scale + bias,)


def integer_sum(weight: Array, x: Array) -> Array:
    """Return float32 of the exact integer sums: int8 [N, K], uint8 [.., K] -> float32 [.., N].

    Below 2^31 by the graph's rules, so float64 holds every partial sum exactly, in any order.
    """
    exact: Array = x.astype(np.float64) @ weight.T.astype(np.float64)
    return float32(exact.astype(np.int64))


def ascending_sum(weight: Array, x: Array) -> Array:
    """Return sums of weight * count in ascending input index: float32 [N, K], uint8 [.., K] -> float32 [.., N]."""
    total = np.zeros((*x.shape[:-1], len(weight)), dtype=np.float32)
    for k in range(x.shape[-1]):
        total = total + weight[:, k] * x[..., k : k + 1].astype(np.float32)
    return total


def lane_sum(weight: Array, x: Array) -> Array:
    """Return sums in sixteen lanes: float32 [N, K], float32 [.., K] -> float32 [.., N].

    Lane j takes the products j, j + 16, ... in order; then lanes j and j + 8, + 4, + 2, + 1 are added.
    """
    lanes = [np.zeros((*x.shape[:-1], len(weight)), dtype=np.float32) for _ in range(LANES)]
    for k in range(x.shape[-1]):
        lanes[k % LANES] = lanes[k % LANES] + weight[:, k] * x[..., k : k + 1]
    for half in (8, 4, 2, 1):
        lanes = [lanes[j] + lanes[j + half] for j in range(half)]
    return lanes[0]
