"""The ten gestures of DVS128 Gesture, and rest: each a function that draws a performer and returns its motion.

Order and meaning follow the data set (Amir et al., "A low power, fully event-based gesture recognition system", CVPR
2017). "Clockwise" is the person's own view, so a clockwise arm goes counter-clockwise in the image.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgesnn.events.simulator.body import LEFT, RIGHT, SIDE, Body, Floats, both, from_elbow, points, reach_for
from edgesnn.events.simulator.motion import Beat, Wobble, strike

Motion = Callable[[Floats], Floats]
"""Times in seconds [n] -> pose [n, 2, 3, 3] (see body.py)."""

_ELBOW_OUT = 0.6
_WAVE_HZ, _CIRCLE_HZ = (1.2, 3.6), (0.55, 1.7)
_CLAP_HZ, _ROLL_HZ, _DRUM_HZ, _STRUM_HZ = (1.5, 3.8), (1.2, 3.4), (1.3, 3.4), (1.8, 5.0)


def rest(rng: np.random.Generator, body: Body) -> Motion:
    """Both arms hang at the sides and hardly move."""
    arms = [_hanging(rng, body, arm) for arm in (RIGHT, LEFT)]
    return lambda t: both(arms[RIGHT](t), arms[LEFT](t))


def hand_clap(rng: np.random.Generator, body: Body) -> Motion:
    """Both hands meet in front of the body; one may do most of the way, along a slanted line."""
    beat = Beat.draw(rng, *_CLAP_HZ)
    opening = rng.uniform(0.3, 0.7)
    slant = rng.uniform(-0.3, 1.2)
    shares = [1.0, rng.uniform(0.1, 1.0)]
    if rng.random() < 0.5:
        shares.reverse()
    centre = (rng.uniform(-0.25, 0.25), rng.uniform(0.35, 1.05), rng.uniform(0.35, 0.65))
    sway = [Wobble(rng, 0.05, 1.0) for _ in range(2)]
    low = rng.uniform(0.0, 0.6)

    def arm(t: Floats, side: int) -> Floats:
        apart = shares[side] * opening * (0.5 - 0.5 * np.cos(beat(t)))
        up = apart * slant if shares[side] == 1.0 else apart * (slant - 1.0) * 0.4
        x = centre[0] + SIDE[side] * (0.05 + apart) + sway[0](t)
        wrist = points(x, centre[1] - up + sway[1](t), centre[2])
        return reach_for(body, side, wrist, np.array([SIDE[side] * _ELBOW_OUT, 0.5 + low, -0.4]))

    return lambda t: both(arm(t, RIGHT), arm(t, LEFT))


def right_hand_wave(rng: np.random.Generator, body: Body) -> Motion:
    """The right forearm swings about a raised elbow."""
    return _wave(rng, body, RIGHT)


def left_hand_wave(rng: np.random.Generator, body: Body) -> Motion:
    """The left forearm swings about a raised elbow."""
    return _wave(rng, body, LEFT)


def right_arm_clockwise(rng: np.random.Generator, body: Body) -> Motion:
    """The right hand circles: up, image left, down, image right."""
    return _circle(rng, body, RIGHT, -1.0)


def right_arm_counter_clockwise(rng: np.random.Generator, body: Body) -> Motion:
    """The right hand circles: up, image right, down, image left."""
    return _circle(rng, body, RIGHT, 1.0)


def left_arm_clockwise(rng: np.random.Generator, body: Body) -> Motion:
    """The left hand circles: up, image left, down, image right."""
    return _circle(rng, body, LEFT, -1.0)


def left_arm_counter_clockwise(rng: np.random.Generator, body: Body) -> Motion:
    """The left hand circles: up, image right, down, image left."""
    return _circle(rng, body, LEFT, 1.0)


def arm_roll(rng: np.random.Generator, body: Body) -> Motion:
    """Both forearms lie before the chest and roll about each other."""
    beat = Beat.draw(rng, *_ROLL_HZ)
    way = 1.0 if rng.random() < 0.5 else -1.0
    radius, depth = rng.uniform(0.14, 0.36), rng.uniform(0.12, 0.3)
    across = rng.uniform(0.08, 0.48)
    centre = (rng.uniform(-0.15, 0.15), rng.uniform(0.4, 1.0), rng.uniform(0.4, 0.65))
    sideways = rng.uniform(0.0, 0.12)
    elbow_down = rng.uniform(0.0, 0.5)

    def arm(t: Floats, side: int) -> Floats:
        phase = beat(t) + (np.pi if side == LEFT else 0.0)
        x = centre[0] - SIDE[side] * across + sideways * np.sin(phase)
        wrist = points(x, centre[1] + radius * np.sin(phase), centre[2] + way * depth * np.cos(phase))
        return reach_for(body, side, wrist, np.array([SIDE[side], elbow_down, -0.2]))

    return lambda t: both(arm(t, RIGHT), arm(t, LEFT))


def air_drums(rng: np.random.Generator, body: Body) -> Motion:
    """The hands beat in turn on drums before the body."""
    beat = Beat.draw(rng, *_DRUM_HZ)
    lag = np.pi + rng.uniform(-0.6, 0.6)
    sizes = rng.uniform(0.22, 0.65, 2)
    aside = rng.uniform(-0.35, 0.3, 2)
    height = rng.uniform(0.6, 1.15) + rng.uniform(-0.1, 0.1, 2)
    depth = rng.uniform(0.3, 0.6)
    sharp = rng.uniform(0.0, 0.5)
    travel = [Wobble(rng, rng.uniform(0.0, 0.2), 0.8) for _ in range(2)]
    swing = rng.uniform(-0.25, 0.4, 2)

    def arm(t: Floats, side: int) -> Floats:
        stroke = strike(beat(t) + lag * side, sharp)
        x = SIDE[side] * (0.5 + aside[side] + swing[side] * stroke) + travel[side](t)
        wrist = points(x, height[side] + sizes[side] * stroke, depth - 0.1 * stroke)
        return reach_for(body, side, wrist, np.array([SIDE[side] * _ELBOW_OUT, 0.8, -0.4]))

    return lambda t: both(arm(t, RIGHT), arm(t, LEFT))


def air_guitar(rng: np.random.Generator, body: Body) -> Motion:
    """The right hand strums before the belly; the left one holds the neck, out to the side."""
    beat = Beat.draw(rng, *_STRUM_HZ)
    size = rng.uniform(0.1, 0.4)
    slant = rng.uniform(-0.5, 0.9)
    strum = (rng.uniform(-0.75, -0.05), rng.uniform(0.8, 1.45), rng.uniform(0.25, 0.55))
    neck = (rng.uniform(0.6, 1.45), rng.uniform(0.1, 0.9), rng.uniform(0.2, 0.55))
    slides = [Wobble(rng, rng.uniform(0.0, 0.12), 1.2) for _ in range(2)]

    def motion(t: Floats) -> Floats:
        stroke = size * np.sin(beat(t))
        right = points(strum[0] + slant * stroke, strum[1] + stroke, strum[2])
        left = points(neck[0] + slides[0](t), neck[1] + slides[1](t), neck[2])
        return both(
            reach_for(body, RIGHT, right, np.array([-1.0, 0.3, -0.3])),
            reach_for(body, LEFT, left, np.array([_ELBOW_OUT, 1.0, -0.2])),
        )

    return motion


def _hanging(rng: np.random.Generator, body: Body, arm: int) -> Motion:
    """An arm that is not part of the gesture: hanging, or with the hand on the hip or before the belly."""
    kind = rng.random()
    if kind < 0.7:
        base = (SIDE[arm] * rng.uniform(0.5, 0.75), 0.97 * body.reach, rng.uniform(0.0, 0.25))
    else:
        base = (SIDE[arm] * rng.uniform(0.0, 0.6), rng.uniform(0.95, 1.25), rng.uniform(0.1, 0.35))
    drift = [Wobble(rng, rng.uniform(0.0, 0.035), 0.8) for _ in range(2)]
    hint = np.array([SIDE[arm], 0.1, -0.4])
    return lambda t: reach_for(body, arm, points(base[0] + drift[0](t), base[1] + drift[1](t), base[2]), hint)


def _with_other(active: Motion, other: Motion, arm: int) -> Motion:
    return lambda t: both(active(t), other(t)) if arm == RIGHT else both(other(t), active(t))


def _wave(rng: np.random.Generator, body: Body, arm: int) -> Motion:
    beat = Beat.draw(rng, *_WAVE_HZ)
    swing = rng.uniform(0.22, 0.95)
    lean = rng.uniform(-0.3, 0.6)
    forward = rng.uniform(0.0, 0.7)
    elbow = (SIDE[arm] * rng.uniform(0.55, 1.2), rng.uniform(-0.15, 0.65), rng.uniform(0.05, 0.5))
    lift = rng.uniform(0.0, 0.12)
    drift = [Wobble(rng, 0.05, 0.8) for _ in range(2)]

    def active(t: Floats) -> Floats:
        angle = SIDE[arm] * lean + swing * np.sin(beat(t))
        joint = points(elbow[0] + drift[0](t) + lift * np.sin(beat(t)), elbow[1] + drift[1](t), elbow[2])
        return from_elbow(body, arm, joint, points(np.sin(angle), -np.cos(angle), forward))

    return _with_other(active, _hanging(rng, body, 1 - arm), arm)


def _circle(rng: np.random.Generator, body: Body, arm: int, way: float) -> Motion:
    beat = Beat.draw(rng, *_CIRCLE_HZ)
    wide, tall = rng.uniform(0.4, 0.95), rng.uniform(0.65, 1.35)
    centre = (0.5 + rng.uniform(0.15, 0.7), rng.uniform(-0.1, 0.35))
    depth, bulge = rng.uniform(0.1, 0.5), rng.uniform(0.0, 0.35)
    drift = [Wobble(rng, 0.06, 0.6) for _ in range(2)]
    hint = np.array([SIDE[arm] * rng.uniform(0.2, 1.0), rng.uniform(0.3, 1.0), rng.uniform(-0.6, 0.1)])

    def active(t: Floats) -> Floats:
        phase = way * beat(t)
        x = SIDE[arm] * centre[0] + wide * np.cos(phase) + drift[0](t)
        inward = -SIDE[arm] * np.cos(phase)
        wrist = points(x, centre[1] + tall * np.sin(phase) + drift[1](t), depth + bulge * inward)
        return reach_for(body, arm, wrist, hint)

    return _with_other(active, _hanging(rng, body, 1 - arm), arm)


GESTURES: dict[str, Callable[[np.random.Generator, Body], Motion]] = {
    make.__name__: make
    for make in (
        hand_clap,
        right_hand_wave,
        left_hand_wave,
        right_arm_clockwise,
        right_arm_counter_clockwise,
        left_arm_clockwise,
        left_arm_counter_clockwise,
        arm_roll,
        air_drums,
        air_guitar,
    )
}
"""The classes, by number: name -> maker."""

CLASS_NAMES = tuple(GESTURES)
