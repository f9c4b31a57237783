"""Other people's recordings decode to the events that independent readers found in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn

pytestmark = pytest.mark.conformance

FILES = [
    "aedat2/aedat2_davis346_from_aedat4.aedat",
    "aedat31/aedat31_polarity_from_aedat4.aedat",
    "aedat4/davis_sample.aedat4",
    "evt3/evt3_gen41_1280x720.raw",
    "evt3/evt3_vga_rospayload_640x480.raw",
    "evt2/evt2_gen3_640x480_a.raw",
    "evt21/evt21_from_evt3_1280x720.raw",
    "nmnist_bin/nmnist_sample.bin",
    "csv/events_t_x_y_on.csv",
    "dat/ncars_obj_004397_td.dat",
    "es/dvs_320x240.es",
    "hdf5_ecf/ecf_1280x720.hdf5",
    "dsec_h5/dsec_events_a.h5",
    "mvsec_h5/mvsec_like_data.hdf5",
    "npy/events_structured.npy",
    "npz/events.npz",
    "rosbag1/event_camera_msgs_evt3.bag",
    "rosbag2_db3/event_camera_msgs_evt3.db3",
]
GESTURES = [f"gesture_bin/dvs128_gesture_class{label}.bin" for label in range(10)]

Shared = Callable[[str], Path]
Truth = dict[str, Any]

# What their independent reader could not say: the size, and what is needed to unpack them.
SENSORS = {"aedat4/davis_sample.aedat4": (320, 240)}
# What the header of a converted file says, wrongly; files that do not say what is known of their camera.
HEADERS = {
    "aedat31_polarity_from_aedat4.aedat": (240, 180),
    "dsec_events_a.h5": None,
    "mvsec_like_data.hdf5": None,
}
NAMES = {"nmnist_bin": "nmnist", "dsec_h5": "hdf5", "mvsec_h5": "hdf5", "hdf5_ecf": "hdf5", "rosbag2_db3": "rosbag2"}
PACKAGES = {"aedat4/davis_sample.aedat4": "lz4.frame"}


@pytest.fixture(params=FILES)
def case(request: pytest.FixtureRequest, shared: Shared) -> tuple[Path, Truth]:
    """A recording and what its independent reader found."""
    path = shared(f"recordings/{request.param}")
    truth = json.loads(shared(f"recordings/{request.param}.json").read_text())
    if package := PACKAGES.get(request.param):
        pytest.importorskip(package, reason="the extra `events` is not installed")
    sensor = truth["sensor"] or SENSORS.get(request.param)
    return path, {**truth, "sensor": tuple(sensor) if sensor else None}


def opened(path: Path, truth: Truth) -> edgesnn.Recording:
    """Open it as it says, or with the right size where its header is wrong."""
    return edgesnn.open(path, sensor=truth["sensor"] if path.name in HEADERS else None)


def test_format_and_sensor_come_from_the_file(case: tuple[Path, Truth]) -> None:
    path, truth = case
    recording = edgesnn.open(path)
    folder = path.parent.name
    assert recording.format == NAMES.get(folder, folder)
    assert recording.sensor == (
        None if recording.format in ("csv", "nmnist", "npy", "npz") else HEADERS.get(path.name, truth["sensor"])
    )


def test_whole_file_equals_its_ground_truth(case: tuple[Path, Truth]) -> None:
    path, truth = case
    recording = edgesnn.open(path, sensor=truth["sensor"])
    events = recording.read()
    assert events.dtype == edgesnn.EVENT
    assert len(events) == truth["count"]
    assert hashlib.sha256(events.tobytes()).hexdigest() == truth["events_sha256"]
    assert not any(recording.counters.values())
    assert recording.warnings == []


@pytest.mark.parametrize("count", [1, 7, 1000])
def test_packets_by_count_equal_the_ground_truth(case: tuple[Path, Truth], count: int) -> None:
    path, truth = case
    digest, total = hashlib.sha256(), 0
    for packet in opened(path, truth).packets(count=count):
        digest.update(packet)
        assert len(packet) == min(count, truth["count"] - total)
        total += len(packet)
    assert digest.hexdigest() == truth["events_sha256"]


@pytest.mark.parametrize("duration_us", [500, 10_000])
def test_packets_by_time_equal_the_ground_truth(case: tuple[Path, Truth], duration_us: int) -> None:
    path, truth = case
    digest = hashlib.sha256()
    for packet in opened(path, truth).packets(duration_us=duration_us):
        digest.update(packet)
        window = (packet["t"] - truth["t_min"]) // duration_us
        assert (window == window[0]).all()
    assert digest.hexdigest() == truth["events_sha256"]


def test_evt21_with_swapped_halves_gives_the_same_events(shared: Shared, tmp_path: Path) -> None:
    path = shared("recordings/evt21/evt21_from_evt3_1280x720.raw")
    whole = edgesnn.open(path)
    header = path.read_bytes()[: whole.data_offset]
    swapped = np.fromfile(path, "<u4", offset=whole.data_offset).reshape(-1, 2)[:, ::-1].tobytes()
    for lines in (header, header.replace(b";width=1280", b";width=1280;endianness=legacy")):
        (tmp_path / "legacy.raw").write_bytes(lines + swapped)
        recording = edgesnn.open(tmp_path / "legacy.raw")
        assert recording.variant == "legacy"
        assert recording.read().tobytes() == whole.read().tobytes()


def test_triggers_of_a_real_recording_are_kept(shared: Shared) -> None:
    path = shared("recordings/evt3/evt3_vga_rospayload_640x480.raw")
    triggers = edgesnn.open(path).triggers()
    words = np.fromfile(path, "<u2", offset=edgesnn.open(path).data_offset)
    kinds = words[words >> 12 == 0xA]
    assert len(triggers) == len(kinds) > 0
    np.testing.assert_array_equal(triggers["id"], kinds >> 8 & 0xF)
    np.testing.assert_array_equal(triggers["p"], kinds & 1)
    assert (np.diff(triggers["t"]) >= 0).all()


def test_the_sensor_clock_of_the_recording_with_stale_words_does_not_drift(shared: Shared) -> None:
    path = shared("recordings/evt3/evt3_gen41_1280x720.raw")
    recording = edgesnn.open(path)
    decoder = recording.decoder()
    for chunk in recording.chunks():
        decoder.feed(chunk)
    _, t_end_us = decoder.finish()
    assert t_end_us == 11_727_467  # the newest TIME_LOW word; the last event is at 11,727,457


@pytest.mark.parametrize("name", GESTURES)
def test_gesture_clips_share_the_layout(name: str, shared: Shared) -> None:
    path = shared(f"recordings/{name}")
    recording = edgesnn.open(path, sensor=(128, 128))
    events = recording.read()
    rows = np.fromfile(path, np.uint8).reshape(-1, 5).astype(np.int64)
    np.testing.assert_array_equal(events["t"], (rows[:, 2] & 0x7F) << 16 | rows[:, 3] << 8 | rows[:, 4])
    np.testing.assert_array_equal(events["x"], rows[:, 0])
    np.testing.assert_array_equal(events["y"], rows[:, 1])
    np.testing.assert_array_equal(events["p"], rows[:, 2] >> 7)
    assert 1_440_000 < events["t"].max() - events["t"][0] < 1_460_000


def test_seconds_of_a_real_text_file_are_the_microseconds_that_numpy_rounds_to(shared: Shared) -> None:
    path = shared("recordings/txt/events_rpg.txt")
    events = edgesnn.open(path).read()
    rows = np.loadtxt(path)
    for column, name in enumerate("xyp", 1):
        np.testing.assert_array_equal(events[name], rows[:, column])
    np.testing.assert_array_equal(events["t"], np.rint(rows[:, 0] * 1e6))
