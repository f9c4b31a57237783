"""`replay:FILE`: a recording's events at its pace, in loops, and how late they were."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn.events.types import EVENT, TRIGGER
from tests.live import made_up, wait_until


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifth of a second of events, a pause of two seconds, another tenth."""
    events = made_up(30_000)
    events["t"][20_000:] += 2_000_000
    path = tmp_path_factory.mktemp("replay") / "pause.raw"
    edgesnn.write(path, events, sensor=(640, 480))
    return path


def test_at_full_speed_it_gives_the_recording(recording: Path) -> None:
    with edgesnn.open(f"replay:{recording}?speed=max") as source:
        assert (source.format, source.sensor, source.can_wait) == ("evt3", (640, 480), True)
        got = np.concatenate([packet.events for packet in source])
        assert got.tolist() == edgesnn.open(recording).read().tolist()
        assert source.counters["clock_resyncs"] == 0
        assert (source.state, source.details) == ("ended", {"jitter_us": None})


def test_it_keeps_the_recordings_pace_through_pauses_too(recording: Path) -> None:
    expected = edgesnn.open(recording).read()
    began_s = time.monotonic()
    with edgesnn.open(f"replay:{recording}?speed=4x") as source:
        packets = [(time.monotonic() - began_s, *packet) for packet in source]
        jitter_us = source.details["jitter_us"]
    assert np.concatenate([events for _, events, _ in packets]).tolist() == expected.tolist()
    ends_us = [t_end_us for _, _, t_end_us in packets]
    assert ends_us == sorted(ends_us)
    assert all(t_end_us >= events["t"].max() for _, events, t_end_us in packets if len(events))
    quiet = [t_end_us for _, events, t_end_us in packets if not len(events)]
    assert len(quiet) > 5, "time passes in the pause"
    for at, (_, events, _) in enumerate(packets):
        if len(events) and at:
            assert events["t"][0] >= packets[at - 1][2], "no time is reached before an event that is earlier"
    for came_s, _, t_end_us in packets:
        assert came_s >= (t_end_us - int(expected["t"][0])) / 4e6 - 0.001
    assert 0 <= jitter_us["p50"] <= jitter_us["p99"] <= jitter_us["max"] < 2e6
    assert packets[-1][0] < 5.0


def test_loops_go_on_in_time(recording: Path) -> None:
    events = edgesnn.open(recording).read()
    with edgesnn.open(f"replay:{recording}?speed=max&loop") as source:
        got = np.zeros(0, EVENT)
        while len(got) < 2.5 * len(events):
            got = np.concatenate([got, next(source).events])
        assert source.counters["loops"] == 2
        assert source.counters["clock_resyncs"] == 0
    assert (np.diff(got["t"]) >= 0).all()
    for start in (0, len(events)):
        part = got[start : start + len(events)]
        assert np.array_equal(part["t"] - part["t"][0], events["t"] - events["t"][0])
    assert got["t"][len(events)] == got["t"][len(events) - 1] + 1


def test_what_cannot_be_replayed_says_so(tmp_path: Path, recording: Path) -> None:
    with pytest.raises(edgesnn.RecordingError, match="no such file"):
        edgesnn.open(f"replay:{tmp_path}/none.raw")
    with pytest.raises(edgesnn.UsageError, match="not a speed"):
        edgesnn.open(f"replay:{recording}?speed=fast")
    with pytest.raises(edgesnn.UsageError, match="no recording"):
        edgesnn.open("replay:")


def test_an_empty_recording_ends_though_it_loops(tmp_path: Path) -> None:
    edgesnn.write(tmp_path / "empty.raw", np.zeros(0, EVENT), sensor=(640, 480))
    with edgesnn.open(f"replay:{tmp_path}/empty.raw?loop") as source:
        assert list(source) == []


def test_the_way_in_names_the_sensor_and_format_of_files_that_do_not(tmp_path: Path) -> None:
    events = made_up(100, sensor=(30, 30))
    edgesnn.write(tmp_path / "a.csv", events)
    with edgesnn.open(f"replay:{tmp_path}/a.csv?speed=max&sensor=34x34&format=csv") as source:
        assert (source.sensor, source.format) == ((34, 34), "csv")
        assert np.concatenate([packet.events for packet in source]).tolist() == events.tolist()


def test_the_way_in_names_columns_and_topic_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2,0,10\n3,4,1,20\n")
    with edgesnn.open(f"replay:{tmp_path}/a.csv?speed=max&variant=y,x,p,t") as source:
        assert np.concatenate([packet.events for packet in source]).tolist() == [(10, 2, 1, 0), (20, 4, 3, 1)]
    for option in ("variant=y,x,p,t", "topic=/cam"):
        with pytest.raises(edgesnn.UsageError, match="columns" if "variant" in option else "topic"):
            edgesnn.open(f"replay:{Path(__file__).parents[2]}/recordings/hand_clap.raw?{option}")


def test_a_damaged_recording_that_is_played_again_and_again_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = edgesnn.open(Path(__file__).parents[2] / "recordings" / "hand_clap.raw")
    (tmp_path / "a.raw").write_bytes(whole.path.read_bytes()[: whole.data_offset + 5_001])  # half a word
    with edgesnn.open(f"replay:{tmp_path}/a.raw?speed=max&loop") as source:
        wait_until(source, lambda: source.counters["loops"] > 3)
    assert len([one for one in caplog.messages if "truncated_bytes 1" in one]) == 1


@pytest.mark.parametrize("speed", ["max", "20x"])
def test_the_quiet_stretch_at_the_end_passes_too(tmp_path: Path, speed: str) -> None:
    events = made_up(5_000)
    edgesnn.write(tmp_path / "a.raw", events, sensor=(640, 480), t_end_us=6_000_000)
    began_s = time.monotonic()
    with edgesnn.open(f"replay:{tmp_path}/a.raw?speed={speed}") as source:
        packets = list(source)
        assert source.counters["clock_resyncs"] == 0
    assert np.concatenate([packet.events for packet in packets]).tolist() == events.tolist()
    recording = edgesnn.open(tmp_path / "a.raw")
    recording.read()
    assert packets[-1].t_end_us == recording.t_end_us
    assert packets[-1].t_end_us > 5_990_000
    assert speed == "max" or time.monotonic() - began_s > 5.9 / 20


def test_triggers_come_with_the_events_of_their_time(tmp_path: Path) -> None:
    events = made_up(5_000)
    triggers = np.zeros(200, TRIGGER)
    triggers["t"] = np.linspace(events["t"][0], events["t"][-1] + 300_000, 200)
    triggers["p"] = np.arange(200) % 2
    with edgesnn.Writer(tmp_path / "a.raw", sensor=(640, 480)) as writer:
        writer.write(events, triggers)
    with edgesnn.open(f"replay:{tmp_path}/a.raw?speed=20x&loop") as source:
        given = np.zeros(0, TRIGGER)
        while len(given) < 400:
            packet = next(source)
            came = source.triggers()
            assert not len(came) or came["t"].max() <= packet.t_end_us
            given = np.concatenate([given, came])
    assert given[:200].tolist() == triggers.tolist()
    assert (given[200:400]["t"] - given[200]["t"]).tolist() == (triggers["t"] - triggers["t"][0]).tolist()


def test_a_fast_one_is_given_in_longer_pieces(recording: Path) -> None:
    with edgesnn.open(f"replay:{recording}?speed=30x") as source:
        packets = [packet.events for packet in source if len(packet.events)]
    spans_us = [int(events["t"][-1] - events["t"][0]) for events in packets]
    assert 30_000 < max(spans_us) < 60_000
    assert len(packets) < 12
