"""reshape: C order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator


class Reshape(ReferenceOperator):
    """See `edgesnn.graph.operators.reshape`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        return (inputs[0].reshape(self.view.attribute("shape")),)
