"""conv1d: a matrix over a window of neighbours, the same at every place."""

from __future__ import annotations

from typing import ClassVar

from edgesnn.graph.operators.convolution import Convolution


class Conv1d(Convolution):
    """[Cin, L] -> [Cout, L']; weight [Cout, Cin / groups, k]."""

    axes = 1
    attributes: ClassVar = {
        **Convolution.attributes,
        "stride": ([1] * 1, list),
        "padding": ([0] * 1, list),
        "dilation": ([1] * 1, list),
    }
