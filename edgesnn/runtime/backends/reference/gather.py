"""gather: chosen elements of an axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator


class Gather(ReferenceOperator):
    """See `edgesnn.graph.operators.gather`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        return (np.take(inputs[0], self.constant("indices"), axis=self.view.attribute("axis")),)
