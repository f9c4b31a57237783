"""linear: a matrix with scale and bias per output; the same for every row (SpikePoint's Conv1d of kernel 1).

y[n] = float32(acc[n]) * scale[n] + bias[n], acc = sum over k of w[n][k] * x[k]. Batch norm lives in scale and bias.
The order of the sums: docs/arithmetic.md, sections 3 to 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from edgesnn.graph.operators.base import Operator
from edgesnn.graph.values import NodeView, ValueType

_INT32_MAX = (1 << 31) - 1


class Linear(Operator):
    """[.., K] -> float32 [.., N]; weight int8 or float32 [N, K]; activations "int" or "float32" as the input is."""

    attributes: ClassVar = {"activations": (None, ("int", "float32"))}
    tensors = ("weight", "scale", "bias")

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        (x,) = view.inputs
        weight = view.tensors["weight"]
        if x.kind != view.attribute("activations"):
            raise view.error("input is of another kind", found=x, expected=view.attribute("activations"))
        if weight.data.dtype not in (np.int8, np.float32) or len(weight.shape) != 2 or weight.shape[1] != x.shape[-1]:
            raise view.error(
                "tensor has another shape or type",
                tensor="weight",
                found=f"{weight.data.dtype} {list(weight.shape)}",
                expected=f"int8 or float32 [N, {x.shape[-1]}]",
            )
        outputs, inputs = weight.shape
        if weight.data.dtype == np.int8 and 127 * inputs * x.bound > _INT32_MAX:
            raise view.error("sums may not fit 32 bits", found=f"{inputs} inputs of up to {x.bound}")
        view.vector("scale", (outputs,))
        view.vector("bias", (outputs,))
        return (ValueType("float32", (*x.shape[:-1], outputs)),)

    def synops(self, view: NodeView, sums: Sequence[int]) -> int:
        """Return the sum of the input values times the fan-out; matrices of float32 inputs count none."""
        return sums[0] * view.tensors["weight"].shape[0] if view.inputs[0].kind == "int" else 0
