"""max: largest value over the axis before the channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator


class Max(ReferenceOperator):
    """See `edgesnn.graph.operators.max`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        return (inputs[0].max(axis=-2),)
