"""lif: the nine lines of docs/operators.md, "Neurons", one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator, float32, larger, smaller


class Lif(ReferenceOperator):
    """See `edgesnn.graph.operators.lif`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        gain, leak = self.parameter("gain"), self.parameter("leak")
        x = inputs[0] if gain is None else inputs[0] * gain
        c = self._current(x, states)
        u, n = self._membrane(states["v"], c if leak is None else c + leak)
        if "refractory" in states:
            count = states["refractory"]
            held = count > 0
            u, n = np.where(held, states["v"], u), np.where(held, np.float32(0), n)
            count[...] = np.where(held, count - 1, np.where(n > 0, self.view.attribute("refractory"), 0))
        states["v"][...] = u
        return (states["v"].copy() if self.view.attribute("spike") == "none" else n.astype(np.uint8),)

    def _current(self, x: Array, states: Mapping[str, Array]) -> Array:
        """Line 2: the synaptic current."""
        kind, beta = self.view.attribute("current"), self.parameter("beta")
        if kind == "none":
            return x
        i = states["i"]
        if kind == "new":
            i[...] = i * beta + x
            return np.array(i)
        if kind == "sum_decay":
            i[...] = (i + x) * beta
            return np.array(i)
        if kind == "jump":
            jumped = i + x
            i[...] = jumped - beta * jumped
            return np.asarray(jumped)
        old = np.array(i)
        i[...] = i * beta + x
        return old

    def _membrane(self, v: Array, c: Array) -> tuple[Array, Array]:
        """Lines 4 to 9: return the membrane after the step, and the spikes (float32)."""
        at, alpha, v_min = self.view.attribute("reset_at"), self.parameter("alpha"), self.parameter("v_min")
        none = np.zeros_like(v)
        before = none if at == "same" else float32(self._over(v))
        if at == "next":
            v = np.where(before > 0, self._reset(v, before), v)
        u = v * alpha + c if self.view.attribute("decay") == "multiply" else v + alpha * (c - v)
        if at == "old":
            u = np.where(before > 0, self._reset(u, before), u)
        if at == "no_double":
            u = u - before * self.parameter("v_th")
        n = none if self.view.attribute("spike") == "none" else self._spikes(u)
        if at == "same":
            u = np.where(n > 0, self._reset(u, n), u)
        if at == "no_double":
            u = u - (n - before) * self.parameter("v_th")
        return (u if v_min is None else larger(u, v_min)), n

    def _over(self, v: Array) -> Array:
        v_th = self.parameter("v_th")
        return np.asarray(v >= v_th if self.view.attribute("compare") == "ge" else v > v_th)

    def _spikes(self, u: Array) -> Array:
        """Line 7."""
        kind, zero, cap = self.view.attribute("spike"), np.float32(0), np.float32(self.view.attribute("cap"))
        if kind == "binary":
            return float32(self._over(u))
        q = u / self.parameter("v_th")
        if kind == "floor":
            return smaller(larger(np.floor(q), zero), cap)
        q = smaller(larger(q, zero), cap)
        return np.asarray(np.rint(q) if kind == "half_even" else np.floor(q + np.float32(0.5)))

    def _reset(self, u: Array, n: Array) -> Array:
        kind = self.view.attribute("reset")
        if kind == "subtract":
            return np.asarray(u - n * self.parameter("v_th"))
        if kind == "none":
            return u
        v_reset = self.parameter("v_reset")
        return np.zeros_like(u) if v_reset is None else np.broadcast_to(v_reset, u.shape)
