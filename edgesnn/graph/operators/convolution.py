"""What `conv1d` and `conv2d` have in common: places, and who reaches whom at the borders."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from edgesnn.graph.operators.matrix import Matrix
from edgesnn.graph.values import NodeView, ValueType

MAX_PLACES = 1 << 15  # of an axis; stride, padding and dilation too
MAX_TAPS = 1 << 24  # input times kernel of an axis: a small file must not fill the memory


class Convolution(Matrix):
    """[Cin, ..] -> [Cout, ..]; weight [Cout, Cin / groups, ..kernel]."""

    axes: ClassVar[int]
    attributes: ClassVar = {
        **Matrix.attributes,
        "activations": (None, ("int", "float32")),
        "stride": (None, list),
        "padding": (None, list),
        "dilation": (None, list),
        "groups": (1, range(1, 1 << 20)),
        "kernel": ("event", ("event", "dense")),
    }

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        (x,) = view.inputs
        self.check_weight(view)
        weight, groups = view.tensors["weight"], view.attribute("groups")
        if len(x.shape) != 1 + self.axes:
            raise view.error("input is not an image or sequence", found=x, expected=f"{1 + self.axes} axes")
        if len(weight.shape) != 2 + self.axes or x.shape[0] % groups or weight.shape[1] * groups != x.shape[0]:
            expected = f"[Cout, {x.shape[0]} / {groups}, ..kernel]"
            raise view.error("tensor has another shape or type", tensor="weight", found=weight, expected=expected)
        if weight.shape[0] % groups:
            raise view.error(
                "groups do not divide the outputs", found=groups, expected=f"a divisor of {weight.shape[0]}"
            )
        y = self.check(view)
        places = output_places(view, x.shape[1:], weight.shape[2:], view.attribute("dilation"))
        for size, kernel, made in zip(x.shape[1:], weight.shape[2:], places, strict=True):
            if max(size, kernel, made) > MAX_PLACES or size * kernel > MAX_TAPS:
                found, expected = f"{size}, {kernel} and {made}", f"at most {MAX_PLACES}, input * kernel {MAX_TAPS}"
                raise view.error("input, kernel and output of an axis are too long", found=found, expected=expected)
        return (ValueType(y.kind, (weight.shape[0], *places), y.bound),)

    def contributions(self, view: NodeView, x: npt.NDArray[Any]) -> int:
        """See `Matrix.contributions`: at the borders an input reaches fewer outputs."""
        reach = np.array(1, dtype=np.int64)
        for axis in self._geometry(view):
            reach = reach[..., None] * places_reached(*axis)
        return int((x.astype(np.int64) * reach).sum()) * self._fan_out(view)

    def connections(self, view: NodeView) -> int:
        """See `Matrix.connections`."""
        channels: int = view.inputs[0].shape[0]
        return channels * prod(pairs(*axis) for axis in self._geometry(view)) * self._fan_out(view)

    def _geometry(self, view: NodeView) -> list[tuple[int, int, int, int, int]]:
        """Return (size, kernel, stride, padding, dilation) of each axis."""
        sizes, kernel = view.inputs[0].shape[1:], view.tensors["weight"].shape[2:]
        attributes = (view.attribute(name) for name in ("stride", "padding", "dilation"))
        return list(zip(sizes, kernel, *attributes, strict=True))

    def _fan_out(self, view: NodeView) -> int:
        outputs: int = view.tensors["weight"].shape[0]
        return outputs // int(view.attribute("groups"))


def output_places(
    view: NodeView, sizes: tuple[int, ...], kernel: tuple[int, ...], dilation: list[int]
) -> tuple[int, ...]:
    """Return the output's size on each axis: (n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1."""
    stride, padding = view.attribute("stride"), view.attribute("padding")
    for name, values, low in (("stride", stride, 1), ("padding", padding, 0), ("dilation", dilation, 1)):
        if len(values) != len(sizes) or not low <= min(values) <= max(values) <= MAX_PLACES:
            expected = f"{len(sizes)} integers from {low} to {MAX_PLACES}"
            raise view.error(f"attribute {name!r} is wrong", found=values, expected=expected)
    places = []
    for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True):
        if n + 2 * p < d * (k - 1) + 1:
            raise view.error("kernel is larger than the input", found=f"{d * (k - 1) + 1} of {n + 2 * p}")
        places.append((n + 2 * p - d * (k - 1) - 1) // s + 1)
    return tuple(places)


def pairs(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Return how many pairs there are of a place of an axis and an output that it contributes to.

    >>> pairs(5, 3, 1, 1, 1), pairs(5, 3, 2, 0, 1)
    (13, 6)
    """
    outputs = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    first = np.arange(kernel, dtype=np.int64) * dilation - padding  # the place of each tap at output 0
    begin = np.maximum(-(first // stride), 0)
    end = np.minimum((size - 1 - first) // stride + 1, outputs)
    return int(np.maximum(end - begin, 0).sum())


@lru_cache(maxsize=256)
def places_reached(size: int, kernel: int, stride: int, padding: int, dilation: int) -> npt.NDArray[np.int64]:
    """Return for each place of an axis how many outputs it contributes to.

    >>> places_reached(5, 3, 1, 1, 1).tolist(), places_reached(5, 3, 2, 0, 1).tolist()
    ([2, 3, 3, 3, 2], [1, 1, 2, 1, 1])
    """
    reached = np.zeros(size, dtype=np.int64)
    outputs = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    for tap in range(kernel):
        places = np.arange(outputs) * stride + tap * dilation - padding
        reached[places[(places >= 0) & (places < size)]] += 1
    reached.flags.writeable = False
    return reached
