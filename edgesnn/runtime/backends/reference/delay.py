"""delay: a line of the last steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator


class Delay(ReferenceOperator):
    """See `edgesnn.graph.operators.delay`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        line, position = states["line"], int(states["position"])
        steps = len(line)
        if "delays" not in self.view.tensors:
            return (line[position % steps].copy(),)
        delays = self.constant("delays")
        rows = line.reshape(steps, -1)
        y = rows[(position - delays) % steps, np.arange(delays.size)]
        if inputs[0] is not None:
            y = np.where(delays == 0, inputs[0].reshape(-1), y)
        return (y.reshape(line.shape[1:]),)

    def finish(self, inputs: Sequence[Any], states: Mapping[str, Array]) -> None:
        """See `ReferenceOperator.finish`: the oldest place takes this step's value."""
        position = int(states["position"]) % len(states["line"])
        states["line"][position] = inputs[0]
        states["position"][...] = (position + 1) % len(states["line"])
