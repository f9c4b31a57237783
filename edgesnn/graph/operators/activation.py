"""activation: an elementwise function."""

from __future__ import annotations

from typing import ClassVar

from edgesnn.graph.operators.base import Operator
from edgesnn.graph.values import NodeView, ValueType


class Activation(Operator):
    """float32 -> float32: relu, relu2 (its square), sigmoid, silu (x * sigmoid(x)) or exp."""

    attributes: ClassVar = {"function": (None, ("relu", "relu2", "sigmoid", "silu", "exp"))}

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        (x,) = view.inputs
        view.roles(())
        if x.kind != "float32":
            raise view.error("input has no activation", found=x, expected="float32 values")
        return (x,)
