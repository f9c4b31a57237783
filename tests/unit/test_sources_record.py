"""A live source is written to files while it is read: every event, readable at any moment, and never in its way."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn.events.formats.base import EncoderOptions
from edgesnn.events.registry import get
from edgesnn.events.sources.base import Packet
from edgesnn.events.sources.live import LiveSource
from edgesnn.events.sources.recorder import Recorder
from edgesnn.events.types import EVENT, TRIGGER
from tests.live import encoded, made_up, read_events

EVENTS = made_up(50_000, start_us=30_000_000)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def source(tmp_path: Path) -> Iterator[LiveSource]:
    os.mkfifo(tmp_path / "pipe")
    with edgesnn.open(f"pipe:{tmp_path}/pipe?format=evt2&sensor=640x480") as opened:
        yield opened


def send(tmp_path: Path, events: np.ndarray) -> None:
    threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(encoded(events, "evt2"),)).start()


@pytest.mark.parametrize("name", ["a.raw", "a.aedat4", "a.csv", "a.dat", "a.es"])
def test_the_file_holds_the_events_from_its_first_one_on(source: LiveSource, tmp_path: Path, name: str) -> None:
    writer = source.record(tmp_path / name)
    send(tmp_path, EVENTS)
    got = read_events(source, len(EVENTS))
    source.close()
    assert got.tolist() == EVENTS.tolist()
    assert writer.first_us == [EVENTS["t"][0]]
    assert (source.counters["recorded_events"], source.counters["record_lost_events"]) == (len(EVENTS), 0)
    back = edgesnn.open(tmp_path / name).read()
    back["t"] += EVENTS["t"][0]
    assert back.tolist() == EVENTS.tolist()


def test_files_follow_each_other_by_time(source: LiveSource, tmp_path: Path) -> None:
    writer = source.record(tmp_path / "a.raw", rotate_us=100_000)
    send(tmp_path, EVENTS)
    read_events(source, len(EVENTS))
    source.close()
    assert [path.name for path in writer.paths] == [f"a-{number:04d}.raw" for number in range(len(writer.paths))]
    assert 4 <= len(writer.paths) <= 6
    parts = []
    for path, first_us in zip(writer.paths, writer.first_us, strict=True):
        parts.append(edgesnn.open(path).read())
        parts[-1]["t"] += first_us
    assert np.concatenate(parts).tolist() == EVENTS.tolist()


def test_a_killed_process_leaves_a_readable_file_of_all_that_it_gave(tmp_path: Path) -> None:
    script = (
        "import sys, edgesnn\n"
        "source = edgesnn.open('pipe:-?format=evt2&sensor=640x480')\n"
        "source.record(sys.argv[1])\n"
        "for events, _ in source: print(source.counters['recorded_events'], flush=True)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "a.raw")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(encoded(EVENTS, "evt2"))
        process.stdin.flush()
        given = 0
        while given < len(EVENTS):
            given = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    recording = edgesnn.open(tmp_path / "a.raw")
    assert recording.read()[["x", "y", "p"]].tolist() == EVENTS[["x", "y", "p"]].tolist()


def test_what_a_format_cannot_hold_is_clamped_or_left_out_and_counted(tmp_path: Path) -> None:
    fallen = EVENTS[:100].copy()
    fallen["t"][50:] -= 400
    outside = EVENTS[100:110].copy()
    outside["x"] = 640
    recorder = Recorder(edgesnn.Writer(tmp_path / "a.aedat4", sensor=(640, 480), live=True, rebase=True))
    none = np.zeros(0, TRIGGER)
    for events in (np.zeros(0, EVENT), fallen, outside, EVENTS[110:200]):
        recorder.write(Packet(events, int(EVENTS["t"][300])), none)
    recorder.close()
    recorder.close()
    back = edgesnn.open(tmp_path / "a.aedat4").read()
    assert len(back) == 190
    assert (np.diff(back["t"]) >= 0).all()
    assert back["t"][-90:].tolist() == (EVENTS["t"][110:200] - EVENTS["t"][0]).tolist()
    lost, clamped = recorder.counters["record_lost_events"], recorder.counters["record_clamped_events"]
    assert (recorder.counters["recorded_events"], lost) == (190, 10)
    assert 0 < clamped <= 50


@pytest.mark.parametrize("more", [0, 100], ids=["at the end", "between events"])
def test_triggers_that_come_alone_reach_the_file(source: LiveSource, tmp_path: Path, more: int) -> None:
    source.record(tmp_path / "a.raw", format="evt2")
    encoder = get("evt2").encoder(EncoderOptions((640, 480)))
    encoder.begin()
    events, later, none = EVENTS[:1_000], EVENTS[1_000 : 1_000 + more], np.zeros(0, EVENT)
    triggers = np.array([(int(events["t"][-1]), 0, number % 2) for number in range(3)], TRIGGER)
    with open(tmp_path / "pipe", "wb", buffering=0) as sender:
        sender.write(encoder.encode(events, triggers[:0], None))
        read_events(source, len(events))
        seen = 0
        for number in range(3):
            sender.write(encoder.encode(none, triggers[number : number + 1], None))
            while seen == number:
                source.read(0.01)
                seen += len(source.triggers())
        sender.write(encoder.encode(later, triggers[:0], None))
        read_events(source, len(later))
    source.close()
    recording = edgesnn.open(tmp_path / "a.raw")
    assert len(recording.read()) == len(events) + len(later)
    assert recording.triggers()["p"].tolist() == [0, 1, 0]


@pytest.mark.parametrize("name", ["evt2", "evt3", "evt21"])
def test_triggers_of_a_packet_whose_times_fall_are_kept(tmp_path: Path, name: str) -> None:
    recorder = Recorder(edgesnn.Writer(tmp_path / "a.raw", format=name, sensor=(640, 480), live=True, rebase=True))
    ahead, back = EVENTS[1_000:2_000], EVENTS[:100]
    triggers = np.array([(int(back["t"][at]), 0, 1) for at in (3, 90)], TRIGGER)
    recorder.write(Packet(ahead, int(ahead["t"][-1])), triggers[:0])
    recorder.write(Packet(back, int(ahead["t"][-1])), triggers)
    recorder.close()
    recording = edgesnn.open(tmp_path / "a.raw")
    assert len(recording.read()) == 1_100
    assert len(recording.triggers()) == 2
    assert recorder.counters["record_clamped_events"] == 100


def test_triggers_that_a_format_has_no_number_for_cost_no_event(tmp_path: Path) -> None:
    recorder = Recorder(edgesnn.Writer(tmp_path / "a.aedat4", sensor=(640, 480), live=True, rebase=True))
    odd = np.array([(int(EVENTS["t"][0]), 7, 1)], TRIGGER)
    recorder.write(Packet(EVENTS[:10], int(EVENTS["t"][9])), odd)
    recorder.close()
    assert len(edgesnn.open(tmp_path / "a.aedat4").read()) == 10


def test_a_full_disk_ends_the_recording_and_not_the_stream(
    source: LiveSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source.record(tmp_path / "a.raw")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("edgesnn.events.output._write_all", full)
    send(tmp_path, EVENTS)
    assert len(read_events(source, len(EVENTS))) == len(EVENTS)
    assert source.counters["record_lost_events"] == len(EVENTS)
    assert [one for one in caplog.messages if "the recording ends here" in one and "no space" in one]


def test_a_recording_that_cannot_begin_is_an_error(source: LiveSource, tmp_path: Path) -> None:
    (tmp_path / "there.raw").write_text("precious")
    with pytest.raises(edgesnn.RecordingError, match="the file is there already"):
        source.record(tmp_path / "there.raw")
    with pytest.raises(edgesnn.UsageError, match="the name does not say the format"):
        source.record(tmp_path / "a.xyz")
    source.record(tmp_path / "a.raw")
    with pytest.raises(edgesnn.UsageError, match="records already"):
        source.record(tmp_path / "b.raw")
    assert (tmp_path / "there.raw").read_text() == "precious"


@pytest.mark.parametrize("name", ["evt3", "evt2", "evt21", "aedat4", "csv", "dat", "es"])
def test_events_that_come_after_idle_time_has_passed_them_keep_their_times(tmp_path: Path, name: str) -> None:
    """A sender that was held up: time went on by this machine's clock, less than a second."""
    recorder = Recorder(edgesnn.Writer(tmp_path / "a", format=name, sensor=(640, 480), live=True, rebase=True))
    none, no_edges = np.zeros(0, EVENT), np.zeros(0, TRIGGER)
    first_us, late_us = int(EVENTS["t"][0]), int(EVENTS["t"][150])
    recorder.write(Packet(EVENTS[:100], int(EVENTS["t"][99])), no_edges)
    for t_us in range(late_us, late_us + 900_000, 20_000):
        recorder.write(Packet(none, t_us), no_edges)
    recorder.write(Packet(EVENTS[100:200], late_us + 900_000), no_edges)
    recorder.write(Packet(none, first_us + 5_000_000), no_edges)
    recorder.close()
    assert recorder.counters == {"recorded_events": 200, "record_lost_events": 0, "record_clamped_events": 0}
    recording = edgesnn.open(tmp_path / "a", format=name, sensor=(640, 480))
    back = recording.read()
    back["t"] += first_us
    assert back.tolist() == EVENTS[:200].tolist()
    if name in ("evt3", "evt2", "evt21"):
        assert recording.t_end_us is not None
        assert 4_990_000 < recording.t_end_us <= 5_000_000, "the quiet time at the end is there too"


def test_a_quiet_scene_reaches_the_file_a_second_later(tmp_path: Path) -> None:
    recorder = Recorder(edgesnn.Writer(tmp_path / "a.raw", sensor=(640, 480), live=True, rebase=True))
    for t_us in range(0, 10_000_001, 50_000):
        events = EVENTS[:1].copy()
        events["t"] = 0
        recorder.write(Packet(events if t_us == 0 else events[:0], t_us), np.zeros(0, TRIGGER))
    recording = edgesnn.open(tmp_path / "a.raw")
    recording.read()
    assert recording.t_end_us is not None
    assert 8_990_000 <= recording.t_end_us <= 10_000_000
