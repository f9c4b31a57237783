"""lif: leaky integrate-and-fire neurons without input decay (docs/arithmetic.md, section 7).

v = v * alpha + x; s = v >= v_th ("ge") or v > v_th ("gt"); then v is 0 where s ("zero"), v - v_th where s
("subtract"), or left alone ("none"). Source of the default: SpikingJelly's ParametricLIFNode with decay_input=False.
"""

from __future__ import annotations

from typing import ClassVar

from edgesnn.graph.operators.base import Operator
from edgesnn.graph.values import NodeView, ValueType


class Lif(Operator):
    """float32 [.., C] -> int [.., C] of 0 and 1; state `<name>.v`."""

    attributes: ClassVar = {
        "compare": ("ge", ("ge", "gt")),
        "reset": ("zero", ("zero", "subtract", "none")),
        "spike": ("binary", ("binary",)),
    }
    tensors = ("alpha", "v_th")
    spiking = True

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        (x,) = view.inputs
        if x.kind != "float32":
            raise view.error("input is not a current", found=x, expected="float32 values")
        view.vector("alpha", (1, x.shape[-1]))
        view.vector("v_th", (1, x.shape[-1]))
        return (ValueType("int", x.shape, 1),)

    def states(self, view: NodeView) -> tuple[tuple[str, str, tuple[int, ...], str], ...]:
        """See `Operator.states`."""
        return (("v", "membrane", view.inputs[0].shape, "float32"),)
