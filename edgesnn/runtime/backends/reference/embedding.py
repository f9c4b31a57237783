"""embedding: a row of the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator, float32


class Embedding(ReferenceOperator):
    """See `edgesnn.graph.operators.embedding`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        row = float32(self.constant("weight")[int(inputs[0])])
        return (row if "scale" not in self.view.tensors else row * self.constant("scale")[int(inputs[0])],)
