"""multiply: elementwise product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator, float32


class Multiply(ReferenceOperator):
    """See `edgesnn.graph.operators.multiply`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        return (inputs[0] * float32(inputs[1]),)
