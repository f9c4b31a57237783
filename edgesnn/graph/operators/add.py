"""add: elementwise sum of two values of one kind and shape (residuals, recurrent currents)."""

from __future__ import annotations

from edgesnn.graph.operators.base import Operator
from edgesnn.graph.values import BYTE_MAX, INT32_MAX, NodeView, ValueType

_LARGEST = {"int": BYTE_MAX, "int32": INT32_MAX}


class Add(Operator):
    """y = a + b; bounds of integers add up, to at most 255 (int) or 2^31 - 1 (int32)."""

    arity = 2

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        a, b = view.inputs
        view.roles(())
        if a.kind in ("window", "token") or a.kind != b.kind or a.shape != b.shape:
            raise view.error("inputs cannot be added", found=f"{a} and {b}", expected="one kind and shape")
        bound = a.bound + b.bound
        if bound > _LARGEST.get(a.kind, bound):
            expected = f"at most {_LARGEST[a.kind]}"
            raise view.error("sum may not fit its type", found=f"up to {bound}", expected=expected)
        return (ValueType(a.kind, a.shape, bound),)
