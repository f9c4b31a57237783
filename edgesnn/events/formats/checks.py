"""What every encoder asks of the events and options that it is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import RecordingError, UsageError
from edgesnn.events.formats.base import EncoderOptions, Format, Sensor
from edgesnn.events.types import EVENT, TRIGGER

TIME_LIMIT_US = 1 << 60
AHEAD_US = 1_000_000


def check_layout(events: npt.NDArray[Any]) -> None:
    """Raise UsageError where this is no array of events."""
    if not isinstance(events, np.ndarray) or events.dtype != EVENT or events.ndim != 1:
        found = f"{events.dtype} {events.shape}" if isinstance(events, np.ndarray) else type(events).__name__
        raise UsageError("not events", where="events", found=found, expected="one dimension of dtype edgesnn.EVENT")


def check_triggers(triggers: npt.NDArray[Any]) -> None:
    """Raise UsageError where this is no array of triggers."""
    if not isinstance(triggers, np.ndarray) or triggers.dtype != TRIGGER or triggers.ndim != 1:
        found = f"{triggers.dtype} {triggers.shape}" if isinstance(triggers, np.ndarray) else type(triggers).__name__
        expected = "one dimension of dtype edgesnn.events.types.TRIGGER"
        raise UsageError("not triggers", where="triggers", found=found, expected=expected)


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


def refuse_variant(kind: Format, options: EncoderOptions) -> None:
    """Raise UsageError where a layout is asked for of a format that has one alone."""
    if options.variant:
        raise UsageError(f"{kind.title} has no variants", where="variant", found=repr(options.variant))


class Jumps:
    """Looks for times that stand more than a second ahead of both their neighbours, over arrays that follow on."""

    def __init__(self) -> None:
        self._before = -TIME_LIMIT_US - AHEAD_US  # the latest of all but the last
        self._last: int | None = None

    def check(self, t: npt.NDArray[Any]) -> None:
        """Raise RecordingError, and keep nothing of these, where there is one."""
        t = t if self._last is None else np.concatenate([[self._last], t])
        if not len(t):
            return
        before = np.maximum.accumulate(np.concatenate([[self._before], t[:-1]]))
        jumps = (t[:-1] > before[:-1] + AHEAD_US) & (t[:-1] > t[1:] + AHEAD_US)
        if jumps.any():
            at = int(np.argmax(jumps))
            raise RecordingError(
                "a time stands more than a second ahead of both its neighbours, as damage does",
                found=f"{int(t[at])} us before {int(t[at + 1])} us",
                expected="times that mostly rise",
                hint="sort the events by time",
            )
        self._before, self._last = int(before[-1]), int(t[-1])
