"""From plain arrays to stored tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError
from edgesnn.graph.layout import pack
from edgesnn.graph.values import Tensor


@dataclass(frozen=True, eq=False)
class Int4:
    """Marks whole numbers from -8 to 7 that are to be stored in four bits.

    Args:
        values: array of at least two axes.
        group: of a table: columns that share a multiplier, 32, 64 or 128. Matrices say it in their attribute.

    >>> Int4(np.array([[7, -8]])).values.dtype
    dtype('int8')
    """

    values: npt.NDArray[np.int8]
    group: int = 0

    def __post_init__(self) -> None:
        plain = np.asarray(self.values)
        if plain.dtype.kind not in "iu" or plain.ndim < 2 or (plain.size and not -8 <= plain.min() <= plain.max() <= 7):
            found = f"{plain.dtype} {list(plain.shape)}"
            raise ModelError("not a matrix of four-bit numbers", found=found, expected="integers from -8 to 7")
        object.__setattr__(self, "values", plain.astype(np.int8))


Plain = npt.ArrayLike | Int4


def plain_array(name: str, value: Plain) -> tuple[str, npt.NDArray[Any]]:
    """Return (number, array) of a plain tensor: float64 becomes float32, an `Int4` its values.

    Raises:
        ModelError: a type or rank that no layout holds.
    """
    array = value.values if isinstance(value, Int4) else np.asarray(value)
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    number = "int4" if isinstance(value, Int4) else str(array.dtype)
    ranks = {"float32": range(1, 9), "int32": range(1, 2)}.get(number, range(2, 9))
    known = number in ("float32", "int32", "int8", "uint8", "int4")
    if not known or array.ndim not in ranks or 0 in array.shape:
        found = f"{number} {list(array.shape)}"
        raise ModelError("tensor is not a matrix or vector", where=f"tensor {name!r}", found=found)
    return number, array


def store(plain: npt.NDArray[Any], layout: str, group: int = 0) -> Tensor:
    """Return the tensor that holds a plain array in a layout (`edgesnn.graph.layout.pack`)."""
    stored = pack(plain, layout, group)
    stored.flags.writeable = False
    return Tensor(stored, plain.shape, layout, sha256(stored))


def free_name(name: str, taken: Container[str]) -> str:
    """Return a tensor's name, longer by as many "_" as it takes to be none of those taken.

    >>> free_name("fc.weight", ["fc.weight", "fc.bias"])
    'fc.weight_'
    """
    while name in taken:
        name += "_"
    return name


def sha256(array: npt.NDArray[Any]) -> str:
    """Return the hex digest of an array's bytes."""
    return hashlib.sha256(np.ascontiguousarray(array).data.cast("B")).hexdigest()
