"""token_shift: x * mix + previous * keep, the time mixing of token models (RWKV-4)."""

from __future__ import annotations

from typing import ClassVar

from edgesnn.graph.operators.base import Operator
from edgesnn.graph.values import NodeView, ValueType


class TokenShift(Operator):
    """(x, previous) float32 [.., D] -> float32 [.., D]; tensors `mix` and `keep` (1 - mix) [D].

    `previous` is the output of a `delay`.
    """

    arity: ClassVar = 2

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        x, previous = view.inputs
        if x.kind != "float32" or x != previous or not x.shape:
            raise view.error("inputs cannot be mixed", found=f"{x} and {previous}", expected="float32 of one shape")
        view.roles(("mix", "keep"))
        for role in ("mix", "keep"):
            view.vector(role, (x.shape[-1],))
        return (x,)
