"""The pixel model: counts, times, refractory time and noise follow its equations for any thresholds and ramps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn.events.simulator.noise import outside_refractory
from edgesnn.events.simulator.pixels import CameraParameters, EventCamera

CODE = 2 * 0.5 / (65535 * math.exp(-3.8))  # both ends of a ramp are rounded to codes of 16 bits: the log's error there
QUIET = CameraParameters(width=4, height=3, threshold_on=0.2, threshold_off=0.25)


def film(parameters: CameraParameters, levels: list[float], step_us: int = 1000, seed: int = 1) -> np.ndarray:
    """Return the events of an even surface that goes through these log intensities, one a frame."""
    camera = EventCamera(parameters, seed)
    for k, level in enumerate(levels):
        camera.frame(np.full((parameters.height, parameters.width), math.exp(level)), k * step_us)
    return camera.events()


def test_a_still_scene_without_noise_gives_no_event() -> None:
    assert len(film(QUIET, [-1.0] * 50)) == 0


@given(st.floats(0.05, 3.5), st.floats(0.05, 0.6), st.integers(1, 7), st.booleans())
@settings(max_examples=60)
def test_a_ramp_gives_one_event_per_threshold(change: float, threshold: float, frames: int, brighter: bool) -> None:
    count = change / threshold
    if abs(count - round(count)) < CODE / threshold:
        return
    parameters = CameraParameters(width=2, height=2, threshold_on=threshold, threshold_off=threshold)
    low, high = -3.8, -3.8 + change
    levels = np.linspace(low, high, frames + 1) if brighter else np.linspace(high, low, frames + 1)
    events = film(parameters, levels.tolist())
    assert len(events) == 4 * math.floor(count)
    assert set(events["p"].tolist()) <= {int(brighter)}


def test_crossings_are_interpolated_inside_the_frame() -> None:
    events = film(CameraParameters(width=1, height=1, threshold_on=0.26), [-2.0, -1.0], step_us=100_000)
    np.testing.assert_allclose(events["t"], [26_000, 52_000, 78_000], atol=20)


def test_a_change_that_comes_back_gives_as_many_events_down_as_up() -> None:
    parameters = CameraParameters(width=1, height=1, threshold_on=0.2, threshold_off=0.2)
    events = film(parameters, [-3.0, -1.9, -3.0, -3.05])
    assert events["p"].tolist() == [1] * 5 + [0] * 5


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 400)), max_size=80), st.integers(1, 120))
@settings(max_examples=200)
def test_refractory_equals_the_event_by_event_rule(pairs: list[tuple[int, int]], refractory_us: int) -> None:
    pairs = sorted(pairs)
    last: dict[int, int] = {}
    expected = []
    for pixel, t in pairs:
        alive = t - last.get(pixel, -(10**9)) >= refractory_us
        expected.append(alive)
        if alive:
            last[pixel] = t
    pixels = np.array([pixel for pixel, _ in pairs], dtype=np.int64)
    times = np.array([t for _, t in pairs], dtype=np.int64)
    assert outside_refractory(times, pixels, refractory_us).tolist() == expected


def test_refractory_time_holds_with_every_source_of_noise() -> None:
    parameters = CameraParameters(
        width=8,
        height=8,
        threshold_on=0.05,
        threshold_off=0.05,
        threshold_spread=0.2,
        refractory_us=900,
        cutoff_hz=100.0,
        leak_hz=5.0,
        shot_hz=40.0,
        hot_pixels=3,
        hot_hz=500.0,
        crosstalk=0.3,
    )
    events = film(parameters, (np.sin(np.arange(200) * 0.3) - 1.5).tolist())
    pixel = events["y"].astype(int) * 8 + events["x"]
    order = np.lexsort((events["t"], pixel))
    gaps = np.diff(events["t"][order])[np.diff(pixel[order]) == 0]
    assert len(gaps) > 500
    assert gaps.min() >= 900
    assert (np.diff(events["t"]) >= 0).all()
    assert events["x"].max() < 8
    assert events["y"].max() < 8


def test_leak_gives_on_events_at_its_rate() -> None:
    parameters = CameraParameters(width=32, height=32, leak_hz=8.0, threshold_spread=0.1)
    events = film(parameters, [-1.0] * 500, step_us=2000)
    assert set(events["p"].tolist()) == {1}
    assert len(events) / (32 * 32 * 0.998) == pytest.approx(8.0, rel=0.15)


def test_shot_noise_has_its_rate() -> None:
    parameters = CameraParameters(width=64, height=64, shot_hz=2.0)
    events = film(parameters, [-1.0] * 101, step_us=20_000)
    assert len(events) / (64 * 64 * 2.0) == pytest.approx(2.0, rel=0.05)


def test_hot_pixels_are_few() -> None:
    parameters = CameraParameters(width=64, height=64, hot_pixels=5, hot_hz=100.0)
    events = film(parameters, [-1.0] * 101, step_us=20_000)
    assert 1 <= len(np.unique(events["y"].astype(int) * 64 + events["x"])) <= 5


def test_a_slow_photoreceptor_sees_less_of_a_flash() -> None:
    flash = [-2.0] * 10 + [-1.0] + [-2.0] * 30
    sharp = film(CameraParameters(width=1, height=1, threshold_on=0.1, threshold_off=0.1), flash)
    slow = film(CameraParameters(width=1, height=1, threshold_on=0.1, threshold_off=0.1, cutoff_hz=20.0), flash)
    assert 0 < len(slow) < len(sharp)


def test_events_are_the_same_at_every_call_and_for_the_same_seed() -> None:
    parameters = CameraParameters(width=16, height=16, threshold_spread=0.3, shot_hz=20.0, hot_pixels=2, hot_hz=50.0)
    levels = np.linspace(-2.0, -1.0, 20).tolist()
    first, second, other = (film(parameters, levels, seed=s) for s in (5, 5, 6))
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != other.tobytes()
