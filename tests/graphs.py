"""Random small graphs and inputs for them: every operator, flag, type of weight and kind of shape.

Half of the graphs have whole-number weights, scales of one and whole thresholds, so that membranes meet the threshold
exactly. `tests/graph_nodes.py` adds the nodes.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from bench.spikepoint_net import random_window
from edgesnn.graph import Builder, Document
from tests.graph_nodes import ADDERS, Growing, add_points, close_loop, convolution, embed, lif, open_loop, pooling


def random_document(seed: int, operators: Collection[str] | None = None) -> Document:
    """Return a validated random graph; the same seed gives the same one.

    Args:
        seed: of all choices.
        operators: those that may be used; None for all.
    """
    rng = np.random.default_rng(seed)
    section = _random_input(rng)
    graph = Growing(rng, Builder(input=section, reset=str(rng.choice(["window", "never"]))), bool(rng.integers(2)))
    graph.begin(section)
    if section["kind"] == "points":
        add_points(graph)
    if section["kind"] == "tokens":
        embed(graph)
    loop = open_loop(graph) if rng.integers(3) == 0 else None
    adders = [adder for names, adder in ADDERS if operators is None or set(names) <= set(operators)]
    for _ in range(int(rng.integers(1, 14))):
        adders[int(rng.integers(len(adders)))](graph)
    if loop is not None:
        close_loop(graph, loop)
    made = [name for name in graph.values if name != "input"] or [graph.always()]
    chosen = {made[-1], *rng.choice(made, int(rng.integers(1, min(3, len(made)) + 1)))}
    return graph.builder.document(outputs=sorted(str(name) for name in chosen))


def random_images(seed: int) -> Document:
    """Return a validated graph of up to three convolutions, each with neurons after it, and pools between them."""
    rng = np.random.default_rng(seed)
    bound = int(rng.choice([1, 1, 4, 255]))
    shape = [int(rng.integers(1, 5)), int(rng.integers(1, 13)), int(rng.integers(1, 20))]
    section = {"kind": "dense", "shape": shape, "value": "int", "bound": bound}
    graph = Growing(rng, Builder(input=section), bool(rng.integers(2)))
    graph.begin(section)
    last = graph.always()
    for _ in range(int(rng.integers(1, 4))):
        made = convolution(2)(graph)
        last = made or last
        if made is not None and graph.values[made].kind == "float32":
            last = lif(graph, made) or last
        if rng.integers(2):
            last = pooling(2)(graph) or last
    return graph.builder.document(outputs=[last])


def random_inputs(document: Document, seed: int, steps: int) -> Any:
    """Return a window, tokens [steps], or an array [steps, ...]: empty, sparse, dense or full."""
    rng = np.random.default_rng(seed)
    section = document.input
    if section["kind"] == "points":
        return random_window(document, number=int(rng.integers(0, 2**62)), seed=seed)
    if section["kind"] == "tokens":
        return rng.integers(0, section["vocab"], steps)
    shape = (steps, *section["shape"])
    density = rng.choice([0.0, 0.02, 0.1, 0.5, 1.0])
    if section["value"] == "float32":
        size = rng.choice([1e-40, 1e-31, 1e-3, 2.0, 2.0, 1e6])
        return (rng.normal(0, size, shape) * (rng.random(shape) < max(density, 0.1))).astype(np.float32)
    low = section["bound"] if rng.integers(4) == 0 else 1
    values = rng.integers(low, section["bound"] + 1, shape)
    return (values * (rng.random(shape) < density)).astype(np.uint8)


def as_active(xs: Any) -> tuple[Any, Any]:
    """Return counts [T, ...] as (indices, offsets): an index stands as often as its count says."""
    rows = [np.repeat(np.arange(x.size), x.reshape(-1)) for x in xs]
    return np.concatenate([*rows, np.zeros(0, np.int64)]), np.cumsum([0, *map(len, rows)])


def _random_input(rng: np.random.Generator) -> dict[str, Any]:
    kind = str(rng.choice(["points", "dense", "dense", "spikes", "spikes", "tokens"]))
    if kind == "points":
        points = int(rng.integers(2, 40))
        sizes = {name: int(rng.integers(1, points + 1)) for name in ("groups", "neighbours")}
        timing = {"window_us": 1000, "hop_us": 500, "min_events": 0, "time": "fixed", "sensor": [10, 10]}
        seed = int(rng.integers(0, 2**63))
        return {"kind": kind, "points": points, **sizes, "steps": int(rng.integers(1, 6)), **timing, "seed": seed}
    if kind == "tokens":
        return {"kind": kind, "vocab": int(rng.integers(1, 50))}
    shape = _random_shape(rng)
    if kind == "spikes":
        value = str(rng.choice(["binary", "count"]))
        bound = 1 if value == "binary" else int(rng.choice([1, 3, 40]))
        return {"kind": kind, "shape": shape, "value": value, "bound": bound}
    value = str(rng.choice(["int", "float32"]))
    bound = int(rng.choice([1, 2, 5, 60, 255])) if value == "int" else 0
    return {"kind": kind, "shape": shape, "value": value, "bound": bound}


def _random_shape(rng: np.random.Generator) -> list[int]:
    """Return an image, a sequence, a vector of up to odd hundreds, or rows."""
    form = int(rng.integers(4))
    if form == 0:
        return [int(rng.integers(1, 7)), int(rng.integers(1, 13)), int(rng.integers(1, 13))]
    if form == 1:
        return [int(rng.integers(1, 20)), int(rng.integers(1, 40))]
    rows = [int(rng.integers(1, 9))] if form == 2 else []
    return [*rows, int(rng.integers(1, 330))]
