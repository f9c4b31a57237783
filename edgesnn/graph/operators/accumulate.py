"""accumulate: running sum, running mean or leaky sum of a value."""

from __future__ import annotations

from typing import ClassVar

from edgesnn.graph.operators.base import Operator, State
from edgesnn.graph.values import MAX_STEPS, NodeView, ValueType


class Accumulate(Operator):
    """float32 or int -> float32 of the same shape; tensor `alpha` (a parameter vector) for mode leaky.

    sum: s = s + x, y = s. mean: the same, y = s / float32(steps). leaky: s = s * alpha + x, y = s.
    """

    attributes: ClassVar = {"mode": ("sum", ("sum", "mean", "leaky")), "axis": (-1, (-1, -2, -3))}

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        (x,) = view.inputs
        leaky = view.attribute("mode") == "leaky"
        view.roles(("alpha",) if leaky else ())
        if x.kind not in ("float32", "int") or not x.shape:
            raise view.error("input cannot be summed", found=x, expected="float32 or int values")
        axis = view.axis(x)
        if leaky:
            view.parameters("alpha", x, axis)
        return (ValueType("float32", x.shape),)

    def states(self, view: NodeView) -> tuple[State, ...]:
        """See `Operator.states`."""
        total = State("sum", "accumulator", view.inputs[0].shape, "float32")
        steps = State("steps", "counter", (), "int64", 0.0, (0, MAX_STEPS))
        return (total, steps) if view.attribute("mode") == "mean" else (total,)
