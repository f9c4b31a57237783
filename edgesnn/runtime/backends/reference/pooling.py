"""What `pool1d` and `pool2d` have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator, float32, larger
from edgesnn.runtime.backends.reference.windows import image, pair, windows


class Pooling(ReferenceOperator):
    """See `edgesnn.graph.operators.pooling`. Contributions in ascending (y, x)."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        x = image(inputs[0])
        y = self._largest(x) if self.view.attribute("mode") == "max" else self._sum(x)
        return (y[:, 0] if inputs[0].ndim == 2 else y,)

    def _windows(self, x: Array) -> Array:
        """Return [C, taps, H', W']."""
        get = self.view.attribute
        seen = windows(x, pair(get("kernel"), 1), pair(get("stride"), 1), pair(get("padding"), 0), (1, 1))
        return seen.reshape(len(seen), -1, *seen.shape[3:])

    def _sum(self, x: Array) -> Array:
        integer = x.dtype == np.uint8
        seen = self._windows(x.astype(np.int64) if integer else x)
        total = np.zeros_like(seen[:, 0])
        for tap in range(seen.shape[1]):
            total = total + seen[:, tap]
        if self.view.attribute("mode") == "avg":
            return np.asarray(float32(total) * np.float32(1.0 / seen.shape[1]))
        kind = np.uint8 if integer and self._bound() <= 255 else np.int32 if integer else np.float32
        return total.astype(kind)

    def _bound(self) -> int:
        return self.view.inputs[0].bound * int(np.prod(self.view.attribute("kernel")))

    def _largest(self, x: Array) -> Array:
        seen, inside = self._windows(x), self._windows(np.ones_like(x[:1], dtype=bool))
        largest, found = np.zeros_like(seen[:, 0]), np.zeros_like(inside[:, 0])
        for tap in range(seen.shape[1]):
            joined = np.where(found, larger(largest, seen[:, tap]), seen[:, tap])
            largest = np.where(inside[:, tap], joined, largest)
            found = found | inside[:, tap]
        return largest
