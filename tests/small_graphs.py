"""Small documents of many operators: what wrong files, snapshots and inputs depart from, in tests and fuzz targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edgesnn.graph import Builder, Document, Int4
from tests.small_models import LABELS

WIDE = 10  # of `language`


def recurrent() -> Document:
    """Return a spiking net of convolutions, a recurrent layer with delays, an int4 readout, and a gather."""
    rng = np.random.default_rng(0)
    b = Builder(input={"kind": "spikes", "shape": [2, 8, 6]})

    def affine(n: int) -> dict[str, Any]:
        return {"scale": np.full(n, 0.1), "bias": np.zeros(n)}

    kernel = {"weight": Int4(rng.integers(-8, 8, (4, 2, 3, 3))), **affine(4)}
    x = b.add("conv2d", "input", name="conv", attributes={"activations": "int", "padding": [1, 1]}, tensors=kernel)
    x = b.add(
        "lif", x, name="lif", attributes={"axis": -3, "v_init": 0.25}, tensors={"alpha": [0.5], "v_th": np.ones(4)}
    )
    x = b.add("pool2d", x, name="pool", attributes={"mode": "sum", "kernel": [2, 2], "stride": [2, 2]})
    x = b.add("reshape", x, name="flat", attributes={"shape": [48]})
    past = b.add("delay", "both", name="past", attributes={"steps": 3, "shape": [48], "value": "int", "bound": 8},
                 tensors={"delays": rng.integers(1, 4, 48).astype(np.int32)})  # fmt: skip
    back = b.add("linear", past, name="back", attributes={"activations": "int"},
                 tensors={"weight": rng.integers(-9, 9, (48, 48)).astype(np.int8), **affine(48)})  # fmt: skip
    fired = b.add("lif", back, name="fired", attributes={"spike": "floor", "cap": 4, "refractory": 2},
                  tensors={"alpha": [0.5], "v_th": [1.0]})  # fmt: skip
    x = b.add("add", [x, fired], name="both")
    x = b.add("accumulate", x, name="sum", attributes={"mode": "leaky"}, tensors={"alpha": [0.5]})
    graded = {"weight": Int4(rng.integers(-8, 8, (4, 48))), "multiplier": np.full((4, 2), 7, np.uint8), **affine(4)}
    x = b.add("linear", x, name="fc", attributes={"activations": "float32", "group": 32}, tensors=graded)
    x = b.add("gather", x, name="order", tensors={"indices": np.array([3, 2, 1, 0], np.int32)})
    return b.document(outputs=x, readout={"node": x, "labels": list(LABELS)})


def language() -> Document:
    """Return a token model of 17 words: embedding, layer norm, token shift over a delay, wkv, running mean."""
    rng = np.random.default_rng(0)
    b = Builder(input={"kind": "tokens", "vocab": 17})
    table = {"weight": rng.integers(-127, 128, (17, WIDE)).astype(np.int8), "scale": np.full(17, 0.01)}
    x = b.add("embedding", "input", name="table", tensors=table)
    x = b.add("layer_norm", x, name="norm", tensors={"weight": np.ones(WIDE), "bias": np.zeros(WIDE)})
    past = b.add("delay", x, name="past", attributes={"steps": 1, "shape": [WIDE], "value": "float32", "bound": 0})
    x = b.add("token_shift", [x, past], name="shift", tensors={"mix": np.full(WIDE, 0.75), "keep": np.full(WIDE, 0.25)})
    key = {"weight": rng.integers(-127, 128, (WIDE, WIDE)).astype(np.int8), "scale": np.full(WIDE, 0.01)}
    k = b.add("linear", x, name="key", attributes={"activations": "int8"}, tensors={**key, "bias": np.zeros(WIDE)})
    x = b.add("wkv", [k, x], name="mixed", tensors={"bonus": np.full(WIDE, 0.5), "decay": np.full(WIDE, -0.5)})
    x = b.add("activation", x, name="gate", attributes={"function": "relu2"})
    x = b.add("concat", [x, k], name="both", attributes={"axis": -1})
    x = b.add("slice", x, name="part", attributes={"axis": -1, "start": 3, "stop": 19})
    return b.document(outputs=b.add("accumulate", x, name="mean", attributes={"mode": "mean"}))


def integers() -> Document:
    """Return integer neurons over bare sums of spikes, in a cycle through a delay."""
    rng = np.random.default_rng(0)
    b = Builder(input={"kind": "spikes", "shape": [20]})
    bare = {"activations": "int", "output": "int32"}
    weights = [{"weight": rng.integers(-9, 9, (12, n)).astype(np.int8)} for n in (20, 12)]
    x = b.add("linear", "input", name="fc", attributes=bare, tensors=weights[0])
    past = b.add("delay", "cuba", name="past", attributes={"steps": 2, "shape": [12], "value": "int", "bound": 1})
    x = b.add("add", [x, b.add("linear", past, name="back", attributes=bare, tensors=weights[1])], name="sum")
    decay = {"current_decay": 1024, "voltage_decay": 128, "gain": 64, "v_th": 5000, "refractory": 2}
    x = b.add("cuba", x, name="cuba", attributes=decay)
    return b.document(outputs=b.add("count", x, name="total"))


def of_events() -> Document:
    """Return a net over events of any sensor that decides, stops early, and resets what it keeps at every window."""
    events = {"sensor": [4, 3], "bin_us": 1000, "origin": "zero", "rounding": "nearest", "polarity_order": [1, 0]}
    section = {"kind": "spikes", "shape": [2, 3, 4], "value": "count", "bound": 3}
    b = Builder(
        input={**section, "events": {**events, "steps": 5, "hop_steps": 5, "adapt": "letterbox"}}, reset="window"
    )
    x = b.add("reshape", "input", name="flat", attributes={"shape": [24]})
    weight = {"weight": np.arange(-36, 36).reshape(3, 24).astype(np.int8), "scale": np.ones(3), "bias": np.zeros(3)}
    x = b.add("linear", x, name="fc", attributes={"activations": "int"}, tensors=weight)
    x = b.add("lif", x, name="lif", tensors={"alpha": [0.5], "v_th": [9.0]})
    x = b.add("count", x, name="count")
    early = {"confidence": 0.75, "min_steps": 2}
    return b.document(outputs=x, readout={"node": x, "labels": ["a", "b", "c"], "early_exit": early})


def with_resets(document: Document, *policies: Mapping[str, Any]) -> Document:
    """Return the document with these reset policies (fields of a state), one after the other."""
    states = [replace(state, **policies[i % len(policies)]) for i, state in enumerate(document.states)]
    return replace(document, states=tuple(states))


def counting(value: str = "count", bound: int = 3) -> Document:
    """Return a recurrent net over 2x3 spikes: currents, neurons, their spikes of the step before, a count."""
    b = Builder(input={"kind": "spikes", "shape": [2, 3], "value": value, "bound": bound})
    flat = b.add("reshape", "input", name="flat", attributes={"shape": [6]})
    one_, zero = np.ones(4, np.float32), np.zeros(4, np.float32)
    weight = np.arange(24).reshape(4, 6).astype(np.int8)
    x = b.add(
        "linear",
        flat,
        name="fc",
        attributes={"activations": "int"},
        tensors={"weight": weight, "scale": one_, "bias": zero},
    )
    past = b.add("delay", "lif", name="past", attributes={"steps": 1, "shape": [4], "value": "int", "bound": 1})
    back = b.add("linear", past, name="back", attributes={"activations": "int"},
                 tensors={"weight": Int4(np.full((4, 4), -2)), "scale": one_, "bias": zero})  # fmt: skip
    both = b.add("add", [x, back], name="both")
    b.add("lif", both, name="lif", tensors={"alpha": [0.5], "v_th": [20.0]})
    return b.document(outputs=b.add("count", "lif", name="count"))
