"""Small token models made by the builder, for the tests of generation, surprise and streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgesnn.graph import Builder, Document

TABLE = "\n abcdefghijklmnopqrstuvwxyz0123456789<>.:-"
TOKENIZER = {"kind": "characters", "table": TABLE, "unknown": 1}
_WIDE = 24


def writer(
    section: Mapping[str, Any] | None = None, *, reset: str | Mapping[str, Any] = "never", seed: int = 0
) -> Document:
    """Return a model of embedding, token shift, wkv, LIF and a head: its logits depend on all tokens before."""
    section = {"kind": "tokens", "vocab": len(TABLE), "tokenizer": TOKENIZER, **(section or {})}
    b = Builder(input=section, reset=reset)
    x = _body(b, int(section["vocab"]), np.random.default_rng(seed))
    return b.document(outputs=_head(b, x, int(section["vocab"]), np.random.default_rng(seed + 1), "head", 0.4))


def classifier(reset: str = "line") -> Document:
    """Return the same with a second output: scores of two labels over a leaky mean of what it holds."""
    b = Builder(input={"kind": "tokens", "vocab": len(TABLE), "tokenizer": TOKENIZER}, reset=reset)
    x = _body(b, len(TABLE), np.random.default_rng(0))
    logits = _head(b, x, len(TABLE), np.random.default_rng(1), "head", 0.4)
    pooled = b.add("accumulate", x, name="pooled", attributes={"mode": "leaky"}, tensors={"alpha": [0.75]})
    scores = _head(b, pooled, 2, np.random.default_rng(2), "scores", 2.0)
    return b.document(outputs=[logits, scores], readout={"node": scores, "labels": ["good", "bad"]})


def chain(following: Mapping[str, str], strength: float = 20.0) -> Document:
    """Return a model without state that knows which character follows which: the head of a one-hot embedding."""
    size = len(TABLE)
    b = Builder(input={"kind": "tokens", "vocab": size, "tokenizer": TOKENIZER}, reset="line")
    x = b.add("embedding", "input", name="one", tensors={"weight": np.eye(size, dtype=np.float32)})
    weight = np.zeros((size, size), np.float32)
    for one, other in following.items():
        weight[TABLE.index(other), TABLE.index(one)] = strength
    tensors = {"weight": weight, "scale": np.ones(size), "bias": np.zeros(size)}
    return b.document(outputs=b.add("linear", x, name="head", attributes={"activations": "float32"}, tensors=tensors))


def _body(b: Builder, vocab: int, rng: np.random.Generator) -> str:
    table = {"weight": rng.normal(0, 1, (vocab, _WIDE)).astype(np.float32)}
    x = b.add("embedding", "input", name="table", tensors=table)
    x = b.add("layer_norm", x, name="norm", tensors={"weight": np.ones(_WIDE), "bias": np.zeros(_WIDE)})
    past = b.add("delay", x, name="past", attributes={"steps": 1, "shape": [_WIDE], "value": "float32", "bound": 0})
    mix = {"mix": np.full(_WIDE, 0.75), "keep": np.full(_WIDE, 0.25)}
    shifted = b.add("token_shift", [x, past], name="shift", tensors=mix)
    k = _head(b, shifted, _WIDE, rng, "key", 0.3)
    decays = {"bonus": np.full(_WIDE, 0.5), "decay": np.full(_WIDE, -0.2)}
    mixed = b.add("wkv", [k, shifted], name="mixed", tensors=decays)
    z = _head(b, mixed, _WIDE, rng, "out", 0.6)
    spikes = b.add("lif", z, name="lif", tensors={"alpha": [0.5], "v_th": [0.5]})
    graded = b.add("scale", spikes, name="graded", tensors={"scale": [1.0], "bias": [0.0]})
    return str(b.add("concat", [mixed, graded], name="both", attributes={"axis": -1}))


def _head(b: Builder, x: str, rows: int, rng: np.random.Generator, name: str, size: float) -> str:
    columns = 2 * _WIDE if x in ("both", "pooled") else _WIDE
    weight = rng.normal(0, size, (rows, columns)).astype(np.float32)
    tensors = {"weight": weight, "scale": np.ones(rows), "bias": np.zeros(rows)}
    return str(b.add("linear", x, name=name, attributes={"activations": "float32"}, tensors=tensors))
