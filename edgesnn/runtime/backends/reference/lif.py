"""lif: v = v * alpha + x, compare, reset (docs/arithmetic.md, section 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator


class Lif(ReferenceOperator):
    """See `edgesnn.graph.operators.lif`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        v, v_th = states["v"], self.constant("v_th")
        v[...] = v * self.constant("alpha") + inputs[0]
        fired = v >= v_th if self.view.attribute("compare") == "ge" else v > v_th
        if self.view.attribute("reset") == "zero":
            v[fired] = np.float32(0)
        elif self.view.attribute("reset") == "subtract":
            v[...] = np.where(fired, v - v_th, v)
        return (fired.astype(np.uint8),)
