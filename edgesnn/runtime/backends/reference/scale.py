"""scale: x * scale + bias."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator, float32


class Scale(ReferenceOperator):
    """See `edgesnn.graph.operators.scale`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        return (float32(inputs[0]) * self.parameter("scale") + self.parameter("bias"),)
