"""scale: x * scale + bias, by channel or by element (batch norms that no matrix can take in)."""

from __future__ import annotations

from typing import ClassVar

from edgesnn.graph.operators.base import Operator
from edgesnn.graph.values import NodeView, ValueType


class Scale(Operator):
    """float32 or int -> float32; tensors `scale`, `bias`: parameter vectors."""

    attributes: ClassVar = {"axis": (-1, (-1, -2, -3))}

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        (x,) = view.inputs
        view.roles(("scale", "bias"))
        if x.kind not in ("float32", "int") or not x.shape:
            raise view.error("input cannot be scaled", found=x, expected="float32 or int values")
        axis = view.axis(x)
        for role in ("scale", "bias"):
            view.parameters(role, x, axis)
        return (ValueType("float32", x.shape),)
