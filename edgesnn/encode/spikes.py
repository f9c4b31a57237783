"""Windows of events as spikes of time steps: the input of kind "spikes" (docs/arithmetic.md, section 10).

This is the plain numpy form, read first; `native/encode/spike_encoder.cpp` is the fast one and equals it bit for bit.
Element (c, y, x) of a step counts the events at (x, y) of the polarity of channel c in that step's bin of time, up to a
bound (1: binary).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from edgesnn.encode.adapt import Adapt, placement
from edgesnn.encode.grid import Origin, Rounding, TimeGrid


@dataclass(frozen=True)
class SpikeEncoding:
    """How events become steps: the `input` section of kind "spikes", or "dense" with events (docs/model-file.md).

    Attributes:
        sensor: (width, height) that the model was made for.
        bin_us: microseconds of a step.
        steps: steps of a window.
        hop_steps: steps from the start of a window to that of the next.
        origin: bins count from the stream's "first" event or from time "zero".
        rounding: "floor" (bin k holds [k, k + 1) bins) or "nearest" (round half to even).
        polarity_order: the polarity of channel 0 and of channel 1.
        bound: an element's largest value; what is above it is clamped.
        adapt: how events of another sensor come onto the model's (`edgesnn.encode.adapt`); None takes none.
    """

    kind: ClassVar[str] = "spikes"
    min_events: ClassVar[int] = 1
    """A window without an event is idle."""

    sensor: tuple[int, int]
    bin_us: int
    steps: int
    hop_steps: int
    origin: Origin = "first"
    rounding: Rounding = "floor"
    polarity_order: tuple[int, int] = (0, 1)
    bound: int = 255
    adapt: Adapt | None = None

    @classmethod
    def from_section(cls, section: Mapping[str, Any]) -> SpikeEncoding:
        """Return the encoding of a checked `input` section of kind "spikes" or "dense" whose `events` are given."""
        events = dict(section["events"])
        events.update({name: tuple(events[name]) for name in ("sensor", "polarity_order")})
        return cls(**events, bound=section["bound"] or 255)

    @property
    def grid(self) -> TimeGrid:
        """The bins of time: a step each."""
        return TimeGrid(self.steps, self.hop_steps, self.bin_us, self.rounding, self.origin)


@dataclass(frozen=True, eq=False)
class SpikeWindow:
    """One encoded window.

    Attributes:
        number: window number in the stream.
        indices: uint32, (channel * height + y) * width + x, ascending within a step; one that stands n times counts n.
        offsets: int64 [steps + 1]: step k has indices[offsets[k] : offsets[k + 1]].
        clamped: events left out because their element was at its bound.
    """

    number: int
    indices: npt.NDArray[np.uint32]
    offsets: npt.NDArray[np.int64]
    clamped: int
    outside: int = 0

    def counts(self, shape: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Return how often each element stands in each step: uint8 [steps, *shape]."""
        steps, size = len(self.offsets) - 1, prod(shape)
        step = np.repeat(np.arange(steps), np.diff(self.offsets))
        counts = np.bincount(step * size + self.indices, minlength=steps * size)
        return counts.astype(np.uint8).reshape(steps, *shape)


def encode_spikes(
    events: npt.NDArray[Any],
    encoding: SpikeEncoding,
    sensor: tuple[int, int] | None = None,
    *,
    number: int = 0,
    t0_us: int | None = None,
) -> SpikeWindow:
    """Return one window's active inputs.

    Args:
        events: structured array of dtype `edgesnn.EVENT`, in stream order, inside the sensor; times that step back
            count as the largest time before them. Events outside the window are left out.
        encoding: the model's input section.
        sensor: (width, height) of the events; default the model's.
        number: window number in the stream.
        t0_us: start of the window; default `first_window_us`, with number 0.

    Raises:
        ModelError: the encoding takes no events of that sensor.

    >>> from edgesnn.events.types import EVENT
    >>> events = np.array([(1500, 1, 0, 1), (1600, 1, 0, 1)], EVENT)
    >>> window = encode_spikes(events, SpikeEncoding((2, 1), bin_us=1000, steps=3, hop_steps=3, origin="zero"))
    >>> window.indices.tolist(), window.offsets.tolist()
    ([3, 3], [0, 0, 2, 2])
    """
    width, height = encoding.sensor
    columns, rows = placement(encoding.adapt, sensor or encoding.sensor, encoding.sensor)
    t = np.maximum.accumulate(events["t"].astype(np.int64))
    start = first_window_us(events, encoding) if t0_us is None else t0_us
    step = encoding.grid.bins(t - start + encoding.grid.start_us(number)) - number * encoding.hop_steps
    x, y = columns[events["x"]], rows[events["y"]]
    now, seen = (step >= 0) & (step < encoding.steps), (x >= 0) & (y >= 0)
    p, y, x, step = (values[now & seen] for values in (events["p"].astype(np.int64), y, x, step))
    channel = p if encoding.polarity_order == (0, 1) else 1 - p
    key = np.sort(((step * 2 + channel) * height + y) * width + x)
    earlier = np.arange(len(key)) - np.searchsorted(key, key)  # equal ones before it
    kept = key[earlier < encoding.bound]
    size = 2 * width * height
    offsets = np.searchsorted(kept, np.arange(encoding.steps + 1) * size)
    clamped, outside = len(key) - len(kept), int((now & ~seen).sum())
    return SpikeWindow(number, (kept % size).astype(np.uint32), offsets.astype(np.int64), clamped, outside)


def spike_frames(events: npt.NDArray[Any], encoding: SpikeEncoding) -> npt.NDArray[np.uint8]:
    """Return the first window of a recording as counts: uint8 [steps, 2, height, width].

    >>> from edgesnn.events.types import EVENT
    >>> events = np.array([(1500, 1, 0, 1), (1600, 1, 0, 1)], EVENT)
    >>> encoding = SpikeEncoding((2, 1), bin_us=1000, steps=3, hop_steps=3, origin="zero")
    >>> spike_frames(events, encoding)[:, 1, 0, 1].tolist()
    [0, 2, 0]
    """
    width, height = encoding.sensor
    return encode_spikes(events, encoding).counts((2, height, width))


def first_window_us(events: npt.NDArray[Any], encoding: SpikeEncoding) -> int:
    """Return where window 0 of a recording starts that begins with these events."""
    origin = int(events["t"][0]) if encoding.origin == "first" and len(events) else 0
    return origin + encoding.grid.start_us(0)
