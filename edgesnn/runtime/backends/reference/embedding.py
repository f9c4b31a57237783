"""embedding: a row of the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from edgesnn.graph.operators.embedding import group_of
from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator, float32
from edgesnn.runtime.backends.reference.sums import grouped


class Embedding(ReferenceOperator):
    """See `edgesnn.graph.operators.embedding`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        row = float32(self._table[int(inputs[0])])
        return (row if "scale" not in self.view.tensors else row * self.constant("scale")[int(inputs[0])],)

    @cached_property
    def _table(self) -> Array:
        """The table [V, D], integers times the multipliers that they have."""
        tensors, table = self.view.tensors, self.constant("weight")
        if "multiplier" not in tensors:
            return table
        return grouped(table, self.constant("multiplier"), group_of(tensors["weight"], tensors["multiplier"]))
