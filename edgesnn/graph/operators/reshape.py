"""reshape: the same elements in another shape, C order."""

from __future__ import annotations

from math import prod
from typing import ClassVar

from edgesnn.graph.operators.base import Operator
from edgesnn.graph.values import NodeView, ValueType


class Reshape(Operator):
    """any -> `shape`."""

    attributes: ClassVar = {"shape": (None, list)}

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        (x,) = view.inputs
        view.roles(())
        shape = tuple(view.attribute("shape"))
        if x.kind in ("window", "token") or not shape or min(shape) < 1 or prod(shape) != x.elements:
            raise view.error("input cannot be reshaped", found=f"{x} to {list(shape)}", expected="the same elements")
        return (ValueType(x.kind, shape, x.bound),)
