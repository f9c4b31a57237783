"""What `conv1d` and `conv2d` have in common: contributions in ascending input index (channel, y, x)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesnn.runtime.backends.reference.base import Array, float32
from edgesnn.runtime.backends.reference.matrix import Matrix
from edgesnn.runtime.backends.reference.windows import image, pair, windows


class Convolution(Matrix):
    """See `edgesnn.graph.operators.convolution`. Float sums take their products one by one, integer ones are exact."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        get, shape = self.view.attribute, self.constant("weight").shape
        kernel = pair(shape[2:], 1)
        seen = windows(
            image(inputs[0]), kernel, pair(get("stride"), 1), pair(get("padding"), 0), pair(get("dilation"), 1)
        )
        groups, places = get("groups"), seen.shape[3:]
        exact = get("activations") == "int" and self.constant("weight").dtype != np.float32
        weight = (self.integers if exact else self.floats).reshape(groups, shape[0] // groups, -1, 1, 1)
        seen = (seen.astype(np.int64) if exact else float32(seen)).reshape(groups, 1, -1, *places)
        total = np.zeros((groups, shape[0] // groups, *places), dtype=weight.dtype)
        for k in range(weight.shape[2]):  # ascending channel, y, x: the order of the inputs, at every place
            total = total + weight[:, :, k] * seen[:, :, k]
        y = self.scaled(total.reshape(shape[0], *places), places=2)
        return (y[:, 0] if inputs[0].ndim == 2 else y,)
