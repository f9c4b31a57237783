"""conv2d: a matrix over a window of neighbours, the same at every place."""

from __future__ import annotations

from typing import ClassVar

from edgesnn.graph.operators.convolution import Convolution


class Conv2d(Convolution):
    """[Cin, H, W] -> [Cout, H', W']; weight [Cout, Cin / groups, kh, kw]."""

    axes = 2
    attributes: ClassVar = {
        **Convolution.attributes,
        "stride": ([1] * 2, list),
        "padding": ([0] * 2, list),
        "dilation": ([1] * 2, list),
    }
