"""mean: over the axis before the channels; float32 in sixteen lanes, integers exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesnn.runtime.arithmetic import lane_sum
from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator, float32


class Mean(ReferenceOperator):
    """See `edgesnn.graph.operators.mean`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        x = inputs[0]
        size = np.float32(x.shape[-2])
        if x.dtype == np.uint8:
            return (float32(x.sum(axis=-2, dtype=np.int64)) / size,)
        return (lane_sum(np.moveaxis(x, -2, -1)) / size,)
