"""wkv: RWKV-4's attention with its largest exponent kept apart (docs/operators.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesnn.runtime.arithmetic import exp32
from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator, larger


class Wkv(ReferenceOperator):
    """See `edgesnn.graph.operators.wkv`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        k, v = inputs
        aa, bb, pp = (states[name] for name in ("aa", "bb", "pp"))
        ww = self.constant("bonus") + k
        p = larger(pp, ww)
        e1, e2 = exp32(pp - p), exp32(ww - p)
        y = (e1 * aa + e2 * v) / (e1 * bb + e2)
        ww = pp + self.constant("decay")
        p = larger(ww, k)
        e1, e2 = exp32(ww - p), exp32(k - p)
        aa[...], bb[...], pp[...] = e1 * aa + e2 * v, e1 * bb + e2, p
        return (y,)
