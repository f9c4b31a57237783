"""token_shift: x * mix + previous * keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator


class TokenShift(ReferenceOperator):
    """See `edgesnn.graph.operators.token_shift`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        x, previous = inputs
        return (x * self.constant("mix") + previous * self.constant("keep"),)
