"""Events as spikes of time steps: which step an event falls into, and what its input element counts.

The readable form. Element (c, y, x) of step k counts the events at (x, y) of the polarity of channel c whose bin is k,
up to a bound (1: binary).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class SpikeEncoding:
    """How events become steps: the `input` section of kind "spikes" (docs/model-file.md).

    Attributes:
        sensor: (width, height); events are within it.
        bin_us: microseconds of a step.
        steps: steps of a window; events of later bins are left out.
        origin: bins count from time "zero" or from the "first" event.
        rounding: "floor" (bin k holds [k, k + 1) bins) or "nearest" (round half to even).
        polarity_order: the polarity of channel 0 and of channel 1.
        bound: an element's largest value.
    """

    sensor: tuple[int, int]
    bin_us: int
    steps: int
    origin: Literal["zero", "first"] = "first"
    rounding: Literal["floor", "nearest"] = "floor"
    polarity_order: tuple[int, int] = (0, 1)
    bound: int = 255

    @classmethod
    def from_section(cls, section: Mapping[str, Any]) -> SpikeEncoding:
        """Return the encoding of a checked `input` section of kind "spikes" whose `events` are given."""
        events: dict[str, Any] = {name: value for name, value in section["events"].items() if name != "hop_steps"}
        events.update({name: tuple(events[name]) for name in ("sensor", "polarity_order")})
        return cls(**events, bound=section["bound"])


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
    channel = p if encoding.polarity_order == (0, 1) else 1 - p
    element = ((step[inside] * 2 + channel) * height + y) * width + x
    counts = np.bincount(element, minlength=encoding.steps * 2 * height * width)
    return np.minimum(counts, encoding.bound).astype(np.uint8).reshape(encoding.steps, 2, height, width)
