"""SpikePoint graphs of any size with random weights, for benches and tests: spike rates like a trained net's.

The shipped nets come from `edgesnn train spikepoint`; these only have its shape. The large one's thresholds are found
so that every layer spikes at one rate: left alone, some layers of a net so wide would nearly fall silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.encode.points import PointEncoding, PointWindow, group_points
from edgesnn.graph import Builder, Document
from edgesnn.quantize import quantize
from edgesnn.runtime.model import Model

_PAPER = {"points": 1024, "groups": 1024, "neighbours": 24, "steps": 16, "classes": 10, "voters": 10}
PAPER: dict[str, dict[str, Any]] = {
    "paper-small": {**_PAPER, "widths": (32, 64, 128, 256)},
    "paper-large": {**_PAPER, "widths": (64, 128, 256, 512), "rate": 0.15},
}


class _Net:
    """Adds SpikePoint's blocks to a builder."""

    def __init__(self, section: Mapping[str, Any], seed: int, thresholds: Mapping[str, float]) -> None:
        self.builder = Builder(input=section)
        self.thresholds = thresholds
        self.rng = np.random.default_rng(seed)
        self.count = 0

    def cbl(self, x: str, inputs: int, outputs: int, activations: str = "int") -> str:
        """Linear with scale and bias, then neurons."""
        self.count += 1
        weight = self.rng.normal(0, 1.5 / np.sqrt(inputs), (outputs, inputs)).astype(np.float32)
        tensors = {
            "weight": weight,
            "scale": self.rng.uniform(0.5, 1.5, outputs).astype(np.float32),
            "bias": self.rng.normal(-0.1, 0.2, outputs).astype(np.float32),
        }
        attributes = {"activations": activations}
        y = self.builder.add("linear", x, name=f"fc{self.count}", attributes=attributes, tensors=tensors)
        name = f"lif{self.count}"
        v_th = self.thresholds.get(name, 1.0)
        neuron = {"alpha": np.array([0.5], np.float32), "v_th": np.array([v_th], np.float32)}
        return str(self.builder.add("lif", y, name=name, tensors=neuron))

    def add(self, a: str, b: str) -> str:
        """Residual."""
        self.count += 1
        return str(self.builder.add("add", [a, b], name=f"add{self.count}"))

    def res_fb(self, x: str, width: int) -> str:
        """Bottleneck with residual."""
        return self.add(self.cbl(self.cbl(x, width, width // 2), width // 2, width), x)

    def res_f(self, x: str, width: int) -> str:
        """One layer with residual."""
        return self.add(self.cbl(x, width, width), x)


def document(
    size: Mapping[str, Any],
    coding: str = "rate",
    *,
    polarity: bool = False,
    seed: int = 0,
    thresholds: Mapping[str, float] | None = None,
) -> Document:
    """Return a float32 SpikePoint of the given size: points, groups, neighbours, steps, classes, voters, widths.

    `thresholds` are those of the neurons by name; 1 where none is given.
    """
    section = {
        **{name: size[name] for name in ("points", "groups", "neighbours", "steps")},
        **{"kind": "points", "sensor": [128, 128], "window_us": 500_000, "hop_us": 250_000, "min_events": 100},
        **{"time": "fixed", "seed": seed},
    }
    net = _Net(section, seed, thresholds or {})
    b, d = net.builder, size["widths"]
    kind = "int" if coding == "rate" else "float32"
    local, centre = b.add("point_code", "input", name="code", attributes={"coding": coding, "polarity": polarity})
    pooled = b.add("max", net.res_fb(net.cbl(local, 7 if polarity else 6, d[0], kind), d[0]), name="pool_members")
    x = net.add(pooled, net.res_fb(net.cbl(centre, 3, d[0], kind), d[0]))
    x = net.res_f(net.cbl(x, d[0], d[1]), d[1])
    x = net.res_f(net.cbl(x, d[1], d[2]), d[2])
    x = b.add("max", net.cbl(x, d[2], d[3]), name="pool_groups")
    x = net.cbl(net.cbl(x, d[3], d[3]), d[3], size["classes"] * size["voters"])
    attributes = {"classes": size["classes"], "voters": size["voters"]}
    scores = b.add("vote", x, name="vote", attributes=attributes)
    labels = [f"class {i}" for i in range(size["classes"])]
    return b.document(outputs=[scores], readout={"node": scores, "labels": labels})


def quantized(size: Mapping[str, Any], coding: str = "rate") -> Document:
    """Return the same net with int8 weights, every layer at the size's `rate` if it names one."""
    thresholds = thresholds_at(size, coding, size["rate"]) if "rate" in size else None
    return quantize(document(size, coding, thresholds=thresholds))


def thresholds_at(size: Mapping[str, Any], coding: str, rate: float) -> dict[str, float]:
    """Return thresholds at which each layer spikes at about `rate`, bisected layer by layer on a net of few points."""
    few = {**size, "points": 128, "groups": 128}
    names = [node.name for node in document(few, coding).nodes if node.op == "lif"]
    found: dict[str, float] = {}
    for name in names:
        low, high = 0.0, 4.0
        while high - low > 0.02:
            found[name] = 0.5 * (low + high)
            low, high = (found[name], high) if _rate(few, coding, found, name) > rate else (low, found[name])
    return found


def _rate(size: Mapping[str, Any], coding: str, thresholds: Mapping[str, float], name: str) -> float:
    """Return the share of a layer's neurons and steps that spike."""
    model = Model(quantize(document(size, coding, thresholds=thresholds)))
    session = model.session(record=[name])
    session.run(random_window(model.document), keep="none")
    return float(session.recorded[name].mean())


def random_window(doc: Document, *, number: int = 5, seed: int = 0) -> PointWindow:
    """Return a window of clustered random points, as the document's input wants it."""
    section = doc.input
    rng = np.random.default_rng(seed)
    count = section["points"]
    coordinates = np.empty((count, 4), dtype=np.int32)
    centres = rng.integers(2000, 14000, (8, 2))[rng.integers(0, 8, count)]
    coordinates[:, :2] = np.clip(centres + rng.normal(0, 700, (count, 2)), 0, 16383)
    coordinates[:, 2] = np.sort(rng.integers(0, 16384, count))
    coordinates[:, 3] = rng.integers(0, 2, count)
    return window_of(coordinates, section, number)


def window_of(coordinates: npt.NDArray[np.int32], section: Mapping[str, Any], number: int) -> PointWindow:
    """Return the window of given points."""
    fields = ("window_us", "hop_us", "min_events", "points", "groups", "neighbours", "steps", "time", "seed")
    return group_points(coordinates, PointEncoding(**{name: section[name] for name in fields}), number=number)
