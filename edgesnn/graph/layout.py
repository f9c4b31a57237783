"""How tensors lie in the file: the kernels' layouts, so that loading never repacks (docs/model-file.md).

Weights of any rank are matrices here: plain [N, ...] is [N, K], K in C order. Padding is zero (nibbles: 8, the biased
zero), and sizes are padded so that each tensor is a multiple of 64 bytes.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

LANES = 16
ALIGNMENT = 64
GROUPS = (32, 64, 128)
BIAS = 8  # a nibble holds value + 8

LAYOUTS: dict[str, tuple[str, ...]] = {
    "vector": ("float32", "int32"),
    "im": ("float32", "int8", "uint8"),
    "im4": ("uint8",),
    "om16x4": ("int8",),
    "om16x8": ("uint8",),
    "rows": ("float32", "int8"),
}
"""Layouts and the types of their stored elements."""

Array = npt.NDArray[Any]


def weight_layout(number: str, activations: str) -> str:
    """Return the layout of a matrix: by its numbers ("float32", "int8", "int4") and what it is multiplied with.

    >>> weight_layout("int4", "int"), weight_layout("int4", "int8"), weight_layout("int8", "float32")
    ('im4', 'om16x8', 'im')
    """
    if number == "int4":
        return "im4" if activations == "int" else "om16x8"
    return "om16x4" if (number, activations) == ("int8", "int8") else "im"


def stored_shapes(layout: str, shape: tuple[int, ...], itemsize: int) -> tuple[tuple[int, ...], ...]:
    """Return the shapes that the stored array may have; none for a layout or a rank that does not exist.

    Only "om16x8" has several: one for each size of a group.

    >>> stored_shapes("im", (10, 6), 1), stored_shapes("om16x8", (10, 40), 1)
    (((8, 16),), ((1, 8, 16, 4), (1, 8, 16, 4), (1, 16, 16, 4)))
    """
    if layout == "vector":
        return ((_round_up(shape[0], LANES),),) if len(shape) == 1 else ()
    if len(shape) < 2:
        return ()
    n, k = shape[0], prod(shape[1:])
    unit = max(1, ALIGNMENT // (LANES * itemsize))  # rows of 16 elements in 64 bytes
    if layout == "im":
        return ((_round_up(k, unit), _round_up(n, LANES)),)
    if layout == "im4":
        return ((_round_up(k, unit), _round_up(n, 2 * LANES) // 2),)
    if layout == "rows":
        return ((_round_up(n, unit), _round_up(k, LANES)),)
    blocks = _round_up(n, LANES) // LANES
    if layout == "om16x4":
        return ((blocks, _round_up(k, LANES) // 4, LANES, 4),)
    if layout == "om16x8":
        return tuple((blocks, _round_up(k, group) // 8, LANES, 4) for group in GROUPS)
    return ()


def pack(plain: Array, layout: str, group: int = 0) -> Array:
    """Return the stored array of a plain one; int4 values come as int8.

    Args:
        plain: [N, ...] or, for "vector", [N].
        layout: one that exists for its rank.
        group: size of the groups of inputs, for "om16x8" only.
    """
    if layout == "vector":
        return _padded(plain, stored_shapes(layout, plain.shape, 4)[0])
    matrix = plain.reshape(len(plain), -1)
    if layout == "om16x8":
        n, k = _round_up(len(matrix), LANES), _round_up(matrix.shape[1], group)
        return _join(_padded(matrix, (n, k)).reshape(n // LANES, LANES, k // 8, 2, 4).transpose(3, 0, 2, 1, 4))
    shape = stored_shapes(layout, matrix.shape, plain.dtype.itemsize)[0]
    if layout == "om16x4":
        n, k = shape[0] * LANES, shape[1] * 4
        return np.ascontiguousarray(_padded(matrix, (n, k)).reshape(shape[0], LANES, shape[1], 4).transpose(0, 2, 1, 3))
    if layout == "im4":
        rows = _padded(matrix.T, (shape[0], shape[1] * 2))
        return _join(rows.reshape(shape[0], -1, 2, LANES).transpose(2, 0, 1, 3)).reshape(shape)
    return _padded(matrix.T if layout == "im" else matrix, shape)


def unpack(layout: str, shape: tuple[int, ...], stored: Array) -> Array:
    """Return the plain array (a copy): the inverse of `pack`; int4 comes as int8."""
    if layout == "vector":
        return np.array(stored[: shape[0]], order="C")
    n, k = shape[0], prod(shape[1:])
    if layout == "om16x8":
        matrix = _split(stored).transpose(1, 3, 2, 0, 4).reshape(stored.shape[0] * LANES, -1)
    elif layout == "om16x4":
        matrix = stored.transpose(0, 2, 1, 3).reshape(stored.shape[0] * LANES, -1)
    elif layout == "im4":
        rows = _split(stored.reshape(stored.shape[0], -1, LANES))
        matrix = rows.transpose(1, 2, 0, 3).reshape(stored.shape[0], -1).T
    else:
        matrix = stored.T if layout == "im" else stored
    return np.array(matrix[:n, :k], order="C").reshape(shape)


def padding_is_zero(layout: str, shape: tuple[int, ...], stored: Array) -> bool:
    """Say whether everything that is stored beyond the plain array is zero; only the padding is read.

    >>> stored = pack(np.ones((3, 5), np.int8), "im")
    >>> padding_is_zero("im", (3, 5), stored), padding_is_zero("im", (3, 4), stored)
    (True, False)
    """
    n, k = shape[0], prod(shape[1:])
    if layout == "vector":
        return not stored[n:].any()
    if layout in ("im", "rows"):
        rows, columns = (k, n) if layout == "im" else (n, k)
        return not stored[rows:].any() and not stored[:, columns:].any()
    if layout == "im4":
        block = n // (2 * LANES)  # the one that outputs end in; there is none where they fill all
        nibbles = _split(stored[:, block * LANES : (block + 1) * LANES]).transpose(1, 0, 2).reshape(len(stored), -1)
        return bool((stored[k:] == BIAS * 17).all()) and not nibbles[:, n - block * 2 * LANES :].any()
    deep = 4 if layout == "om16x4" else 8
    inputs, outputs = stored[:, k // deep :], stored[n // LANES :]
    split = _split if deep == 8 else _unsplit
    last_inputs = split(inputs).transpose(1, 3, 2, 0, 4).reshape(len(stored) * LANES, -1)
    last_outputs = split(outputs).transpose(1, 3, 2, 0, 4).reshape(-1, stored.shape[1] * deep)
    return not last_inputs[:, k % deep :].any() and not last_outputs[n % LANES :].any()


def _padded(plain: Array, shape: tuple[int, ...]) -> Array:
    stored = np.zeros(shape, dtype=plain.dtype)
    stored[tuple(slice(n) for n in plain.shape)] = plain
    return stored


def _join(halves: Array) -> Array:
    """Return bytes of two values each: halves[0] in the low nibble, halves[1] in the high one, biased."""
    low, high = (half.astype(np.uint8) + np.uint8(BIAS) & np.uint8(15) for half in halves)
    return np.ascontiguousarray(low | high << np.uint8(4))


def _split(stored: Array) -> Array:
    """Return int8 [2, ...]: low nibbles, then high nibbles."""
    nibbles = np.stack([stored & np.uint8(15), stored >> np.uint8(4)]).astype(np.int8)
    return np.asarray(nibbles - np.int8(BIAS))


def _unsplit(stored: Array) -> Array:
    """Return the bytes themselves, with the axis that `_split` has for the two halves."""
    return stored[np.newaxis]


def _round_up(value: int, unit: int) -> int:
    return (value + unit - 1) // unit * unit
