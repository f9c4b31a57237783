"""softmax: over the last axis (docs/arithmetic.md, section 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesnn.runtime.arithmetic import softmax32
from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator


class Softmax(ReferenceOperator):
    """See `edgesnn.graph.operators.softmax`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        return (softmax32(inputs[0]),)
