"""vote: running mean over steps and voters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesnn.runtime.backends.reference.base import Array, ReferenceOperator


class Vote(ReferenceOperator):
    """See `edgesnn.graph.operators.vote`."""

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """See `ReferenceOperator.step`."""
        classes, voters = self.view.attribute("classes"), self.view.attribute("voters")
        votes = inputs[0].reshape(classes, voters).astype(states["sum"].dtype)
        total = np.zeros(classes, dtype=states["sum"].dtype)
        for voter in range(voters):
            total = total + votes[:, voter]
        states["sum"] += total
        states["steps"] += 1
        return (states["sum"].astype(np.float32) / np.float32(voters * int(states["steps"])),)
