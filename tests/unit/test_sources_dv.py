"""`dv:` with cameras that are not there, through a package like dv-processing; and that package's interface."""

from __future__ import annotations

import inspect
import json
import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.cli.main import main
from edgesnn.events.sources import dv as module
from edgesnn.events.sources.live import LiveSource
from edgesnn.events.types import TRIGGER
from tests import fake_dv
from tests.fake_dv import CameraModel, Cameras, Listed, SensorModel, TriggerType, failure, packaged
from tests.live import made_up, read_events, wait_until

EVENTS = made_up(5_000, start_us=1_700_000_000_000_000)
DVX, DVS, DAVIS = Listed(), Listed(CameraModel.DVS128, "00012"), Listed(CameraModel.DAVIS, "00344")


@pytest.fixture
def cameras(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cameras:
    fake = Cameras()
    monkeypatch.setitem(sys.modules, "dv_processing", SimpleNamespace(io=SimpleNamespace(camera=fake)))
    monkeypatch.setattr(module, "NODES", tmp_path / "nodes")
    monkeypatch.setattr(module, "KNOWN", tmp_path / "known")
    return fake


def opened(url: str = "dv:") -> LiveSource:
    source = edgesnn.open(url)
    assert isinstance(source, LiveSource)
    return source


def closed_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vendor: str = "152a", product: str = "8419") -> None:
    """Let the system know a camera at bus 2, device 7 that this user may not open."""
    device = tmp_path / "known" / "2-1"
    device.mkdir(parents=True)
    for name, text in (("idVendor", vendor), ("idProduct", product), ("busnum", "2"), ("devnum", "7")):
        (device / name).write_text(text + "\n")
    node = tmp_path / "nodes" / "002" / "007"
    node.parent.mkdir(parents=True)
    node.touch()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != node)  # root may open everything


# --- what comes ------------------------------------------------------------------------------------------------------


def test_events_of_a_camera_are_ours(cameras: Cameras) -> None:
    cameras.there = [DVX]
    with opened() as source:
        camera = cameras.opened[0]
        camera.give(packaged(EVENTS[:3_000]))
        camera.give(packaged(EVENTS[:0]))
        camera.give(packaged(EVENTS[3_000:]))
        assert read_events(source, len(EVENTS)).tolist() == EVENTS.tolist()
        assert (source.format, source.sensor) == ("dv", (640, 480))
        assert source.details == {"camera": "DVXPLORER_DXA00093", "serial": "DXA00093"}
        assert camera.set == {"interval": timedelta(milliseconds=2)}


def test_an_event_outside_the_sensor_is_counted_and_left_out(cameras: Cameras) -> None:
    cameras.there = [DVX]
    array = packaged(EVENTS[:10])
    array["x"][3], array["y"][5], array["x"][7] = 640, 480, -1
    with opened() as source:
        cameras.opened[0].give(array)
        assert len(read_events(source, 7)) == 7
        assert source.counters["out_of_range"] == 3


def test_triggers_are_kept_also_where_no_events_come(cameras: Cameras) -> None:
    cameras.there = [DVX]
    first = int(EVENTS["t"][0])
    edges = [
        (10, TriggerType.EXTERNAL_SIGNAL_RISING_EDGE),
        (20, TriggerType.APS_FRAME_START),
        (30, TriggerType.EXTERNAL_SIGNAL_FALLING_EDGE),
        (40, TriggerType.EXTERNAL_GENERATOR_RISING_EDGE),
    ]
    with opened() as source:
        cameras.opened[0].give(packaged(EVENTS[:10]))
        read_events(source, 10)
        cameras.opened[0].edges.append([SimpleNamespace(timestamp=first + t, type=kind) for t, kind in edges])
        wait_until(source, lambda: not cameras.opened[0].edges)
        expected = np.array([(first + 10, 0, 1), (first + 30, 0, 0), (first + 40, 3, 1)], TRIGGER)
        np.testing.assert_array_equal(source.triggers(), expected)


def test_time_goes_on_while_a_camera_sees_nothing(cameras: Cameras) -> None:
    cameras.there = [DVX]
    with opened("dv:?idle_close_ms=5") as source:
        cameras.opened[0].give(packaged(EVENTS))
        read_events(source, len(EVENTS))
        reached_us = source.t_end_us
        assert reached_us is not None
        wait_until(source, lambda: source.t_end_us > reached_us + 30_000)


# --- absences --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["it stops", "it fails"])
def test_a_camera_that_is_unplugged_comes_back_with_its_settings(cameras: Cameras, how: str) -> None:
    cameras.there = [DVX]
    with opened("dv:?biases=on:9") as source:
        cameras.opened[0].give(packaged(EVENTS))
        read_events(source, len(EVENTS))
        cameras.there = []
        if how == "it stops":
            cameras.opened[0].running = False
        else:
            cameras.opened[0].waiting.append(RuntimeError(failure("Device was disconnected.")))
        wait_until(source, lambda: source.state == "dead" and source.counters["failed_connections"] > 0)
        cameras.there = [Listed(serialNumber="DXA00001"), DVX]
        wait_until(source, lambda: len(cameras.opened) == 2)
        assert cameras.opened[1].listed == DVX, "another camera is not taken for it"
        assert cameras.opened[1].set["on"] == 9
        again = EVENTS.copy()
        again["t"] -= int(EVENTS["t"][0])  # its clock began anew
        cameras.opened[1].give(packaged(again))
        got = read_events(source, len(EVENTS))
        assert np.array_equal(got[["x", "y", "p"]], EVENTS[["x", "y", "p"]])
        assert got["t"].min() >= EVENTS["t"].max()
        assert (source.counters["connections"], source.counters["disconnections"]) == (2, 1)


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("camera", "options", "expected"),
    [
        (DVX, "biases=on:9,off:3&roi=100,50,320x240", {"on": 9, "off": 3, "crop": (100, 50, 320, 240)}),
        (DVS, "biases=DIFF_ON:1337", {"DIFF_ON": 1337}),
        (DAVIS, "biases=On:1564,ADCReferenceHigh:30", {"On": (6, 28), "ADCReferenceHigh": 30}),
    ],
)
def test_settings_reach_the_camera(cameras: Cameras, camera: Listed, options: str, expected: dict[str, Any]) -> None:
    cameras.there = [camera]
    with opened(f"dv:?{options}"):
        assert expected.items() <= cameras.opened[0].set.items()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("dv:dvxplorer", "no such camera: found 'dvxplorer', expected dv: or dv:\\?serial=S"),
        ("dv:?format=evt3", "the camera gives events, no format; leave format out"),
        ("dv:?biases=on", "not a bias: found 'on', expected NAME:VALUE"),
        ("dv:?biases=onn:3", "no bias 'onn': expected one of on, off; did you mean on"),
        ("dv:?biases=on:99", "the camera refuses a setting: found Contrast threshold value out of range"),
        ("dv:?roi=1,2,3", "roi is no rectangle"),
        ("dv:?roi=630,0,20x20", "roi is not inside the sensor: found 630,0,20x20, expected inside 640x480"),
        ("dv:?rate_limit=5MHz", "no option 'rate_limit'"),
    ],
)
def test_a_wrong_setting_is_one_clear_error(cameras: Cameras, url: str, words: str) -> None:
    cameras.there = [DVX]
    with pytest.raises(edgesnn.UsageError, match=words):
        edgesnn.open(url)


def test_a_current_that_the_camera_cannot_hold_and_a_camera_without_biases(
    cameras: Cameras, monkeypatch: pytest.MonkeyPatch
) -> None:
    cameras.there = [DAVIS]
    with pytest.raises(edgesnn.UsageError, match=r"found On is 0 to 2047 \(256 times coarse, plus fine\), not 2048"):
        edgesnn.open("dv:?biases=On:2048")
    monkeypatch.setattr(fake_dv.DAVIS, "model", SensorModel.DAVIS240C)
    with pytest.raises(edgesnn.UsageError, match="no bias 'On': expected none: this camera has none"):
        edgesnn.open("dv:?biases=On:5")


# --- what cannot be opened -------------------------------------------------------------------------------------------


def test_no_camera_or_another_one_is_an_error(cameras: Cameras) -> None:
    with pytest.raises(edgesnn.RecordingError, match="an iniVation camera is not plugged in; `edgesnn info dv:`"):
        edgesnn.open("dv:")
    cameras.there = [DVX]
    with pytest.raises(edgesnn.RecordingError, match="a camera with the serial X is not plugged in"):
        edgesnn.open("dv:?serial=X")


def test_of_several_cameras_one_must_be_said(cameras: Cameras) -> None:
    cameras.there = [DVX, DVS]
    with pytest.raises(edgesnn.RecordingError, match="several cameras are there: found DXA00093, 00012; say which"):
        edgesnn.open("dv:")
    with opened("dv:?serial=00012"):
        assert cameras.opened[0].listed == DVS


def test_a_camera_without_events_is_refused(cameras: Cameras, monkeypatch: pytest.MonkeyPatch) -> None:
    cameras.there = [DVX]
    monkeypatch.setattr(fake_dv.Camera, "getEventResolution", lambda self: None)
    with pytest.raises(edgesnn.RecordingError, match="the camera gives no events: found DVXPLORER_DXA00093"):
        edgesnn.open("dv:")


@pytest.mark.parametrize("seen", [True, False])
def test_a_missing_permission_names_the_command(
    cameras: Cameras, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: bool
) -> None:
    """Where the package lists the camera, and where it passes over it."""
    closed_node(tmp_path, monkeypatch)
    cameras.there = [DVX] if seen else []
    cameras.refuses = "Failed to open USB device."
    with pytest.raises(edgesnn.RecordingError, match=r"cannot be opened: found .*sudo tee /etc/udev/rules.d") as caught:
        edgesnn.open("dv:")
    assert ("Failed to open USB device." in str(caught.value)) == seen
    assert "Stacktrace" not in str(caught.value)


def test_a_device_of_somebody_else_is_no_camera(
    cameras: Cameras, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed_node(tmp_path, monkeypatch, vendor="1234")
    with pytest.raises(edgesnn.RecordingError, match="is not plugged in"):
        edgesnn.open("dv:")


def test_a_camera_in_use_and_a_bus_that_cannot_be_looked_at(cameras: Cameras) -> None:
    cameras.there, cameras.refuses = [DVX], "Failed to claim USB interface 0."
    with pytest.raises(
        edgesnn.RecordingError, match=r"found Failed to claim USB interface 0\.; another program uses it"
    ):
        edgesnn.open("dv:")
    cameras.there = RuntimeError(failure("Other error"))
    with pytest.raises(edgesnn.RecordingError, match="USB cannot be looked at: found Other error; a container needs"):
        edgesnn.open("dv:")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dv_processing", None)
    with pytest.raises(edgesnn.RecordingError, match=r"cannot be imported: .*pip install 'edgesnn\[camera\]'"):
        edgesnn.open("dv:")


def test_info_lists_cameras_and_the_command_for_a_missing_permission(
    cameras: Cameras, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    closed_node(tmp_path, monkeypatch)
    cameras.there = [Listed(CameraModel.DVS128, "00012", 1, 3), DVX]
    assert main(["info", "dv:"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [first for first, _ in lines] == ["dv:?serial=00012", "dv:?serial=DXA00093", "to"]
    assert lines[1][1].endswith(": this user has no right to it")
    assert "sudo tee /etc/udev/rules.d/65-inivation.rules" in lines[2][1]
    cameras.there = []
    assert main(["info", "dv:", "--json"]) == 0
    assert [one["address"] for one in json.loads(capsys.readouterr().out)["devices"]] == ["-"]


# --- the package itself ----------------------------------------------------------------------------------------------


@pytest.fixture
def real() -> Any:
    return pytest.importorskip("dv_processing", reason="the extra `camera` is not installed")


def test_the_fake_is_as_the_package(real: Any) -> None:
    camera = real.io.camera
    for ours, theirs in (
        (CameraModel, camera.CameraModel),
        (fake_dv.LogLevel, camera.USBDevice.LogLevel),
        (fake_dv.Bias, camera.DVS128.Bias),
        (fake_dv.Davis346BiasCF, camera.DAVIS.Davis346BiasCF),
        (fake_dv.Davis346BiasVDAC, camera.DAVIS.Davis346BiasVDAC),
        (SensorModel, camera.DAVIS.SensorModel),
        (TriggerType, real.TriggerType),
    ):
        assert {one.name for one in ours} <= set(theirs.__members__), theirs
    assert set(module._TRIGGERS) <= set(real.TriggerType.__members__)
    for name in ("DVXplorer", "DVS128", "DAVIS"):
        fake, kind = getattr(fake_dv, name), getattr(camera, name)
        methods = {one for one, _ in inspect.getmembers(fake, inspect.isfunction) if one[0] != "_" and one != "give"}
        assert methods <= set(dir(kind)), name
    assert set(Listed.__dataclass_fields__) <= set(dir(camera.USBDevice.DeviceDescriptor))
    store = real.EventStore()
    store.push_back(1_700_000_000_000_000, 3, 4, True)
    assert store.numpy().dtype == fake_dv.EVENTS


def test_a_machine_without_cameras_says_so_by_the_package(real: Any) -> None:
    with pytest.raises(edgesnn.RecordingError, match="not plugged in"):
        edgesnn.open("dv:?serial=none-such")


SENDER = """
import sys, time
import numpy as np
import dv_processing as dv
port, count = int(sys.argv[1]), int(sys.argv[2])
writer = dv.io.NetworkWriter("127.0.0.1", port, dv.io.Stream.EventStream(0, "events", "camera", (640, 480)))
print("ready", flush=True)
while writer.getClientCount() == 0:
    time.sleep(0.01)
events = dv.EventStore()
for t, x, y, p in np.load(sys.argv[3])[:count].tolist():
    events.push_back(t, x, y, bool(p))
writer.writeEvents(events)
time.sleep(60)
"""


class Plugged:
    """The package's reader of a connection, which is a camera but for its settings."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return (lambda *args: None) if name.startswith("set") else getattr(self._reader, name)


def test_batches_of_the_package_are_read_until_its_sender_dies(
    real: Any, cameras: Cameras, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "events.npy", EVENTS)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    cameras.there = [DVX]
    monkeypatch.setattr(cameras, "open", lambda *_: Plugged(real.io.NetworkReader("127.0.0.1", port)))
    command = [sys.executable, "-c", SENDER, str(port), str(len(EVENTS)), str(tmp_path / "events.npy")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sender:
        try:
            assert sender.stdout is not None
            assert sender.stdout.readline() == "ready\n"
            source = opened()
            assert read_events(source, len(EVENTS)).tolist() == EVENTS.tolist()
        finally:
            sender.kill()
    with source:
        wait_until(source, lambda: source.state == "dead")
        assert source.counters["disconnections"] == 1
