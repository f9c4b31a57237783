"""Exact sums of whole numbers in float32: cut into parts below 2^24, which are added as int32.

float32 holds every whole number up to 2^24, so a sum of whole numbers has the same bits in any order as long as no sum
of some of them passes that. What can be reached is known: the weights are, and so is the largest input.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgesnn.exporters.onnx.graph import TYPES, Array, NodeGraph
from edgesnn.graph.operators.matrix import LARGEST

WHOLE = 1 << 24
"""Whole numbers up to here are float32."""

_MULTIPLIER = 255  # the largest

BLOCK = 64
"""So many inputs of a group have no larger sum: 64 * 8 * 255 * 127 < 2^24."""


def parts(node: NodeGraph, weight: Callable[[], Array], largest: int, unit: int = 1) -> list[slice]:
    """Return consecutive parts of K in each of which no output can reach 2^24; as few as parts of one size allow.

    Args:
        node: the matrix.
        weight: gives its whole weights [N, K], multipliers in them; asked for only where it matters.
        largest: the largest input, without its sign.
        unit: a part begins at a multiple of it.
    """
    tensor = node.view.tensors["weight"]
    inputs = int(np.prod(tensor.shape[1:]))
    multiplier = _MULTIPLIER if "multiplier" in node.view.tensors else 1
    if LARGEST[tensor.number] * multiplier * inputs * largest < WHOLE:
        return [slice(0, inputs)]
    sizes = np.abs(weight())
    units = -(-inputs // unit)
    for count in range(1, units + 1):
        starts = [units * i // count * unit for i in range(count)]
        if int(np.add.reduceat(sizes, starts, axis=1, dtype=np.int64).max()) * largest < WHOLE:
            break
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], inputs], strict=True)]


def added(node: NodeGraph, sums: list[str]) -> tuple[str, str]:
    """Add up the parts' float32 sums: (tensor, type), float32 of one part and int32 of several."""
    if len(sums) == 1:
        return sums[0], "float32"
    whole = [node.op("Cast", one, to=TYPES["int32"]) for one in sums]
    total = whole[0]
    for one in whole[1:]:
        total = node.op("Add", total, one)
    return total, "int32"
