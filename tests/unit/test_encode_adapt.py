"""Events of another sensor: where its pixels come to lie, by exact fractions; the native form against the readable."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn.encode import native
from edgesnn.encode.adapt import ADAPTS, Adapt, Size, placement
from edgesnn.encode.spikes import SpikeEncoding, encode_spikes
from edgesnn.errors import ModelError
from edgesnn.events.types import EVENT

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


def plain(adapt: Adapt, sensor: Size, onto: Size, x: int, y: int) -> tuple[int, int] | None:
    """Return where a pixel goes, by the definition."""
    if adapt == "downsample":
        return x * onto[0] // sensor[0], y * onto[1] // sensor[1]
    factor = Fraction(1)
    if adapt == "letterbox":
        factor = min(Fraction(1), Fraction(onto[0], sensor[0]), Fraction(onto[1], sensor[1]))
    place = []
    for at, size, room in zip((x, y), sensor, onto, strict=True):
        free = room - math.ceil(size * factor)
        place.append(math.floor(Fraction(free, 2)) + math.floor(at * factor))
    inside = all(0 <= at < room for at, room in zip(place, onto, strict=True))
    return (place[0], place[1]) if inside else None


def takes(adapt: Adapt, sensor: Size, onto: Size) -> bool:
    return adapt != "downsample" or (sensor[0] >= onto[0] and sensor[1] >= onto[1])


def stream(random: np.random.Generator, sensor: Size, count: int) -> np.ndarray[Any, Any]:
    events = np.empty(count, EVENT)
    events["t"] = np.cumsum(random.integers(-1, 5, count))
    for name, size in (("x", sensor[0]), ("y", sensor[1]), ("p", 2)):
        events[name] = random.integers(0, size, count)
    return events


@settings(max_examples=300)
@given(st.sampled_from(ADAPTS), SIZES, SIZES)
def test_every_pixel_lies_where_the_definition_says(adapt: Any, sensor: Size, onto: Size) -> None:
    if not takes(adapt, sensor, onto):
        with pytest.raises(ModelError, match="only a larger sensor can be downsampled"):
            placement(adapt, sensor, onto)
        return
    columns, rows = placement(adapt, sensor, onto)
    assert (len(columns), len(rows)) == sensor
    for x in range(sensor[0]):
        for y in range(sensor[1]):
            found = (int(columns[x]), int(rows[y]))
            assert (found if min(found) >= 0 else None) == plain(adapt, sensor, onto, x, y)


@settings(max_examples=200)
@given(st.sampled_from(ADAPTS), SIZES, SIZES)
def test_only_a_crop_leaves_pixels_out_and_the_own_sensor_stays(adapt: Any, sensor: Size, onto: Size) -> None:
    for axis in placement(adapt, onto, onto):
        assert axis.tolist() == list(range(len(axis)))
    if adapt == "crop" or not takes(adapt, sensor, onto):
        return
    for axis, room in zip(placement(adapt, sensor, onto), onto, strict=True):
        assert axis.min() >= 0
        assert axis.max() < room
        assert (np.diff(axis) >= 0).all()


@settings(max_examples=200)
@given(st.sampled_from([None, *ADAPTS]), SIZES, SIZES, st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_both_forms_are_one_event_after_the_other(adapt: Any, sensor: Size, onto: Size, seed: int, bound: int) -> None:
    sensor = sensor if adapt is not None and takes(adapt, sensor, onto) else onto
    events = stream(np.random.default_rng(seed), sensor, 150)
    encoding = SpikeEncoding(onto, 20, 6, 6, "zero", bound=bound, adapt=adapt)
    places = [plain(adapt or "crop", sensor, onto, int(e["x"]), int(e["y"])) for e in events]
    onto_model = events.copy()
    for event, place in zip(onto_model, places, strict=True):
        event["x"], event["y"] = place or (0, 0)
    kept = np.array([place is not None for place in places])
    now = np.maximum.accumulate(events["t"])
    expected = encode_spikes(with_times(onto_model, now)[kept], SpikeEncoding(onto, 20, 6, 6, "zero", bound=bound))
    for encode in (encode_spikes, native.encode_spikes):
        found = encode(events, encoding, sensor)
        assert found.indices.tolist() == expected.indices.tolist()
        assert found.offsets.tolist() == expected.offsets.tolist()
        assert (found.clamped, found.outside) == (expected.clamped, int((~kept & (now >= 0) & (now < 120)).sum()))


def with_times(events: np.ndarray[Any, Any], times: Any) -> np.ndarray[Any, Any]:
    events["t"] = times
    return events


def test_another_sensor_is_refused_by_both_forms_unless_the_model_says_how() -> None:
    encoding, events = SpikeEncoding((4, 3), 10, 2, 2), np.zeros(1, EVENT)
    for encode in (encode_spikes, native.encode_spikes):
        with pytest.raises(ModelError, match="takes events of another sensor: found 8x6, expected 4x3; say how"):
            encode(events, encoding, (8, 6))
        with pytest.raises(ModelError, match="only a larger sensor can be downsampled: found 8x2, expected at least"):
            encode(events, SpikeEncoding((4, 3), 10, 2, 2, adapt="downsample"), (8, 2))
    with pytest.raises(ModelError, match="no such way to adapt a sensor: found stretch"):
        native.encode_spikes(events, SpikeEncoding((4, 3), 10, 2, 2, adapt="stretch"))  # type: ignore[arg-type]
