"""Work by layer: against the formulas of docs/operators.md, counted here one weight after the other from the recorded
values; and what `edgesnn eval` says of it."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.cli.main import main
from edgesnn.encode.spikes import SpikeEncoding, encode_spikes
from edgesnn.graph import Builder, Document, Int4
from edgesnn.runtime import Model
from edgesnn.runtime.session import Layer, Session
from edgesnn.runtime.windows import readout_of, run_window
from edgesnn.runtime.work import Work
from tests.unit.test_evaluate_spikes import STEPS, data, saved, sides

__all__ = ["data"]
STRIDE, PADDING, KERNEL = 2, 1, 3


def network() -> Document:
    """Return a convolution, a recurrent int4 layer and a float32 layer with graded input."""
    rng = np.random.default_rng(5)
    b = Builder(input={"kind": "spikes", "shape": [2, 6, 5], "value": "count", "bound": 3}, reset="window")

    def affine(n: int) -> dict[str, Any]:
        return {"scale": np.full(n, 0.1), "bias": np.zeros(n)}

    geometry = {"activations": "int", "stride": [STRIDE] * 2, "padding": [PADDING] * 2}
    kernel = {"weight": rng.integers(-9, 10, (4, 2, KERNEL, KERNEL)).astype(np.int8), **affine(4)}
    x = b.add("conv2d", "input", name="conv", attributes=geometry, tensors=kernel)
    leak = {"alpha": [0.5], "v_th": [0.4]}
    x = b.add("lif", x, name="lif", attributes={"spike": "floor", "cap": 4}, tensors=leak)
    x = b.add("reshape", x, name="flat", attributes={"shape": [36]})
    x = b.add("linear", x, name="fc", attributes={"activations": "int"},
              tensors={"weight": Int4(rng.integers(-8, 8, (7, 36))), **affine(7)})  # fmt: skip
    x = b.add("accumulate", x, name="sum", attributes={"mode": "sum"})
    graded = {"weight": rng.normal(0, 1, (3, 7)), **affine(3)}
    x = b.add("linear", x, name="out", attributes={"activations": "float32"}, tensors=graded)
    return b.document(outputs=x, readout={"node": x, "labels": ["a", "b", "c"]})


def places(at: int, size: int) -> int:
    """Return how many outputs of one axis see position `at`."""
    outputs = (size + 2 * PADDING - KERNEL) // STRIDE + 1
    return sum(0 <= at - o * STRIDE + PADDING < KERNEL for o in range(outputs))


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_every_number_of_every_layer_is_its_formula(backend: str) -> None:
    steps = 6
    xs = np.random.default_rng(1).integers(0, 4, (steps, 2, 6, 5)).astype(np.uint8)
    session = Model(network(), backend=backend).session(record=["lif", "sum"])
    session.run(xs)
    fired = np.asarray(session.recorded["lif"], np.int64)
    assert fired.max() > 1
    reached = sum(int(xs[i]) * 4 * places(i[2], 6) * places(i[3], 5) for i in product(*map(range, xs.shape)))
    conv = min(reached, steps * 4 * 2 * 9)
    to_fc = int(fired.sum()) * 7
    fc = min(to_fc * 4 // 8, steps * 7 * 36 * 4 // 8)
    layers = {layer.node: layer for layer in session.layers}
    assert layers == {
        "conv": Layer("conv", "conv2d", 0, reached, 0, conv, steps * 8 * 2),
        "lif": Layer("lif", "lif", int(fired.sum()), 0, 0, steps * 36 * 4, 0),
        "flat": Layer("flat", "reshape", 0, 0, 0, 0, 0),
        "fc": Layer("fc", "linear", 0, to_fc, 0, fc, steps * 4 * 3),
        "sum": Layer("sum", "accumulate", 0, 0, 0, steps * 7 * 4, 0),
        "out": Layer("out", "linear", 0, 0, steps * 3 * 7, steps * 3 * 7 * 4, steps * 32 * 32),
    }
    for layer in session.layers:
        assert layer.energy_uj == pytest.approx(1e-6 * (0.9 * layer.synops + 4.6 * layer.macs), rel=1e-12)
    assert session.energy_uj == pytest.approx(sum(layer.energy_uj for layer in session.layers), rel=1e-12)
    assert session.bytes_touched == sum(layer.bytes for layer in session.layers)
    assert session.bit_budget == {name: layers[name].bits for name in ("conv", "fc", "out")}


@pytest.mark.parametrize("early_exit", [None, {"confidence": 0.99, "min_steps": 3}])
@pytest.mark.parametrize("backend", ["native", "reference"])
def test_work_adds_up_what_windows_do_by_run_and_by_steps(early_exit: Any, backend: str) -> None:
    events = np.zeros(2 * STEPS, edgesnn.EVENT)
    events["t"], events["x"] = np.arange(2 * STEPS) * 500, np.arange(2 * STEPS) % 4 == 0
    window = encode_spikes(events, SpikeEncoding((2, 1), 1000, STEPS, STEPS, "zero", bound=1))
    work, model = Work(), Model(sides(early_exit), backend=backend)
    session: Session = model.session()
    made = [run_window(session, window, readout_of(model), work) for _ in range(2)]
    assert sum(layer.spikes for layer in work.layers) == sum(m.spikes for m in made)
    assert sum(layer.synops for layer in work.layers) == sum(m.synops for m in made)
    bits = {layer.node: layer.bits for layer in work.layers if layer.bits}
    assert bits == {"fc": sum(m.steps for m in made) * 32}
    assert work.mean(2)["layers"][1]["bits"] == made[0].steps * 32
    assert Work().mean(0) == {
        **dict.fromkeys(("spikes", "synops", "macs", "bytes", "bits", "energy_uj"), 0),
        "layers": [],
    }


def test_eval_says_the_work_of_a_window_by_layer(data: Path, tmp_path: Path, capsys: Any) -> None:
    """Four windows of 8, 8, 4 and 8 steps with one event each, that reaches two neurons and makes one spike."""
    model = saved(sides(), tmp_path)
    flags = ["--data", str(data), "--ids", "1-5", "--precisions", "float32,int8"]
    assert main(["eval", model, *flags, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    layers = {row["node"]: row for row in report["work"]["layers"]}
    nothing = {"spikes": 0, "synops": 0, "macs": 0, "bytes": 0, "bits": 0, "energy_uj": 0}
    energy = pytest.approx(14 * 0.9e-6, rel=1e-12)
    assert list(layers) == ["flat", "fc", "lif", "count"]
    assert layers["flat"] == {"node": "flat", "op": "reshape", **nothing}
    fc = {"synops": 14, "bytes": 14 * 4, "bits": STEPS * 32, "energy_uj": energy}
    assert layers["fc"] == {"node": "fc", "op": "linear", **nothing, **fc}
    assert layers["lif"] == {"node": "lif", "op": "lif", **nothing, "spikes": 7, "bytes": STEPS * 2 * 4}
    assert layers["count"]["bytes"] == STEPS * 2 * 8
    assert {k: report["work"][k] for k in ("spikes", "synops", "bits")} == {"spikes": 7, "synops": 14, "bits": 256}
    assert report["precisions"]["int8"]["work"]["bits"] == STEPS * 8
    assert main(["eval", model, *flags]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["work", "of", "a", "window,", "mean", "of", "4"] in lines
    assert ["fc", "0.0", "14.0", "0.0", "56.0", "256.0", "1.26e-05"] in lines
    assert ["all", "7.0", "14.0", "0.0", "248.0", "256.0", "1.26e-05"] in lines
