"""What a recording holds, in one pass and bounded memory."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.events.recording import Recording


def summarise(recording: Recording) -> dict[str, Any]:
    """Read the whole recording and return what it holds, as JSON values.

    Returns:
        path, format, variant (which layout of its format it has), verified (the reader was compared with somebody
        else's file), size_bytes, sensor ([width, height] or None), extent ({x: [min, max], y: [min, max]} of the events
        seen, None without events: never a sensor size), events, on, off, triggers, t_min_us, t_max_us, duration_us,
        t_end_us (the sensor time reached), rate_hz, counters, events_sha256 (over the packed `edgesnn.EVENT` records in
        file order), warnings.

    Raises:
        RecordingError: as `Recording.packets`.
    """
    tally = Tally()
    for events in recording.packets():
        tally.add(events)
    return {
        "path": str(recording.path),
        "format": recording.format,
        "variant": recording.variant,
        "verified": recording.verified,
        "size_bytes": recording.size_bytes,
        "sensor": list(recording.sensor) if recording.sensor else None,
        **tally.report(),
        "triggers": recording.trigger_count,
        "t_end_us": recording.t_end_us,
        "counters": recording.counters,
        "warnings": recording.warnings,
    }


class Tally:
    """Counts, extents and the digest of events."""

    def __init__(self) -> None:
        self.events = self.on = 0
        self.low: dict[str, int] = {}
        self.high: dict[str, int] = {}
        self.digest = hashlib.sha256()

    def add(self, events: npt.NDArray[Any]) -> None:
        """Take events, at least one."""
        self.events += len(events)
        self.on += int(np.count_nonzero(events["p"]))
        for name in "txy":
            low, high = int(events[name].min()), int(events[name].max())
            self.low[name] = min(low, self.low.get(name, low))
            self.high[name] = max(high, self.high.get(name, high))
        self.digest.update(events.tobytes())

    def report(self) -> dict[str, Any]:
        """Return what `summarise` says of the events."""
        duration_us = self.high["t"] - self.low["t"] if self.events else None
        extent = {name: [self.low[name], self.high[name]] for name in "xy"} if self.events else None
        return {
            "extent": extent,
            "events": self.events,
            "on": self.on,
            "off": self.events - self.on,
            "t_min_us": self.low.get("t"),
            "t_max_us": self.high.get("t"),
            "duration_us": duration_us,
            "rate_hz": self.events / duration_us * 1e6 if duration_us else None,
            "events_sha256": self.digest.hexdigest(),
        }
