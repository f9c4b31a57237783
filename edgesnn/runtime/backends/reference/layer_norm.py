"""layer_norm: mean and variance in sixteen lanes (docs/arithmetic.md, section 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesnn.runtime.arithmetic import lane_sum
from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator


class LayerNorm(ReferenceOperator):
    """See `edgesnn.graph.operators.layer_norm`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        x, size = inputs[0], np.float32(inputs[0].shape[-1])
        apart = x - (lane_sum(x) / size)[..., None]
        variance = (lane_sum(apart * apart) / size)[..., None]
        normal = apart / np.sqrt(variance + np.float32(self.view.attribute("eps")))
        return (normal * self.constant("weight") + self.constant("bias"),)
