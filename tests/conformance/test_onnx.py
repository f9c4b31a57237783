"""The onnx backend on the shipped models and on other people's networks: native's decisions, and the spikes of others.

`bench/backends.py` counts the same on more inputs. Spikes of networks of integers are exact; those of others are
compared with what the frameworks themselves gave, as native's are.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import edgesnn
from bench.backend_cases import NETWORKS, PRECISIONS, Case, compare, network, shipped
from edgesnn.encode.spikes import SpikeEncoding, spike_frames
from edgesnn.importers.nir import import_nir
from edgesnn.runtime.backends.onnx import OnnxBackend
from tests.loihi import INPUT, LAYERS, gesture_network
from tests.running import by_run, model_of

REASON = OnnxBackend().available()
pytestmark = [pytest.mark.conformance, pytest.mark.skipif(REASON is not None, reason=str(REASON))]

FULL = pytest.mark.full


@pytest.fixture
def counted(record_property):
    """Compare a case with native's and report what differs: in pytest's XML, and where a test fails."""

    def count(case: Case) -> dict[str, Any]:
        found = compare(case, "onnx")
        for key, value in found.items():
            record_property(key, value)
        print(f"{case.name}: {found}")
        return found

    return count


@pytest.mark.parametrize(
    ("precision", "amount"),
    [("int8", 1), ("int4", 1), *(pytest.param(precision, 20, marks=FULL) for precision in PRECISIONS)],
)
@pytest.mark.parametrize("name", ["digits", "gestures", "shakespeare"])
def test_shipped_models_decide_as_native(shared, counted, name, precision, amount):
    shared("datasets")
    found = counted(shipped(name, precision, amount))
    assert found["decisions"] >= min(amount, 9)
    assert found["different"] == 0
    assert found["mismatches"] <= 1e-4 * found["values"]
    assert found["spikes"] > 0


@pytest.mark.parametrize(
    ("precision", "amount"), [("int8", 4), ("int4", 4), *(pytest.param(p, 100, marks=FULL) for p in ("int8", "int4"))]
)
def test_the_shipped_token_model_in_integers_is_natives_bit_for_bit(shared, counted, precision, amount):
    """40 or 1,000 characters: every spike, and the last bit of every logit."""
    shared("datasets")
    found = counted(shipped("shakespeare", precision, amount))
    assert (found["mismatches"], found["largest"]) == (0, 0.0)
    assert found["decisions"] == 10 * amount


QUICK = ("loihi", "braille int8", "braille int4")


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in QUICK else FULL) for name in NETWORKS])
def test_conformance_networks_spike_as_native(shared, counted, name):
    pytest.importorskip("h5py", reason="h5py is not installed (extra nir)")
    if name.startswith("spikegpt"):
        pytest.importorskip("torch", reason="torch is not installed (extra test)")
    shared("conformance")
    found = counted(network(name, 2))
    assert found["different"] == 0
    assert found["mismatches"] == 0
    assert found["spikes"] > 50


@pytest.mark.full
def test_every_layer_of_the_loihi_network_spikes_as_often_as_slayers_equations_say(shared):
    case = json.loads(shared("conformance/loihi_gesture/expected.json").read_text("utf-8"))[0]
    with np.load(shared("conformance/loihi_gesture/weights.npz")) as weights:
        model = model_of(gesture_network(dict(weights)), "onnx")
    events = edgesnn.open(shared(case["recording"]), sensor=(128, 128)).read()
    spikes = by_run(model, spike_frames(events, SpikeEncoding.from_section(INPUT)), LAYERS)
    assert [int(spikes[name].sum(dtype=np.int64)) for name in LAYERS] == case["spikes_per_layer"]
    assert spikes["fc2.cuba"].sum(axis=0, dtype=np.int64).tolist() == case["output_spike_counts"]


@pytest.mark.parametrize("samples", [2, pytest.param(64, marks=FULL)])
def test_braille_spikes_are_snntorchs(shared, samples):
    pytest.importorskip("h5py", reason="h5py is not installed (extra nir)")
    options = {"profile": "snntorch-no-delay", "reset": "zero", "input": "spikes", "value": "binary"}
    model = model_of(import_nir(shared("conformance/nir/braille_noDelay_bias_zero.nir"), dt_us=100, **options), "onnx")
    with np.load(shared("conformance/nir/braille_zero_snntorch.npz")) as file:
        for sample in range(samples):
            ours = by_run(model, file["inputs"][sample], ["lif1.lif", "lif2"])
            assert (ours["lif1.lif"] != file["h_spk"][sample]).sum() == 0
            assert (ours["lif2"] != file["o_spk"][sample]).sum() == 0


@pytest.mark.parametrize("vocab", [77, pytest.param(300, marks=FULL)])
def test_spikegpt_spikes_as_the_official_code(shared, vocab):
    pytest.importorskip("torch", reason="torch is not installed (extra test)")
    from edgesnn.importers import import_spikegpt

    document = import_spikegpt(shared(f"conformance/spikegpt/sgpt_v{vocab}_L4_D64.pth"))
    with np.load(shared(f"conformance/spikegpt/sgpt_v{vocab}_L4_D64.npz")) as file:
        official = {key: file[key] for key in file.files}
    names = [f"blocks.{i}.{part}.lif" for part in ("att", "ffn") for i in range(4)]
    ours = by_run(model_of(document, "onnx"), official["tokens"], ["head", *names])
    for part in ("att", "ffn"):
        spikes = np.stack([ours[f"blocks.{i}.{part}.lif"] for i in range(4)], axis=1)
        expected = np.unpackbits(official[f"{part}_spikes"], axis=-1)[..., : spikes.shape[-1]]
        assert (spikes != expected).sum() == 0
    assert np.abs(ours["head"] - official["logits"]).max() <= 1e-4
