"""What `linear`, `conv1d` and `conv2d` have in common: a matrix [N, K] with scale and bias per output.

y[n] = float32(acc[n]) * scale[n] + bias[n], acc = sum over k of w[n][k] * x[k]; or, with `output` int32, acc itself.
Batch norm lives in scale and bias. The order of the sums: docs/arithmetic.md, sections 3 to 5.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, ClassVar

import numpy.typing as npt

from edgesnn.graph.layout import GROUPS, unpack, weight_layout
from edgesnn.graph.operators.base import Operator
from edgesnn.graph.values import INT32_MAX, NodeView, ValueType

_GRADED_BITS = {"float32": 32, "int8": 8}  # of a float32 input, by the attribute `activations`
LARGEST = {"int8": 127, "int4": 8}
MAX_GROUPED_INPUTS = 8192  # 8192 * 8 * 127 * 255 is below 2^31


class Matrix(Operator):
    """Base of the operators with a weight. `K` is what one output adds up, `N` the outputs (of one place)."""

    attributes: ClassVar = {
        "activations": (None, ("int", "float32", "int8")),
        "output": ("float32", ("float32", "int32")),
        "cold_start": ("run", ("run", "skip")),
        "group": (0, (0, *GROUPS)),
    }
    matrix = True

    def layout(self, role: str, number: str, rank: int, attributes: Mapping[str, Any]) -> str:
        """See `Operator.layout`."""
        if role == "weight":
            return weight_layout(number, attributes.get("activations", "int"))
        return super().layout(role, number, rank, attributes)

    @abstractmethod
    def contributions(self, view: NodeView, x: npt.NDArray[Any]) -> int:
        """Return the sum of the input values, each times the outputs that it reaches."""

    @abstractmethod
    def connections(self, view: NodeView) -> int:
        """Return the contributions of an input of ones, without making it: a small file may name a large one."""

    def synops(self, view: NodeView, inputs: Sequence[npt.NDArray[Any]]) -> int:
        """See `Operator.synops`."""
        return self.contributions(view, inputs[0]) if view.inputs[0].kind == "int" else 0

    def macs(self, view: NodeView) -> int:
        """See `Operator.macs`."""
        return 0 if view.inputs[0].kind == "int" else self.connections(view)

    def weight_bytes(self, view: NodeView, steps: int, synops: int) -> int:
        """See `Operator.weight_bytes`: a weight each synaptic operation, at most all of them each step."""
        weight = view.tensors["weight"]
        whole = steps * prod(weight.shape) * weight.bits // 8
        return min(whole, synops * weight.bits // 8) if view.inputs[0].kind == "int" else whole

    def bit_budget(self, view: NodeView) -> int:
        """See `Operator.bit_budget`: an input has the bits that its bound needs, 32 or 8 where it is float32."""
        bits: int = _GRADED_BITS.get(view.attribute("activations")) or view.inputs[0].bound.bit_length()
        return view.tensors["weight"].bits * bits

    def check(self, view: NodeView) -> ValueType:
        """Check tensors and attributes, after `check_weight`; return kind and bound of the output, with no shape."""
        weight = view.tensors["weight"]
        outputs, inputs = weight.shape[0], prod(weight.shape[1:])
        grouped = weight.number == "int4" and view.attribute("activations") != "int"
        bare = view.attribute("output") == "int32"
        view.roles(("weight", *(() if bare else ("scale", "bias")), *(("multiplier",) if grouped else ())))
        group = view.attribute("group")
        if (group != 0) != grouped:
            raise view.error("attribute 'group' is wrong", found=group, expected="32, 64 or 128" if grouped else "0")
        if grouped:
            check_groups(view, group)
        bound = self._largest_sum(view, inputs)
        if bare:
            return ValueType("int32", (), bound)
        view.vector("scale", (outputs,))
        view.vector("bias", (outputs,))
        return ValueType("float32", ())

    def check_weight(self, view: NodeView) -> None:
        """Check the input's kind, and type and layout of the weight."""
        x, weight, activations = view.inputs[0], view.tensors.get("weight"), view.attribute("activations")
        if x.kind != ("int" if activations == "int" else "float32"):
            raise view.error("input is of another kind", found=x, expected=f"what activations {activations!r} takes")
        if weight is None:
            raise view.error("node has other tensors", found=sorted(view.tensors), expected="weight")
        if weight.number not in ("float32", "int8", "int4"):
            raise view.error("tensor has another shape or type", tensor="weight", found=weight, expected="a weight")
        layout = weight_layout(weight.number, activations)
        if weight.layout != layout:
            raise view.error("weight has another layout", tensor="weight", found=weight.layout, expected=layout)
        if weight.number == "float32" and activations == "int8":
            raise view.error("weights of quantised activations are not integer", tensor="weight", found=weight)
        if view.attribute("output") == "int32" and (weight.number == "float32" or activations != "int"):
            found = f"{weight.number} weights, activations {activations!r}"
            raise view.error("output is no integer sum", found=found, expected="integer weights and input")

    def _largest_sum(self, view: NodeView, inputs: int) -> int:
        """Return the largest |acc| of an integer sum, 0 for a float one."""
        weight, activations = view.tensors["weight"], view.attribute("activations")
        if weight.number == "float32" or activations == "float32":
            return 0
        if activations == "int8" and weight.number == "int4":
            if inputs > MAX_GROUPED_INPUTS:
                raise view.error("sums may not fit 32 bits", found=f"{inputs} inputs", expected=MAX_GROUPED_INPUTS)
            return INT32_MAX
        largest = view.inputs[0].bound if activations == "int" else 127
        bound = LARGEST[weight.number] * inputs * largest
        if bound > INT32_MAX:
            raise view.error("sums may not fit 32 bits", found=f"{inputs} inputs of up to {largest}")
        return bound


def check_groups(view: NodeView, group: int) -> None:
    """Check that an int4 weight is padded to groups of so many inputs, and has a multiplier for each."""
    weight, multiplier = view.tensors["weight"], view.tensors["multiplier"]
    groups = (prod(weight.shape[1:]) + group - 1) // group
    blocks = groups * group // 8
    if weight.data.shape[1] != blocks:
        found, expected = weight.data.shape[1], f"{blocks} blocks of 8 inputs"
        raise view.error("weight is not padded to its groups", tensor="weight", found=found, expected=expected)
    wanted = (weight.shape[0], groups)
    if (multiplier.number, multiplier.shape) != ("uint8", wanted):
        expected = f"uint8 {list(wanted)}"
        raise view.error("tensor has another shape or type", tensor="multiplier", found=multiplier, expected=expected)
    if not unpack(multiplier.layout, multiplier.shape, multiplier.data).all():
        raise view.error("multiplier is out of range", tensor="multiplier", found=0, expected="1 to 255")
