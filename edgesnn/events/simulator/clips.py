"""Recordings of gestures: a drawn performer, stage and camera, simulated to an event array.

Everything is drawn from a seed (domain randomisation): speed, size and place of the movement, proportions, where the
person stands, how big, how turned, clothes, light, background, sway, and the camera's thresholds, bandwidth and noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import UsageError
from edgesnn.events.simulator.body import Body, Floats
from edgesnn.events.simulator.gestures import GESTURES, Motion, rest
from edgesnn.events.simulator.motion import Wobble
from edgesnn.events.simulator.pixels import CameraParameters, EventCamera
from edgesnn.events.simulator.scene import Appearance, Stage, paint_background, paint_frames

SENSOR = (128, 128)
STEP_US = 2500
REST, STILL = "rest", "still"

_LEAST_CONTRAST = 0.5
_BLEND_US = 350_000


@dataclass(frozen=True)
class Clip:
    """A simulated recording.

    Attributes:
        events: dtype EVENT, sorted by time, from 0 to `duration_us`.
        sensor: (width, height).
        duration_us: length of the recording.
        parameters: what was drawn, as JSON-able values.
        labels: (start_us, end_us, class name) of each part.
    """

    events: npt.NDArray[np.void]
    sensor: tuple[int, int]
    duration_us: int
    parameters: dict[str, Any]
    labels: tuple[tuple[int, int, str], ...]


def simulate_gesture(
    name: str, seed: int | Sequence[int], duration_us: int = 1_500_000, camera: CameraParameters | None = None
) -> Clip:
    """Return one clip of a gesture (a key of `gestures.GESTURES`, or "rest").

    >>> clip = simulate_gesture("hand_clap", seed=7, duration_us=100_000)
    >>> clip.sensor, clip.duration_us, bool((np.diff(clip.events["t"]) >= 0).all())
    ((128, 128), 100000, True)
    """
    return simulate_session([(name, duration_us)], seed, camera=camera)


def simulate_session(
    plan: Sequence[tuple[str, int]], seed: int | Sequence[int], *, camera: CameraParameters | None = None
) -> Clip:
    """Return one recording of a person who performs gestures one after the other.

    Args:
        plan: (gesture name, "rest" or "still", duration in microseconds), in order; from one to the next it takes
            350 ms. At rest the person sways a little; still means that nothing at all moves.
        seed: an integer or a sequence of them.
        camera: the camera; default one drawn from the seed.

    Raises:
        UsageError: an unknown gesture or a duration under one frame step.
    """
    _check(plan)
    streams = np.random.SeedSequence(seed).spawn(4)
    performer, setting, chooser = (np.random.default_rng(s) for s in streams[:3])
    body = draw_body(performer)
    motions = [(GESTURES.get(name, rest))(performer, body) for name, _ in plan]
    stage = draw_stage(setting)
    parameters = camera or draw_camera(chooser)
    ends = np.cumsum([duration for _, duration in plan]).tolist()
    frames_us = np.arange(0, ends[-1] + 1, STEP_US)
    t = frames_us * 1e-6
    clock = _body_clock([name for name, _ in plan], ends, t)
    pose = _perform(motions, ends, t, clock)
    eye = EventCamera(parameters, streams[3])
    for t_us, image in zip(frames_us.tolist(), paint_frames(stage, body, clock, pose), strict=True):
        eye.frame(image, t_us)
    starts = [0, *ends[:-1]]
    labels = tuple((a, b, name) for a, b, (name, _) in zip(starts, ends, plan, strict=True))
    return Clip(eye.events(), SENSOR, ends[-1], _describe(body, stage, parameters), labels)


def draw_body(rng: np.random.Generator) -> Body:
    """Draw a person's proportions."""
    return Body(
        upper_arm=rng.uniform(0.64, 0.84),
        forearm=rng.uniform(0.54, 0.72),
        hand=rng.uniform(0.18, 0.28),
        arm_radius=rng.uniform(0.08, 0.15),
        head_height=rng.uniform(0.42, 0.56),
        head_radius=rng.uniform(0.17, 0.24),
        torso=rng.uniform(1.35, 1.7),
    )


def draw_stage(rng: np.random.Generator) -> Stage:
    """Draw where the person stands, how it looks and what is behind."""
    brightness = math.exp(rng.uniform(math.log(0.12), math.log(0.75)))
    sizes = rng.uniform(0.003, 0.03), rng.uniform(0.003, 0.02), rng.uniform(0.0, 0.025), rng.uniform(0.0, 0.02)
    sway = tuple(Wobble(rng, size, rng.uniform(0.3, 0.9)) for size in sizes)
    return Stage(
        sensor=SENSOR,
        centre=(rng.uniform(50.0, 80.0), rng.uniform(50.0, 74.0)),
        scale=rng.uniform(29.0, 46.0),
        perspective=rng.uniform(0.05, 0.22),
        yaw=rng.uniform(-0.3, 0.3),
        tilt=rng.uniform(-0.07, 0.07),
        sway=(sway[0], sway[1], sway[2], sway[3]),
        coupling=rng.uniform(0.0, 0.05),
        appearance=_draw_appearance(rng, brightness),
        background=paint_background(rng, SENSOR, brightness, int(rng.integers(0, 7))),
    )


def draw_camera(rng: np.random.Generator) -> CameraParameters:
    """Draw a camera of the DVS128's kind: thresholds, bandwidth and noise."""
    threshold = rng.uniform(0.05, 0.2)
    return CameraParameters(
        width=SENSOR[0],
        height=SENSOR[1],
        threshold_on=threshold * rng.uniform(0.85, 1.18),
        threshold_off=threshold * rng.uniform(0.85, 1.18),
        threshold_spread=rng.uniform(0.02, 0.2),
        refractory_us=int(rng.integers(100, 1500)),
        cutoff_hz=rng.uniform(40.0, 400.0),
        leak_hz=rng.uniform(0.0, 0.15),
        shot_hz=math.exp(rng.uniform(math.log(0.03), math.log(0.6))),
        hot_pixels=int(rng.integers(0, 12)),
        hot_hz=rng.uniform(2.0, 60.0),
        crosstalk=rng.uniform(0.0, 0.1),
    )


def _draw_appearance(rng: np.random.Generator, background: float) -> Appearance:
    look = Appearance(
        skin=_distinct(rng, background),
        shirt=rng.uniform(0.05, 0.9),
        sleeve=0.0,
        trousers=rng.uniform(0.05, 0.5),
        hair=rng.uniform(0.04, 0.5),
        long_sleeves=bool(rng.random() < 0.5),
        light=(rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3)),
    )
    return Appearance(**{**asdict(look), "sleeve": _distinct(rng, background)})


def _distinct(rng: np.random.Generator, background: float) -> float:
    """Draw a brightness that can be told from the background's."""
    while True:
        value = math.exp(rng.uniform(math.log(0.05), math.log(0.95)))
        if abs(math.log(value / background)) > _LEAST_CONTRAST:
            return value


def _body_clock(names: Sequence[str], ends: Sequence[int], t: Floats) -> Floats:
    """Return the person's own time in seconds: it stands still where the plan says so, and slows down to it."""
    part = np.minimum(np.searchsorted(np.array(ends[:-1]) * 1e-6, t, side="right"), len(names) - 1)
    running = np.array([name != STILL for name in names], dtype=np.float64)[part]
    taps = _BLEND_US // STEP_US
    sums = np.cumsum(np.concatenate([np.full(taps, running[0]), running]))
    return np.cumsum((sums[taps:] - sums[:-taps]) / taps) * (STEP_US * 1e-6)


def _perform(motions: Sequence[Motion], ends: Sequence[int], t: Floats, clock: Floats) -> Floats:
    """Return the pose over time, one motion melting into the next around each end."""
    pose = motions[0](clock)
    for motion, end_us in zip(motions[1:], ends, strict=False):
        share = np.clip((t - end_us * 1e-6) / (_BLEND_US * 1e-6) + 0.5, 0.0, 1.0)
        weight = (share * share * (3.0 - 2.0 * share))[:, None, None, None]
        pose = pose + weight * (motion(clock) - pose)
    return pose


def _describe(body: Body, stage: Stage, camera: CameraParameters) -> dict[str, Any]:
    plain = {name: getattr(stage, name) for name in ("centre", "scale", "perspective", "yaw", "tilt", "coupling")}
    return {"body": asdict(body), "stage": {**plain, "appearance": asdict(stage.appearance)}, "camera": asdict(camera)}


def _check(plan: Sequence[tuple[str, int]]) -> None:
    for name, duration_us in plan:
        if name not in GESTURES and name not in (REST, STILL):
            raise UsageError("unknown gesture", found=repr(name), expected=", ".join([*GESTURES, REST, STILL]))
        if duration_us < STEP_US:
            raise UsageError("a gesture is too short", found=f"{duration_us} us", expected=f"at least {STEP_US} us")
