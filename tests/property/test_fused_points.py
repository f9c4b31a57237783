"""Windows of points through matrices, neurons, residuals and maxima: what the native executor joins changes no bit.

The random graphs of `test_executor_equal` seldom hold whole blocks of SpikePoint; these hold little else. Only spikes
of at most 64 columns lie as bits, only plain neurons join their matrix, and a value that is an output joins nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.spikepoint_net import random_window
from edgesnn import _native
from edgesnn.graph import Builder, Document
from edgesnn.runtime import Model
from tests.drawn import drawn
from tests.property.test_executor_equal import run_python, same

WIDTHS = (1, 6, 16, 31, 32, 48, 64, 65, 130)


class Blocks:
    """Adds blocks to a document; a value is (name, columns)."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = np.random.default_rng(seed)
        points = int(rng.integers(2, 60))
        self.groups, self.neighbours = (int(rng.integers(1, points + 1)) for _ in range(2))
        section = {"kind": "points", "points": points, "groups": self.groups, "neighbours": self.neighbours}
        timing = {"window_us": 1000, "hop_us": 500, "min_events": 0, "time": "fixed", "sensor": [10, 10]}
        self.builder = Builder(input={**section, **timing, "steps": int(rng.integers(1, 5)), "seed": seed})
        self.outputs: list[str] = []
        self.count = 0

    def add(self, op: str, x: Any, **parts: Any) -> str:
        self.count += 1
        return str(self.builder.add(op, x, name=f"{op}{self.count}", **parts))

    def block(self, x: tuple[str, int], width: int, activations: str = "int") -> tuple[str, int]:
        """A matrix and its neurons."""
        rng, (name, columns) = self.rng, x
        weight = rng.integers(-127, 128, (width, columns)).astype(np.int8)
        tensors = {
            "weight": weight if rng.integers(8) else weight.astype(np.float32),
            "scale": rng.uniform(0, 0.03, width).astype(np.float32),
            "bias": rng.normal(0, 0.2, width).astype(np.float32),
        }
        y = self.add("linear", name, attributes={"activations": activations}, tensors=tensors)
        flags = {"compare": str(rng.choice(["ge", "gt"])), "reset": str(rng.choice(["zero", "subtract", "none"]))}
        neuron = {"alpha": rng.uniform(0, 1, width).astype(np.float32), "v_th": np.array([1], np.float32)}
        if rng.integers(8) == 0:
            neuron["gain"] = np.array([1.5], np.float32)  # no plain neurons
        s = self.add("lif", y, attributes=flags, tensors=neuron)
        if rng.integers(12) == 0:
            self.outputs.append(str(rng.choice([y, s])))
        return s, width

    def residual(self, x: tuple[str, int], depth: int) -> tuple[str, int]:
        """Blocks back to the width of x, and x added."""
        y = x
        for _ in range(depth):
            y = self.block(y, int(self.rng.choice(WIDTHS)))
        return self.add("add", [self.block(y, x[1])[0], x[0]]), x[1]

    def pooled(self, x: tuple[str, int]) -> tuple[str, int]:
        return self.add("max", x[0]), x[1]


def random_net(seed: int) -> Document:
    """Return a net of one or two residual blocks over the members, a maximum, and as much over the groups."""
    net = Blocks(seed)
    rng = net.rng
    rate, polarity = bool(rng.integers(2)), bool(rng.integers(2))
    coding = {"coding": "rate" if rate else "direct", "polarity": polarity}
    local, centre = net.builder.add("point_code", "input", name="code", attributes=coding)
    kind = "int" if rate else "float32"
    x = net.block((str(local), 7 if polarity else 6), int(rng.choice(WIDTHS)), kind)
    for _ in range(int(rng.integers(1, 3))):
        x = net.residual(x, int(rng.integers(0, 3)))
    x = net.pooled(x)
    if rng.integers(2):
        beside = net.residual(net.block((str(centre), 3), x[1], kind), 1)
        x = net.add("add", [x[0], beside[0]]), x[1]
    x = net.block(net.residual(net.block(x, int(rng.choice(WIDTHS))), 0), int(rng.choice(WIDTHS)))
    x = net.pooled(x)
    return net.builder.document(outputs=[x[0], *sorted({name for name in net.outputs if name != x[0]})])


def check(seed: int) -> int:
    """Compare whole windows and single steps, on one thread and on two; return the spikes."""
    document = random_net(seed)
    reference = Model(document, backend="reference").session()
    native = Model(document, backend="native")
    sessions = [native.session(), native.session(threads=2)]
    spikes = 0
    for number in range(2):
        window = random_window(document, number=number, seed=seed + number)
        outputs: Any = reference.run(window)
        spikes += reference.spikes
        for session in sessions:
            same(outputs, session.run(window))
            assert session.layers == reference.layers
            assert session.snapshot() == reference.snapshot()
    stepped = reference.step(window)
    for session in sessions:
        same(stepped, session.step(window))
        assert session.snapshot() == reference.snapshot()
    return spikes


@settings(max_examples=80)
@given(st.integers(0, 2**32))
def test_blocks_over_points_equal_the_reference(seed: int) -> None:
    check(seed)


@pytest.mark.parametrize("arm", _native.executor.arms())
def test_blocks_over_points_equal_the_reference_on_every_arm(arm: str) -> None:
    script = (
        "from edgesnn import _native; from tests.property.test_fused_points import check\n"
        f"assert _native.executor.arm() == {arm!r}\n"
        f"spikes = [check(seed) for seed in range({drawn(60)})]\n"
        "assert sum(map(bool, spikes)) > len(spikes) * 2 // 3, spikes"
    )
    run_python(script, EDGESNN_ARM=arm)
