"""What `pool1d` and `pool2d` have in common."""

from __future__ import annotations

from math import prod
from typing import ClassVar

from edgesnn.graph.operators.base import Operator
from edgesnn.graph.operators.convolution import output_places
from edgesnn.graph.values import BYTE_MAX, INT32_MAX, NodeView, ValueType

MAX_POOL = 4096  # kernel and stride along one axis


class Pooling(Operator):
    """[C, ..] -> [C, ..].

    Integers: sum -> int (int32 where a byte may not hold it), max -> int, avg -> float32. Padding is zero for sum and
    avg (the area is the whole kernel) and left out by max.
    """

    axes: ClassVar[int]
    attributes: ClassVar = {
        "mode": (None, ("sum", "avg", "max")),
        "kernel": (None, list),
        "stride": (None, list),
        "padding": (None, list),
    }

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        (x,) = view.inputs
        view.roles(())
        if x.kind not in ("int", "float32") or len(x.shape) != 1 + self.axes:
            raise view.error("input cannot be pooled", found=x, expected=f"int or float32 of {1 + self.axes} axes")
        kernel, padding = view.attribute("kernel"), view.attribute("padding")
        for name in ("kernel", "stride"):
            sizes = view.attribute(name)
            if len(sizes) != self.axes or not 1 <= min(sizes) <= max(sizes) <= MAX_POOL:
                expected = f"{self.axes} integers from 1 to {MAX_POOL}"
                raise view.error(f"attribute {name!r} is wrong", found=sizes, expected=expected)
        places = output_places(view, x.shape[1:], tuple(kernel), [1] * self.axes)
        if any(p >= k for p, k in zip(padding, kernel, strict=True)):
            raise view.error("attribute 'padding' is wrong", found=padding, expected=f"below the kernel, {kernel}")
        return (self._type(view, (x.shape[0], *places), prod(kernel)),)

    def _type(self, view: NodeView, shape: tuple[int, ...], area: int) -> ValueType:
        x, mode = view.inputs[0], view.attribute("mode")
        if x.kind == "float32":
            return ValueType("float32", shape)
        if mode == "max":
            return ValueType("int", shape, x.bound)
        if x.bound * area > INT32_MAX:
            raise view.error("sums may not fit 32 bits", found=f"{area} values of up to {x.bound}")
        if mode == "avg":
            return ValueType("float32", shape)
        return ValueType("int" if x.bound * area <= BYTE_MAX else "int32", shape, x.bound * area)
