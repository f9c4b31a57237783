"""slice: a part of an axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator


class Slice(ReferenceOperator):
    """See `edgesnn.graph.operators.slice`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        part = slice(self.view.attribute("start"), self.view.attribute("stop"))
        return (
            np.moveaxis(np.moveaxis(inputs[0], self.view.attribute("axis"), 0)[part], 0, self.view.attribute("axis")),
        )
