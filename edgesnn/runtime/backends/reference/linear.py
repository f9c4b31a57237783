"""linear: the order of every sum, plainly (docs/arithmetic.md, sections 3 to 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesnn.runtime.backends.reference.base import Array, float32
from edgesnn.runtime.backends.reference.matrix import Matrix
from edgesnn.runtime.backends.reference.sums import ascending_sum, integer_sum, lane_product, quantised


class Linear(Matrix):
    """See `edgesnn.graph.operators.linear`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        (x,) = inputs
        if self.view.attribute("activations") == "float32":
            return (self.scaled(lane_product(self.floats, x)),)
        if self.view.attribute("activations") == "int8":
            q, step_size = quantised(x)
            y = float32(integer_sum(self.integers, q)) * self.constant("scale")
            return (y * step_size + self.constant("bias"),)
        if self.constant("weight").dtype == np.float32:
            return (self.scaled(ascending_sum(self.floats, x)),)
        return (self.scaled(integer_sum(self.integers, x)),)
