"""Native point encoding equals the plain numpy form bit for bit, whatever the window looks like."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn.encode import native
from edgesnn.encode import points as reference
from edgesnn.encode.points import PointEncoding, PointWindow
from edgesnn.errors import ModelError, RecordingError, UsageError
from edgesnn.events.types import EVENT

SENSOR = (34, 20)


def make_events(rng: np.random.Generator, count: int, spread: int, step_us: int) -> np.ndarray[Any, Any]:
    """Return events whose places repeat often (small spread) and whose times step back now and then."""
    events = np.zeros(count, dtype=EVENT)
    events["x"] = rng.integers(0, min(SENSOR[0], spread), count)
    events["y"] = rng.integers(0, min(SENSOR[1], spread), count)
    events["p"] = rng.integers(0, 2, count)
    events["t"] = 10_000 + np.cumsum(rng.integers(-step_us // 3 - 1, step_us + 1, count))
    return events


def assert_same(ours: PointWindow, theirs: PointWindow) -> None:
    assert ours.number == theirs.number
    for field in ("coordinates", "centroids", "members"):
        left, right = getattr(ours, field), getattr(theirs, field)
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right, err_msg=field)
    assert np.float64(ours.sd).tobytes() == np.float64(theirs.sd).tobytes()


@st.composite
def encodings(draw: st.DrawFn) -> PointEncoding:
    points = draw(st.integers(1, 300))
    return PointEncoding(
        window_us=draw(st.sampled_from([1, 700, 50_000, 2_000_000])),
        hop_us=1000,
        min_events=0,
        points=points,
        groups=draw(st.one_of(st.integers(1, points), st.just(points))),
        neighbours=draw(st.one_of(st.integers(1, min(points, 40)), st.just(points))),
        steps=2,
        time=draw(st.sampled_from(["fixed", "minmax"])),
        seed=draw(st.integers(0, 2**64 - 1)),
    )


@settings(max_examples=150)
@given(
    encodings(),
    st.integers(1, 1500),
    st.integers(1, 40),
    st.integers(0, 400),
    st.integers(0, 2**40),
    st.integers(0, 2**32),
)
def test_every_window_is_encoded_as_the_reference_does(
    encoding: PointEncoding, count: int, spread: int, step_us: int, first_event: int, seed: int
) -> None:
    events = make_events(np.random.default_rng(seed), count, spread, step_us)
    kwargs: dict[str, Any] = {"number": seed, "first_event": first_event, "t0_us": int(events["t"][0]) - step_us}
    assert_same(
        native.encode_points(events, encoding, SENSOR, **kwargs),
        reference.encode_points(events, encoding, SENSOR, **kwargs),
    )


@settings(max_examples=60)
@given(encodings(), st.sampled_from([1, 3, 300, 16384]), st.integers(0, 2**32))
def test_given_points_are_grouped_as_the_reference_does(encoding: PointEncoding, spread: int, seed: int) -> None:
    coordinates = np.random.default_rng(seed).integers(0, spread, (encoding.points, 4)).astype(np.int32)
    assert_same(
        native.group_points(coordinates, encoding, number=3), reference.group_points(coordinates, encoding, number=3)
    )


PAPER = PointEncoding(500_000, 250_000, 100, points=1024, groups=512, neighbours=24, steps=16, seed=7)


def test_a_window_of_the_paper_s_size_and_many_more_events_than_points() -> None:
    events = make_events(np.random.default_rng(1), 60_000, 40, 20)
    assert_same(native.encode_points(events, PAPER, SENSOR), reference.encode_points(events, PAPER, SENSOR))


def test_all_events_in_one_place_give_a_zero_scale() -> None:
    events = np.zeros(50, dtype=EVENT)
    ours = native.encode_points(events, PAPER, SENSOR)
    assert_same(ours, reference.encode_points(events, PAPER, SENSOR))
    assert ours.sd == 0.0


def test_the_corners_of_the_grid_do_not_overflow() -> None:
    encoding = dataclasses.replace(PAPER, points=64, groups=64, neighbours=64)
    coordinates = (np.random.default_rng(2).integers(0, 2, (64, 4)) * 16383).astype(np.int32)
    assert_same(native.group_points(coordinates, encoding), reference.group_points(coordinates, encoding))


def test_the_plain_arm_gives_the_same_bits() -> None:
    script = (
        "import numpy as np; from tests.unit.test_encode_native import *;"
        "e = make_events(np.random.default_rng(3), 5000, 40, 20);"
        "assert_same(native.encode_points(e, PAPER, SENSOR), reference.encode_points(e, PAPER, SENSOR))"
    )
    environment = {**os.environ, "EDGESNN_ARM": "scalar", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", script], env=environment, check=False)
    assert done.returncode == 0


def test_wrong_arguments_are_refused() -> None:
    events = make_events(np.random.default_rng(4), 10, 40, 20)
    with pytest.raises(UsageError, match="without events"):
        native.encode_points(events[:0], PAPER, SENSOR)
    with pytest.raises(UsageError, match="events have another layout"):
        native.encode_points(events["t"].copy(), PAPER, SENSOR)
    with pytest.raises(RecordingError, match="outside the sensor"):
        native.encode_points(events, PAPER, (1, 1))
    with pytest.raises(ModelError, match="groups"):
        native.encode_points(events, dataclasses.replace(PAPER, groups=1025), SENSOR)
    with pytest.raises(UsageError, match="off the grid"):
        native.group_points(np.full((1024, 4), 16384, dtype=np.int32), PAPER)
    with pytest.raises(UsageError, match="shape"):
        native.group_points(np.zeros((5, 4), dtype=np.int32), PAPER)


def test_a_strided_array_is_read_correctly() -> None:
    events = make_events(np.random.default_rng(5), 400, 40, 20)
    assert_same(
        native.encode_points(events[::2], PAPER, SENSOR), reference.encode_points(events[::2].copy(), PAPER, SENSOR)
    )
