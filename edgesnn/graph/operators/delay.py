"""delay: the value of some steps before, kept in a line; the only operator whose input a later node may make."""

from __future__ import annotations

from math import prod
from typing import ClassVar

from edgesnn.graph.operators.base import Operator, State
from edgesnn.graph.values import BYTE_MAX, INT32_MAX, MAX_ELEMENTS, Node, NodeView, ValueType

_LARGEST = {"int": BYTE_MAX, "int32": INT32_MAX, "float32": 0}


class Delay(Operator):
    """y = x of `steps` steps before, zeros until then; with tensor `delays` each element has its own, 0 to `steps`."""

    attributes: ClassVar = {
        "steps": (None, range(1, 4097)),
        "shape": (None, list),
        "value": (None, ("int", "int32", "float32")),
        "bound": (0, range(INT32_MAX + 1)),
    }
    delayed = True

    def declared(self, node: Node) -> ValueType:
        """Return the type that the attributes declare: of the input, and of the output."""
        attributes = node.attributes
        return ValueType(attributes["value"], tuple(attributes["shape"]), attributes["bound"])

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`; the input's type is `declared`, which the analysis compares with what is made."""
        value = self.declared(view.node)
        if min(value.shape, default=1) < 1 or prod(value.shape) > MAX_ELEMENTS:
            raise view.error("attribute 'shape' is wrong", found=list(value.shape), expected="sizes from 1")
        low, high = min(1, _LARGEST[value.kind]), _LARGEST[value.kind]
        if not low <= value.bound <= high:
            expected = f"{low} to {high} for {value.kind}"
            raise view.error("attribute 'bound' is wrong", found=value.bound, expected=expected)
        view.roles((), ("delays",))
        if "delays" in view.tensors:
            view.vector("delays", (value.elements,), "int32")
            delays = view.tensors["delays"].data[: value.elements]
            if delays.min() < 0 or delays.max() > view.attribute("steps"):
                found, expected = f"{delays.min()} to {delays.max()}", f"0 to {view.attribute('steps')}"
                raise view.error("delays are out of range", tensor="delays", found=found, expected=expected)
        return (value,)

    def passes_at_once(self, view: NodeView) -> bool:
        """Say whether an element has no delay, so that the input must be made before."""
        delays = view.tensors.get("delays")
        return delays is not None and bool((delays.data[: delays.shape[0]] < 1).any())

    def states(self, view: NodeView) -> tuple[State, ...]:
        """See `Operator.states`."""
        value, steps = self.declared(view.node), view.attribute("steps")
        limits = {"int": (0, value.bound), "int32": (-value.bound, value.bound)}.get(value.kind)
        dtype = {"int": "uint8", "int32": "int32", "float32": "float32"}[value.kind]
        line = State("line", "line", (steps, *value.shape), dtype, 0.0, limits)  # type: ignore[arg-type]
        return (line, State("position", "counter", (), "int64", 0.0, (0, steps - 1)))

    def state_bytes(self, view: NodeView) -> int:
        """See `Operator.state_bytes`: the row that is read, the row that is written, the position."""
        value, steps = self.declared(view.node), view.attribute("steps")
        rows: int = min(steps, 2)
        return rows * value.elements * value.dtype.itemsize + 8
