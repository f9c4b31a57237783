"""accumulate: running sum, mean or leaky sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator, float32


class Accumulate(ReferenceOperator):
    """See `edgesnn.graph.operators.accumulate`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        total, x = states["sum"], float32(inputs[0])
        alpha = self.parameter("alpha")
        total[...] = (total if alpha is None else total * alpha) + x
        if self.view.attribute("mode") != "mean":
            return (total.copy(),)
        states["steps"] += 1
        return (total / float32(states["steps"]),)
