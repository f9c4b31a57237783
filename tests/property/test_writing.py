"""What any encoder writes is read back as it was, in pieces of any size; what it cannot hold it refuses."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgesnn
from edgesnn.events import registry
from edgesnn.events.formats.base import is_writable
from edgesnn.events.types import EVENT

SENSOR = (320, 240)
WRITABLE = [name for name in registry.names() if is_writable(registry.get(name))]


@st.composite
def recordings(draw: st.DrawFn, *, wild: bool = False) -> np.ndarray:
    """Draw events in order of time; wild ones step back, leap and are negative."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    events = np.zeros(draw(st.integers(1, 300)), EVENT)
    steps = rng.choice([0, 0, 0, 1, 40, 5_000, 300_000], len(events))
    if wild:
        steps = rng.choice([0, 1, 40, -3, 70_000, 9_000_000, -9_000_000, 2**45], len(events))
    events["t"] = draw(st.sampled_from([0, 1, 4_095, 16_000_000])) + np.cumsum(steps)
    events["x"], events["y"] = rng.integers(0, SENSOR[0], len(events)), rng.integers(0, SENSOR[1], len(events))
    if draw(st.booleans()):  # rows of a busy scene
        events["x"], events["y"] = np.arange(len(events)) % SENSOR[0], len(events) % SENSOR[1]
    events["p"] = rng.integers(0, 2, len(events))
    return events


def written(name: str, events: np.ndarray, cuts: list[int], folder: str) -> Path:
    path = Path(folder) / "a"
    edgesnn.write(path, np.split(events, sorted(min(cut, len(events)) for cut in cuts)), sensor=SENSOR, format=name)
    return path


@pytest.mark.parametrize("name", WRITABLE)
@given(recordings(), st.lists(st.integers(0, 300), max_size=5))
@settings(max_examples=60)
def test_what_is_written_is_read(name: str, events: np.ndarray, cuts: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        recording = edgesnn.open(written(name, events, cuts, folder), format=name)
        assert recording.read().tolist() == events.tolist()
        assert not any(recording.counters[kind] for kind in ("bad_words", "out_of_range", "truncated_bytes"))
        assert recording.sensor in (SENSOR, None)


@pytest.mark.parametrize("name", WRITABLE)
@given(recordings(wild=True), st.lists(st.integers(0, 300), max_size=5))
@settings(max_examples=60)
def test_wild_times_are_read_back_or_refused(name: str, events: np.ndarray, cuts: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = written(name, events, cuts, folder)
        except edgesnn.RecordingError:
            return
        assert edgesnn.open(path, format=name).read().tolist() == events.tolist()


@pytest.mark.parametrize("name", WRITABLE)
@pytest.mark.parametrize(("column", "value"), [("x", 320), ("y", 240), ("p", 2), ("t", 2**61), ("t", -(2**61))])
def test_what_is_no_event_of_the_sensor_is_refused(tmp_path: Path, name: str, column: str, value: int) -> None:
    events = np.zeros(5, EVENT)
    events[column][3] = value
    with pytest.raises(edgesnn.RecordingError):
        edgesnn.write(tmp_path / "a", events, sensor=SENSOR, format=name)
    assert list(tmp_path.iterdir()) == []
