"""lif: the family of leaky integrate-and-fire neurons, one update with flags (docs/operators.md, "Neurons").

The defaults are SpikingJelly's ParametricLIFNode without decay_input: v = v * alpha + x; s = v >= v_th; v = 0 where s.
"""

from __future__ import annotations

from typing import ClassVar

from edgesnn.graph.operators.base import Operator, State
from edgesnn.graph.values import BYTE_MAX, NodeView, ValueType


class Lif(Operator):
    """float32 -> int of the same shape, or float32 where `spike` is none; states `v`, `i` and `refractory`."""

    attributes: ClassVar = {
        "axis": (-1, (-1, -2, -3)),
        "decay": ("multiply", ("multiply", "euler")),
        "current": ("none", ("none", "new", "sum_decay", "jump", "old")),
        "compare": ("ge", ("ge", "gt")),
        "spike": ("binary", ("binary", "floor", "half_up", "half_even", "none")),
        "cap": (1, range(1, BYTE_MAX + 1)),
        "reset": ("zero", ("zero", "value", "subtract", "none")),
        "reset_at": ("same", ("same", "next", "old", "no_double")),
        "refractory": (0, range(BYTE_MAX + 1)),
        "v_init": (0.0, float),
        "cold_start": ("run", ("run", "skip")),
    }
    spiking = True

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        (x,) = view.inputs
        if x.kind != "float32" or not x.shape:
            raise view.error("input is not a current", found=x, expected="float32 values")
        axis = view.axis(x)
        self._check_flags(view)
        view.roles(self._required(view), ("gain", "leak", "v_min"))
        for role in view.tensors:
            view.parameters(role, x, axis)
        if view.attribute("spike") == "none":
            return (ValueType("float32", x.shape),)
        v_th = view.tensors["v_th"]
        if view.attribute("spike") != "binary" and not (v_th.data[: v_th.shape[0]] > 0).all():
            raise view.error("thresholds of counting neurons are not positive", tensor="v_th")
        return (ValueType("int", x.shape, view.attribute("cap")),)

    def states(self, view: NodeView) -> tuple[State, ...]:
        """See `Operator.states`."""
        shape, refractory = view.inputs[0].shape, view.attribute("refractory")
        states = [State("v", "membrane", shape, "float32", view.attribute("v_init"))]
        if view.attribute("current") != "none":
            states.append(State("i", "current", shape, "float32"))
        if refractory:
            states.append(State("refractory", "counter", shape, "int32", 0.0, (0, refractory)))
        return tuple(states)

    def _required(self, view: NodeView) -> list[str]:
        roles = ["alpha"]
        if view.attribute("spike") != "none":
            roles.append("v_th")
        if view.attribute("current") != "none":
            roles.append("beta")
        if view.attribute("reset") == "value":
            roles.append("v_reset")
        return roles

    def _check_flags(self, view: NodeView) -> None:
        """Refuse flags that contradict each other."""
        spike, cap, reset, at = (view.attribute(n) for n in ("spike", "cap", "reset", "reset_at"))
        if spike in ("binary", "none") and cap != 1:
            raise view.error("attribute 'cap' is wrong", found=cap, expected=f"1 with spike {spike!r}")
        if spike == "none" and (reset != "none" or view.attribute("refractory")):
            found = f"reset {reset!r}, refractory {view.attribute('refractory')}"
            raise view.error("a neuron without spikes cannot reset", found=found, expected="reset 'none', refractory 0")
        if at != "same" and (spike != "binary" or reset == "none"):
            found = f"reset_at {at!r}, spike {spike!r}, reset {reset!r}"
            raise view.error("reset is not of this step", found=found, expected="binary spikes and a reset")
        if at == "no_double" and reset != "subtract":
            raise view.error("attribute 'reset' is wrong", found=reset, expected="'subtract' with reset_at 'no_double'")
