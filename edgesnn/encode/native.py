"""The fast form of `edgesnn.encode.points` and `spikes`: the same arguments, the same bits, in `native/encode`.

The functions may be called from any number of threads; they hold no state and work without the GIL.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn import _native
from edgesnn.encode.points import IntArray, PointEncoding, PointWindow
from edgesnn.encode.spikes import SpikeEncoding, SpikeWindow, first_window_us


def encode_points(
    events: npt.NDArray[Any],
    encoding: PointEncoding,
    sensor: tuple[int, int],
    *,
    number: int = 0,
    first_event: int = 0,
    t0_us: int | None = None,
) -> PointWindow:
    """Return one window's points, groups and scale; see `edgesnn.encode.points.encode_points`.

    Raises:
        UsageError: no events, or an array that is not of dtype `edgesnn.EVENT`.
        RecordingError: an event outside the sensor.
        ModelError: an encoding that no window could have.
    """
    return PointWindow(*_native.encode.encode_points(events, encoding, sensor, number, first_event, t0_us))


def group_points(coordinates: IntArray, encoding: PointEncoding, *, number: int = 0) -> PointWindow:
    """Return the window of given points int32 [N, 4]; see `edgesnn.encode.points.group_points`.

    Raises:
        UsageError: another shape, or X, Y or T outside [0, 16383].
        ModelError: an encoding that no window could have.
    """
    rows = np.ascontiguousarray(coordinates, dtype=np.int32)
    return PointWindow(*_native.encode.group_points(rows, encoding, number))


def encode_spikes(
    events: npt.NDArray[Any],
    encoding: SpikeEncoding,
    sensor: tuple[int, int] | None = None,
    *,
    number: int = 0,
    t0_us: int | None = None,
) -> SpikeWindow:
    """Return one window's active inputs; see `edgesnn.encode.spikes.encode_spikes`.

    Raises:
        UsageError: an array that is not of dtype `edgesnn.EVENT`, or a window that no stream has.
        RecordingError: an event outside the sensor.
        ModelError: an encoding that no window could have, or a sensor that it does not take.
    """
    start = first_window_us(events, encoding) if t0_us is None else t0_us
    return SpikeWindow(*_native.encode.encode_spikes(events, encoding, sensor or encoding.sensor, number, start))


def encode(
    events: npt.NDArray[Any],
    encoding: PointEncoding | SpikeEncoding,
    sensor: tuple[int, int],
    *,
    number: int,
    first_event: int,
    t0_us: int,
) -> PointWindow | SpikeWindow:
    """Return one window as the encoding says; `encode_points` or `encode_spikes`."""
    if isinstance(encoding, SpikeEncoding):
        return encode_spikes(events, encoding, sensor, number=number, t0_us=t0_us)
    return encode_points(events, encoding, sensor, number=number, first_event=first_event, t0_us=t0_us)
