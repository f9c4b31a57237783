"""gather: chosen elements of an axis, in the order and as often as tensor `indices` says."""

from __future__ import annotations

from typing import ClassVar

from edgesnn.graph.operators.base import Operator
from edgesnn.graph.values import NodeView, ValueType


class Gather(Operator):
    """One axis becomes as long as tensor `indices` int32 [n]."""

    attributes: ClassVar = {"axis": (-1, range(-8, 0))}

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        (x,) = view.inputs
        view.roles(("indices",))
        if x.kind in ("window", "token"):
            raise view.error("input has no axes", found=x)
        axis = view.axis(x) + len(x.shape)
        tensor = view.tensors["indices"]
        if tensor.number != "int32":
            raise view.error("tensor has another shape or type", tensor="indices", found=tensor, expected="int32 [n]")
        indices = tensor.data[: tensor.shape[0]]
        if indices.min() < 0 or indices.max() >= x.shape[axis]:
            found, expected = f"{indices.min()} to {indices.max()}", f"0 to {x.shape[axis] - 1}"
            raise view.error("indices are out of range", tensor="indices", found=found, expected=expected)
        return (ValueType(x.kind, (*x.shape[:axis], len(indices), *x.shape[axis + 1 :]), x.bound),)
