"""embedding: the row of a table that a token names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesnn.graph.layout import GROUPS
from edgesnn.graph.operators.base import Operator
from edgesnn.graph.operators.matrix import check_groups
from edgesnn.graph.values import NodeView, Tensor, ValueType

_SCALES = {"int8": ("scale",), "int4": ("scale", "multiplier")}


class Embedding(Operator):
    """token -> float32 [D]; weight [V, D] float32, or integers with `scale` [V]; int4 with `multiplier` [V, G] too.

    A row is float32(w) * scale; of int4 float32(m * w) * scale, m that of the column's group.
    """

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        (token,) = view.inputs
        if token.kind != "token":
            raise view.error("input is not a token", found=token, expected="token")
        weight = view.tensors.get("weight")
        view.roles(("weight", *_SCALES.get("" if weight is None else weight.number, ())))
        assert weight is not None
        vocab = token.bound + 1
        if weight.layout not in ("rows", "om16x8") or len(weight.shape) != 2 or weight.shape[0] != vocab:
            expected = f"float32, int8 (layout rows) or int4 (om16x8) [{vocab}, D]"
            raise view.error("tensor has another shape or type", tensor="weight", found=weight, expected=expected)
        if weight.number in _SCALES:
            view.vector("scale", (vocab,))
        if weight.number == "int4":
            check_groups(view, group_of(weight, view.tensors["multiplier"]))
        return (ValueType("float32", weight.shape[1:]),)

    def layout(self, role: str, number: str, rank: int, attributes: Mapping[str, Any]) -> str:
        """See `Operator.layout`: a table is read row by row, but int4 lies as in a matrix."""
        if role != "weight":
            return super().layout(role, number, rank, attributes)
        return "om16x8" if number == "int4" else "rows"

    def weight_bytes(self, view: NodeView, steps: int, synops: int) -> int:
        """See `Operator.weight_bytes`: one row a step."""
        weight = view.tensors["weight"]
        return steps * weight.shape[1] * weight.bits // 8


def group_of(weight: Tensor, multiplier: Tensor) -> int:
    """Return how many columns of an int4 table share a multiplier; 32 where the two do not go together."""
    groups = multiplier.shape[-1]
    return next((group for group in GROUPS if groups * group == weight.data.shape[1] * 8), GROUPS[0])
