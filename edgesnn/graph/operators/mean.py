"""mean: over the axis before the channels."""

from __future__ import annotations

from typing import ClassVar

from edgesnn.graph.operators.base import Operator
from edgesnn.graph.values import NodeView, ValueType


class Mean(Operator):
    """[.., A, C] -> float32 [.., C]: the sum over A (sixteen lanes; exact for int) / float32(A)."""

    attributes: ClassVar = {"axis": (-2, (-2,))}

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        (x,) = view.inputs
        view.roles(())
        if x.kind not in ("int", "float32") or len(x.shape) < 2:
            raise view.error("input has no mean", found=x, expected="int or float32 values of at least two axes")
        return (ValueType("float32", x.shape[:-2] + x.shape[-1:]),)
