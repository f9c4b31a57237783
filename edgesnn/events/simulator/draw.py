"""Paint on a float32 image [height, width]: soft-edged, shaded capsules and rectangles. Exact arithmetic only."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float32]

_SHORTEST = 1e-6


class Capsule(NamedTuple):
    """A tapered capsule in pixels: from (ax, ay) with radius ra to (bx, by) with radius rb."""

    ax: float
    ay: float
    bx: float
    by: float
    ra: float
    rb: float


class Paint(NamedTuple):
    """Brightness of a surface, and how much it changes towards the light: base * (1 + gx * nx + gy * ny)."""

    base: float
    gx: float = 0.0
    gy: float = 0.0


def paint_capsule(image: Image, shape: Capsule, paint: Paint) -> None:
    """Paint a capsule over `image` in place; its edge is one pixel soft, (nx, ny) goes from its axis to its rim."""
    height, width = image.shape
    reach = max(shape.ra, shape.rb) + 1.0
    x0, x1 = _span(min(shape.ax, shape.bx) - reach, max(shape.ax, shape.bx) + reach, width)
    y0, y1 = _span(min(shape.ay, shape.by) - reach, max(shape.ay, shape.by) + reach, height)
    if x0 >= x1 or y0 >= y1:
        return
    px = np.arange(x0, x1, dtype=np.float32) - np.float32(shape.ax)
    py = np.arange(y0, y1, dtype=np.float32)[:, None] - np.float32(shape.ay)
    bx, by = np.float32(shape.bx - shape.ax), np.float32(shape.by - shape.ay)
    inverse = np.float32(1.0) / max(bx * bx + by * by, np.float32(_SHORTEST))
    along = np.minimum(np.maximum(px * (bx * inverse) + py * (by * inverse), np.float32(0)), np.float32(1))
    dx, dy = px - along * bx, py - along * by
    radius = np.float32(shape.ra) + along * np.float32(shape.rb - shape.ra)
    cover = radius + np.float32(0.5) - np.sqrt(dx * dx + dy * dy)
    cover = np.minimum(np.maximum(cover, np.float32(0)), np.float32(1))
    tone = (dx * np.float32(paint.gx) + dy * np.float32(paint.gy)) / radius + np.float32(1)
    region = image[y0:y1, x0:x1]
    region += cover * (tone * np.float32(paint.base) - region)


def paint_rectangle(image: Image, box: tuple[int, int, int, int], brightness: float, opacity: float) -> None:
    """Paint an upright rectangle (left, top, right, bottom; clipped to the image) over `image` in place."""
    height, width = image.shape
    left, top, right, bottom = box
    region = image[max(top, 0) : max(min(bottom, height), 0), max(left, 0) : max(min(right, width), 0)]
    region += np.float32(opacity) * (np.float32(brightness) - region)


def _span(low: float, high: float, limit: int) -> tuple[int, int]:
    return max(int(low), 0), min(int(high) + 2, limit)
