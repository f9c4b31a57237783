"""Filters: equal to the event-by-event reference, the same for every split, through save and load, and tonic's."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesnn.errors import ModelError, RecordingError, UsageError
from edgesnn.events.described import Parameter
from edgesnn.events.filters import Chain, Filter, bitmap, parse_filter
from edgesnn.events.filters.registry import FILTERS
from edgesnn.events.types import EVENT
from tests.property.filter_reference import run

SENSOR = (12, 9)

# Values at which a small, dense stream is neither kept nor dropped as a whole.
SMALL = {"dt": 60, "period": 40, "learn": 2000, "rate": 5000, "limit": 100_000, "factor": 4, "k": 8}


def stream(seed: int, count: int, sensor: tuple[int, int] = SENSOR, *, backward: bool = True) -> np.ndarray:
    """Events in clusters, with a hot pixel, repeated times, pauses and, where asked for, steps back in time."""
    rng = np.random.default_rng(seed)
    steps = rng.choice([0, 0, 1, 3, 20, 500], count, p=[0.3, 0.3, 0.2, 0.1, 0.09, 0.01])
    if backward:
        steps = np.where(rng.random(count) < 0.05, -rng.integers(1, 60, count), steps)
    events = np.zeros(count, EVENT)
    events["t"] = int(rng.integers(-1000, 1 << 40)) + np.cumsum(steps)
    hot = rng.random(count) < 0.1
    events["x"] = np.where(hot, 2, np.clip(rng.normal(sensor[0] / 2, 3, count), 0, sensor[0] - 1))
    events["y"] = np.where(hot, 1, np.clip(rng.normal(sensor[1] / 2, 2, count), 0, sensor[1] - 1))
    events["p"] = rng.integers(0, 2, count)
    return events


def pushed(filters: Sequence[Filter], events: np.ndarray, cuts: Sequence[int], *, restore: bool) -> tuple[Any, ...]:
    """Push the pieces between `cuts`; with `restore` each piece into a new chain that loads the state."""
    chain, passed = Chain(filters, sensor=SENSOR), []
    edges = sorted({0, *(min(cut, len(events)) for cut in cuts), len(events)})
    for start, stop in itertools.pairwise(edges):
        if restore:
            state = chain.save()
            chain = Chain(filters, sensor=SENSOR)
            chain.load(state)
        passed += chain.push(events[start:stop]).tolist()
    return passed, chain.sensor, chain.counters


def picture(seed: int, sensor: tuple[int, int]) -> str:
    """Return a bitmap of this size, about half of it 1."""
    return bitmap.pack(np.random.default_rng(seed).random(sensor[::-1]) < 0.5)


@st.composite
def value_of(draw: st.DrawFn, parameter: Parameter, sensor: tuple[int, int]) -> int | str:
    """Draw a value that does something on a stream of this file and that any sensor here can have."""
    if parameter.choices:
        return draw(st.sampled_from(parameter.choices))
    if parameter.unit == "bitmap":
        return picture(draw(st.integers(0, 99)), sensor)
    if parameter.name in ("x", "y"):
        return draw(st.integers(0, min(sensor) // 2 - 1 if min(sensor) > 1 else 0))
    if parameter.name in ("width", "height"):
        return draw(st.integers(1, max(1, min(sensor) // 2)))
    return draw(
        st.integers(max(parameter.low, 2), SMALL[parameter.name])
        if parameter.unit == "count"
        else st.sampled_from([SMALL[parameter.name], SMALL[parameter.name] // 4 * 3])
    )


@st.composite
def chains(draw: st.DrawFn) -> list[Filter]:
    """Draw up to four filters, each possible on the sensor that those before it leave."""
    filters: list[Filter] = []
    sensor = SENSOR
    for name in draw(st.lists(st.sampled_from(sorted(FILTERS)), min_size=1, max_size=4)):
        values = {one.name: draw(value_of(one, sensor)) for one in FILTERS[name].parameters}
        filters.append(Filter(name, values))
        sensor = Chain(filters, sensor=SENSOR).sensor
    return filters


@given(chains(), st.integers(0, 1 << 16), st.integers(0, 400), st.lists(st.integers(0, 400), max_size=6), st.booleans())
def test_chains_equal_the_reference_in_any_split(
    filters: list[Filter], seed: int, count: int, cuts: list[int], restore: bool
) -> None:
    events = stream(seed, count)
    expected = run(filters, SENSOR, events.tolist())
    assert pushed(filters, events, cuts, restore=restore) == expected


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_every_filter_alone_equals_the_reference_and_does_something(name: str) -> None:
    events = stream(7, 5000)
    for choices in itertools.product(*(one.choices or (None,) for one in FILTERS[name].parameters)):
        values = {
            one.name: choice
            or {"pixels": picture(1, SENSOR), "x": 1, "y": 2, "width": 5, "height": 4, "k": 2}.get(one.name)
            or SMALL[one.name]
            for one, choice in zip(FILTERS[name].parameters, choices, strict=True)
        }
        expected = run([Filter(name, values)], SENSOR, events.tolist())
        assert pushed([Filter(name, values)], events, [1, 1000, 1007, 3333], restore=True) == expected
        assert len(expected[0]) > 0, "nothing passed: the test proves nothing"
        assert expected[0] != run([], SENSOR, events.tolist())[0], "nothing changed: the test proves nothing"


def test_in_is_out_and_dropped() -> None:
    events = stream(3, 3000)
    chain = Chain(["stcf:dt=50us,k=2", "refractory:period=30us", "refractory:period=200us"], sensor=SENSOR)
    out = chain.push(events)
    dropped = {name: count for name, count in chain.counters.items() if name.startswith("dropped.")}
    assert sorted(dropped) == ["dropped.refractory", "dropped.stcf"]
    assert len(events) == len(out) + sum(dropped.values())
    assert len(out) > 0


def test_time_that_passes_without_events_counts_as_reached() -> None:
    chain = Chain(["refractory:period=1us"], sensor=SENSOR)
    chain.push(np.zeros(0, EVENT), t_end_us=50)
    assert chain.push(np.array([(20, 1, 1, 0)], EVENT)).tolist() == [(50, 1, 1, 0)]
    assert chain.counters["time_clamped"] == 1


def test_the_two_forms_say_the_same() -> None:
    for text, json in {
        "refractory:period=1.5ms,after=any": {"filter": "refractory", "period_us": 1500, "after": "any"},
        "rate:limit=2MHz": {"filter": "rate", "limit_hz": 2_000_000, "period_us": 1000},
        "stcf": {"filter": "stcf", "dt_us": 10_000, "k": 2},
        "transpose": {"filter": "transpose"},
    }.items():
        assert parse_filter(text) == parse_filter(json)
        assert parse_filter(text).json == json


@pytest.mark.parametrize(
    "wrong",
    [
        "sharpen",
        "refractory",
        "refractory:period=1",
        "refractory:period=-1ms",
        "refractory:period=1ms,period=2ms",
        "refractory:period",
        "refractory:time=1ms",
        "rate:limit=5",
        "rate:limit=10Hz",
        "rate:limit=0Hz",
        "hot_pixels:rate=1Hz,learn=1ms",
        "stcf:k=9",
        "stcf:k=²",
        "roi:x=1,y=1,width=12,height=2",
        "roi:x=12,y=1,width=1,height=1",
        "mask:x=1,y=1,width=0,height=2",
        "rotate:degrees=45",
        "downsample:factor=1",
        "transpose:x=1",
        {"filter": "stcf", "k": True},
        {"filter": "stcf", "dt": 5},
        {"k": 5},
        5,
    ],
)
def test_wrong_filters_are_refused(wrong: Any) -> None:
    with pytest.raises(UsageError):
        Chain([wrong], sensor=SENSOR)


def test_every_coordinate_of_the_largest_sensor_is_moved_right() -> None:
    events = np.zeros(65536, EVENT)
    events["x"], events["y"] = np.arange(65536), np.arange(65536)[::-1]
    x, y = events["x"].astype(np.int64), events["y"].astype(np.int64)
    for factor in [*range(2, 130), 255, 641, 4095, 10_007, 32_767, 32_768, 46_341, 65_521, 65_535, 65_536]:
        made = Chain([f"downsample:factor={factor}"], sensor=(65536, 65536)).push(events)
        assert np.array_equal(made["x"], x // factor), factor
        assert np.array_equal(made["y"], y // factor), factor
    for text, (left, top) in {
        "flip": (65535 - x, y),
        "flip:axis=y": (x, 65535 - y),
        "transpose": (y, x),
        "rotate": (65535 - y, x),
        "rotate:degrees=180": (65535 - x, 65535 - y),
        "rotate:degrees=270": (y, 65535 - x),
    }.items():
        made = Chain([text], sensor=(65536, 65536)).push(events)
        for name, column in {"x": left, "y": top, "t": events["t"], "p": events["p"]}.items():
            assert np.array_equal(made[name], column), (text, name)


def test_times_up_to_the_limit_pass() -> None:
    most = (1 << 60) - 1
    events = np.array([(-most, 0, 0, 0), (0, 1, 1, 1), (most, 11, 8, 1)], EVENT)
    for few in (events, events[:1], events[1:], events[:2]):
        assert np.array_equal(Chain(["polarity:keep=swap"], sensor=SENSOR).push(few)["t"], few["t"])


def test_wrong_sensors_and_events_are_refused() -> None:
    for sensor in [(0, 5), (65537, 1)]:
        with pytest.raises(UsageError, match="not a sensor size"):
            Chain([], sensor=sensor)
    with pytest.raises(UsageError, match="too large"):
        Chain(["stcf"], sensor=(65536, 65536))
    chain = Chain(["stcf"], sensor=SENSOR)
    before = chain.save()
    for bad in [(0, 12, 0, 0), (0, 0, 9, 0), (0, 0, 0, 2), (1 << 60, 0, 0, 0), (-(1 << 60), 0, 0, 0)]:
        with pytest.raises(RecordingError, match="event 1"):
            chain.push(np.array([(0, 1, 1, 1), bad], EVENT))
    assert all((chain.save()[name] == array).all() for name, array in before.items())


def test_states_of_others_are_refused_and_change_nothing() -> None:
    filters = ["hot_pixels:learn=50us,rate=60kHz", "decimate:factor=2,per=pixel", "rate:limit=1MHz", "stcf:k=1"]
    chain = Chain(filters, sensor=SENSOR)
    chain.push(stream(1, 500))
    saved = chain.save()
    for other, sensor in [(filters[:3], SENSOR), ([*filters[:3], "stcf:k=2"], SENSOR), (filters, (9, 12))]:
        with pytest.raises(ModelError, match="other filters"):
            Chain(other, sensor=sensor).load(saved)
    for name, array in saved.items():
        wrong = [np.array(array.ravel()[:-1]), array.astype("<f4")]
        if name.endswith(("seen", "chain")):  # numbers that those cannot hold
            wrong.append(np.full_like(array, 2))
        for changed in wrong:
            with pytest.raises(ModelError):
                chain.load({**saved, name: changed})
            assert all((chain.save()[key] == value).all() for key, value in saved.items())


def test_tonic_filters_the_same() -> None:
    tonic = pytest.importorskip("tonic.functional", reason="tonic is in the extra train")
    events = stream(11, 4000, backward=False)
    events["t"] -= events["t"][0] - 10_000  # tonic's memory begins at time 0
    size = (int(events["x"].max()) + 1, int(events["y"].max()) + 1)
    theirs = {
        "refractory:period=40us,after=any": tonic.refractory_period_numpy(events, 40),
        "background:dt=60us,neighbours=4": tonic.denoise_numpy(events, 60),
        "decimate:factor=3,per=pixel": tonic.decimate_numpy(events, 3),
    }
    for text, expected in theirs.items():
        assert 0 < len(expected) < len(events)
        assert Chain([text], sensor=size).push(events).tolist() == np.array(expected).tolist(), text
