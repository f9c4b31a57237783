"""From grouped points to what a time step sees: random bits (`rate`) or the values themselves (`direct`).

Element numbers, shared by both codings and by every backend: the local branch first, [G, K, F] flattened, then the
centroid branch, [G, 3] flattened. F is 6, or 7 with polarity: three differences, the group's minimum of each
coordinate, then the polarity.

Source: SpikePoint section 3.2 (|d| with the group's minimum in place of the lost sign); docs/arithmetic.md, 8 and 9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgesnn.encode.philox import philox4x32
from edgesnn.encode.points import GRID, PointWindow

Coding = Literal["rate", "direct"]
Features = Literal["unsigned", "signed"]


@dataclass(frozen=True)
class PointCoding:
    """Attributes of the graph operator `point_code`.

    Attributes:
        coding: "rate" (the paper: one random bit per element and step) or "direct" (the values, held for all steps).
        features: "unsigned" (|d|, the paper) or "signed" (d; direct coding only).
        polarity: whether the member's polarity is a seventh feature of the local branch.
    """

    coding: Coding = "rate"
    features: Features = "unsigned"
    polarity: bool = False

    @property
    def local_width(self) -> int:
        """Number of features of a member: 6, or 7 with polarity."""
        return 7 if self.polarity else 6


def probabilities(window: PointWindow, coding: PointCoding) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the firing probabilities in 1/65536: int64 [G, K, F] of the members and [G, 3] of the centroids.

    |d|: min(65536, floor(|d| * 65536 / sd)) in float64, 0 where sd is 0; a coordinate: 4 * X; polarity: 65536 * p.
    """
    xyz, d = _geometry(window)
    scaled = np.abs(d).astype(np.float64) * 65536.0
    differences = np.zeros(d.shape, dtype=np.int64)
    if window.sd > 0:
        differences = np.minimum(65536.0, np.floor(scaled / np.float64(window.sd))).astype(np.int64)
    local = _assemble(window, coding, differences, 4 * xyz, 65536 * window.coordinates[:, 3].astype(np.int64))
    return local, 4 * xyz[window.centroids]


def rate_bits(
    window: PointWindow, coding: PointCoding, step: int, seed: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return one step's bits: uint8 [G, K, F] of the members and [G, 3] of the centroids.

    The bit of element e is (r16 < probability); r16 is lane e % 8 of philox(seed, (e // 8, step, window low, window
    high)): eight 16-bit lanes a call, the low half of each word first.
    """
    local, centre = probabilities(window, coding)
    q = np.concatenate([local.ravel(), centre.ravel()])
    calls = (q.size + 7) // 8
    counters = np.empty((calls, 4), dtype=np.uint64)
    counters[:, 0] = np.arange(calls)
    counters[:, 1] = step
    counters[:, 2] = window.number & 0xFFFFFFFF
    counters[:, 3] = (window.number >> 32) & 0xFFFFFFFF
    words = philox4x32(seed, counters)
    lanes = np.stack([words & 0xFFFF, words >> 16], axis=2).reshape(-1)[: q.size]
    bits = (lanes < q).astype(np.uint8)
    return bits[: local.size].reshape(local.shape), bits[local.size :].reshape(centre.shape)


def direct_values(window: PointWindow, coding: PointCoding) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the values themselves: float32 [G, K, F] of the members and [G, 3] of the centroids.

    d (or |d|) is float32(float64(d) / sd), 0 where sd is 0; a coordinate float32(X) / 16384; polarity 0 or 1.
    """
    xyz, d = _geometry(window)
    if coding.features == "unsigned":
        d = np.abs(d)
    scaled = np.zeros(d.shape, dtype=np.float32)
    if window.sd > 0:
        scaled = (d.astype(np.float64) / np.float64(window.sd)).astype(np.float32)
    unit = xyz.astype(np.float32) / np.float32(GRID)
    local = _assemble(window, coding, scaled, unit, window.coordinates[:, 3].astype(np.float32))
    return local, unit[window.centroids]


def _geometry(window: PointWindow) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    xyz = window.coordinates[:, :3].astype(np.int64)
    return xyz, xyz[window.members] - xyz[window.centroids][:, None, :]


def _assemble(  # type: ignore[no-untyped-def]
    window: PointWindow, coding: PointCoding, differences, values, polarity
):
    """Return [G, K, F]: the differences, the group's minimum of each coordinate, then the polarity where asked for."""
    lowest = values[window.members].min(axis=1, keepdims=True)
    parts = [differences, np.broadcast_to(lowest, differences.shape)]
    if coding.polarity:
        parts.append(polarity[window.members][:, :, None])
    return np.concatenate(parts, axis=2)
