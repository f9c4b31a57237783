"""How tensors lie in the file: the kernels' layout, so that loading never repacks (docs/model-file.md).

* "im": a weight [N, K] stored input-major, [K', N'], N' = N rounded up to 16 and K' = K rounded up until the bytes are
  a multiple of 64. The weights of one input lie side by side: a spike adds one row.
* "vector": [N] stored as [N'], N' = N rounded up to 16.

Padding is zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

LANES = 16
ALIGNMENT = 64


def stored_shape(layout: str, shape: tuple[int, ...], itemsize: int) -> tuple[int, ...] | None:
    """Return the shape of the stored array; None for a layout or a rank that does not exist.

    >>> stored_shape("im", (10, 6), 1)
    (8, 16)
    """
    if layout == "vector" and len(shape) == 1:
        return (_round_up(shape[0], LANES),)
    if layout == "im" and len(shape) == 2:
        columns = _round_up(shape[0], LANES)
        rows_per_unit = max(1, ALIGNMENT // (LANES * itemsize))
        return (_round_up(shape[1], rows_per_unit), columns)
    return None


def pack(plain: npt.NDArray[Any]) -> tuple[str, npt.NDArray[Any]]:
    """Return (layout, stored array) of a plain weight [N, K] or vector [N]."""
    layout = "im" if plain.ndim == 2 else "vector"
    shape = stored_shape(layout, plain.shape, plain.dtype.itemsize)
    assert shape is not None
    stored = np.zeros(shape, dtype=plain.dtype)
    stored[tuple(slice(n) for n in plain.T.shape)] = plain.T
    return layout, stored


def unpack(layout: str, shape: tuple[int, ...], stored: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the plain array (a copy): the inverse of `pack`."""
    plain = stored[: shape[1], : shape[0]].T if layout == "im" else stored[: shape[0]]
    return np.array(plain, order="C")


def _round_up(value: int, unit: int) -> int:
    return (value + unit - 1) // unit * unit
