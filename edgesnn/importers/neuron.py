"""What every importer makes of a layer of neurons: attributes and constants of a `lif` node."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Shape = tuple[int, ...]

MAX_COUNT = 255
"""Largest value of a multi-spike: one byte."""


@dataclass(frozen=True)
class Neuron:
    """A `lif` node to be: attributes that differ from its defaults, and tensors in float64, not yet rounded."""

    attributes: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Float64] = field(default_factory=dict)

    def plus(self, attributes: dict[str, Any], **tensors: Float64 | None) -> Neuron:
        """Return a neuron with more; tensors that are None are left out."""
        given = {name: array for name, array in tensors.items() if array is not None}
        return Neuron({**self.attributes, **attributes}, {**self.tensors, **given})


def unless(array: npt.ArrayLike, neutral: float) -> Float64 | None:
    """Return None for an array that would change nothing once it is rounded to float32."""
    values = np.asarray(array, dtype=np.float64)
    return None if (values.astype(np.float32) == np.float32(neutral)).all() else values


def channel_axis(shape: Shape) -> int:
    """Return the channel axis of a value: the first of images and sequences, else the last."""
    return -len(shape) if len(shape) in (2, 3) else -1


def compress(array: npt.ArrayLike, shape: Shape) -> npt.NDArray[np.float32]:
    """Return a parameter vector of a value of `shape`: of length 1, of its channel axis, or of all elements."""
    spread = np.broadcast_to(np.asarray(array), shape)
    if not any(spread.strides):  # one number for all: nothing is written out
        return np.array([spread.flat[0]], dtype=np.float32)
    full = spread.astype(np.float32)
    rows = full.reshape(-1, shape[-1]) if channel_axis(shape) == -1 else full.reshape(shape[0], -1).T
    if (full == rows[0, 0]).all():
        rows = rows[:1, :1]
    elif (rows == rows[:1]).all():
        rows = rows[:1]
    else:
        rows = full
    return np.array(rows.ravel(), dtype=np.float32)
