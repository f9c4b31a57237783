"""Other people's readers read the files that we write to the same events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from bench.events_peers import event_stream, evlib, expelliarmus, faery
from edgesnn.events.types import EVENT

SENSOR = (640, 480)
READERS: dict[str, Callable[[Path, tuple[int, int]], Any]] = {
    "event_stream": event_stream,
    "evlib": evlib,
    "faery": faery,
}
# Not EVT3 with expelliarmus: it takes every TIME_LOW that steps back for a wrap.
PAIRS = [
    ("evt2", "faery"),
    ("evt2", "evlib"),
    ("evt2", "expelliarmus"),
    ("evt21", "evlib"),
    ("evt3", "faery"),
    ("evt3", "evlib"),
    ("dat", "faery"),
    ("dat", "expelliarmus"),
    ("es", "faery"),
    ("es", "event_stream"),
]


def some_events() -> np.ndarray:
    """Bursts in rows, and quiet stretches; times from 1 us on."""
    rng = np.random.default_rng(8)
    events = np.zeros(20_000, EVENT)
    events["t"] = 1 + np.cumsum(rng.choice([0, 0, 0, 1, 20, 900], len(events)))
    events["x"], events["y"] = rng.integers(0, 640, len(events)), rng.integers(0, 480, len(events))
    events["x"][:5000], events["y"][:5000] = np.arange(5000) % 640, np.arange(5000) // 640
    events["p"] = rng.integers(0, 2, len(events))
    events["p"][:5000] = 1
    return events


@pytest.mark.parametrize(("name", "reader"), PAIRS)
def test_they_read_what_we_write(tmp_path: Path, name: str, reader: str) -> None:
    pytest.importorskip(reader, reason="the extra `peers` is not installed")
    path = tmp_path / {"dat": "a.dat", "es": "a.es"}.get(name, "a.raw")
    events = some_events()
    edgesnn.write(path, events, sensor=SENSOR, format=name)
    make = expelliarmus(name) if reader == "expelliarmus" else READERS[reader]
    theirs: Mapping[str, Any] = make(path, SENSOR)[1]()
    found = np.zeros(len(theirs["t"]), EVENT)
    for column in "txyp":
        found[column] = np.asarray(theirs[column])
    if (name, reader) == ("es", "faery"):  # turns rows over: the format counts them from below
        found["y"] = SENSOR[1] - 1 - found["y"]
    np.testing.assert_array_equal(found, events)
