"""torch's matrix times vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

torch.set_num_threads(1)


def make(weight: npt.NDArray[np.float32], xs: npt.NDArray[np.float32], kind: str) -> tuple[Callable[[Any], Any], Any]:
    """Return (step, inputs)."""
    matrix = torch.from_numpy(weight)
    return torch.inference_mode()(lambda x: torch.mv(matrix, x)), list(torch.from_numpy(xs))
