"""`usb:` with cameras that are not there, through a package like neuromorphic-drivers; and that package's interface."""

from __future__ import annotations

import dataclasses
import inspect
import json
import sys
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.cli.main import main
from edgesnn.events.filters.registry import FILTERS
from edgesnn.events.sources.address import parse
from edgesnn.events.sources.live import LiveSource
from edgesnn.events.sources.usb_settings import MODELS, RING_LENGTH, configuration
from edgesnn.events.types import TRIGGER
from tests import fake_drivers
from tests.fake_drivers import DENIED, POLARITY, TRIGGERS, FakeDrivers, Listed, Name, words
from tests.live import encoded, made_up, read_events, wait_until

EVENTS = made_up(5_000)
EVK4, DVX, DAVIS = Listed(Name.PROPHESEE_EVK4), Listed(Name.INIVATION_DVXPLORER), Listed(Name.INIVATION_DAVIS346)


@pytest.fixture
def drivers(monkeypatch: pytest.MonkeyPatch) -> FakeDrivers:
    fake = FakeDrivers()
    monkeypatch.setitem(sys.modules, "neuromorphic_drivers", fake)
    return fake


def opened(url: str) -> LiveSource:
    source = edgesnn.open(url)
    assert isinstance(source, LiveSource)
    return source


def packaged(events: np.ndarray) -> np.ndarray:
    """Return events in the package's layout."""
    array = np.zeros(len(events), POLARITY)
    array["t"], array["x"], array["y"], array["on"] = events["t"], events["x"], events["y"], events["p"]
    return array


# --- what comes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("url", "name"), [("usb:evk4", "PROPHESEE_EVK4"), ("usb:evk3", "PROPHESEE_EVK3_HD")])
def test_bytes_of_a_prophesee_camera_go_into_our_decoder(drivers: FakeDrivers, url: str, name: str) -> None:
    """Also such that end inside a word."""
    drivers.there = [Listed(Name[name], "A1")]
    data = encoded(EVENTS)
    with opened(url) as source:
        device = drivers.opened[0]
        assert (device.raw, device.serial_number, device.ring.ring_length) == (True, "A1", RING_LENGTH)
        for at in range(0, len(data), 777):
            device.give_bytes(data[at : at + 777])
        assert read_events(source, len(EVENTS)).tolist() == EVENTS.tolist()
        assert (source.format, source.sensor, source.details["serial"]) == ("evt3", (1280, 720), "A1")
        assert source.counters["bad_words"] == 0
    assert device.closed


@pytest.mark.parametrize(("camera", "url", "sensor"), [(DVX, "usb:dvxplorer", (640, 480)), (DAVIS, "usb:", (346, 260))])
def test_events_of_an_inivation_camera_are_ours(
    drivers: FakeDrivers, camera: Listed, url: str, sensor: tuple[int, int]
) -> None:
    drivers.there = [camera]
    events = made_up(1_000, sensor=sensor)
    with opened(url) as source:
        device = drivers.opened[0]
        assert not device.raw
        device.give_events(packaged(events[:600]), int(events["t"][599]))
        device.give_events(None, int(events["t"][599]))  # frames alone
        device.give_events(packaged(events[600:]), int(events["t"][-1]))
        assert read_events(source, len(events)).tolist() == events.tolist()
        assert source.sensor == sensor


def test_an_event_outside_the_sensor_is_counted_and_left_out(drivers: FakeDrivers) -> None:
    drivers.there = [DVX]
    array = packaged(EVENTS[:10])
    array["x"][3], array["y"][5] = 640, 480
    with opened("usb:") as source:
        drivers.opened[0].give_events(array, int(array["t"][-1]))
        assert len(read_events(source, 8)) == 8
        assert source.counters["out_of_range"] == 2


def test_triggers_are_kept(drivers: FakeDrivers) -> None:
    drivers.there = [DVX]
    edges = np.array([(1_500, 2, True), (1_600, 0, False)], TRIGGERS)
    with opened("usb:") as source:
        drivers.opened[0].give_events(packaged(EVENTS[:10]), 2_000, edges)
        read_events(source, 10)
        assert source.triggers().tolist() == np.array([(1_500, 2, 1), (1_600, 0, 0)], TRIGGER).tolist()


def test_time_goes_on_without_events_by_what_the_camera_says(drivers: FakeDrivers) -> None:
    drivers.there = [DVX]
    with opened("usb:?idle_close_ms=60000") as source:
        device = drivers.opened[0]
        device.give_events(packaged(EVENTS[:10]), int(EVENTS["t"][9]))
        read_events(source, 10)
        device.give_events(None, 30_000)
        wait_until(source, lambda: source.t_end_us == 30_000)


# --- losses and absences ---------------------------------------------------------------------------------------------


def test_transfers_that_were_dropped_are_counted_and_no_word_leans_over_the_gap(drivers: FakeDrivers) -> None:
    drivers.there = [EVK4]
    data = encoded(EVENTS)
    first, second = data[:2_001], data[4_001:]  # half a word before the gap, and half a word behind the other side
    with opened("usb:evk4") as source:
        device = drivers.opened[0]
        device.give_bytes(first + second[1:], [len(first)], dropped=3)
        device.give_bytes(data, dropped=2)
        got = read_events(source, len(EVENTS))
        assert source.counters["lost_packets"] >= 5
        assert source.counters["bad_words"] == 0
    there = set(map(tuple, EVENTS[["x", "y", "p"]].tolist()))
    assert set(map(tuple, got[["x", "y", "p"]].tolist())) <= there


def test_a_camera_that_is_unplugged_comes_back_with_its_settings(drivers: FakeDrivers) -> None:
    drivers.there = [EVK4]
    with opened("usb:?biases=diff_on:20") as source:
        drivers.opened[0].give_bytes(encoded(made_up(5_000, start_us=9_000_000)))
        read_events(source, 5_000)
        drivers.there = []
        drivers.opened[0].waiting.append(RuntimeError("No such device (it may have been disconnected)"))
        wait_until(source, lambda: source.state == "dead" and source.counters["failed_connections"] > 0)
        assert drivers.opened[0].closed
        drivers.there = [EVK4]
        wait_until(source, lambda: len(drivers.opened) == 2)
        assert drivers.opened[1].configuration.biases.diff_on == 20
        drivers.opened[1].give_bytes(encoded(EVENTS))
        got = read_events(source, len(EVENTS))
        assert np.array_equal(got[["x", "y", "p"]], EVENTS[["x", "y", "p"]])
        assert (source.counters["connections"], source.counters["disconnections"]) == (2, 1)


def test_another_camera_that_comes_is_not_taken_for_it(drivers: FakeDrivers) -> None:
    drivers.there = [EVK4]
    with opened("usb:") as source:
        drivers.there = [Listed(Name.PROPHESEE_EVK4, "00002")]
        drivers.opened[0].waiting.append(RuntimeError("gone"))
        wait_until(source, lambda: source.counters["failed_connections"] > 1)
        assert len(drivers.opened) == 1


# --- settings --------------------------------------------------------------------------------------------------------


def test_biases_part_and_rate_limit_reach_the_camera(drivers: FakeDrivers) -> None:
    drivers.there = [EVK4]
    with opened("usb:evk4?biases=diff_on:20,diff_off:-10&roi=100,50,320x240&rate_limit=5MHz"):
        settings = drivers.opened[0].configuration
    assert (settings.biases.diff_on, settings.biases.diff_off) == (20, -10)
    assert (settings.rate_limiter.reference_period_us, settings.rate_limiter.maximum_events_per_period) == (200, 1_000)
    columns, rows = np.ones(1280, bool), np.ones(720, bool)
    columns[100:420] = rows[720 - 290 : 720 - 50] = False  # rows count from the bottom
    assert (settings.x_mask, settings.y_mask) == (words(columns), words(rows))


def test_a_davis_has_a_rectangle_of_its_own(drivers: FakeDrivers) -> None:
    drivers.there = [DAVIS]
    with opened("usb:davis346?roi=10,20,100x50"):
        part = drivers.opened[0].configuration.region_of_interest
    assert (part.left, part.top, part.width, part.height) == (10, 20, 100, 50)


def test_without_settings_a_camera_has_its_drivers_own(drivers: FakeDrivers) -> None:
    drivers.there = [EVK4]
    with opened("usb:"):
        assert drivers.opened[0].configuration == fake_drivers.MaskedConfiguration()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("usb:evk5", "no such camera: found 'evk5', expected usb: or usb: and one of davis346, dvxplorer, evk3, evk4"),
        ("usb:?biases=diff_on", "not a bias: found 'diff_on', expected NAME:VALUE such as diff_on:20"),
        ("usb:?biases=dif_on:3", "no bias 'dif_on': expected one of diff_on, diff_off; did you mean diff_on"),
        ("usb:?biases=diff_on:40000", r"a bias is out of range: found diff_on:40000 \(int too big"),
        ("usb:?roi=1,2,3", "roi is no rectangle: found '1,2,3', expected X,Y,WxH"),
        ("usb:?roi=1270,0,20x20", "roi is not inside the sensor: found 1270,0,20x20, expected inside 1280x720"),
        ("usb:?rate_limit=5", "not a rate"),
        ("usb:?rate_limit=1Hz", "rate_limit is out of range: found 1Hz, expected 5kHz to"),
        ("usb:?format=evt2", "the camera gives another format: found evt3"),
    ],
)
def test_a_wrong_setting_is_one_clear_error(drivers: FakeDrivers, url: str, words: str) -> None:
    drivers.there = [EVK4]
    with pytest.raises(edgesnn.UsageError, match=words):
        edgesnn.open(url)
    assert not drivers.opened


@pytest.mark.parametrize("option", ["roi=0,0,10x10", "rate_limit=5MHz"])
def test_a_camera_that_lacks_a_setting_says_so(drivers: FakeDrivers, option: str) -> None:
    drivers.there = [DVX]
    with pytest.raises(edgesnn.UsageError, match=f"this camera has no {option.partition('=')[0]}") as caught:
        edgesnn.open(f"usb:?{option}")
    _, _, hint = str(caught.value).partition("--filter ")
    assert hint.partition(":")[0] in FILTERS


# --- what cannot be opened -------------------------------------------------------------------------------------------


def test_no_camera_or_another_one_is_an_error(drivers: FakeDrivers) -> None:
    with pytest.raises(edgesnn.RecordingError, match="a camera is not plugged in; `edgesnn info usb:`"):
        edgesnn.open("usb:")
    drivers.there = [DVX, Listed(Name.LUCID_TRITON)]
    with pytest.raises(edgesnn.RecordingError, match="evk4 is not plugged in"):
        edgesnn.open("usb:evk4")
    with pytest.raises(edgesnn.RecordingError, match="dvxplorer with the serial X is not plugged in"):
        edgesnn.open("usb:dvxplorer?serial=X")


def test_of_several_cameras_one_must_be_said(drivers: FakeDrivers) -> None:
    drivers.there = [EVK4, Listed(Name.PROPHESEE_EVK4, "00002")]
    with pytest.raises(edgesnn.RecordingError, match="several cameras are there: found evk4 00001, evk4 00002"):
        edgesnn.open("usb:")
    with opened("usb:evk4?serial=00002"):
        assert drivers.opened[0].serial_number == "00002"


def test_a_missing_permission_names_the_command(drivers: FakeDrivers) -> None:
    command = f"sudo {sys.executable} /somewhere/neuromorphic_drivers/udev.py, then plug it in again"
    drivers.there = [Listed(Name.PROPHESEE_EVK4, None, DENIED)]
    for url in ("usb:", "usb:evk4?serial=00001"):
        with pytest.raises(edgesnn.RecordingError, match="cannot be opened: found Access denied") as caught:
            edgesnn.open(url)
        assert caught.value.hint == command
    drivers.there, drivers.refuses = [EVK4], DENIED
    with pytest.raises(edgesnn.RecordingError) as caught:
        edgesnn.open("usb:")
    assert caught.value.hint == command


def test_a_camera_in_use_and_a_bus_that_cannot_be_looked_at(drivers: FakeDrivers) -> None:
    drivers.there, drivers.refuses = [EVK4], "the device is already used by another program"
    with pytest.raises(edgesnn.RecordingError, match=r"cannot be opened: .*another program uses it"):
        edgesnn.open("usb:")
    drivers.there = RuntimeError("Other error")
    with pytest.raises(edgesnn.RecordingError, match="USB cannot be looked at: found Other error; a container needs"):
        edgesnn.open("usb:")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "neuromorphic_drivers", None)
    with pytest.raises(edgesnn.RecordingError, match=r"cannot be imported: .*pip install 'edgesnn\[camera\]'"):
        edgesnn.open("usb:")


def test_info_lists_cameras_and_the_command_for_a_missing_permission(
    drivers: FakeDrivers, capsys: pytest.CaptureFixture[str]
) -> None:
    drivers.there = [
        EVK4,
        Listed(Name.PROPHESEE_EVK4, "00002"),
        Listed(Name.INIVATION_DVXPLORER, None, DENIED),
        Listed(Name.LUCID_TRITON),
    ]
    assert main(["info", "usb:"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [first for first, _ in lines] == [
        "usb:evk4?serial=00001",
        "usb:evk4?serial=00002",
        "usb:dvxplorer",
        "-",
        "to",
    ]
    assert lines[2][1].endswith(f": {DENIED}")
    command = f"sudo {sys.executable} /somewhere/neuromorphic_drivers/udev.py, then plug it in again"
    assert lines[4][1].split(maxsplit=1) == ["do", command]
    drivers.there = []
    assert main(["info", "usb:", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"devices": []}


# --- the package itself ----------------------------------------------------------------------------------------------


@pytest.fixture
def real() -> Any:
    return pytest.importorskip("neuromorphic_drivers", reason="the extra `camera` is not installed")


def test_the_fake_is_called_as_the_package_is(real: Any) -> None:
    names = list(inspect.signature(real.open).parameters)
    assert list(inspect.signature(FakeDrivers().open).parameters) == names
    assert {field.name for field in dataclasses.fields(Listed)} == {
        f.name for f in dataclasses.fields(real.ListedDevice)
    }
    assert {one.name: one.value for one in Name}.items() <= {one.name: one.value for one in real.Name}.items()
    for model in MODELS.values():
        fake, module = getattr(FakeDrivers(), model.module), getattr(real, model.module)
        assert model.member in real.Name.__members__
        for kind in ("Configuration", "RingConfiguration", "RateLimiter", "RegionOfInterest"):
            assert hasattr(fake, kind) == hasattr(module, kind), (model.module, kind)
            if hasattr(fake, kind):
                ours = {field.name for field in dataclasses.fields(getattr(fake, kind))}
                assert ours <= {field.name for field in dataclasses.fields(getattr(module, kind))}
        size = module.Properties()
        assert (size.width, size.height) == (fake.Properties().width, fake.Properties().height)
    for status in ("RingStatus", "RawRingStatus"):
        fields = {
            field.name for field in dataclasses.fields(getattr(sys.modules["neuromorphic_drivers.status"], status))
        }
        assert {"dropped_packets", "current_t" if status == "RingStatus" else "overflow_indices"} <= fields


@pytest.mark.parametrize("name", ["evk4", "evk3"])
def test_the_packages_own_picture_of_a_mask_shows_the_part(real: Any, name: str) -> None:
    model = MODELS[name]
    settings = configuration(real, model, parse(f"usb:{name}?roi=100,50,320x240&rate_limit=5MHz&biases=diff_on:20"))
    default = getattr(real, model.module).Configuration()
    assert (len(settings.x_mask), len(settings.y_mask)) == (len(default.x_mask), len(default.y_mask))
    assert settings.biases.diff_on == 20
    mask = real.RowColumnMask(width=1280, height=720, set=True)
    mask.x_unpacked, mask.y_unpacked = bits(settings.x_mask, 1280), bits(settings.y_mask, 720)
    expected = np.zeros((720, 1280), bool)
    expected[50:290, 100:420] = True
    assert np.array_equal(mask.pixels(), expected)
    assert len(settings.serialize()) > len(default.serialize())  # the limiter is there


def bits(values: tuple[int, ...], count: int) -> np.ndarray:
    return np.unpackbits(np.array(values, "<u8").view(np.uint8), bitorder="little")[:count].astype(bool)


def test_the_packages_settings_of_the_other_cameras(real: Any) -> None:
    davis = configuration(real, MODELS["davis346"], parse("usb:davis346?roi=10,20,100x50&biases=onbn:1500"))
    assert (davis.region_of_interest.left, davis.region_of_interest.height, davis.biases.onbn) == (10, 50, 1500)
    dvx = configuration(real, MODELS["dvxplorer"], parse("usb:dvxplorer?biases=on:9,nrst:1"))
    assert (dvx.biases.on, dvx.biases.nrst) == (9, True)
    for url in ("usb:dvxplorer?biases=on:300", "usb:dvxplorer?biases=on:-1"):
        with pytest.raises(edgesnn.UsageError, match="a bias is out of range"):
            configuration(real, MODELS["dvxplorer"], parse(url))


def test_a_machine_without_cameras_says_so_by_the_package(real: Any) -> None:
    """Or that it has no USB at all."""
    with pytest.raises(edgesnn.RecordingError, match=r"not plugged in|USB cannot be looked at"):
        edgesnn.open("usb:evk4?serial=none-such")
