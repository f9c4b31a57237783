"""concat: two or more values of one kind, one after the other on an axis."""

from __future__ import annotations

from typing import ClassVar

from edgesnn.graph.operators.base import Operator
from edgesnn.graph.values import NodeView, ValueType


class Concat(Operator):
    """Sizes add up on `axis`, the others are equal; the bound is the largest."""

    attributes: ClassVar = {"axis": (-1, range(-8, 0))}
    arity: ClassVar = None

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        first = view.inputs[0]
        view.roles(())
        axis = view.axis(first) + len(first.shape)
        rest = {(v.kind, v.shape[:axis], v.shape[axis + 1 :], len(v.shape)) for v in view.inputs}
        if first.kind in ("window", "token") or len(rest) != 1:
            found = ", ".join(map(str, view.inputs))
            raise view.error("inputs cannot be joined", found=found, expected="one kind, one shape but for the axis")
        size = sum(v.shape[axis] for v in view.inputs)
        shape = (*first.shape[:axis], size, *first.shape[axis + 1 :])
        return (ValueType(first.kind, shape, max(v.bound for v in view.inputs)),)
