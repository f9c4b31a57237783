"""multiply: elementwise product of a float32 value with another, or with small integers (gates)."""

from __future__ import annotations

from edgesnn.graph.operators.base import Operator
from edgesnn.graph.values import NodeView, ValueType


class Multiply(Operator):
    """(float32, float32 or int) of one shape -> float32."""

    arity = 2

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        a, b = view.inputs
        view.roles(())
        if a.kind != "float32" or b.kind not in ("float32", "int") or a.shape != b.shape:
            expected = "float32, then float32 or int, of one shape"
            raise view.error("inputs cannot be multiplied", found=f"{a} and {b}", expected=expected)
        return (a,)
