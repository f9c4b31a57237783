"""softmax: over the last axis (docs/arithmetic.md, section 6)."""

from __future__ import annotations

from edgesnn.graph.operators.base import Operator
from edgesnn.graph.values import NodeView, ValueType


class Softmax(Operator):
    """float32 [.., C] -> float32 [.., C]."""

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        (x,) = view.inputs
        view.roles(())
        if x.kind != "float32" or not x.shape:
            raise view.error("input has no softmax", found=x, expected="float32 values")
        return (x,)
