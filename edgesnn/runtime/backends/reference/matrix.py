"""What `linear`, `conv1d` and `conv2d` have in common: the forms of the weight, and what follows the sum."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator, float32
from edgesnn.runtime.backends.reference.sums import grouped


class Matrix(ReferenceOperator):
    """See `edgesnn.graph.operators.matrix`."""

    @cached_property
    def integers(self) -> Array:
        """Integer weights [N, K], each times its group's multiplier if it has one."""
        weight = self.constant("weight")
        matrix = weight.reshape(len(weight), -1)
        if "multiplier" not in self.view.tensors:
            return matrix.astype(np.int64)
        return grouped(matrix, self.constant("multiplier"), self.view.attribute("group"))

    @cached_property
    def floats(self) -> Array:
        """Float weights [N, K]: as they are, or for integer ones float32(w) * scale."""
        weight = self.constant("weight")
        if weight.dtype == np.float32:
            return weight.reshape(len(weight), -1)
        return np.asarray(float32(self.integers) * self.constant("scale")[:, None])

    @property
    def folded(self) -> bool:
        """Whether the scale is in `floats` already: integer weights, float32 activations."""
        return self.view.attribute("activations") == "float32" and self.constant("weight").dtype != np.float32

    def scaled(self, total: Array, places: int = 0) -> Array:
        """Return total * scale + bias, total + bias where the scale is in the weight, or the integer sum itself.

        Args:
            total: sums, outputs on the axis before the last `places`.
            places: number of axes after the outputs'.
        """
        if self.view.attribute("output") == "int32":
            return total.astype(np.int32)
        scale, bias = (self.constant(role).reshape((-1,) + (1,) * places) for role in ("scale", "bias"))
        return np.asarray((total if self.folded else float32(total) * scale) + bias)
