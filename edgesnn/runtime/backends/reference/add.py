"""add: a + b in the first one's type; the graph's rules bound integer sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator


class Add(ReferenceOperator):
    """See `edgesnn.graph.operators.add`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        a, b = inputs
        return (a + b.astype(a.dtype),)
