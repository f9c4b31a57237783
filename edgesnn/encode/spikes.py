"""Events as spikes of time steps: which step an event falls into, and what its input element counts.

The readable form. Element (p, y, x) of step k holds the events of polarity p at (x, y) whose bin is k: their number
(at most 255), or 1 where there is at least one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

MAX_COUNT = 255


@dataclass(frozen=True)
class SpikeEncoding:
    """The `input` section of kind "spikes", as far as it says how events become steps (docs/model-file.md).

    Attributes:
        sensor: (width, height); events are within it.
        bin_us: microseconds of a step.
        steps: steps of a window; events of later bins are left out.
        origin: bins count from time "zero" or from the "first" event.
        rounding: "floor" (bin k holds [k, k + 1) bins) or "nearest" (round half to even).
        value: "count" or "binary".
    """

    sensor: tuple[int, int]
    bin_us: int
    steps: int
    origin: Literal["zero", "first"] = "first"
    rounding: Literal["floor", "nearest"] = "floor"
    value: Literal["count", "binary"] = "count"


def spike_frames(events: npt.NDArray[Any], encoding: SpikeEncoding) -> npt.NDArray[np.uint8]:
    """Return uint8 [steps, 2, height, width] of one window's events (dtype `edgesnn.EVENT`, any order).

    >>> from edgesnn.events.types import EVENT
    >>> events = np.array([(1500, 1, 0, 1), (1600, 1, 0, 1)], EVENT)
    >>> spike_frames(events, SpikeEncoding((2, 1), bin_us=1000, steps=3, origin="zero"))[:, 1, 0, 1].tolist()
    [0, 2, 0]
    """
    width, height = encoding.sensor
    t = events["t"].astype(np.int64)
    if encoding.origin == "first" and t.size:
        t = t - t[0]
    if encoding.rounding == "nearest":
        step = np.rint(t.astype(np.float64) / encoding.bin_us).astype(np.int64)
    else:
        step = t // encoding.bin_us
    inside = (step >= 0) & (step < encoding.steps)
    p, y, x = (events[name][inside].astype(np.int64) for name in ("p", "y", "x"))
    element = ((step[inside] * 2 + p) * height + y) * width + x
    counts = np.bincount(element, minlength=encoding.steps * 2 * height * width)
    limit = MAX_COUNT if encoding.value == "count" else 1
    return np.minimum(counts, limit).astype(np.uint8).reshape(encoding.steps, 2, height, width)
