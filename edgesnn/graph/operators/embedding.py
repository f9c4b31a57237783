"""embedding: the row of a table that a token names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesnn.graph.operators.base import Operator
from edgesnn.graph.values import NodeView, ValueType


class Embedding(Operator):
    """token -> float32 [D]; weight [V, D] float32, or int8 with `scale` [V] (float32(w) * scale)."""

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        (token,) = view.inputs
        if token.kind != "token":
            raise view.error("input is not a token", found=token, expected="token")
        weight = view.tensors.get("weight")
        view.roles(("weight", "scale") if weight is not None and weight.number == "int8" else ("weight",))
        assert weight is not None
        vocab = token.bound + 1
        if weight.layout != "rows" or len(weight.shape) != 2 or weight.shape[0] != vocab:
            expected = f"float32 or int8 [{vocab}, D], layout rows"
            raise view.error("tensor has another shape or type", tensor="weight", found=weight, expected=expected)
        if weight.number == "int8":
            view.vector("scale", (vocab,))
        return (ValueType("float32", weight.shape[1:]),)

    def layout(self, role: str, number: str, rank: int, attributes: Mapping[str, Any]) -> str:
        """See `Operator.layout`: a table is read row by row."""
        return "rows" if role == "weight" else super().layout(role, number, rank, attributes)

    def weight_bytes(self, view: NodeView, steps: int, synops: int) -> int:
        """See `Operator.weight_bytes`: one row a step."""
        weight = view.tensors["weight"]
        return steps * weight.shape[1] * weight.bits // 8
