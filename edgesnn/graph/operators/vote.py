"""vote: running mean over the steps and over each class's voting neurons (SpikePoint's readout)."""

from __future__ import annotations

from typing import ClassVar

from edgesnn.graph.operators.base import Operator, State
from edgesnn.graph.values import MAX_STEPS, NodeView, ValueType

_LARGEST = 1 << 62  # sums and voters * steps that a snapshot may hold: there is room in 64 bits for many steps more


class Vote(Operator):
    """[classes * voters] -> float32 [classes]; states `<name>.sum` and `<name>.steps`.

    sum[c] += x[c * voters] + ... + x[c * voters + voters - 1] (ascending); y[c] = float32(sum[c]) / float32(voters *
    steps). The sum of integer inputs is an int64, of float32 inputs a float32.
    """

    attributes: ClassVar = {"classes": (None, int), "voters": (None, int)}

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        (x,) = view.inputs
        view.roles(())
        classes, voters = view.attribute("classes"), view.attribute("voters")
        if classes < 1 or voters < 1 or x.kind not in ("int", "float32") or x.shape != (classes * voters,):
            raise view.error("input is not one vote a neuron", found=x, expected=f"{classes} classes * {voters} voters")
        return (ValueType("float32", (classes,)),)

    def states(self, view: NodeView) -> tuple[State, ...]:
        """See `Operator.states`."""
        classes = (view.attribute("classes"),)
        whole = view.inputs[0].kind == "int"
        limits = (0, _LARGEST) if whole else None
        total = State("sum", "accumulator", classes, "int64" if whole else "float32", 0.0, limits)
        return (
            total,
            State("steps", "counter", (), "int64", 0.0, (0, min(MAX_STEPS, _LARGEST // view.attribute("voters")))),
        )
