"""A person's upper body: proportions, joints, two-link arms.

Axes, in units of the shoulder width: x to the right of the image, y down, z towards the camera; the origin is between
the shoulders. The person faces the camera, so the right arm is at the image's left (negative x). Poses are arrays over
time: float64 [n, 2 arms (right, left), 3 joints (shoulder, elbow, wrist), 3].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

RIGHT, LEFT = 0, 1
SIDE = (-1.0, 1.0)
"""Sign of x on each arm's side, by arm number."""

_SMALLEST_BEND = 1e-9


@dataclass(frozen=True)
class Body:
    """Proportions, in shoulder widths.

    Attributes:
        upper_arm, forearm, hand: lengths.
        arm_radius: radius of the upper arm at the shoulder.
        head_height: distance of the head's centre above the shoulders.
        head_radius: half the width of the head.
        torso: length of the torso down from the shoulders.
    """

    upper_arm: float = 0.74
    forearm: float = 0.64
    hand: float = 0.22
    arm_radius: float = 0.115
    head_height: float = 0.48
    head_radius: float = 0.21
    torso: float = 1.5

    def shoulder(self, arm: int) -> Floats:
        """Return the shoulder joint of an arm: [3]."""
        return np.array([0.5 * SIDE[arm], 0.0, 0.0])

    @property
    def reach(self) -> float:
        """Length of the outstretched arm, shoulder to wrist."""
        return self.upper_arm + self.forearm


def reach_for(body: Body, arm: int, wrist: Floats, hint: Floats) -> Floats:
    """Return the joints of an arm whose wrist goes to given points: [n, 3 joints, 3].

    Args:
        wrist: targets [n, 3]; what is out of reach is pulled back towards the shoulder.
        hint: direction [3] or [n, 3] in which the elbow points.
    """
    shoulder = np.broadcast_to(body.shoulder(arm), wrist.shape)
    line = wrist - shoulder
    wanted = np.sqrt(dot(line, line))
    length = np.clip(wanted, abs(body.upper_arm - body.forearm) + 0.02, 0.995 * body.reach)
    axis = line / np.maximum(wanted, _SMALLEST_BEND)[:, None]
    along = (body.upper_arm**2 - body.forearm**2 + length**2) / (2.0 * length)
    aside = np.sqrt(np.maximum(body.upper_arm**2 - along**2, 0.0))
    pole = np.broadcast_to(hint, wrist.shape)
    pole = pole - dot(pole, axis)[:, None] * axis
    pole = pole / np.maximum(np.sqrt(dot(pole, pole)), _SMALLEST_BEND)[:, None]
    elbow = shoulder + along[:, None] * axis + aside[:, None] * pole
    return np.stack([shoulder, elbow, shoulder + length[:, None] * axis], axis=1)


def from_elbow(body: Body, arm: int, elbow: Floats, direction: Floats) -> Floats:
    """Return the joints of an arm with a given elbow [n, 3] and forearm direction [n, 3]: [n, 3 joints, 3].

    The elbow is moved to the upper arm's length from the shoulder.
    """
    shoulder = np.broadcast_to(body.shoulder(arm), elbow.shape)
    upper = unit(elbow - shoulder) * body.upper_arm
    return np.stack([shoulder, shoulder + upper, shoulder + upper + unit(direction) * body.forearm], axis=1)


def both(right: Floats, left: Floats) -> Floats:
    """Return a pose [n, 2, 3, 3] from the joints of the right and the left arm."""
    return np.stack([right, left], axis=1)


def points(*coordinates: Floats | float) -> Floats:
    """Return [n, 3] from three coordinates, each [n] or a number."""
    return np.stack(np.broadcast_arrays(*coordinates), axis=-1).astype(np.float64)


def dot(a: Floats, b: Floats) -> Floats:
    """Return the scalar products of two arrays of vectors [..., 3], added from x to z."""
    result: Floats = a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2]
    return result


def unit(vectors: Floats) -> Floats:
    """Return vectors [n, 3] scaled to length 1."""
    result: Floats = vectors / np.maximum(np.sqrt(dot(vectors, vectors)), _SMALLEST_BEND)[:, None]
    return result
