"""cuba: integer neurons with a current (Intel Loihi, as SLAYER writes them; docs/operators.md, "Neurons")."""

from __future__ import annotations

from typing import ClassVar

from edgesnn.graph.operators.base import Operator, State
from edgesnn.graph.values import BYTE_MAX, INT32_MAX, NodeView, ValueType

_INT32 = range(-INT32_MAX, INT32_MAX + 1)
_DECAY = range(4097)


class Cuba(Operator):
    """int or int32 -> int of the same shape, bound 1; states `u`, `v` and `refractory`, int32."""

    attributes: ClassVar = {
        "current_decay": (None, _DECAY),
        "voltage_decay": (None, _DECAY),
        "gain": (1, _INT32),
        "v_th": (None, range(1, INT32_MAX + 1)),
        "compare": ("gt", ("gt", "ge")),
        "refractory": (0, range(BYTE_MAX + 1)),
        "cold_start": ("run", ("run", "skip")),
    }
    spiking = True

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        (x,) = view.inputs
        view.roles(())
        if x.kind not in ("int", "int32"):
            raise view.error("input is not a current", found=x, expected="int or int32 values")
        if abs(view.attribute("gain")) * x.bound > INT32_MAX:
            found, expected = f"gain {view.attribute('gain')} times {x}", f"at most {INT32_MAX}"
            raise view.error("gain times input is too large", found=found, expected=expected)
        return (ValueType("int", x.shape, 1),)

    def states(self, view: NodeView) -> tuple[State, ...]:
        """See `Operator.states`."""
        shape, limits = view.inputs[0].shape, (-INT32_MAX, INT32_MAX)
        states = [
            State("u", "current", shape, "int32", 0.0, limits),
            State("v", "membrane", shape, "int32", 0.0, limits),
        ]
        if view.attribute("refractory"):
            states.append(State("refractory", "counter", shape, "int32", 0.0, (0, view.attribute("refractory"))))
        return tuple(states)
