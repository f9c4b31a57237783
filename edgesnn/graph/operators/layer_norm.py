"""layer_norm: over the last axis, mean and variance in sixteen lanes (docs/arithmetic.md, section 5)."""

from __future__ import annotations

from typing import ClassVar

from edgesnn.graph.operators.base import Operator
from edgesnn.graph.values import NodeView, ValueType


class LayerNorm(Operator):
    """float32 [.., D] -> float32 [.., D]; tensors `weight`, `bias` [D]."""

    attributes: ClassVar = {"eps": (1e-5, float)}

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        (x,) = view.inputs
        view.roles(("weight", "bias"))
        if x.kind != "float32" or not x.shape:
            raise view.error("input has no norm", found=x, expected="float32 values")
        if view.attribute("eps") < 0:
            raise view.error("attribute 'eps' is wrong", found=view.attribute("eps"), expected="not below 0")
        for role in ("weight", "bias"):
            view.vector(role, (x.shape[-1],))
        return (x,)
