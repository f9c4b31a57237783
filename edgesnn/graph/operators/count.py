"""count: how often each neuron has fired since the reset."""

from __future__ import annotations

from edgesnn.graph.operators.base import Operator, State
from edgesnn.graph.values import BYTE_MAX, MAX_STEPS, NodeView, ValueType


class Count(Operator):
    """int -> float32 of the same shape: float32(total); state `total` int64."""

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        (x,) = view.inputs
        view.roles(())
        if x.kind != "int":
            raise view.error("input cannot be counted", found=x, expected="int values")
        return (ValueType("float32", x.shape),)

    def states(self, view: NodeView) -> tuple[State, ...]:
        """See `Operator.states`."""
        return (State("total", "accumulator", view.inputs[0].shape, "int64", 0.0, (0, BYTE_MAX * MAX_STEPS)),)
