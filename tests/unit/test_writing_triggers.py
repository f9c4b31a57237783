"""Triggers and times without events, written: among the events, before the first one, counted from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn.cli.main import main
from edgesnn.events import registry
from edgesnn.events.convert import convert
from edgesnn.events.formats.base import is_writable
from edgesnn.events.types import EVENT, TRIGGER

WRITABLE = [name for name in registry.names() if is_writable(registry.get(name))]
SENSOR = (64, 48)
KEEPING = ["aedat4", "evt2", "evt21", "evt3"]
"""Formats with a place for triggers."""


def rising(times: list[int] | np.ndarray, x: int = 5) -> np.ndarray:
    events = np.zeros(len(times), EVENT)
    events["t"], events["x"] = times, x
    return events


def edges(*times: int) -> np.ndarray:
    triggers = np.zeros(len(times), TRIGGER)
    triggers["t"], triggers["p"] = times, np.arange(len(times)) % 2
    return triggers


@pytest.mark.parametrize("packets", [1, 7])
@pytest.mark.parametrize("name", KEEPING)
def test_triggers_among_the_events_are_written(tmp_path: Path, name: str, packets: int) -> None:
    events = rising(np.arange(1000) * 137)
    triggers = edges(0, 3, 20_000, 20_000, 71_111, 136_000, 150_000)
    parts = events if packets == 1 else np.array_split(events, packets)
    edgesnn.write(tmp_path / "a", parts, sensor=SENSOR, format=name, triggers=triggers, t_end_us=200_000)
    recording = edgesnn.open(tmp_path / "a", format=name)
    assert recording.read().tolist() == events.tolist()
    assert recording.triggers().tolist() == triggers.tolist()
    assert recording.counters["time_backward"] == 0


def test_what_are_no_triggers_is_refused(tmp_path: Path) -> None:
    for wrong in (np.zeros(3), [(1, 0, 1)], rising([1])):
        with pytest.raises(edgesnn.UsageError, match="not triggers"):
            edgesnn.write(tmp_path / "a.raw", rising([1]), sensor=SENSOR, triggers=wrong)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("t_end_us", [1.5, "1", 1 << 60, -(1 << 70)])
def test_what_is_no_time_is_refused(tmp_path: Path, t_end_us: object) -> None:
    with pytest.raises(edgesnn.UsageError, match="t_end_us: not a time"):
        edgesnn.write(tmp_path / "a.raw", rising([1]), sensor=SENSOR, t_end_us=t_end_us)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", KEEPING)
def test_rebased_times_count_from_a_trigger_before_the_first_event(tmp_path: Path, name: str) -> None:
    with edgesnn.Writer(tmp_path / "a", format=name, sensor=SENSOR, rebase=True) as writer:
        writer.write(rising([]), None, 9_000_000)
        writer.write(rising([]), edges(10_000_000), 10_000_500)
        writer.write(rising([20_000_000, 20_000_100]), edges(20_000_050), 20_000_200)
    assert writer.first_us == [10_000_000]
    recording = edgesnn.open(tmp_path / "a", format=name)
    assert recording.read()["t"].tolist() == [10_000_000, 10_000_100]
    assert recording.triggers()["t"].tolist() == [0, 10_000_050]


def test_a_trigger_that_the_format_does_not_keep_is_not_counted_from(tmp_path: Path) -> None:
    with edgesnn.Writer(tmp_path / "a.es", sensor=SENSOR, rebase=True) as writer:
        writer.write(rising([500, 600]), edges(100), 700)
    assert edgesnn.open(tmp_path / "a.es").read()["t"].tolist() == [0, 100]


@pytest.mark.parametrize("name", ["aedat4", "es", "evt2", "evt3"])
def test_a_rectangle_that_is_quiet_at_first_is_rebased(tmp_path: Path, name: str) -> None:
    events = rising(np.arange(200_000) * 50 + 1_000_000, x=1)  # three chunks of the file
    events["x"][-1000:] = 40
    edgesnn.write(tmp_path / "a.raw", events, sensor=SENSOR, format="evt2")
    arguments = ["--roi", "32,0,32,48", "--rebase", "--format", name]
    assert main(["convert", str(tmp_path / "a.raw"), str(tmp_path / "b"), *arguments]) == 0
    found = edgesnn.open(tmp_path / "b", format=name).read()
    assert found["t"].tolist() == (events["t"][-1000:] - events["t"][-1000]).tolist()


def test_a_part_reaches_no_further_than_its_end(tmp_path: Path) -> None:
    edgesnn.write(tmp_path / "a.raw", rising(np.arange(100) * 100_000), sensor=SENSOR)
    arguments = ["--end", "2s", "--format", "evt2"]
    assert main(["convert", str(tmp_path / "a.raw"), str(tmp_path / "b.raw"), *arguments]) == 0
    recording = edgesnn.open(tmp_path / "b.raw")
    assert len(recording.read()) == 20
    assert recording.t_end_us == 2_000_000


@pytest.mark.parametrize("name", WRITABLE)
def test_triggers_are_kept_or_it_is_said_that_they_are_not(tmp_path: Path, name: str) -> None:
    edgesnn.write(tmp_path / "a.raw", rising([1, 2, 3]), sensor=SENSOR, format="evt2", triggers=edges(2))
    report = convert(edgesnn.open(tmp_path / "a.raw"), tmp_path / "b", format=name)
    kept = edgesnn.open(tmp_path / "b", format=name).triggers().tolist()
    said = f"1 triggers were not written: {name} has no place for them"
    assert (kept, report["warnings"]) == (([(2, 0, 0)], []) if name in KEEPING else ([], [said]))
