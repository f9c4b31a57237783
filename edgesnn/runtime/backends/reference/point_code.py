"""point_code: random bits or values of a window (`edgesnn.encode.coding`, which training uses too)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesnn.encode.coding import PointCoding, direct_values, rate_bits
from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator


class PointCode(ReferenceOperator):
    """See `edgesnn.graph.operators.point_code`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        coding = PointCoding(**self.view.node.attributes)
        if coding.coding == "rate":
            return rate_bits(inputs[0], coding, step, self.document.input["seed"])
        return direct_values(inputs[0], coding)
