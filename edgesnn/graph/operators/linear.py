"""linear: a matrix with scale and bias per output; the same for every row (SpikePoint's Conv1d of kernel 1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.graph.operators.matrix import Matrix
from edgesnn.graph.values import NodeView, ValueType


class Linear(Matrix):
    """[.., K] -> [.., N]; weight [N, K] float32, int8 or int4."""

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        (x,) = view.inputs
        self.check_weight(view)
        weight = view.tensors["weight"]
        if len(weight.shape) != 2 or not x.shape or weight.shape[1] != x.shape[-1]:
            expected = f"[N, {x.shape[-1]}]" if x.shape else "no scalar"
            raise view.error("tensor has another shape or type", tensor="weight", found=weight, expected=expected)
        y = self.check(view)
        return (ValueType(y.kind, (*x.shape[:-1], weight.shape[0]), y.bound),)

    def contributions(self, view: NodeView, x: npt.NDArray[Any]) -> int:
        """See `Matrix.contributions`."""
        return int(x.sum(dtype=np.int64)) * view.tensors["weight"].shape[0]

    def connections(self, view: NodeView) -> int:
        """See `Matrix.connections`."""
        outputs: int = view.tensors["weight"].shape[0]
        return view.inputs[0].elements * outputs
