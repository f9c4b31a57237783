"""Encoders of arrays: equal to the event-by-event reference, the same for every split into packets, and tonic's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgesnn
from edgesnn.encode import ArrayStream, encode_array, encode_windows, parse_encoder
from edgesnn.encode.registry import ENCODERS
from edgesnn.errors import ModelError, RecordingError, UsageError
from edgesnn.events.filters import Chain
from edgesnn.events.types import EVENT
from tests.property import encoder_reference as reference

SENSOR = (7, 5)
TEXTS = [
    "frames",
    "frames:steps=4",
    "frames:steps=3,value=binary,polarity=merged",
    "voxel:bins=1",
    "voxel:bins=4",
    "voxel:bins=3,time=events",
    "surface:tau=70us",
    "surface:tau=3us,polarity=merged",
    "surface:tau=50us,memory=window",
    "points:points=9",
    "points:points=40,time=events,seed=5",
]
WINDOWS: list[dict[str, Any]] = [
    {"window": 100},
    {"window": 100, "hop": 37},
    {"window": 60, "hop": 150},
    {"window_events": 20},
    {"window_events": 16, "hop_events": 5},
    {"window_events": 4, "hop_events": 9},
]


def stream(seed: int, count: int = 300, *, backward: bool = True) -> np.ndarray:
    rng = np.random.default_rng(seed)
    events = np.zeros(count, EVENT)
    steps = rng.integers(0, 9, count)
    steps[rng.random(count) < 0.02] = 300  # windows without an event
    events["t"] = 1000 + np.cumsum(steps)
    if backward:
        events["t"] -= (rng.random(count) < 0.05) * rng.integers(0, 60, count)
    events["x"], events["y"] = rng.integers(0, SENSOR[0], count), rng.integers(0, SENSOR[1], count)
    events["p"] = rng.integers(0, 2, count)
    return events


def made(
    text: str,
    packets: list[np.ndarray],
    options: dict[str, Any],
    t_end_us: int | None = None,
    *,
    restore: bool = False,
) -> list[Any]:
    """Return the windows of the packets; with `restore` each goes into a new stream that loads the state."""
    encoded = ArrayStream(text, SENSOR, **options)
    found = []
    for number, packet in enumerate(packets):
        if restore:
            state = encoded.save()
            encoded = ArrayStream(text, SENSOR, **options)
            encoded.load(state)
        encoded.push(packet, t_end_us=t_end_us if number + 1 == len(packets) else None)
        found += [(w.number, w.t0_us, w.t1_us, w.events, w.array) for w in iter(encoded.poll, None)]
    return found


def equal(a: list[Any], b: list[Any]) -> bool:
    return len(a) == len(b) and all(
        x[:4] == y[:4] and x[4].dtype == y[4].dtype and np.array_equal(x[4], y[4]) for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("options", WINDOWS, ids=str)
@pytest.mark.parametrize("text", TEXTS)
def test_windows_equal_the_reference_in_any_packets(text: str, options: dict[str, Any]) -> None:
    events, encoder = stream(3), parse_encoder(text)
    by_count = "window_events" in options
    length, hop = (options.get(name) for name in (("window_events", "hop_events") if by_count else ("window", "hop")))
    t_end_us = int(events["t"].max()) + 250
    memory: dict[Any, Any] = {}
    expected = []
    for number, t0, t1, first, part in reference.windows(events, length, hop or length, by_count, t_end_us):
        if encoder.name == "points":
            memory["first_event"] = first
        array = reference.ENCODERS[encoder.name](part, t0, t1, SENSOR, encoder.values, memory)
        expected.append((number, t0, t1, len(part), array))
    assert len(expected) > 5
    assert any(row[4].any() for row in expected)
    whole = made(text, [events], options, t_end_us)
    assert equal(whole, expected)
    for size in (1, 7):
        packets = [events[at : at + size] for at in range(0, len(events), size)]
        assert equal(made(text, packets, options, t_end_us), whole)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**20),
    cuts=st.lists(st.integers(0, 200), max_size=6),
    text=st.sampled_from(TEXTS),
    restore=st.booleans(),
)
def test_packets_and_snapshots_between_them_change_nothing(
    seed: int, cuts: list[int], text: str, restore: bool
) -> None:
    events = stream(seed, 200)
    options = WINDOWS[seed % len(WINDOWS)]
    packets = np.split(events, sorted(cuts))
    assert equal(made(text, packets, options, restore=restore), made(text, [events], options))


def test_counters_go_on_after_a_snapshot() -> None:
    events = stream(5)
    streams = [ArrayStream("surface", SENSOR, window=100) for _ in range(2)]
    for packet in (events[:100], events[100:]):
        streams[0].push(packet)
        assert len(list(iter(streams[0].poll, None))) > 3
        streams[1].load(streams[0].save())
        assert streams[1].counters == streams[0].counters
    assert streams[1].counters["windows"] > 10


def test_states_are_taken_between_packets_and_of_the_same_windows_alone() -> None:
    made_of = ArrayStream("surface", SENSOR, window=100)
    made_of.push(stream(5))
    with pytest.raises(UsageError, match="windows wait to be polled"):
        made_of.save()
    list(iter(made_of.poll, None))
    state = made_of.save()
    others = [
        ArrayStream("surface", SENSOR, window=101),
        ArrayStream("surface", SENSOR, window_events=100),
        ArrayStream("surface", (5, 7), window=100),
        ArrayStream("surface:tau=1ms", SENSOR, window=100),
        ArrayStream("frames", SENSOR, window=100),
    ]
    for other in others:
        before = other.save()
        with pytest.raises(ModelError, match="another stream of windows"):
            other.load(state)
        assert all((other.save()[name] == array).all() for name, array in before.items())
    for name, wrong in {
        "encoder/last": np.full_like(state["encoder/last"], 1 << 60),
        "window/state": state["window/state"][:-1],
        "window/counters": -state["window/counters"] - 1,
    }.items():
        for changed in ({**state, name: wrong}, {key: value for key, value in state.items() if key != name}):
            with pytest.raises(ModelError):
                made_of.load(changed)
        assert all((made_of.save()[key] == value).all() for key, value in state.items())


@pytest.mark.parametrize("text", TEXTS)
def test_one_window_is_the_streams(text: str) -> None:
    events = stream(8)
    for number, t0, t1, count, array in made(text, [events], {"window": 100}):
        first = int(np.searchsorted(np.maximum.accumulate(events["t"]), t0))
        part = events[first : first + count]
        alone = encode_array(part, text, SENSOR, t0_us=t0, t1_us=t1, first_event=first)
        if not text.startswith("surface") or "memory=window" in text:
            assert np.array_equal(alone, array), number
        out = np.full(array.shape, 77, array.dtype)
        assert encode_array(part, text, SENSOR, t0_us=t0, t1_us=t1, first_event=first, out=out) is out
        assert np.array_equal(out, alone)


def test_counts_stop_at_the_largest() -> None:
    events = np.zeros(70_000, EVENT)
    assert encode_array(events, "frames", (1, 1)).tolist() == [[[[65535]], [[0]]]]
    assert encode_array(events, "frames:value=binary", (1, 1)).tolist() == [[[[1]], [[0]]]]


def test_a_voxel_grid_holds_the_exact_shares() -> None:
    events = stream(9, 500, backward=False)
    found = encode_array(events, "voxel:bins=6", SENSOR).sum(axis=(1, 2), dtype=np.float64)
    expected = [float(total) for total in reference.exact_voxel(events, 6, SENSOR)]
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_a_surface_is_the_exponential() -> None:
    """To 88 / 2^24: what rounding an exponent to float32 leaves."""
    events = stream(10, 400, backward=False)
    now = int(events["t"].max())
    last = {(p, y, x): t for t, x, y, p in events.tolist()}
    expected = np.zeros((2, *SENSOR[::-1]))
    for place, t in last.items():
        expected[place] = np.exp(-(now - t) / 90)
    np.testing.assert_allclose(encode_array(events, "surface:tau=90us", SENSOR), expected, rtol=6e-6, atol=1e-37)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "windows are by time or by count"),
        ({"window": "10ms", "window_events": 5}, "windows are by time or by count"),
        ({"window": "10"}, "not a duration"),
        ({"window": 0}, "not a window"),
        ({"window": 1.5}, "not a window"),
        ({"window": "1ms", "hop_events": 5}, "the hop is of the other kind"),
        ({"window_events": 5, "hop": "1ms"}, "the hop is of the other kind"),
        ({"window_events": 1 << 30}, "window_events: not a window: found 1073741824, expected 1 to 2\\^22 events"),
        ({"window_events": "5ms"}, "window_events: not a window: found '5ms'"),
        ({"window_events": 5, "hop_events": "5ms"}, "hop_events: not a window: found '5ms'"),
        ({"window": "5ms", "hop": "0ms"}, "hop: not a window: found '0ms'"),
    ],
)
def test_wrong_windows_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ArrayStream("frames", SENSOR, **options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("film", "no such encoder: found 'film', expected one of frames, points, surface, voxel"),
        ("voxel:bins=0", "bins is wrong: found 0"),
        ("voxel:steps=3", "not a parameter of the encoder"),
        ("surface:tau=5", "not a duration"),
        ("frames:steps=1048576", "the array is too large"),
    ],
)
def test_wrong_encoders_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ArrayStream(text, (640, 480), window="1ms")


@pytest.mark.parametrize("options", WINDOWS)
@pytest.mark.parametrize("polls", [0, 1, 100])
def test_the_end_may_be_said_before_the_last_window_is_polled(options: dict[str, Any], polls: int) -> None:
    events = stream(3, backward=False)

    def told(early: bool) -> tuple[list[Any], dict[str, int]]:
        made = ArrayStream("frames", SENSOR, **options)
        made.push(events, t_end_us=int(events["t"][-1]) + 500)
        windows = [made.poll() for _ in range(polls)]
        if early:
            made.finish()
        windows += iter(made.poll, None)
        made.finish()
        with pytest.raises(UsageError, match="after the end"):
            made.push(events)
        return [(one.number, one.events, one.array.tolist()) for one in windows if one], made.counters

    assert told(True) == told(False)


@pytest.mark.parametrize("sensor", [None, 640, (640,), (640, 0), (1.5, 4), ("a", 4), (1 << 40, 4), (4, 4, 4)])
def test_wrong_sensors_are_refused(sensor: Any) -> None:
    for make in (lambda: ArrayStream("frames", sensor, window=5), lambda: Chain([], sensor=sensor)):
        with pytest.raises(UsageError, match="sensor: not a sensor size"):
            make()


def test_wrong_events_and_arrays_are_refused() -> None:
    encoded = ArrayStream("frames", SENSOR, window=100)
    bad = stream(1)
    bad["x"][40] = SENSOR[0]
    with pytest.raises(RecordingError, match="event 40: event is impossible"):
        encoded.push(bad)
    with pytest.raises(RecordingError, match="event 40"):
        encode_array(bad, "frames", SENSOR)
    encoded.push(stream(1))
    with pytest.raises(UsageError, match="windows wait to be polled"):
        encoded.push(stream(1))
    with pytest.raises(UsageError, match="another layout"):
        encode_array(np.zeros(3), "frames", SENSOR)
    turned = np.zeros((1, 2, 7, 5), np.uint16).swapaxes(2, 3)
    for out in (np.zeros((1, 2, 5, 7), np.uint8), np.zeros((2, 5, 7), np.uint16), turned, []):
        with pytest.raises(UsageError, match="out does not fit"):
            encode_array(stream(1), "frames", SENSOR, out=out)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="not a window"):
        encode_array(stream(1), "frames", SENSOR, t0_us=5, t1_us=4)
    assert not encode_array(np.zeros(0, EVENT), "voxel", SENSOR).any()


def test_recordings_and_filters(tmp_path: Path) -> None:
    events = stream(12, 2000, backward=False)
    edgesnn.write(tmp_path / "a.raw", events, sensor=SENSOR)
    options: dict[str, Any] = {"window": "1ms", "hop": "300us", "filters": ["refractory:period=40us", "transpose"]}
    found = list(encode_windows(tmp_path / "a.raw", "voxel", **options))
    chain = Chain(options.pop("filters"), sensor=SENSOR)
    left = chain.push(events)
    reached = int(events["t"].max())
    rows = reference.windows(left, 1000, 300, False, reached)
    assert len(found) == len(rows) > 5
    for window, (number, t0, t1, _, part) in zip(found, rows, strict=True):
        assert (window.number, window.t0_us, window.t1_us, window.events) == (number, t0, t1, len(part))
        assert np.array_equal(window.array, encode_array(part, "voxel", chain.sensor, t0_us=t0, t1_us=t1))
    again = encode_windows(np.array_split(left, 11), "voxel", sensor=chain.sensor, **options)
    assert all(np.array_equal(a.array, b.array) for a, b in zip(again, found, strict=False))
    with pytest.raises(UsageError, match="encoders need the sensor size"):
        encode_windows([events], "voxel", window="1ms")


def test_what_is_dropped_is_counted() -> None:
    encoded = ArrayStream("frames", SENSOR, window=100)
    events = stream(2)
    encoded.push(events)
    total = sum(window.events for window in iter(encoded.poll, None))
    encoded.finish()
    counters = encoded.counters
    assert counters["processed"] == total
    assert total + counters["dropped.unfinished_window"] == len(events)
    assert counters["pending"] == 0


def test_every_encoder_is_tested() -> None:
    assert {parse_encoder(text).name for text in TEXTS} == set(ENCODERS) == set(reference.ENCODERS)
    for text in TEXTS:
        encoder = parse_encoder(text)
        assert parse_encoder(encoder.text) == encoder == parse_encoder(encoder.json)


def tonic_events() -> tuple[np.ndarray, np.ndarray]:
    events = stream(11, 4000, backward=False)
    dtype = np.dtype([("t", "<i8"), ("x", "<i8"), ("y", "<i8"), ("p", "<i8")])
    return events, events.astype(dtype)


def test_tonic_encodes_the_same() -> None:
    tonic = pytest.importorskip("tonic.functional", reason="tonic is in the extra train (it asks for numpy < 2)")
    events, theirs = tonic_events()
    size = (*SENSOR, 2)

    def windows(text: str, **options: Any) -> np.ndarray:
        return np.array([w.array for w in encode_windows([events], text, sensor=SENSOR, **options)])

    frames = tonic.to_frame_numpy(theirs, size, time_window=1000)
    assert np.array_equal(windows("frames", window=1000)[:, 0], frames[: len(windows("frames", window=1000))])
    assert len(frames) - len(windows("frames", window=1000)) in (0, 1)
    counted = tonic.to_frame_numpy(theirs, size, event_count=250)
    assert np.array_equal(windows("frames", window_events=250)[:, 0], counted)
    for bins in (1, 5, 8):
        grid = tonic.to_voxel_grid_numpy(theirs.copy(), size, n_time_bins=bins)
        np.testing.assert_allclose(encode_array(events, f"voxel:bins={bins}", SENSOR), grid[:, 0], atol=1e-4)
    surfaces = tonic.to_timesurface_numpy(theirs, size, dt=1000, tau=300)
    ours = windows("surface:tau=300us", window=1000)
    assert len(surfaces) - len(ours) in (0, 1)
    np.testing.assert_allclose(ours, surfaces[: len(ours)], rtol=6e-6, atol=1e-37)
