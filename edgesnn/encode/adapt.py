"""How events of another sensor come onto the model's (docs/arithmetic.md, section 10).

This is the plain form; `native/encode/adapt.cpp` is the fast one and equals it.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError

Adapt = Literal["letterbox", "crop", "downsample"]
Size = tuple[int, int]
Places = npt.NDArray[np.int64]

ADAPTS: tuple[str, ...] = get_args(Adapt)


def placement(adapt: Adapt | None, sensor: Size, onto: Size) -> tuple[Places, Places]:
    """Return where each column and each row of `sensor` lies on the model's sensor `onto`; -1: outside.

    Args:
        adapt: None takes the model's own sensor only. "crop": the middle of the sensor, pixel for pixel. "letterbox":
            all of it, smaller by one factor for both axes where it is larger, in the middle. "downsample": all of
            it, each axis by its own factor.

    Raises:
        ModelError: the model takes no events of that sensor.

    >>> columns, rows = placement("letterbox", (8, 4), (4, 4))
    >>> columns.tolist(), rows.tolist()
    ([0, 0, 1, 1, 2, 2, 3, 3], [1, 1, 2, 2])
    >>> placement("crop", (6, 2), (2, 4))[0].tolist(), placement("crop", (6, 2), (2, 4))[1].tolist()
    ([-1, -1, 0, 1, -1, -1], [1, 2])
    """
    check_adapt(adapt, sensor, onto)
    if adapt == "downsample":
        return _axis(sensor[0], onto[0], 0, onto[0], sensor[0]), _axis(sensor[1], onto[1], 0, onto[1], sensor[1])
    scale, of = _letterbox_scale(sensor, onto) if adapt == "letterbox" else (1, 1)
    columns, rows = (
        _axis(size, room, (room - -(-size * scale // of)) // 2, scale, of)
        for size, room in zip(sensor, onto, strict=True)
    )
    return columns, rows


def check_adapt(adapt: Adapt | None, sensor: Size, onto: Size) -> None:
    """Raise ModelError where a model for sensor `onto` takes no events of `sensor`."""
    if adapt is None and sensor != onto:
        hint = "say how to adapt it: letterbox, crop or downsample"
        raise ModelError(
            "the model takes events of another sensor",
            where="sensor",
            found=f"{sensor[0]}x{sensor[1]}",
            expected=f"{onto[0]}x{onto[1]}",
            hint=hint,
        )
    if adapt == "downsample" and (sensor[0] < onto[0] or sensor[1] < onto[1]):
        raise ModelError(
            "only a larger sensor can be downsampled",
            where="sensor",
            found=f"{sensor[0]}x{sensor[1]}",
            expected=f"at least {onto[0]}x{onto[1]}",
            hint="letterbox and crop take a smaller one",
        )


def _letterbox_scale(sensor: Size, onto: Size) -> tuple[int, int]:
    """Return the factor as (scale, of): the smaller one of both axes, never above 1."""
    if sensor[0] <= onto[0] and sensor[1] <= onto[1]:
        return 1, 1
    wide = onto[0] * sensor[1] <= onto[1] * sensor[0]
    return (onto[0], sensor[0]) if wide else (onto[1], sensor[1])


def _axis(size: int, room: int, begin: int, scale: int, of: int) -> Places:
    places = begin + np.arange(size, dtype=np.int64) * scale // of
    places[(places < 0) | (places >= room)] = -1
    return places
