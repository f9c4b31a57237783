"""Quantised weights: nearest, steps by channel or group, everything else untouched; the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from bench import spikepoint_net
from edgesnn.cli.main import main
from edgesnn.errors import UsageError
from edgesnn.graph import Builder, Document
from edgesnn.quantize import quantize
from edgesnn.quantize.rounding import quantize_groups, quantize_rows
from edgesnn.runtime import Model
from tests.graphs import random_document, random_inputs
from tests.one_operator import document as one

SMALL = {"points": 32, "groups": 8, "neighbours": 4, "steps": 3, "classes": 2, "voters": 2, "widths": (8, 16, 16, 32)}
RNG = np.random.default_rng(2)


@pytest.mark.parametrize(("weights", "low", "high"), [("int8", -127, 127), ("int4", -8, 7)])
def test_every_weight_is_within_half_a_step_of_the_float_one(weights: Any, low: int, high: int) -> None:
    full = spikepoint_net.document(SMALL)
    small = quantize(full, weights)
    assert (full.precision, small.precision) == ("float32", weights)
    for node in full.nodes:
        if node.op != "linear":
            continue
        weight, scale = full.unpack(f"{node.name}.weight").astype(np.float64), full.unpack(f"{node.name}.scale")
        w, s = small.unpack(f"{node.name}.weight"), small.unpack(f"{node.name}.scale")
        step = np.maximum(weight.max(axis=1) / high, weight.min(axis=1) / low)
        assert ((w.min(axis=1) == low) | (w.max(axis=1) == high)).all()
        assert (np.abs(w * step[:, None] - weight) <= 0.5000001 * step[:, None]).all()
        np.testing.assert_array_equal(s, (scale.astype(np.float64) * step).astype(np.float32))
        np.testing.assert_array_equal(small.unpack(f"{node.name}.bias"), full.unpack(f"{node.name}.bias"))


def test_a_channel_of_zeros_stays_zero_and_quantising_twice_changes_nothing() -> None:
    document = spikepoint_net.document(SMALL)
    weight = document.tensors["fc1.weight"].data
    weight.flags.writeable = True
    weight[:, 2] = 0
    small = quantize(document)
    assert not small.unpack("fc1.weight")[2].any()
    assert small.unpack("fc1.scale")[2] == document.unpack("fc1.scale")[2]
    assert quantize(small).identity == small.identity


@pytest.mark.parametrize("weights", ["int8", "int4"])
@pytest.mark.parametrize("activations", ["int", "float32"])
def test_a_matrix_whose_scale_would_pass_float32_stays_as_it_was(
    weights: Any, activations: str, tmp_path: Path
) -> None:
    section = {"kind": "spikes", "shape": [2]} if activations == "int" else {"kind": "dense", "shape": [2]}
    b = Builder(input=section)
    tensors = {"weight": np.float32([[3e38, 1], [1, 2]]), "scale": np.float32([1e10, 1]), "bias": np.zeros(2)}
    full = b.document(
        outputs=b.add("linear", "input", name="fc", attributes={"activations": activations}, tensors=tensors)
    )
    quantize(full, weights).save(tmp_path / "small.safetensors")
    small = edgesnn.load(tmp_path / "small.safetensors").document
    assert (small.nodes, small.precision) == (full.nodes, "float32")


def test_membranes_of_the_int8_net_follow_the_float_net() -> None:
    full = spikepoint_net.document(SMALL, coding="direct")
    window = spikepoint_net.random_window(full)
    sessions = [Model(d, backend="native").session(record=["fc1"]) for d in (full, quantize(full))]
    for session in sessions:
        session.step(window)
    a, b = (session.recorded["fc1"] for session in sessions)
    assert 0 < np.abs(a - b).max() < 0.05 * np.abs(a).max()


def test_groups_have_a_multiplier_of_the_row_s_step() -> None:
    matrix = RNG.normal(0, 1, (7, 150)) * np.repeat([1, 0.1, 3, 0.01, 1], 32)[:150]
    matrix[3] = 0
    matrix[4, :32] = 0
    w, m, step = quantize_groups(matrix.astype(np.float32), 32)
    assert (w.shape, m.shape, step.shape) == ((7, 150), (7, 5), (7,))
    assert (m.max(axis=1)[[0, 1, 2, 4, 5, 6]] == 255).all()
    assert (m >= 1).all()
    assert not w[3].any()
    assert not w[4, :32].any()
    size = (m * step[:, None]).repeat(32, axis=1)[:, :150]
    assert (np.abs(w * size - matrix) <= 0.51 * size + 0.5 * step[:, None] * 8).all()
    by_row, coarse = quantize_rows(matrix.astype(np.float32), "int4")
    assert np.square(w * size - matrix).sum() < 0.9 * np.square(by_row * coarse[:, None] - matrix).sum()


def graded() -> Document:
    """Return a net of a table, a graded matrix, a convolution of graded input, and one of spikes."""
    b = Builder(input={"kind": "tokens", "vocab": 11})
    x = b.add("embedding", "input", name="table", tensors={"weight": RNG.normal(0, 1, (11, 48)).astype(np.float32)})
    x = b.add("linear", x, name="fc", attributes={"activations": "float32"}, tensors=layer(60, 48))
    x = b.add("reshape", x, name="image", attributes={"shape": [3, 4, 5]})
    attributes = {"activations": "float32", "padding": [1, 1]}
    x = b.add("conv2d", x, name="conv", attributes=attributes, tensors=layer(4, 3, 3, 3))
    x = b.add("lif", x, name="lif", tensors={"alpha": [0.5], "v_th": [1.0]})
    x = b.add("conv2d", x, name="last", attributes={"activations": "int"}, tensors=layer(2, 4, 2, 2))
    return b.document(outputs=x)


def layer(outputs: int, *shape: int) -> dict[str, Any]:
    weight = RNG.normal(0, 1 / np.sqrt(np.prod(shape)), (outputs, *shape)).astype(np.float32)
    return {"weight": weight, "scale": np.ones(outputs, np.float32), "bias": np.zeros(outputs, np.float32)}


def test_each_layer_takes_the_form_of_its_input(tmp_path: Path) -> None:
    full = graded()
    for weights in ("int8", "int4"):
        small = quantize(full, weights, group=64)
        small.save(tmp_path / "m.safetensors")
        nodes = [n for n in edgesnn.load(tmp_path / "m.safetensors", backend="reference").document.nodes if n.tensors]
        numbers = {n.name: small.tensors[n.tensors["weight"]].number for n in nodes if "weight" in n.tensors}
        flags = {n.name: [n.attributes.get(a) for a in ("activations", "group")] for n in nodes}
        kinds = {name: (number, *flags[name]) for name, number in numbers.items()}
        group = 64 if weights == "int4" else 0
        assert kinds == {
            "table": (weights, None, None),
            "fc": (weights, "int8", group),
            "conv": (weights, "float32", group),
            "last": (weights, "int", 0),
        }
    assert {n.attributes.get("activations") for n in quantize(full, activations="float32").nodes} == {
        None,
        "float32",
        "int",
    }
    session, rounded = (Model(d, backend="reference").session(record=["fc"]) for d in (full, quantize(full, "int4")))
    session.step(3)
    rounded.step(3)
    error = np.abs(session.recorded["fc"] - rounded.recorded["fc"])
    assert 0 < error.max() < 0.35 * np.abs(session.recorded["fc"]).max()


def test_a_tensor_that_two_nodes_share_is_quantised_for_each() -> None:
    full = graded()
    nodes = list(full.nodes)
    twin = nodes[1].__class__("twin", "linear", ("table",), ("twin",), nodes[1].attributes, nodes[1].tensors)
    shared = full.__class__(full.input, (*nodes, twin), ("last", "twin"), full.states, full.tensors)
    small = quantize(shared)
    y: Any = Model(small, backend="reference").session(record=["fc", "twin"])
    y.step(4)
    np.testing.assert_array_equal(y.recorded["fc"], y.recorded["twin"])
    assert small.analysis.values["twin"].shape == (60,)


def test_sums_that_would_not_fit_stay_as_they_are() -> None:
    wide = {"weight": np.ones((1, 70000), np.float32), "scale": [1.0], "bias": [0.0]}
    counts = {"kind": "dense", "shape": [70000], "value": "int", "bound": 255}
    made = one("linear", counts, {"activations": "int"}, wide)
    assert quantize(made).precision == "float32"
    assert quantize(made, "int4").precision == "int4"
    graded_input = one("linear", [70000], {"activations": "float32"}, wide)
    assert quantize(graded_input, "int4").precision == "int8"


@pytest.mark.parametrize("weights", ["int8", "int4"])
@pytest.mark.parametrize("seed", range(12))
def test_any_document_can_be_quantised_and_runs(seed: int, weights: Any) -> None:
    full = random_document(seed)
    small = quantize(full, weights, group=128)
    assert {n.name for n in small.nodes} == {n.name for n in full.nodes}
    Model(small, backend="reference").session().run(random_inputs(small, seed, steps=2))


def test_the_command_writes_a_model_and_says_what_became_of_each_layer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "full.safetensors", tmp_path / "small.safetensors"
    graded().save(source)
    assert main(["quantize", str(source), "--weights", "int4", "-o", str(out), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    small = edgesnn.load(out, backend="reference")
    assert (report["sha256"], report["precision"]) == (small.identity, "int4")
    assert [entry["node"] for entry in report["layers"]] == ["table", "fc", "conv", "last"]
    assert report["bytes"] == sum(t.data.nbytes for t in small.document.tensors.values()) < report["bytes_before"]
    assert small.document.provenance["quantized"]["weights"] == "int4"
    assert main(["quantize", str(source), "--weights", "int4", "--group", "64", "-o", str(out)]) == 0
    assert "fc" in capsys.readouterr().out
    assert main(["quantize", str(source), "--weights", "int2", "-o", str(out)]) == 2
    assert main(["quantize", str(tmp_path / "none.safetensors"), "--weights", "int8", "-o", str(out)]) == 4


def test_unknown_forms_are_refused() -> None:
    for arguments in ({"weights": "int2"}, {"group": 16}, {"activations": "int4"}):
        with pytest.raises(UsageError, match="no such"):
            quantize(spikepoint_net.document(SMALL), **arguments)  # type: ignore[arg-type]
