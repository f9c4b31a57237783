"""cuba: integer neurons, products in 64 bits (docs/operators.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesnn.graph.values import INT32_MAX
from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator


class Cuba(ReferenceOperator):
    """See `edgesnn.graph.operators.cuba`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        get = self.view.attribute
        u = decay(states["u"], get("current_decay")) + get("gain") * inputs[0].astype(np.int64)
        u = np.clip(u, -INT32_MAX, INT32_MAX)
        v = np.clip(decay(states["v"], get("voltage_decay")) + u, -INT32_MAX, INT32_MAX)
        fired = v >= get("v_th") if get("compare") == "ge" else v > get("v_th")
        v = np.where(fired, 0, v)
        if get("refractory"):
            held = states["refractory"] > 0
            fired, v = fired & ~held, np.where(held, states["v"], v)
            states["refractory"][...] = np.where(fired, get("refractory"), states["refractory"] - held)
        states["u"][...], states["v"][...] = u, v
        return (fired.astype(np.uint8),)


def decay(q: Array, d: int) -> Array:
    """Return q * (4096 - d) / 4096 truncated toward zero, in 64 bits."""
    product = q.astype(np.int64) * (4096 - d)
    return np.asarray(np.sign(product) * (np.abs(product) // 4096))
