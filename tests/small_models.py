"""A small random model for tests of what stands around a model: every operator, and decisions that change."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgesnn.graph import Builder
from edgesnn.graph.document import Document

LABELS = ("left", "right", "up", "down")

INPUT: dict[str, Any] = {
    "kind": "points",
    "sensor": [128, 128],
    "window_us": 100_000,
    "hop_us": 50_000,
    "min_events": 20,
    "points": 64,
    "groups": 32,
    "neighbours": 8,
    "steps": 4,
    "time": "fixed",
    "seed": 7,
}


def small_document(seed: int = 0, coding: str = "rate", **changes: Any) -> Document:
    """Return a SpikePoint-like model; `changes` are fields of its input section."""
    rng = np.random.default_rng(seed)
    builder = Builder(input={**INPUT, **changes})

    def layer(x: str, name: str, k: int, n: int, activations: str = "int") -> str:
        tensors = {
            "weight": rng.integers(-70, 71, (n, k)).astype(np.int8),
            "scale": np.full(n, 1.2 / (70 * k**0.5), np.float32),
            "bias": rng.normal(0.1, 0.1, n).astype(np.float32),
        }
        current = builder.add("linear", x, name=name, attributes={"activations": activations}, tensors=tensors)
        leak = {"alpha": np.array([0.5], np.float32), "v_th": np.array([1.0], np.float32)}
        spikes: str = builder.add("lif", current, name=f"{name}.lif", tensors=leak)
        return spikes

    first = "float32" if coding == "direct" else "int"
    local, centre = builder.add("point_code", "input", name="code", attributes={"coding": coding})
    members = builder.add("max", layer(local, "local", 6, 16, first), name="pool")
    both = builder.add("add", [members, layer(centre, "centre", 3, 16, first)], name="both")
    groups = builder.add("max", layer(both, "deep", 16, 32), name="groups")
    voters = layer(groups, "voters", 32, len(LABELS) * 4)
    vote = builder.add("vote", voters, name="vote", attributes={"classes": len(LABELS), "voters": 4})
    readout = {
        "node": vote,
        "labels": list(LABELS),
        "temperature": 0.1,
        "rejection": 0.3,
        "onset": {"confidence": 0.4, "windows": 1},
        "offset": {"confidence": 0.3, "windows": 2},
    }
    return builder.document(outputs=[vote], readout=readout)


EVENTS: dict[str, Any] = {
    "sensor": [16, 12],
    "bin_us": 5_000,
    "origin": "first",
    "rounding": "floor",
    "polarity_order": [0, 1],
    "steps": 20,
    "hop_steps": 10,
}


def spikes_document(
    seed: int = 0, reset: str = "window", early_exit: dict[str, Any] | None = None, **changes: Any
) -> Document:
    """Return a recurrent model of spikes whose membranes leak slowly; `changes` are fields of its `input.events`."""
    rng = np.random.default_rng(seed)
    events = {**EVENTS, **changes}
    width, height = events["sensor"]
    section = {"kind": "spikes", "shape": [2, height, width], "value": "count", "bound": 3, "events": events}
    builder = Builder(input=section, reset=reset)

    def linear(x: str, name: str, k: int, n: int) -> str:
        tensors = {
            "weight": rng.integers(-70, 71, (n, k)).astype(np.int8),
            "scale": np.full(n, 1 / (70 * 4), np.float32),
            "bias": rng.normal(0.02, 0.02, n).astype(np.float32),
        }
        made: str = builder.add("linear", x, name=name, attributes={"activations": "int"}, tensors=tensors)
        return made

    def lif(x: str, name: str, n: int) -> str:
        leak = {"alpha": np.full(n, 0.98, np.float32), "v_th": np.ones(1, np.float32)}
        made: str = builder.add("lif", x, name=name, tensors=leak)
        return made

    flat = builder.add("reshape", "input", name="flat", attributes={"shape": [2 * width * height]})
    builder.add("delay", "hidden", name="late", attributes={"steps": 1, "shape": [24], "value": "int", "bound": 1})
    both = builder.add("add", [linear(flat, "fc1", 2 * width * height, 24), linear("late", "rec", 24, 24)], name="both")
    hidden = lif(both, "hidden", 24)
    count = builder.add("count", lif(linear(hidden, "fc2", 24, len(LABELS)), "out", len(LABELS)), name="count")
    readout = {"node": count, "labels": list(LABELS), "temperature": 2.0, "rejection": 0.3, "early_exit": early_exit}
    return builder.document(outputs=[count], readout=readout)
