"""add: elementwise sum of two small-integer values of one shape (SpikePoint's residuals)."""

from __future__ import annotations

from edgesnn.graph.operators.base import Operator
from edgesnn.graph.values import NodeView, ValueType


class Add(Operator):
    """y = a + b; the bounds add up and may not pass 255."""

    arity = 2

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        a, b = view.inputs
        if (a.kind, b.kind) != ("int", "int") or a.shape != b.shape:
            raise view.error("inputs cannot be added", found=f"{a} and {b}", expected="two int values of one shape")
        if a.bound + b.bound > 255:
            raise view.error("sum may not fit a byte", found=f"up to {a.bound + b.bound}", expected="at most 255")
        return (ValueType("int", a.shape, a.bound + b.bound),)
