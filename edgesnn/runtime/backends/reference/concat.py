"""concat: one after the other on an axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator


class Concat(ReferenceOperator):
    """See `edgesnn.graph.operators.concat`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        return (np.concatenate(inputs, axis=self.view.attribute("axis")),)
