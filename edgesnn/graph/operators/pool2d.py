"""pool2d: sum, mean or largest of a window of neighbours, channel by channel."""

from __future__ import annotations

from typing import ClassVar

from edgesnn.graph.operators.pooling import Pooling


class Pool2d(Pooling):
    """[C, H, W] -> [C, H', W']."""

    axes = 2
    attributes: ClassVar = {**Pooling.attributes, "padding": ([0] * 2, list)}
