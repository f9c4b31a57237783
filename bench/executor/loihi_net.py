"""The DVS128 gesture network that SLAYER trained for Intel's Loihi, as a document: integer neurons, int4 weights.

Frames of 1 ms (2x128x128, 1 where an event fell) -> sum-pool 4 -> conv 5x5, 16 -> sum-pool 2 -> conv 3x3, 32 ->
sum-pool 2 -> 512 -> 11, neurons after each; every layer hears the layer before one step later. All weights are even, so
they are stored halved and the neurons' gain is doubled: conv1, conv2 and fc2 are int4 then, fc1 int8 (two pass 7).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.graph import Builder, Document, Int4

STEPS = 1450
GAIN = 64  # of SLAYER's membrane equation
NEURONS = {"current_decay": 1024, "voltage_decay": 128, "v_th": 80 * 64, "cold_start": "skip"}
LAYERS = ("pool1", "conv1", "pool2", "conv2", "pool3", "fc1", "fc2")  # the names of the neurons


def document(weights: Mapping[str, npt.NDArray[Any]]) -> Document:
    """Return the network with the weights of conformance/loihi_gesture/weights.npz."""
    b = Builder(input={"kind": "dense", "shape": [2, 128, 128], "value": "int", "bound": 1})
    pool = int(weights["pool"])
    x = _pool(b, "pool1", "input", 4, pool)
    x = _matrix(b, "conv1", _delayed(b, x, (2, 32, 32)), weights["conv1"], padding=2)
    x = _pool(b, "pool2", _delayed(b, x, (16, 32, 32)), 2, pool)
    x = _matrix(b, "conv2", _delayed(b, x, (16, 16, 16)), weights["conv2"], padding=1)
    x = _pool(b, "pool3", _delayed(b, x, (32, 16, 16)), 2, pool)
    x = b.add("reshape", _delayed(b, x, (32, 8, 8)), name="flat", attributes={"shape": [2048]})
    x = _matrix(b, "fc1", x, weights["fc1"])
    x = _matrix(b, "fc2", _delayed(b, x, (512,)), weights["fc2"])
    return b.document(outputs=[x])


def frames(events: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return [1450, 2, 128, 128]: 1 where at least one event fell; bin = t / 1 ms, half to even."""
    made = np.zeros((STEPS, 2, 128, 128), np.uint8)
    bins = np.rint(events["t"] / 1000).astype(np.int64)
    kept = bins < STEPS
    made[bins[kept], events["p"][kept], events["y"][kept], events["x"][kept]] = 1
    return made


def _pool(b: Builder, name: str, x: str, size: int, weight: int) -> str:
    attributes = {"mode": "sum", "kernel": [size, size], "stride": [size, size]}
    return _neurons(b, name, str(b.add("pool2d", x, name=f"{name}_sum", attributes=attributes)), GAIN * weight)


def _matrix(b: Builder, name: str, x: str, weight: npt.NDArray[Any], padding: int | None = None) -> str:
    half = (weight // 2).astype(np.int8)
    assert np.array_equal(half * 2, weight)
    stored = Int4(half) if half.min() >= -8 and half.max() <= 7 else half
    attributes: dict[str, Any] = {"activations": "int", "output": "int32"}
    if padding is not None:
        attributes["padding"] = [padding, padding]
    op = "linear" if padding is None else "conv2d"
    return _neurons(
        b, name, str(b.add(op, x, name=f"{name}_in", attributes=attributes, tensors={"weight": stored})), 2 * GAIN
    )


def _neurons(b: Builder, name: str, current: str, gain: int) -> str:
    return str(b.add("cuba", current, name=name, attributes={**NEURONS, "gain": gain}))


def _delayed(b: Builder, x: str, shape: tuple[int, ...]) -> str:
    line = {"steps": 1, "shape": list(shape), "value": "int", "bound": 1}
    return str(b.add("delay", x, name=f"{x}_later", attributes=line))
