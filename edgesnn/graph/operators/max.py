"""max: largest small integer over the axis before the channels (SpikePoint's pooling over members and groups)."""

from __future__ import annotations

from typing import ClassVar

from edgesnn.graph.operators.base import Operator
from edgesnn.graph.values import NodeView, ValueType


class Max(Operator):
    """[.., A, C] -> [.., C]."""

    attributes: ClassVar = {"axis": (-2, (-2,))}

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        (x,) = view.inputs
        view.roles(())
        if x.kind != "int" or len(x.shape) < 2:
            raise view.error("input cannot be pooled", found=x, expected="int values of at least two axes")
        return (ValueType("int", x.shape[:-2] + x.shape[-1:], x.bound),)
