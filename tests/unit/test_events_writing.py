"""`edgesnn.write`, `Writer`, `edgesnn convert`: what comes back, what a failure keeps, what a crash leaves."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import edgesnn
from edgesnn.cli.main import main
from edgesnn.events import output, registry
from edgesnn.events.convert import Region, convert
from edgesnn.events.filters import Chain
from edgesnn.events.formats.base import is_writable
from edgesnn.events.types import EVENT
from edgesnn.replacement import Replacement

SENSOR = (320, 240)
WRITABLE = [name for name in registry.names() if is_writable(registry.get(name))]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def events() -> npt.NDArray[np.void]:
    rng = np.random.default_rng(9)
    events = np.zeros(5000, EVENT)
    events["t"] = 3_000_000 + np.cumsum(rng.integers(0, 900, len(events)))
    events["x"], events["y"] = rng.integers(0, SENSOR[0], len(events)), rng.integers(0, SENSOR[1], len(events))
    events["p"] = rng.integers(0, 2, len(events))
    return events


def test_what_is_written_is_read(tmp_path: Path, events: npt.NDArray[np.void]) -> None:
    path = tmp_path / "a.csv"
    assert edgesnn.write(path, events) == 5000
    np.testing.assert_array_equal(edgesnn.open(path).read(), events)
    assert edgesnn.write(path, np.array_split(events, 7)) == 5000
    np.testing.assert_array_equal(edgesnn.open(path).read(), events)
    assert os.listdir(tmp_path) == ["a.csv"]


@pytest.mark.parametrize(("name", "compression"), [*((name, None) for name in WRITABLE), ("npz", "deflate")])
def test_no_events_are_an_empty_recording(tmp_path: Path, name: str, compression: str | None) -> None:
    edgesnn.write(tmp_path / "a", np.zeros(0, EVENT), sensor=SENSOR, format=name, compression=compression)
    recording = edgesnn.open(tmp_path / "a", format=name)
    assert len(recording.read()) == 0
    assert recording.warnings == ["the recording is empty: a header without any event"]


def test_a_failure_keeps_the_file_that_was_there(tmp_path: Path, events: npt.NDArray[np.void]) -> None:
    path = tmp_path / "a.csv"
    path.write_text("before")
    outside = events.copy()
    outside["x"][4000] = 320
    with pytest.raises(edgesnn.RecordingError, match=r"a\.csv: an event that cannot be written: found event 1000:"):
        edgesnn.write(path, [events[:3000], outside[3000:]], sensor=SENSOR)
    with pytest.raises(edgesnn.UsageError, match="not events"):
        edgesnn.write(path, events["t"])
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["a.csv"]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("a.xyz", {}, "does not say the format"),
        ("a", {}, "does not say the format"),
        ("a.bin", {"format": "nmnist"}, "not written"),
        ("a.csv", {"format": "evt9"}, "no such format"),
        ("a.csv", {"compression": "lz4"}, "no such compression"),
        ("a.csv", {"variant": "t,x,y"}, "columns"),
        *((name, {"variant": "x", "sensor": SENSOR}, "no variants") for name in ("a.npz", "a.dat", "a.es", "a.aedat4")),
        ("a.raw", {"variant": "x", "sensor": SENSOR}, "no such variant of evt3: found 'x', expected ''$"),
        ("a.csv", {"sensor": (0, 4)}, "sensor"),
        ("a.csv", {"rotate_bytes": 100}, "live"),
        ("a.csv", {"live": True, "rotate_us": 0}, "not a limit"),
    ],
)
def test_what_cannot_be_asked_for(tmp_path: Path, name: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(edgesnn.UsageError, match=said):
        edgesnn.Writer(tmp_path / name, **options)  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_not_there_and_a_full_disk_are_recording_errors(
    tmp_path: Path, events: npt.NDArray[np.void], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(edgesnn.RecordingError, match=r"b/a\.csv: cannot be written: no such file"):
        edgesnn.write(tmp_path / "b" / "a.csv", events)

    def full(file: object, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Replacement, "append", full)
    with pytest.raises(edgesnn.RecordingError, match="no space left"):
        edgesnn.write(tmp_path / "a.csv", events)
    assert os.listdir(tmp_path) == []


def test_a_recording_that_is_called_part_is_left_alone(tmp_path: Path, events: npt.NDArray[np.void]) -> None:
    """As a killed `convert` leaves one: who rescues it names it as the source."""
    source = tmp_path / "a.csv.part"
    edgesnn.write(source, events, format="csv")
    before = source.read_bytes()
    assert main(["convert", str(source), str(tmp_path / "a.csv")]) == 0
    np.testing.assert_array_equal(edgesnn.open(tmp_path / "a.csv").read(), events)
    assert source.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["a.csv", "a.csv.part"]


def test_a_closed_writer_takes_nothing(tmp_path: Path, events: npt.NDArray[np.void]) -> None:
    writer = edgesnn.Writer(tmp_path / "a.csv")
    writer.close()
    writer.close()
    with pytest.raises(edgesnn.UsageError, match="closed"):
        writer.write(events)


@pytest.mark.parametrize("format", WRITABLE)
def test_a_live_file_is_readable_after_each_packet(tmp_path: Path, events: npt.NDArray[np.void], format: str) -> None:
    path = tmp_path / f"a.{format}"
    with edgesnn.Writer(path, live=True, format=format, sensor=SENSOR) as writer:
        for count in (100, 2000, 5000):
            writer.write(events[writer.events : count])
            recording = edgesnn.open(path, format=format, on_corrupt="skip")
            np.testing.assert_array_equal(recording.read(), events[:count])
            assert recording.counters["bad_words"] == 0
    np.testing.assert_array_equal(edgesnn.open(path, format=format).read(), events)
    with pytest.raises(edgesnn.RecordingError, match="there already"):
        edgesnn.Writer(path, live=True, format=format, sensor=SENSOR)


def test_a_live_file_reaches_the_disk_each_second(
    tmp_path: Path, events: npt.NDArray[np.void], monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[float] = []
    monkeypatch.setattr(output, "SYNC_S", 0.02)
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(time.monotonic()))
    with edgesnn.Writer(tmp_path / "a.csv", live=True) as writer:
        writer.write(events)
        deadline = time.monotonic() + 10
        while not synced and time.monotonic() < deadline:
            time.sleep(0.01)
        assert synced, "a packet reaches the disk without another one"


def test_a_live_disk_that_is_full_leaves_whole_packets(
    tmp_path: Path, events: npt.NDArray[np.void], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"

    def half(file: object, data: bytes) -> None:
        file.write(data[: len(data) // 2 + 3])  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    with edgesnn.Writer(path, live=True) as writer:
        writer.write(events[:100])
        with monkeypatch.context() as broken:
            broken.setattr(output, "_write_all", half)
            with pytest.raises(edgesnn.RecordingError, match="no space left"):
                writer.write(events[100:200])
        with pytest.raises(edgesnn.UsageError, match="closed"):
            writer.write(events[200:300])
    np.testing.assert_array_equal(edgesnn.open(path).read(), events[:100])


CRASHING = """
import sys, time
import edgesnn, numpy as np
writer = edgesnn.Writer(sys.argv[1], live=True)
events = np.zeros(100, edgesnn.EVENT)
for packet in range(10_000):
    events["t"] = np.arange(packet * 100, packet * 100 + 100)
    writer.write(events)
    print(packet, flush=True)
"""


def test_a_process_that_is_killed_leaves_every_packet_that_it_wrote(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen([sys.executable, "-c", CRASHING, path], stdout=subprocess.PIPE, text=True, env=environment)
    assert child.stdout is not None
    last = next(int(line) for line in child.stdout if int(line) >= 50)
    child.send_signal(signal.SIGKILL)
    child.wait()
    last = max([last, *(int(line) for line in child.stdout.read().splitlines() if line.isdecimal())])
    child.stdout.close()
    recording = edgesnn.open(path, on_corrupt="skip")
    t = recording.read()["t"]
    np.testing.assert_array_equal(t, np.arange(len(t)))
    assert len(t) >= last * 100


def test_rotation_by_time_and_by_size_numbers_the_files(tmp_path: Path, events: npt.NDArray[np.void]) -> None:
    (tmp_path / "a-0000.csv").write_text("another run's")
    with edgesnn.Writer(tmp_path / "a.csv", live=True, rotate_us=500_000) as writer:
        for packet in np.array_split(events, 50):
            writer.write(packet)
    assert [path.name for path in writer.paths] == [f"a-{number:04d}.csv" for number in range(1, len(writer.paths) + 1)]
    assert len(writer.paths) >= 4
    parts = [edgesnn.open(path).read() for path in writer.paths]
    np.testing.assert_array_equal(np.concatenate(parts), events)
    assert all(500_000 <= after["t"][0] - before["t"][0] < 600_000 for before, after in itertools.pairwise(parts))
    with edgesnn.Writer(tmp_path / "b.csv", live=True, rotate_bytes=20_000) as writer:
        for packet in np.array_split(events, 50):
            writer.write(packet)
    assert all(20_000 <= path.stat().st_size < 24_000 for path in writer.paths[:-1])
    np.testing.assert_array_equal(np.concatenate([edgesnn.open(path).read() for path in writer.paths]), events)


def test_formats_of_short_clocks_are_rotated_with_rebased_times(tmp_path: Path, events: npt.NDArray[np.void]) -> None:
    events["t"] *= 20  # 45 s: EVT3 says 16.8
    for name in ("a.raw", "a.dat", "a.es"):
        with pytest.raises(edgesnn.UsageError, match="rebase=True"):
            edgesnn.Writer(tmp_path / name, live=True, rotate_us=10_000_000, sensor=SENSOR)
    assert list(tmp_path.iterdir()) == []
    with edgesnn.Writer(tmp_path / "a.raw", live=True, rotate_us=10_000_000, sensor=SENSOR, rebase=True) as writer:
        for packet in np.array_split(events, 50):
            writer.write(packet)
    assert len(writer.paths) >= 4
    parts = [edgesnn.open(path).read() for path in writer.paths]
    for part, first_us in zip(parts, writer.first_us, strict=True):
        part["t"] += first_us
    np.testing.assert_array_equal(np.concatenate(parts), events)


def test_rebased_times_count_from_the_first_event(tmp_path: Path, events: npt.NDArray[np.void]) -> None:
    with edgesnn.Writer(tmp_path / "a.csv", rebase=True) as writer:
        writer.write(events[:10])
        writer.write(events[10:])
    np.testing.assert_array_equal(edgesnn.open(tmp_path / "a.csv").read()["t"], events["t"] - events["t"][0])


def test_convert_a_part(tmp_path: Path, events: npt.NDArray[np.void]) -> None:
    edgesnn.write(tmp_path / "a.csv", events)
    source = edgesnn.open(tmp_path / "a.csv", sensor=SENSOR)
    shares: list[float] = []
    report = convert(
        source,
        tmp_path / "b.txt",
        start_us=3_500_000,
        stop_us=4_000_000,
        region=Region(100, 50, 64, 32),
        variant="x,y,p,t_s",
        progress=shares.append,
    )
    t, x, y = events["t"], events["x"], events["y"]
    inside = (t >= 3_500_000) & (t < 4_000_000)
    assert report["events_in"] == inside.sum()
    expected = events[inside & (x >= 100) & (x < 164) & (y >= 50) & (y < 82)]
    expected["x"] -= 100
    expected["y"] -= 50
    written = edgesnn.open(tmp_path / "b.txt", sensor=(64, 32)).read()
    np.testing.assert_array_equal(written, expected)
    assert (report["events"], report["sensor"], report["format"]) == (len(expected), [64, 32], "csv")
    assert shares[-1] == 1.0
    assert (tmp_path / "b.txt").read_text().startswith("x,y,p,t_s\n")


def test_convert_filters_after_the_region(
    tmp_path: Path, events: npt.NDArray[np.void], capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = str(tmp_path / "a.csv"), str(tmp_path / "b.csv")
    edgesnn.write(source, events)
    filters = ["transpose", "decimate:factor=3"]
    flags = [word for text in filters for word in ("--filter", text)]
    assert main(["convert", source, target, "--roi", "100,50,64,32", *flags, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    cropped = Region(100, 50, 64, 32)(events)
    np.testing.assert_array_equal(edgesnn.open(target).read(), Chain(filters, sensor=(64, 32)).push(cropped))
    assert report["sensor"] == [32, 64]
    assert 0 < report["events"] == len(cropped) - report["counters"]["dropped.decimate"]


def test_convert_on_the_command_line(
    tmp_path: Path, events: npt.NDArray[np.void], capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = str(tmp_path / "a.csv"), str(tmp_path / "b.csv")
    edgesnn.write(source, events)
    assert main(["convert", source, target, "--start", "3.5s", "--end", "4s", "--rebase", "--json"]) == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert captured.err == ""
    t = events["t"][(events["t"] >= 3_500_000) & (events["t"] < 4_000_000)]
    np.testing.assert_array_equal(edgesnn.open(target).read()["t"], t - t[0])
    assert report["events"] == len(t)
    assert main(["convert", source, target, "--roi", "0,0,10,10"]) == 0
    assert capsys.readouterr().out.startswith(f"{target}: ")


def test_convert_says_that_nothing_is_in_the_part(
    tmp_path: Path,
    events: npt.NDArray[np.void],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("a.csv", "a.raw"):
        source, target = str(tmp_path / name), str(tmp_path / "b.csv")
        edgesnn.write(source, events, sensor=(320, 240))
        assert main(["convert", source, target, "--start", "9999s", "--sensor", "320x240"]) == 0
        assert capsys.readouterr().out.startswith(f"{target}: 0 events")
        assert "no event from 9999000000 us; the recording reaches 5272378 us" in caplog.text
        caplog.clear()


def test_convert_shows_its_progress_on_a_terminal_alone(
    tmp_path: Path,
    events: npt.NDArray[np.void],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, target = str(tmp_path / "a.csv"), str(tmp_path / "b.csv")
    edgesnn.write(source, events)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["convert", source, target]) == 0
    shown = capsys.readouterr().err
    assert "100%" in shown
    assert shown.endswith("\r\x1b[K"), "and takes it away"


@pytest.mark.conformance
def test_triggers_that_a_format_cannot_keep_are_said(
    tmp_path: Path, shared: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    source = edgesnn.open(shared("recordings/evt3/evt3_vga_rospayload_640x480.raw"))
    report = convert(source, tmp_path / "a.npz", stop_us=None)
    count = len(source.triggers())
    assert report["warnings"] == [f"{count} triggers were not written: npz has no place for them"]
    assert report["warnings"][0] in caplog.text
    np.testing.assert_array_equal(edgesnn.open(tmp_path / "a.npz").read(), source.read())


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["a.csv", "a.csv"], 2, "into itself"),
        (["a.csv", "b.xyz"], 2, "does not say the format"),
        (["a.csv", "b", "--format", "foo"], 2, "no such format: found 'foo', expected one of aedat4, csv, dat, es"),
        (["a.csv", "b", "--format", "hdf5"], 2, "not written: found 'hdf5', expected one of aedat4, csv, dat, es"),
        (["a.csv", "b.csv", "--roi", "1,2,3"], 2, "not a rectangle"),
        (["a.csv", "b.csv", "--roi", "300,0,64,64", "--sensor", "320x240"], 2, "not inside the sensor"),
        (["a.csv", "b.csv", "--filter", "stcf"], 2, "pass --sensor"),
        (["a.csv", "b.csv", "--filter", "sharpen"], 2, "one of background, bitmap, decimate"),
        (["a.csv", "b.csv", "--filter", "refractory:period=5"], 2, "not a duration"),
        (["a.csv", "b.csv", "--start", "5s", "--end", "4s"], 2, "ends before it begins"),
        (["a.csv", "b.csv", "--start", "5"], 2, "not a duration"),
        (["absent.csv", "b.csv"], 3, "no such file"),
        (["a.csv", "c/b.csv"], 3, "cannot be written"),
        (["a.csv", "b.csv", "--sensor", "8x8"], 3, "outside the 8x8 sensor"),
    ],
)
def test_what_convert_refuses(
    tmp_path: Path,
    events: npt.NDArray[np.void],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    edgesnn.write("a.csv", events)
    assert main(["convert", *arguments]) == code
    assert said in capsys.readouterr().err
    assert os.listdir() == ["a.csv"]
