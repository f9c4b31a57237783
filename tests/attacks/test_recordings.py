"""Hostile recordings: each gives its error or its counted events. Damage of every format: test_damaged_files.py."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn.events.types import EVENT
from tests.files import written
from tests.memory import read_in_packets

SENSOR = (320, 240)
EVT2_HEADER = b"% evt 2.0\n% geometry 320x240\n% end\n"

Shared = Callable[[str], Path]


def some_events(count: int = 2000) -> np.ndarray:
    rng = np.random.default_rng(5)
    events = np.zeros(count, EVENT)
    events["t"] = 16_700_000 + np.cumsum(rng.integers(0, 200, count))  # wraps on its way
    events["x"], events["y"] = rng.integers(0, SENSOR[0], count), rng.integers(0, SENSOR[1], count)
    events["p"] = rng.integers(0, 2, count)
    return events


HEADER = written("evt3", some_events(0), SENSOR)[0]


def evt3_words() -> np.ndarray:
    return np.frombuffer(written("evt3", some_events(), SENSOR)[1], "<u2")


@pytest.fixture
def evt3(tmp_path: Path) -> Path:
    """A whole EVT3 file of 2000 events."""
    path = tmp_path / "gate.raw"
    path.write_bytes(HEADER + evt3_words().tobytes())
    return path


def refusal(path: Path, **options: object) -> str:
    """Read all of it and return the error, which must be a RecordingError that names the file."""
    with pytest.raises(edgesnn.RecordingError) as caught:
        edgesnn.open(path, **options).read()  # type: ignore[arg-type]
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 3
    return str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "absent.raw")


def test_directory(tmp_path: Path) -> None:
    assert "not a regular file" in refusal(tmp_path)


def test_device_and_pipe_are_refused_without_reading(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.raw")
    for path in (Path("/dev/zero"), tmp_path / "pipe.raw"):
        assert "not a regular file" in refusal(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission(evt3: Path) -> None:
    evt3.chmod(0)
    assert "permission denied" in refusal(evt3)


@pytest.mark.parametrize("name", ["a.raw", "a.bin", "a"])
def test_empty_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    assert "the file is empty" in refusal(path)


def test_name_with_a_zero_byte() -> None:
    with pytest.raises(edgesnn.RecordingError, match="cannot be opened"):
        edgesnn.open("a\0b.raw")


@pytest.mark.parametrize("on_corrupt", ["strict", "skip"])
@pytest.mark.parametrize("header", [HEADER, EVT2_HEADER])
def test_header_without_events_is_an_empty_recording_with_a_warning(
    tmp_path: Path, header: bytes, on_corrupt: str
) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(header)
    recording = edgesnn.open(path, on_corrupt=on_corrupt)
    assert len(recording.read()) == 0
    assert list(recording.packets(count=3)) == []
    assert any("empty" in warning for warning in recording.warnings)


@pytest.mark.parametrize("on_corrupt", ["strict", "skip"])
def test_bytes_without_any_event_are_an_error(tmp_path: Path, on_corrupt: str) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(HEADER + np.full(500, 0x8001, "<u2").tobytes())
    assert "no event in the data" in refusal(path, on_corrupt=on_corrupt)


def zip_bytes() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a", b"b" * 100)
    return out.getvalue()


def tar_bytes() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return out.getvalue()


def npy_bytes() -> bytes:
    out = io.BytesIO()
    np.save(out, np.arange(9))
    return out.getvalue()


FOREIGN = {
    "zip archive": zip_bytes(),
    "not an array of events": npy_bytes(),
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "AEDAT": b"#!AER-DAT1.0\r\n" + bytes(100),
    "ROS 1 bag": b"#ROSBAG V1.2\n" + bytes(100),
    "the SQLite file cannot be read": b"SQLite format 3\0" + bytes(100),
    "a zstd archive": b"\x28\xb5\x2f\xfd" + bytes(100),
    "PNG": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "type of ES that is not read: found generic": b"Event Stream\x02\x00\x00\x00" + bytes(100),
    "found atis": b"Event Stream\x02\x00\x00\x02" + bytes(100),
    "found color": b"Event Stream\x02\x00\x00\x04" + bytes(100),
    "found type 9": b"Event Stream\x02\x00\x00\x09" + bytes(100),
    "version of ES that is not read: found 1.2.0": b"Event Stream\x01\x02\x00\x01" + bytes(100),
    "header is damaged: found 16 bytes": b"Event Stream\x02\x00\x00\x01",
    "a RAW file in HISTO3D": b"% format HISTO3D;height=240;width=320\n% end\n" + bytes(100),
    "names no encoding": b"% date 2020-09-14\n" + bytes(100),
    "type 14 (external triggers)": b"% Data file containing EXT events\n% Version 2\n\x0e\x08" + bytes(100),
    "type 0, of 0 bytes": b"% Data file containing CD events.\n% Version 2\n" + bytes(100),
    "DAT version that is not read: found Version 1": b"% Data file containing Event2D events.\n% Version 1\n\0\x08",
    "not known": tar_bytes(),
    "is not known": bytes(5000),
    "columns are not known": b"9,2,7,4\n1,5,7,8\n" * 30,
}


@pytest.mark.parametrize("suffix", [".raw", ".bin"])
@pytest.mark.parametrize("what", FOREIGN)
def test_foreign_files_are_named(tmp_path: Path, what: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(FOREIGN[what])
    assert what.strip() in refusal(path)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("suffix", [".raw", ".bin"])
def test_random_bytes_are_no_recording(tmp_path: Path, seed: int, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(np.random.default_rng(seed).integers(0, 256, 4000, dtype=np.uint8).tobytes())
    assert "not known" in refusal(path)


@pytest.mark.parametrize("geometry", ["0x0", "0x480", "640x99999", "4096x4096"])
def test_an_impossible_sensor_in_the_header(evt3: Path, geometry: str) -> None:
    evt3.write_bytes(evt3.read_bytes().replace(b"320x240", geometry.encode()))
    assert "pass --sensor" in refusal(evt3)
    assert len(edgesnn.open(evt3, sensor=SENSOR).read()) == 2000
    skipping = edgesnn.open(evt3, on_corrupt="skip")
    assert skipping.sensor is None
    assert len(skipping.read()) == 2000
    assert any("sensor size" in warning for warning in skipping.warnings)


@pytest.mark.parametrize("geometry", ["-5x3", "wide", "", "1e3x2"])
def test_a_sensor_that_is_no_size_is_not_taken(evt3: Path, geometry: str) -> None:
    header = f"% evt 3.0\n% geometry {geometry}\n% end\n".encode()
    evt3.write_bytes(header + evt3_words().tobytes())
    recording = edgesnn.open(evt3)
    assert recording.sensor is None
    assert len(recording.read()) == 2000


def test_a_header_smaller_than_the_events(evt3: Path) -> None:
    body = evt3_words()
    header = written("evt3", some_events(0), (64, 48))[0]
    evt3.write_bytes(header + body.tobytes())
    message = refusal(evt3)
    assert "is outside the 64x48 sensor" in message
    assert "pass --sensor" in message
    offset = int(message.split("byte ")[1].split(":")[0])
    word = int(message.split("word ")[1].split(":")[0])
    assert offset == len(header) + 2 * word
    skipping = edgesnn.open(evt3, on_corrupt="skip")
    events = skipping.read()
    assert ((events["x"] < 64) & (events["y"] < 48)).all()
    assert len(events) + skipping.counters["out_of_range"] == 2000


def test_a_header_without_an_end(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(b"% evt 3.0\n" + b"% more of it\n" * 20_000)
    assert "header has no end" in refusal(path)


def test_a_header_of_zeros_claims_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(5000))
    assert "not known" in refusal(path)


def test_the_events_before_the_damage_come_first(evt3: Path) -> None:
    data = bytearray(evt3.read_bytes())
    header = len(HEADER)
    data[header + 4001] = 0x90  # an unknown word type
    evt3.write_bytes(data)
    got: list[np.ndarray] = []
    with pytest.raises(edgesnn.RecordingError, match=rf"byte {header + 4000}: EVT3 word 2000: unknown word type 0x9"):
        got.extend(edgesnn.open(evt3).packets())
    before = np.concatenate(got)
    np.testing.assert_array_equal(before, some_events()[: len(before)])
    assert 500 < len(before) < 1000
    skipping = edgesnn.open(evt3, on_corrupt="skip")
    assert len(skipping.read()) >= 1990
    assert skipping.counters["bad_words"] == 1


def test_a_huge_sparse_file_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path, small = tmp_path / "huge.raw", tmp_path / "small.raw"
    for each in (path, small):
        each.write_bytes(HEADER + evt3_words().tobytes())
    with path.open("r+b") as file:
        file.truncate(300 << 20)  # zeros: ADDR_Y words
    for by in ("", "count=1000"):
        total, _, grown = read_in_packets(small, path, by)
        assert total == 2000
        assert grown < 32 << 10


@pytest.mark.parametrize("name", ["evt3", "evt21"])
def test_a_scene_in_which_every_pixel_fires_is_read_in_bounded_memory(tmp_path: Path, name: str) -> None:
    path, small = tmp_path / "dense.raw", tmp_path / "small.raw"
    small.write_bytes(HEADER + evt3_words().tobytes())
    if name == "evt3":  # 132 columns in 13 words
        row, events, version = np.array([0, 0x3800, *[0x4FFF] * 11], "<u2"), 132, "3.0"
        first = np.array([0x8000, 0x8000, 0x6000], "<u2")
    else:
        row, events, version = np.array([0x10000000FFFFFFFF], "<u8"), 32, "2.1"
        first = np.array([0x8000000000000000], "<u8")
    rows = (6 << 20) // row.nbytes
    header = f"% evt {version}\n% geometry {events}x1\n% end\n".encode()
    path.write_bytes(header + first.tobytes() + row.tobytes() * rows)
    total, counters, grown = read_in_packets(small, path)
    assert total == rows * events
    assert not any(counters.values())
    assert grown < 32 << 10


def test_a_file_cut_while_it_is_read(evt3: Path) -> None:
    recording = edgesnn.open(evt3)
    os.truncate(evt3, len(HEADER) + 2001)
    assert "word is cut: 1 of 2" in refusal_of(recording)
    evt3.unlink()
    assert "no such file" in refusal_of(recording)


def refusal_of(recording: edgesnn.Recording) -> str:
    with pytest.raises(edgesnn.RecordingError) as caught:
        recording.read()
    return str(caught.value)


@pytest.mark.parametrize("options", [{"format": "evt9"}, {"on_corrupt": "maybe"}, {"sensor": (0, 3)}, {"sensor": (5,)}])
def test_wrong_arguments_are_usage_errors(evt3: Path, options: dict[str, object]) -> None:
    with pytest.raises(edgesnn.UsageError):
        edgesnn.open(evt3, **options)  # type: ignore[arg-type]


# One damaged time word in recordings of real cameras: what is left are events of the true recording, in order.


@pytest.mark.conformance
@pytest.mark.parametrize(
    "name", ["evt3/evt3_gen41_1280x720.raw", "evt3/evt3_vga_rospayload_640x480.raw", "evt2/evt2_gen3_640x480_a.raw"]
)
def test_one_damaged_time_word_never_moves_the_clock_of_a_real_recording(name: str, shared: Shared) -> None:
    recording = edgesnn.open(shared(f"recordings/{name}"))
    truth = recording.read()
    size, bits = (2, 12) if recording.format == "evt3" else (4, 28)
    words = np.frombuffer(b"".join(recording.chunks()), f"<u{size}")
    times = np.flatnonzero(words >> bits == 8)
    rng = np.random.default_rng(1)
    for at in rng.choice(times[2:-1], 25, replace=False):
        bad = words.copy()
        bad[at] = 8 << bits | int(rng.integers(0, 1 << bits))
        decoder = edgesnn.Decoder(recording.format, sensor=recording.sensor, on_corrupt="skip")
        first, _ = decoder.feed(bad.tobytes())
        last, t_end_us = decoder.finish()
        events = np.concatenate([first, last])
        same = events[: len(truth)] == truth[: len(events)]
        start = len(events) if same.all() else int(np.argmin(same))
        lost = len(truth) - len(events)
        assert lost <= 1000
        np.testing.assert_array_equal(events[start:], truth[start + lost :])
        assert t_end_us == recording.t_end_us


def test_a_file_that_cannot_be_read_is_a_recording_error() -> None:
    """A regular file that has nothing at its beginning, as a bad disk."""
    assert "/proc/self/mem: byte 0: cannot be read: input/output error" in refusal(Path("/proc/self/mem"))
