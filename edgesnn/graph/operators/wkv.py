"""wkv: the linear attention of RWKV-4, one token a step, in its numerically safe form (docs/operators.md, "Time")."""

from __future__ import annotations

from typing import ClassVar

from edgesnn.graph.operators.base import Operator, State
from edgesnn.graph.values import NodeView, ValueType


class Wkv(Operator):
    """(k, v) float32 [D] -> float32 [D]; tensors `bonus`, `decay` [D]; states `aa`, `bb`, `pp` [D]."""

    arity: ClassVar = 2

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        k, v = view.inputs
        if k.kind != "float32" or k != v or len(k.shape) != 1:
            raise view.error("inputs are not keys and values", found=f"{k} and {v}", expected="float32 [D] twice")
        view.roles(("bonus", "decay"))
        for role in ("bonus", "decay"):
            view.vector(role, k.shape)
        return (k,)

    def states(self, view: NodeView) -> tuple[State, ...]:
        """See `Operator.states`."""
        shape = view.inputs[0].shape
        return (
            State("aa", "accumulator", shape, "float32"),
            State("bb", "accumulator", shape, "float32"),
            State("pp", "accumulator", shape, "float32", -1e38),
        )
