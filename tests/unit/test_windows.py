"""The window cutter against a plain description of windows, for any packet size, gap, step back and hop."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn import _native
from edgesnn.encode.grid import TimeGrid
from edgesnn.errors import ModelError
from edgesnn.events.types import EVENT

Cut = tuple[int, int, int, int, bytes]


def make(times: list[int]) -> np.ndarray[Any, Any]:
    events = np.zeros(len(times), dtype=EVENT)
    events["t"] = times
    events["x"] = np.arange(len(times)) % 100
    return events


def described(windows: list[Any]) -> list[Cut]:
    return [(number, t0, t1, first, events.tobytes()) for number, t0, t1, first, _dropped, events in windows]


def cut(events: np.ndarray[Any, Any], sizes: list[int], t_end_us: int | None, **options: Any) -> tuple[list[Cut], Any]:
    """Push the events in packets of the given sizes, the rest in the last one, then let time pass to t_end_us."""
    cutter = _native.pipeline.WindowCutter(**options)
    found: list[Any] = []
    bounds = [0, *np.minimum(np.cumsum(sizes), len(events)).tolist(), len(events)]
    for start, stop in pairwise(bounds):
        windows, taken = cutter.push(events[start:stop], None)
        assert taken == stop - start
        found += windows
    windows, _ = cutter.push(events[:0], t_end_us)
    cutter.finish()
    return described(found + windows), cutter.counters()


def plain_windows(events: np.ndarray[Any, Any], t_end_us: int | None, length: int, hop: int) -> list[Cut]:
    """Windows as docs/pipeline.md says them, one sentence a line."""
    if not len(events):
        return []
    clamped = events.copy()
    clamped["t"] = np.maximum.accumulate(events["t"])
    origin = int(events["t"][0])
    reached = max(int(clamped["t"][-1]), origin if t_end_us is None else t_end_us)
    windows = []
    number = 0
    while origin + number * hop + length <= reached:
        t0 = origin + number * hop
        inside = np.flatnonzero((clamped["t"] >= t0) & (clamped["t"] < t0 + length))
        first = int(inside[0]) if len(inside) else int(np.sum(clamped["t"] < t0))
        windows.append((number, t0, t0 + length, first, clamped[inside].tobytes()))
        number += 1
    return windows


steps = st.lists(st.integers(-3, 12), max_size=80)


@settings(max_examples=300)
@given(steps, st.lists(st.integers(0, 9), max_size=12), st.integers(1, 40), st.integers(1, 60), st.integers(0, 200))
def test_windows_by_time_are_what_the_rule_says_for_any_packets(
    deltas: list[int], sizes: list[int], length: int, hop: int, tail: int
) -> None:
    events = make(np.cumsum([5, *deltas]).tolist() if deltas else [])
    t_end_us = (int(events["t"].max()) + tail) if len(events) else tail
    found, counters = cut(events, sizes, t_end_us, length=length, hop=hop)
    expected = plain_windows(events, t_end_us, length, hop)
    # an empty window has no first event: only its number and times are compared
    assert [(w[:3], w[4]) for w in found] == [(w[:3], w[4]) for w in expected]
    assert [w[3] for w in found if w[4]] == [w[3] for w in expected if w[4]]
    dropped = sum(value for name, value in counters.items() if name.startswith("dropped."))
    assert counters["processed"] + dropped == len(events)
    assert counters["pending"] == 0
    assert counters["time_clamped"] == int(np.sum(events["t"] < np.maximum.accumulate(events["t"])))


def windows_of_bins(events: np.ndarray[Any, Any], grid: TimeGrid) -> list[tuple[int, bytes]]:
    """Windows as so many bins each, every event in its bin by Python's own rounding of exact fractions."""
    if not len(events):
        return []
    clamped = events.copy()
    clamped["t"] = np.maximum.accumulate(events["t"])
    origin = int(clamped["t"][0]) if grid.origin == "first" else 0
    shares = [Fraction(int(t) - origin, grid.bin_us) for t in clamped["t"]]
    bins = np.array([round(s) if grid.rounding == "nearest" else floor(s) for s in shares])
    windows, number = [], 0
    while number * grid.hop + grid.length <= bins[-1]:
        if number * grid.hop + grid.length > bins[0]:
            inside = (bins >= number * grid.hop) & (bins < number * grid.hop + grid.length)
            windows.append((number, clamped[inside].tobytes()))
        number += 1
    return windows


@settings(max_examples=400)
@given(
    steps,
    st.integers(-60, 200),
    st.lists(st.integers(0, 9), max_size=12),
    st.tuples(st.integers(1, 9), st.integers(1, 12), st.integers(1, 9)),
    st.sampled_from(["floor", "nearest"]),
    st.sampled_from(["zero", "first"]),
)
def test_windows_of_bins_hold_the_events_of_their_bins(
    deltas: list[int], start: int, sizes: list[int], size: tuple[int, int, int], rounding: Any, origin: Any
) -> None:
    grid = TimeGrid(*size, rounding, origin)
    events = make(np.cumsum([start, *deltas]).tolist() if deltas else [])
    options = {"bin_us": grid.bin_us, "nearest": rounding == "nearest", "from_zero": origin == "zero"}
    found, counters = cut(events, sizes, None, length=grid.length, hop=grid.hop, **options)
    assert [(w[0], w[4]) for w in found] == windows_of_bins(events, grid)
    first = int(events["t"][0]) if origin == "first" and len(events) else 0
    assert [w[1:3] for w in found] == [(first + grid.start_us(w[0]), first + grid.end_us(w[0])) for w in found]
    dropped = sum(value for name, value in counters.items() if name.startswith("dropped."))
    assert counters["processed"] + dropped == len(events)
    assert counters["windows_skipped"] == (grid.first_number(int(events["t"][0]) - first) if len(events) else 0)


@settings(max_examples=200)
@given(st.integers(0, 90), st.lists(st.integers(0, 9), max_size=12), st.integers(1, 12), st.integers(1, 20))
def test_windows_by_count_are_what_the_rule_says_for_any_packets(
    count: int, sizes: list[int], length: int, hop: int
) -> None:
    events = make(list(range(100, 100 + 3 * count, 3)))
    found, counters = cut(events, sizes, None, length=length, hop=hop, by_count=True)
    starts = [k for k in range(0, count, hop) if k + length <= count]
    assert [w[3] for w in found] == starts
    assert [w[4] for w in found] == [events[k : k + length].tobytes() for k in starts]
    dropped = sum(value for name, value in counters.items() if name.startswith("dropped."))
    assert counters["processed"] + dropped == count


@settings(max_examples=100)
@given(steps, st.integers(0, 80), st.integers(1, 40), st.integers(1, 60))
def test_a_restored_cutter_goes_on_as_if_nothing_had_happened(
    deltas: list[int], at: int, length: int, hop: int
) -> None:
    events = make(np.cumsum([5, *deltas]).tolist())
    whole, _ = cut(events, [], None, length=length, hop=hop)
    first = _native.pipeline.WindowCutter(length=length, hop=hop)
    before, _ = first.push(events[:at], None)
    second = _native.pipeline.WindowCutter(length=length, hop=hop)
    second.load(first.save())
    after, _ = second.push(events[at:], None)
    assert described(before + after) == whole


def test_a_gap_of_hours_is_paid_for_window_by_window_and_ends() -> None:
    cutter = _native.pipeline.WindowCutter(length=1000, hop=100)
    hours_us = 5 * 3_600_000_000
    events = make([0, hours_us])
    windows, taken = cutter.push(events, None, 50)
    assert len(windows) == 50
    assert taken == 1  # the far event waits with the caller
    assert all(len(w[5]) == 0 for w in windows[1:])


def test_a_forged_time_does_not_hang() -> None:
    cutter = _native.pipeline.WindowCutter(length=100, hop=1, max_silent=500)
    events = make([0, 2**60 - 1])
    windows, taken = cutter.push(events, None)
    assert taken == 2
    counters = cutter.counters()
    assert len(windows) == counters["windows"] <= 700
    assert counters["windows_skipped"] > 2**59
    late, _ = cutter.push(make([2**60 - 1]), 2**60)
    assert [w[1] <= 2**60 - 1 < w[2] for w in late] == [True] * len(late)


def test_events_beyond_the_limit_are_dropped_and_counted() -> None:
    cutter = _native.pipeline.WindowCutter(length=10, hop=10, max_events=4)
    windows, _ = cutter.push(make([0, 1, 2, 3, 4, 5, 10, 11, 20]), None)
    assert [(len(w[5]), w[4]) for w in windows] == [(4, 2), (2, 0)]
    assert cutter.counters()["dropped.window_full"] == 2


@pytest.mark.parametrize(("length", "hop"), [(0, 1), (1, 0), (-5, 1), (2**49, 1)])
def test_impossible_windows_are_refused(length: int, hop: int) -> None:
    with pytest.raises(ModelError, match="not a window"):
        _native.pipeline.WindowCutter(length=length, hop=hop)


def test_a_contradictory_snapshot_is_refused() -> None:
    cutter = _native.pipeline.WindowCutter(length=10, hop=10)
    cutter.push(make([0, 1, 2]), None)
    state = cutter.save()
    for name, index, value in (("window/state", 3, -1), ("window/state", 7, 99), ("window/state", 1, 2**62)):
        broken = {key: array.copy() for key, array in state.items()}
        broken[name][index] = value
        with pytest.raises(ModelError, match="contradicts"):
            _native.pipeline.WindowCutter(length=10, hop=10).load(broken)
    with pytest.raises(ModelError, match="no tensor"):
        _native.pipeline.WindowCutter(length=10, hop=10).load({"window/state": state["window/state"]})
