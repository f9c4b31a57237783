"""add: elementwise sum of two values of one shape (residuals, recurrent currents)."""

from __future__ import annotations

from edgesnn.graph.operators.base import Operator
from edgesnn.graph.values import BYTE_MAX, INT32_MAX, NodeView, ValueType

_LARGEST = {"int": BYTE_MAX, "int32": INT32_MAX}


class Add(Operator):
    """y = a + b of one kind, or float32 + int; bounds of integers add up, to at most 255 (int) or 2^31 - 1 (int32)."""

    arity = 2

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        a, b = view.inputs
        view.roles(())
        same = a.kind == b.kind and a.kind not in ("window", "token")
        if a.shape != b.shape or not (same or (a.kind, b.kind) == ("float32", "int")):
            expected = "one kind, or float32 then int, of one shape"
            raise view.error("inputs cannot be added", found=f"{a} and {b}", expected=expected)
        bound = 0 if a.kind == "float32" else a.bound + b.bound
        if bound > _LARGEST.get(a.kind, bound):
            expected = f"at most {_LARGEST[a.kind]}"
            raise view.error("sum may not fit its type", found=f"up to {bound}", expected=expected)
        return (ValueType(a.kind, a.shape, bound),)
