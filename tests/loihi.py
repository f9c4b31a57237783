"""SLAYER's DVS gesture network for Loihi, built with our builder (shared/conformance/loihi_gesture).

How its weights are stored: they are all even, so halves are stored and the neurons' gain is twice 64. conv1 (-1..1),
conv2 (-2..2) and fc2 (-5..7) as int4; fc1 as int8, because two of its halves are 9 and 8. The pools have one weight,
which the gain takes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgesnn.graph import Builder, Document
from edgesnn.graph.tensors import Int4

STEPS = 1450
NEURONS = {"current_decay": 1024, "voltage_decay": 128, "v_th": 80 * 64, "cold_start": "skip"}
LAYERS = ("pool1.cuba", "conv1.cuba", "pool2.cuba", "conv2.cuba", "pool3.cuba", "fc1.cuba", "fc2.cuba")
INPUT = {
    "kind": "spikes",
    "shape": [2, 128, 128],
    "value": "binary",
    "bound": 1,
    "events": {
        "sensor": [128, 128],
        "bin_us": 1000,
        "origin": "zero",
        "rounding": "nearest",
        "polarity_order": [0, 1],
        "steps": STEPS,
        "hop_steps": STEPS,
    },
}


def gesture_network(weights: Any) -> Document:
    """Return the network: each layer hears the spikes of the layer before it one step late."""
    b = Builder(input=INPUT, reset="window")
    pool = 64 * int(weights["pool"])
    spikes = _pool(b, "pool1", "input", [4, 4], pool)
    spikes = _conv(b, "conv1", _late(b, spikes, [2, 32, 32]), weights["conv1"], 2)
    spikes = _pool(b, "pool2", _late(b, spikes, [16, 32, 32]), [2, 2], pool)
    spikes = _conv(b, "conv2", _late(b, spikes, [16, 16, 16]), weights["conv2"], 1)
    spikes = _pool(b, "pool3", _late(b, spikes, [32, 16, 16]), [2, 2], pool)
    late = _late(b, spikes, [32, 8, 8])
    flat = b.add("reshape", late, name="flat", attributes={"shape": [2048]})
    spikes = _linear(b, "fc1", flat, weights["fc1"])
    spikes = _linear(b, "fc2", _late(b, spikes, [512]), weights["fc2"])
    return b.document(outputs=spikes)


def half(weight: Any) -> Any:
    """Return half the weights: `Int4` where they fit four bits, else int8."""
    assert not (weight % 2).any()
    halves = weight // 2
    return Int4(halves) if -8 <= halves.min() <= halves.max() <= 7 else halves.astype(np.int8)


def _late(b: Builder, value: str, shape: list[int]) -> str:
    attributes = {"steps": 1, "shape": shape, "value": "int", "bound": 1}
    made: str = b.add("delay", value, name=f"{value}.late", attributes=attributes)
    return made


def _pool(b: Builder, name: str, value: str, kernel: list[int], gain: int) -> str:
    total = b.add("pool2d", value, name=name, attributes={"mode": "sum", "kernel": kernel, "stride": kernel})
    return _cuba(b, name, total, gain)


def _conv(b: Builder, name: str, value: str, weight: Any, padding: int) -> str:
    attributes = {"activations": "int", "output": "int32", "padding": [padding, padding]}
    total = b.add("conv2d", value, name=name, attributes=attributes, tensors={"weight": half(weight)})
    return _cuba(b, name, total, 128)


def _linear(b: Builder, name: str, value: str, weight: Any) -> str:
    attributes = {"activations": "int", "output": "int32"}
    total = b.add("linear", value, name=name, attributes=attributes, tensors={"weight": half(weight)})
    return _cuba(b, name, total, 128)


def _cuba(b: Builder, name: str, value: str, gain: int) -> str:
    made: str = b.add("cuba", value, name=f"{name}.cuba", attributes={**NEURONS, "gain": gain})
    return made
