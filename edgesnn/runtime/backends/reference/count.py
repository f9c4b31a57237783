"""count: spikes since the reset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator, float32


class Count(ReferenceOperator):
    """See `edgesnn.graph.operators.count`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        states["total"] += inputs[0]
        return (float32(states["total"]),)
