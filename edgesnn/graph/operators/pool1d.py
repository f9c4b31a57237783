"""pool1d: sum, mean or largest of a window of neighbours, channel by channel."""

from __future__ import annotations

from typing import ClassVar

from edgesnn.graph.operators.pooling import Pooling


class Pool1d(Pooling):
    """[C, L] -> [C, L']."""

    axes = 1
    attributes: ClassVar = {**Pooling.attributes, "padding": ([0] * 1, list)}
