"""Events into the steps of spiking networks: the readable form against one event after the other, the native form
against the readable one."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn.encode import native, spikes
from edgesnn.encode.grid import TimeGrid
from edgesnn.encode.spikes import SpikeEncoding, SpikeWindow, encode_spikes, spike_frames
from edgesnn.errors import ModelError, RecordingError, UsageError
from edgesnn.events.types import EVENT

SENSOR = (5, 3)
ROUNDINGS = st.sampled_from(["floor", "nearest"])


def make_events(*rows: tuple[int, int, int, int]) -> np.ndarray[Any, Any]:
    return np.array(list(rows), EVENT)


def plain_bin(t: int, bin_us: int, rounding: str) -> int:
    """Python's own rounding of exact fractions: half to even."""
    bins = Fraction(t, bin_us)
    return round(bins) if rounding == "nearest" else int(bins // 1)


def plainly(stream: Any, encoding: SpikeEncoding, number: int, origin_us: int) -> list[list[int]]:
    """Each step's list of active inputs, one event after the other."""
    width, height = encoding.sensor
    steps: list[list[int]] = [[] for _ in range(encoding.steps)]
    latest = None
    for t, x, y, p in stream.tolist():
        latest = t if latest is None else max(latest, t)
        step = plain_bin(latest - origin_us, encoding.bin_us, encoding.rounding) - number * encoding.hop_steps
        index = (encoding.polarity_order.index(p) * height + y) * width + x
        if 0 <= step < encoding.steps and steps[step].count(index) < encoding.bound:
            steps[step].append(index)
    return [sorted(step) for step in steps]


def lists(window: SpikeWindow) -> list[list[int]]:
    assert window.indices.dtype == np.uint32
    assert window.offsets.dtype == np.int64
    return [part.tolist() for part in np.split(window.indices, window.offsets[1:-1])]


@st.composite
def encodings(draw: st.DrawFn) -> SpikeEncoding:
    order = draw(st.sampled_from([(0, 1), (1, 0)]))
    return SpikeEncoding(
        SENSOR,
        bin_us=draw(st.integers(1, 40)),
        steps=draw(st.integers(1, 12)),
        hop_steps=draw(st.integers(1, 14)),
        origin=draw(st.sampled_from(["zero", "first"])),
        rounding=draw(ROUNDINGS),
        polarity_order=order,
        bound=draw(st.integers(1, 4)),
    )


@st.composite
def streams(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    stream = np.empty(draw(st.integers(0, 200)), EVENT)
    stream["t"] = draw(st.integers(-50, 300)) + np.cumsum(random.integers(-1, 5, len(stream)))
    for name, size in (("x", SENSOR[0]), ("y", SENSOR[1]), ("p", 2)):
        stream[name] = random.integers(0, size, len(stream))
    return stream


@settings(max_examples=300)
@given(streams(), encodings(), st.integers(0, 5))
def test_both_forms_are_one_event_after_the_other(stream: Any, encoding: SpikeEncoding, number: int) -> None:
    origin = 0 if encoding.origin == "zero" or not len(stream) else int(stream["t"][0])
    t0 = origin + encoding.grid.start_us(number)
    expected = plainly(stream, encoding, number, origin)
    for encode in (encode_spikes, native.encode_spikes):
        window = encode(stream, encoding, number=number, t0_us=t0)
        assert lists(window) == expected
        assert window.number == number
    clamped = encode_spikes(stream, encoding, number=number, t0_us=t0).clamped
    assert native.encode_spikes(stream, encoding, number=number, t0_us=t0).clamped == clamped
    unbounded = SpikeEncoding(**{**vars(encoding), "bound": 255})
    assert clamped == sum(map(len, plainly(stream, unbounded, number, origin))) - sum(map(len, expected))


@settings(max_examples=200)
@given(streams(), encodings())
def test_the_first_window_needs_no_start(stream: Any, encoding: SpikeEncoding) -> None:
    origin = 0 if encoding.origin == "zero" or not len(stream) else int(stream["t"][0])
    expected = plainly(stream, encoding, 0, origin)
    assert lists(encode_spikes(stream, encoding)) == lists(native.encode_spikes(stream, encoding)) == expected


@settings(max_examples=300)
@given(st.integers(1, 50), ROUNDINGS, st.integers(1, 9), st.integers(1, 9), st.integers(0, 40))
def test_a_window_is_the_times_of_its_bins(bin_us: int, rounding: Any, length: int, hop: int, number: int) -> None:
    grid = TimeGrid(length, hop, bin_us, rounding)
    start, end = grid.start_us(number), grid.end_us(number)
    around = np.arange(start - 3, end + 3)
    assert grid.bins(around).tolist() == [plain_bin(int(t), bin_us, rounding) for t in around]
    inside = [number * hop <= b < number * hop + length for b in grid.bins(around).tolist()]
    assert inside == [start <= t < end for t in around]


def test_bins_are_exact_where_float64_is_not() -> None:
    t = np.array([(1 << 59) + 1], np.int64)
    assert TimeGrid(1, 1, 2, "nearest").bins(t).tolist() == [round(Fraction(int(t[0]), 2))]


def test_halves_go_to_the_even_step() -> None:
    encoding = SpikeEncoding((1, 1), 1000, 5, 5, "zero", "nearest")
    frames = spike_frames(make_events((500, 0, 0, 0), (1500, 0, 0, 0), (2500, 0, 0, 0), (3500, 0, 0, 0)), encoding)
    assert frames[:, 0, 0, 0].tolist() == [1, 0, 2, 0, 1]


def test_counts_are_clamped_at_the_bound_and_no_events_give_zeros() -> None:
    encoding = SpikeEncoding((1, 1), 1000, 1, 1, "zero")
    stream = np.array([(0, 0, 0, 1)] * 300, EVENT)
    assert spike_frames(stream, encoding)[0, :, 0, 0].tolist() == [0, 255]
    assert native.encode_spikes(stream, encoding).clamped == 45
    assert not spike_frames(np.empty(0, EVENT), encoding).any()


@pytest.mark.parametrize("row", [(0, 5, 0, 0), (0, 0, 3, 0), (0, 0, 0, 2)])
def test_events_outside_the_sensor_are_refused(row: tuple[int, int, int, int]) -> None:
    with pytest.raises(RecordingError, match="event 1: event is outside the sensor"):
        native.encode_spikes(make_events((0, 4, 2, 1), row), SpikeEncoding(SENSOR, 10, 2, 2))


@pytest.mark.parametrize(("number", "t0_us"), [(-1, 0), (1 << 60, 0), (0, 1 << 60)])
def test_windows_that_no_stream_has_are_refused(number: int, t0_us: int) -> None:
    with pytest.raises(UsageError, match="not a window of a stream"):
        native.encode_spikes(make_events((0, 0, 0, 0)), SpikeEncoding(SENSOR, 10, 2, 2), number=number, t0_us=t0_us)


@pytest.mark.parametrize("field", ["bin_us", "steps", "hop_steps", "bound"])
def test_encodings_that_no_window_could_have_are_refused(field: str) -> None:
    encoding = SpikeEncoding(**{**vars(SpikeEncoding(SENSOR, 10, 2, 2)), field: 0})
    with pytest.raises(ModelError, match=f"{field}: input cannot be encoded: found 0"):
        native.encode_spikes(make_events((0, 0, 0, 0)), encoding, t0_us=0)


def test_the_section_of_a_model_file_is_the_encoding() -> None:
    events = {"sensor": [5, 3], "bin_us": 7, "origin": "zero", "rounding": "nearest", "polarity_order": [1, 0]}
    section = {"kind": "spikes", "bound": 3, "events": {**events, "steps": 4, "hop_steps": 2}}
    expected = SpikeEncoding(SENSOR, 7, 4, 2, "zero", "nearest", (1, 0), 3)
    assert spikes.SpikeEncoding.from_section(section) == expected
    assert expected.grid == TimeGrid(4, 2, 7, "nearest", "zero")
