"""The given SpikeGPT networks with int8 and int4 weights: both backends to the bit, and the same weights in floats.

Nobody's code gives outputs of these weights, and quantised networks are not compared with the float one's spikes, as
random ones are chaotic. What the weights stand for is run by an oracle in torch, float64.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed (extra test)")

import torch

import edgesnn
from edgesnn.importers import import_spikegpt
from edgesnn.quantize import quantize
from tests import token_nets
from tests.running import BACKENDS, by_run, model_of, resumed, together

pytestmark = pytest.mark.conformance

FORMS = [("int8", 32), ("int4", 32), ("int4", 64)]
CASES = ("sgpt_v77_L4_D64", "sgpt_v300_L4_D64")
NEURONS = [f"blocks.{i}.{part}.lif" for part in ("att", "ffn") for i in range(4)]


@pytest.fixture(scope="module", params=CASES)
def given(request, shared):
    """Return (float model, official tensors, tokens) of a given network."""
    path = shared(f"conformance/spikegpt/{request.param}.pth")
    with np.load(path.with_suffix(".npz")) as file:
        tokens = file["tokens"]
    return import_spikegpt(path), torch.load(path, weights_only=True), tokens


def dequantised(document, node, group):
    """Return the matrix that a node's integers stand for, float32."""
    weight, scale = (document.unpack(node.tensors[role]) for role in ("weight", "scale"))
    integers = weight.astype(np.float32)
    if "multiplier" in node.tensors:
        integers *= document.unpack(node.tensors["multiplier"]).repeat(group, axis=1)[:, : weight.shape[1]]
    return integers * scale[:, None]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_every_matrix_is_integer_and_nothing_else(given, form):
    document = quantize(given[0], form[0], group=form[1])
    numbers = {node.name: document.tensors[node.tensors["weight"]].number for node in document.nodes if matrix(node)}
    assert set(numbers.values()) == {form[0]}
    assert len(numbers) == 2 + 4 * 7
    assert document.precision == form[0]
    for node in document.nodes:
        for role, name in node.tensors.items():
            if not matrix(node) or role not in ("weight", "scale", "multiplier"):
                np.testing.assert_array_equal(document.tensors[name].data, given[0].tensors[name].data)


def matrix(node):
    return node.op in ("embedding", "linear")


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_both_backends_give_the_same_bits_in_every_form(given, form, tmp_path):
    document, tokens = quantize(given[0], form[0], group=form[1]), given[2][:48]
    shown = ["head", *NEURONS]
    native, reference = (model_of(document, backend) for backend in ("native", "reference"))
    expected = by_run(reference, tokens, shown)
    step = int(np.random.default_rng().integers(1, len(tokens)))
    streams = together(native, np.stack([tokens] * 3), shown)
    others = [by_run(native, tokens, shown), resumed(native, tokens, shown, step, tmp_path)]
    for ours in (*others, *({name: rows[i] for name, rows in streams.items()} for i in range(3))):
        for name in shown:
            np.testing.assert_array_equal(ours[name], expected[name], err_msg=name)
    sessions = [model.session() for model in (native, reference)]
    for session in sessions:
        session.run(tokens, keep="none")
    assert sessions[0].snapshot() == sessions[1].snapshot()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_with_float_activations_they_run_as_what_their_integers_stand_for(given, form, backend, tmp_path):
    full, tensors, tokens = given
    document = quantize(full, form[0], group=form[1])
    document.save(tmp_path / "small.safetensors")
    model = edgesnn.load(tmp_path / "small.safetensors", backend=backend, activations="float32")
    stand_for = {node.name: dequantised(document, node, form[1]) for node in document.nodes if matrix(node)}
    weights = {**tensors, **{f"{name}.weight": torch.from_numpy(w) for name, w in stand_for.items() if name != "emb"}}
    trace = token_nets.run(weights, tokens, rescale=True, table=stand_for["emb"])
    ours = by_run(model, tokens, ["head", *NEURONS])
    for n, part in enumerate(("att", "ffn")):
        spikes = np.stack([ours[name] for name in NEURONS[4 * n : 4 * n + 4]], axis=1)
        assert (spikes != trace.stacked(part)).sum() == 0
        assert spikes.any()
    assert np.abs(ours["head"] - trace.stacked("logits")).max() <= 1e-4
