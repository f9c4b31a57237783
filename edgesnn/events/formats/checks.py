"""What every encoder asks of the events and options that it is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import RecordingError, UsageError
from edgesnn.events.formats.base import EncoderOptions, Format, Sensor
from edgesnn.events.types import EVENT

TIME_LIMIT_US = 1 << 60


def check_layout(events: npt.NDArray[Any]) -> None:
    """Raise UsageError where this is no array of events."""
    if not isinstance(events, np.ndarray) or events.dtype != EVENT or events.ndim != 1:
        found = f"{events.dtype} {events.shape}" if isinstance(events, np.ndarray) else type(events).__name__
        raise UsageError("not events", where="events", found=found, expected="one dimension of dtype edgesnn.EVENT")


def check_events(events: npt.NDArray[Any], sensor: Sensor) -> None:
    """Raise RecordingError where an event is outside the sensor, or its time or polarity is none."""
    t = events["t"]
    beyond = (t >= TIME_LIMIT_US) | (t <= -TIME_LIMIT_US)
    outside = (events["x"] >= sensor[0]) | (events["y"] >= sensor[1])
    bad = beyond | outside | (events["p"] > 1)
    if bad.any():
        at = int(np.argmax(bad))
        raise RecordingError(
            "an event that cannot be written",
            found=f"event {at}: " + " ".join(f"{name}={events[at][name]}" for name in "txyp"),
            expected=f"inside {sensor[0]}x{sensor[1]}, p 0 or 1, a time below 2^60 us",
        )


def refuse_compression(kind: Format, options: EncoderOptions, known: tuple[str, ...] = ("none",)) -> None:
    """Raise UsageError where a compression is asked for that the format does not have."""
    if options.compression is not None and options.compression not in known:
        raise UsageError(
            f"no such compression of {kind.title}",
            where="compression",
            found=repr(options.compression),
            expected=" or ".join(known),
        )
