"""Batches of encoded windows as torch tensors: the values of `edgesnn.encode.coding`, many at once, same bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from edgesnn.encode.coding import PointCoding
from edgesnn.encode.philox import philox4x32
from edgesnn.encode.points import GRID, PointWindow


def features(windows: Sequence[PointWindow], coding: PointCoding, steps: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return what the first layers see of B windows with equal encodings.

    Returns:
        local float32 [T, B, G, K, F] and centre float32 [T, B, G, 3]; T is `steps` with rate coding, 1 with direct.
    """
    local, centre = _rate(windows, coding, steps, seed) if coding.coding == "rate" else _direct(windows, coding)
    return torch.from_numpy(local), torch.from_numpy(centre)


_Arrays = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


def _gather(
    windows: Sequence[PointWindow],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return members [B, G, K, 4], centroids [B, G, 3], differences [B, G, K, 3] and sd [B, 1, 1, 1]."""
    points = np.stack([w.coordinates for w in windows]).astype(np.int64)
    batch = np.arange(len(windows))[:, None]
    members = points[batch[:, :, None], np.stack([w.members for w in windows])]
    centres = points[batch, np.stack([w.centroids for w in windows])][..., :3]
    sd = np.array([w.sd for w in windows], dtype=np.float64)[:, None, None, None]
    return members, centres, members[..., :3] - centres[:, :, None, :], sd


def _direct(windows: Sequence[PointWindow], coding: PointCoding) -> _Arrays:
    members, centres, d, sd = _gather(windows)
    if coding.features == "unsigned":
        d = np.abs(d)
    scaled = np.where(sd > 0, d.astype(np.float64) / np.where(sd > 0, sd, 1.0), 0.0).astype(np.float32)
    unit = members[..., :3].astype(np.float32) / np.float32(GRID)
    local = _assemble(coding, scaled, unit, members[..., 3:].astype(np.float32))
    return local[None], (centres.astype(np.float32) / np.float32(GRID))[None]


def _rate(windows: Sequence[PointWindow], coding: PointCoding, steps: int, seed: int) -> _Arrays:
    members, centres, d, sd = _gather(windows)
    quotient = np.floor(np.abs(d).astype(np.float64) * 65536.0 / np.where(sd > 0, sd, 1.0))
    share = np.where(sd > 0, np.minimum(65536.0, quotient), 0.0).astype(np.int64)
    local = _assemble(coding, share, 4 * members[..., :3], 65536 * members[..., 3:])
    count = len(windows)
    q = np.concatenate([local.reshape(count, -1), 4 * centres.reshape(count, -1)], axis=1)
    bits = np.empty((steps, *q.shape), dtype=np.float32)
    for i, window in enumerate(windows):
        bits[:, i] = random_lanes(window.number, steps, q.shape[1], seed) < q[i]
    split = local[0].size
    return bits[..., :split].reshape(steps, *local.shape), bits[..., split:].reshape(steps, *centres.shape)


def random_lanes(number: int, steps: int, elements: int, seed: int) -> npt.NDArray[np.uint32]:
    """Return the 16-bit random lanes of a window: [steps, elements] (docs/arithmetic.md, section 9)."""
    calls = (elements + 7) // 8
    counters = np.empty((steps, calls, 4), dtype=np.uint64)
    counters[..., 0] = np.arange(calls)
    counters[..., 1] = np.arange(steps)[:, None]
    counters[..., 2] = number & 0xFFFFFFFF
    counters[..., 3] = (number >> 32) & 0xFFFFFFFF
    words = philox4x32(seed, counters.reshape(-1, 4))
    return np.stack([words & 0xFFFF, words >> 16], axis=2).reshape(steps, calls * 8)[:, :elements]


def _assemble(  # type: ignore[no-untyped-def]
    coding: PointCoding, differences, values, polarity
):
    lowest = np.broadcast_to(values.min(axis=2, keepdims=True), differences.shape)
    parts = [differences, lowest, polarity] if coding.polarity else [differences, lowest]
    return np.concatenate(parts, axis=3)
