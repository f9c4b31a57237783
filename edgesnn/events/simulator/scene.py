"""What the camera looks at: a person before a background, painted frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edgesnn.events.simulator.body import LEFT, RIGHT, SIDE, Body, Floats, points
from edgesnn.events.simulator.draw import Capsule, Image, Paint, paint_capsule, paint_rectangle
from edgesnn.events.simulator.motion import Wobble, snap

_FINGERS = (-0.5, -0.17, 0.17, 0.5)
_FINGER_SHARE = 0.55


@dataclass(frozen=True)
class Appearance:
    """Brightness of the parts, and the light.

    Attributes:
        skin, shirt, sleeve, trousers, hair: brightness in (0, 1].
        long_sleeves: whether the forearm is covered by the sleeve.
        light: change of brightness towards the light, by x and y.
    """

    skin: float = 0.6
    shirt: float = 0.3
    sleeve: float = 0.3
    trousers: float = 0.2
    hair: float = 0.15
    long_sleeves: bool = False
    light: tuple[float, float] = (-0.2, -0.2)


@dataclass(frozen=True)
class Stage:
    """Where the person stands and what is behind.

    Attributes:
        sensor: (width, height) in pixels.
        centre: pixel of the point between the shoulders.
        scale: shoulder width in pixels.
        perspective: growth per shoulder width towards the camera.
        yaw: turn of the body about the vertical, radians.
        tilt: roll of the camera, radians.
        sway: slow motion of body and head: functions of time (body x, body y, head x, head y), in shoulder widths.
        coupling: share of the hands' motion that the body follows.
        appearance: brightness of the parts.
        background: float32 image [height, width].
    """

    sensor: tuple[int, int]
    centre: tuple[float, float]
    scale: float
    perspective: float
    yaw: float
    tilt: float
    sway: tuple[Wobble, Wobble, Wobble, Wobble]
    coupling: float
    appearance: Appearance
    background: Image = field(repr=False)


@dataclass(frozen=True)
class _Skeleton:
    """Screen positions over time: arms [n, 2, 3, 3], hand tips [n, 2, 3], trunk [n, parts, 3]; (x, y, size of 1)."""

    arms: Floats
    hands: Floats
    trunk: Floats


def paint_frames(stage: Stage, body: Body, t: Floats, pose: Floats) -> Iterator[Image]:
    """Yield one image [height, width] in (0, 1] per time; each is a new array.

    Args:
        t: times in seconds [n].
        pose: joints [n, 2, 3, 3] at these times, in body units.
    """
    skeleton = _place(stage, body, t, pose)
    depth = pose[:, :, 1:, 2].mean(axis=2)
    for i in range(len(t)):
        image = stage.background.copy()
        _paint_trunk(image, stage, body, skeleton.trunk[i])
        order = (RIGHT, LEFT) if depth[i, RIGHT] <= depth[i, LEFT] else (LEFT, RIGHT)
        for arm in order:
            _paint_arm(image, stage, body, skeleton.arms[i, arm], skeleton.hands[i, arm])
        yield image


def _place(stage: Stage, body: Body, t: Floats, pose: Floats) -> _Skeleton:
    """Project everything that moves to the screen, rounded so that frames are the same on any machine."""
    sx, sy, hx, hy = (wobble(t) for wobble in stage.sway)
    hands = pose[:, :, 2]
    follow = stage.coupling * (hands - hands.mean(axis=0)).mean(axis=1)
    shift = points(sx, sy, 0.0) + follow * np.array([1.0, 1.0, 0.0])
    lean = shift + points(hx, hy, 0.0)
    forearm = pose[:, :, 2] - pose[:, :, 1]
    tips = pose[:, :, 2] + forearm * (body.hand / body.forearm)
    fixed = [(0.0, 0.34), (0.0, body.torso), (0.0, -0.02)]
    trunk = [shift + np.array([x, y, 0.0]) * np.array([1.0, 1.0, 0.0]) for x, y in fixed]
    trunk += [lean + np.array([0.0, -body.head_height + dy, 0.05]) for dy in (0.3, 0.07, -0.07, -0.14)]
    trunk += [shift * 0.3 + np.array([SIDE[arm] * 0.24, body.torso, 0.0]) for arm in (RIGHT, LEFT)]
    return _Skeleton(
        arms=_project(stage, pose + shift[:, None, None]),
        hands=_project(stage, tips + shift[:, None]),
        trunk=_project(stage, np.stack(trunk, axis=1)),
    )


def _project(stage: Stage, places: Floats) -> Floats:
    """Return (x, y, pixels per shoulder width) on the screen of body points [..., 3]."""
    cos, sin = np.cos(stage.yaw), np.sin(stage.yaw)
    x = places[..., 0] * cos + places[..., 2] * sin
    z = places[..., 2] * cos - places[..., 0] * sin
    size = stage.scale * (1.0 + stage.perspective * z)
    roll_cos, roll_sin = np.cos(stage.tilt), np.sin(stage.tilt)
    across = (x * roll_cos - places[..., 1] * roll_sin) * size + stage.centre[0]
    down = (x * roll_sin + places[..., 1] * roll_cos) * size + stage.centre[1]
    return snap(np.stack([across, down, size], axis=-1))


def _paint_trunk(image: Image, stage: Stage, body: Body, trunk: Floats) -> None:
    look = stage.appearance
    chest, hips, collar, neck, chin, crown, hair, right_leg, left_leg = trunk.tolist()
    size, head = chest[2], body.head_radius * crown[2]
    for leg in (right_leg, left_leg):
        _limb(image, leg, [leg[0], leg[1] + 2.0 * size], 0.24 * size, 0.2 * size, look, look.trousers)
    _limb(image, chest, hips, 0.48 * size, 0.42 * size, look, look.shirt)
    _limb(image, collar, neck, 0.13 * size, 0.11 * size, look, look.skin)
    _limb(image, hair, hair, head * 1.06, head * 1.06, look, look.hair)
    _limb(image, chin, crown, head * 0.85, head * 0.92, look, look.skin)


def _paint_arm(image: Image, stage: Stage, body: Body, joints: Floats, tip: Floats) -> None:
    look = stage.appearance
    shoulder, elbow, wrist = joints.tolist()
    end = tip.tolist()
    radius = body.arm_radius
    forearm = look.sleeve if look.long_sleeves else look.skin
    _limb(image, shoulder, elbow, radius * shoulder[2], 0.82 * radius * elbow[2], look, look.sleeve)
    _limb(image, elbow, wrist, 0.78 * radius * elbow[2], 0.58 * radius * wrist[2], look, forearm)
    _paint_hand(image, wrist, end, radius, look)


def _paint_hand(image: Image, wrist: list[float], end: list[float], radius: float, look: Appearance) -> None:
    """A palm and four fingers spread about the forearm's direction."""
    palm = [w + (1.0 - _FINGER_SHARE) * (e - w) for w, e in zip(wrist, end, strict=True)]
    _limb(image, wrist, palm, 0.7 * radius * wrist[2], 0.85 * radius * palm[2], look, look.skin)
    reach = [(e - w) * _FINGER_SHARE for w, e in zip(wrist, end, strict=True)]
    for turn in _FINGERS:
        fx, fy = reach[0] - turn * reach[1], reach[1] + turn * reach[0]
        finger = [palm[0] + 1.25 * fx, palm[1] + 1.25 * fy]
        _limb(image, palm, finger, 0.3 * radius * palm[2], 0.22 * radius * palm[2], look, look.skin * 0.93)


def _limb(
    image: Image, a: list[float], b: list[float], ra: float, rb: float, look: Appearance, brightness: float
) -> None:
    paint_capsule(image, Capsule(a[0], a[1], b[0], b[1], ra, rb), Paint(brightness, *look.light))


def paint_background(rng: np.random.Generator, sensor: tuple[int, int], brightness: float, busy: int) -> Image:
    """Return a still background [height, width]: a gradient, `busy` pieces of furniture, and a little texture."""
    width, height = sensor
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    slope = rng.uniform(-0.35, 0.35, 2).astype(np.float32)
    image: npt.NDArray[np.float32] = np.float32(brightness) * (np.float32(1) + slope[0] * x + slope[1] * y)
    for _ in range(busy):
        left, top = int(rng.integers(-20, width)), int(rng.integers(-20, height))
        size = rng.integers(8, 70, 2)
        box = (left, top, left + int(size[0]), top + int(size[1]))
        paint_rectangle(image, box, float(brightness * rng.uniform(0.4, 1.7)), float(rng.uniform(0.3, 1.0)))
    grain = rng.uniform(0.95, 1.05, (height, width)).astype(np.float32)
    image = np.clip(image * grain, np.float32(0.02), np.float32(1.0))
    return image
