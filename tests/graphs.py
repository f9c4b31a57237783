"""Random small graphs and inputs for them: every operator, type of weight, compare, reset and kind of shape.

Half of the graphs have whole-number weights, scales of one and whole thresholds, so that membranes meet the threshold
exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.spikepoint_net import random_window
from edgesnn.graph import Builder, Document, ValueType


@dataclass
class _Growing:
    """A graph under construction: the values so far, by name."""

    rng: np.random.Generator
    builder: Builder
    exact: bool
    values: dict[str, ValueType] = field(default_factory=dict)
    count: int = 0

    def pick(self, *kinds: str) -> str | None:
        names = [name for name, value in self.values.items() if value.kind in kinds]
        return str(self.rng.choice(names)) if names else None

    def name(self, op: str) -> str:
        self.count += 1
        return f"{op}{self.count}"


def random_document(seed: int) -> Document:
    """Return a validated random graph; the same seed gives the same one."""
    rng = np.random.default_rng(seed)
    section = _random_input(rng)
    graph = _Growing(rng, Builder(input=section, reset=str(rng.choice(["window", "never"]))), bool(rng.integers(2)))
    if section["kind"] == "points":
        _add_points(graph, section)
    else:
        graph.values["input"] = ValueType(section["value"], tuple(section["shape"]), section["bound"])
    for _ in range(int(rng.integers(1, 12))):
        _ADDERS[int(rng.integers(len(_ADDERS)))](graph)
    made = [name for name in graph.values if name != "input"] or [_linear(graph)]
    count = int(rng.integers(1, min(3, len(made)) + 1))
    outputs = sorted({made[-1], *rng.choice(made, count)})
    return graph.builder.document(outputs=[str(name) for name in outputs])


def random_inputs(document: Document, seed: int, steps: int) -> Any:
    """Return a window, or an array [steps, ...]: empty, sparse, dense or full."""
    rng = np.random.default_rng(seed)
    section = document.input
    if section["kind"] == "points":
        return random_window(document, number=int(rng.integers(0, 2**62)), seed=seed)
    shape = (steps, *section["shape"])
    if section["value"] == "float32":
        return rng.normal(0, 2, shape).astype(np.float32)
    density = rng.choice([0.0, 0.1, 0.5, 1.0])
    low = section["bound"] if rng.integers(4) == 0 else 1
    values = rng.integers(low, section["bound"] + 1, shape)
    return (values * (rng.random(shape) < density)).astype(np.uint8)


def _random_input(rng: np.random.Generator) -> dict[str, Any]:
    if rng.integers(2):
        points = int(rng.integers(2, 40))
        sizes = {name: int(rng.integers(1, points + 1)) for name in ("groups", "neighbours")}
        timing = {"window_us": 1000, "hop_us": 500, "min_events": 0, "time": "fixed", "sensor": [10, 10]}
        seed = int(rng.integers(0, 2**63))
        return {"kind": "points", "points": points, **sizes, "steps": int(rng.integers(1, 6)), **timing, "seed": seed}
    shape = [int(rng.integers(1, 12)) for _ in range(int(rng.integers(0, 3)))] + [int(rng.integers(1, 330))]
    kind = str(rng.choice(["int", "float32"]))
    return {
        "kind": "dense",
        "shape": shape,
        "value": kind,
        "bound": int(rng.choice([1, 2, 5, 60])) if kind == "int" else 0,
    }


def _add_points(graph: _Growing, section: dict[str, Any]) -> None:
    rate, polarity = bool(graph.rng.integers(2)), bool(graph.rng.integers(2))
    features = "unsigned" if rate else str(graph.rng.choice(["unsigned", "signed"]))
    attributes = {"coding": "rate" if rate else "direct", "features": features, "polarity": polarity}
    local, centre = graph.builder.add("point_code", "input", name="code", attributes=attributes)
    kind, bound = ("int", 1) if rate else ("float32", 0)
    members = (section["groups"], section["neighbours"], 7 if polarity else 6)
    graph.values[local] = ValueType(kind, members, bound)  # type: ignore[arg-type]
    graph.values[centre] = ValueType(kind, (section["groups"], 3), bound)  # type: ignore[arg-type]


def _linear(graph: _Growing) -> str | None:
    x = graph.pick("int", "float32")
    if x is None:
        return None
    rng, value = graph.rng, graph.values[x]
    outputs, inputs = int(rng.integers(1, 100)), value.shape[-1]
    if rng.integers(2):
        limit = int(rng.choice([2, 127]))
        weight: Any = rng.integers(-limit, limit + 1, (outputs, inputs)).astype(np.int8)
    elif graph.exact:
        weight = rng.integers(-2, 3, (outputs, inputs)).astype(np.float32)
    else:
        weight = rng.normal(0, 1, (outputs, inputs)).astype(np.float32)
    if graph.exact:
        scale, bias = np.ones(outputs, np.float32), rng.integers(-1, 2, outputs).astype(np.float32)
    else:
        scale = (10.0 ** rng.uniform(-6, 1, outputs)).astype(np.float32)
        bias = rng.normal(0, 0.3, outputs).astype(np.float32)
    tensors = {"weight": weight, "scale": scale, "bias": bias}
    name = graph.name("fc")
    graph.builder.add("linear", x, name=name, attributes={"activations": value.kind}, tensors=tensors)
    graph.values[name] = ValueType("float32", (*value.shape[:-1], outputs))
    return name


def _lif(graph: _Growing) -> None:
    x = graph.pick("float32")
    if x is None:
        return
    rng, value = graph.rng, graph.values[x]
    attributes = {"compare": str(rng.choice(["ge", "gt"])), "reset": str(rng.choice(["zero", "subtract", "none"]))}
    sizes = [1 if rng.integers(2) else value.shape[-1] for _ in range(2)]
    if graph.exact:
        alpha, v_th = rng.choice([0.0, 0.5, 1.0], sizes[0]), rng.integers(1, 4, sizes[1])
    else:
        alpha, v_th = rng.uniform(0, 1, sizes[0]), rng.uniform(0, 1.5, sizes[1])
    tensors = {"alpha": alpha.astype(np.float32), "v_th": v_th.astype(np.float32)}
    name = graph.name("lif")
    graph.builder.add("lif", x, name=name, attributes=attributes, tensors=tensors)
    graph.values[name] = ValueType("int", value.shape, 1)


def _add(graph: _Growing) -> None:
    a = graph.pick("int")
    if a is None:
        return
    value = graph.values[a]
    fits = [
        n for n, v in graph.values.items() if v.kind == "int" and v.shape == value.shape and v.bound + value.bound < 256
    ]
    if not fits:
        return
    b, name = str(graph.rng.choice(fits)), graph.name("add")
    graph.builder.add("add", [a, b], name=name)
    graph.values[name] = ValueType("int", value.shape, value.bound + graph.values[b].bound)


def _max(graph: _Growing) -> None:
    x = graph.pick("int")
    if x is None or len(graph.values[x].shape) < 2:
        return
    value, name = graph.values[x], graph.name("max")
    graph.builder.add("max", x, name=name)
    graph.values[name] = ValueType("int", value.shape[:-2] + value.shape[-1:], value.bound)


def _vote(graph: _Growing) -> None:
    x = graph.pick("int", "float32")
    if x is None or len(graph.values[x].shape) != 1:
        return
    size = graph.values[x].shape[0]
    voters = int(graph.rng.choice([n for n in range(1, size + 1) if size % n == 0]))
    name = graph.name("vote")
    graph.builder.add("vote", x, name=name, attributes={"classes": size // voters, "voters": voters})
    graph.values[name] = ValueType("float32", (size // voters,))


_ADDERS = (_linear, _linear, _lif, _lif, _lif, _add, _max, _vote)
