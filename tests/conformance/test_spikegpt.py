"""SpikeGPT's step against the official code's outputs (shared/conformance/spikegpt), in every form of running.

Spikes are exact, logits within 1e-4, states and membranes within 1e-5 * max(1, |x|). The given networks have four
layers and cannot tell mode "author" from "train": eight layers are compared with an oracle in torch.
"""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed (extra test)")

from edgesnn.importers import import_rwkv4, import_spikegpt
from tests import token_nets
from tests.running import BACKENDS, by_run, by_step, model_of, resumed, together

CASES = ("sgpt_v77_L4_D64", "sgpt_v300_L4_D64")
ROWS = ("ffn.past.line", "att.past.line", "att.wkv.aa", "att.wkv.bb", "att.wkv.pp")


class Case:
    """One of the given networks: the official outputs, and our model."""

    def __init__(self, shared, name):
        with np.load(shared(f"conformance/spikegpt/{name}.npz")) as file:
            self.official = {key: file[key] for key in file.files}
        self.layers = json.loads(str(self.official["config"]))["n_layer"]
        self.tokens = self.official["tokens"]
        self.document = import_spikegpt(shared(f"conformance/spikegpt/{name}.pth"))

    @property
    def shown(self):
        """Nodes whose outputs are compared."""
        return ["head", *(f"blocks.{i}.{part}.lif" for part in ("att", "ffn") for i in range(self.layers))]

    @property
    def states(self):
        rows = [f"blocks.{i}.{row}" for i in range(self.layers) for row in ROWS]
        return [*rows, *(f"blocks.{i}.{part}.lif.v" for part in ("att", "ffn") for i in range(self.layers))]

    def compare(self, ours, key="logits"):
        """Compare what a run showed, [T, ...] by node."""
        for part in ("att", "ffn"):
            spikes = np.stack([ours[f"blocks.{i}.{part}.lif"] for i in range(self.layers)], axis=1)
            expected = np.unpackbits(self.official[f"{part}_spikes"], axis=-1)[..., : spikes.shape[-1]]
            assert (spikes != expected).sum() == 0
            assert 0.01 < expected.mean() < 0.9
        assert np.abs(ours["head"] - self.official[key]).max() <= 1e-4

    def compare_states(self, ours):
        """Compare the states, [T, ...] by name, at the given steps."""
        steps = self.official["state_steps"]
        for i in range(self.layers):
            wanted = {f"{i}.{row}": self.official["state"][:, 5 * i + n] for n, row in enumerate(ROWS)}
            wanted |= {f"{i}.{part}.lif.v": self.official[f"{part}_v"][:, i] for part in ("att", "ffn")}
            for name, expected in wanted.items():
                found = ours[f"blocks.{name}"][steps].reshape(expected.shape)
                assert (np.abs(found - expected) <= 1e-5 * np.maximum(1, np.abs(expected))).all(), name


@pytest.fixture(scope="module", params=CASES)
def case(request, shared):
    return Case(shared, request.param)


@pytest.mark.conformance
@pytest.mark.parametrize("backend", BACKENDS)
def test_each_step_is_the_official_one(case, backend):
    ours = by_step(model_of(case.document, backend), case.tokens, case.shown, case.states)
    case.compare(ours)
    case.compare_states(ours)


@pytest.mark.conformance
@pytest.mark.parametrize("backend", ["native", pytest.param("reference", marks=pytest.mark.full)])
def test_run_step_many_and_a_restored_session_are_the_official_steps(case, backend, tmp_path):
    model = model_of(case.document, backend)
    case.compare(by_run(model, case.tokens, case.shown))
    step = int(np.random.default_rng().integers(1, len(case.tokens)))
    case.compare(resumed(model, case.tokens, case.shown, step, tmp_path))
    streams = together(model, np.stack([case.tokens] * 3), case.shown)
    for i in range(3):
        case.compare({name: rows[i] for name, rows in streams.items()})


@pytest.mark.conformance
def test_both_modes_of_four_layers_are_one_network(case, shared):
    """The official code gives the same logits without its rescaling, and so do we."""
    plain = import_spikegpt(
        shared(f"conformance/spikegpt/sgpt_v{case.document.input['vocab']}_L4_D64.pth"), mode="train"
    )
    case.compare(by_run(model_of(plain, "native"), case.tokens, case.shown), "logits_no_rescale")


# --- eight layers: an oracle in torch -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """Return a checkpoint of eight layers: (its tensors, its path)."""
    import torch

    tensors = token_nets.checkpoint(8, 32, 77, seed=5)
    path = tmp_path_factory.mktemp("deep") / "deep.pth"
    torch.save(tensors, path)
    return tensors, path


TOKENS = np.random.default_rng(1).integers(0, 77, 12)


def compare_with_torch(document, trace, backend):
    layers = [f"blocks.{i}.{part}.sum" for part in ("att", "ffn") for i in range(8)]
    ours = by_run(model_of(document, backend), TOKENS, ["head", *layers])
    assert trace.margin > 1e-5
    assert np.abs(ours["head"] - trace.stacked("logits")).max() <= 1e-4
    return ours["head"]


@pytest.mark.parametrize(
    ("binarise", "backend"),
    [
        ("auto", "native"),
        ("no", "native"),
        *(pytest.param(binarise, "reference", marks=pytest.mark.full) for binarise in ("auto", "no")),
    ],
)
def test_the_modes_of_eight_layers_are_two_networks(deep, binarise, backend):
    tensors, path = deep
    logits = {}
    for mode in ("author", "train"):
        trace = token_nets.run(tensors, TOKENS, rescale=mode == "author", binarise=binarise == "auto")
        document = import_spikegpt(path, mode=mode, binarise=binarise)
        logits[mode] = compare_with_torch(document, trace, backend)
        for part in ("att", "ffn"):
            names = [f"blocks.{i}.{part}.lif" for i in range(8)]
            ours = by_run(model_of(document, backend), TOKENS, names)
            np.testing.assert_array_equal(np.stack([ours[n] for n in names], axis=1), trace.stacked(part))
            assert 0.02 < trace.stacked(part).mean() < 0.8
    assert np.abs(logits["author"] - logits["train"]).max() > 0.1


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_past_that_is_forgotten_at_once(deep, tmp_path, backend):
    import torch

    tensors = {**deep[0], "blocks.0.att.time_decay": torch.full((32,), 1000.0)}
    path = tmp_path / "forgetful.pth"
    torch.save(tensors, path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        document = import_spikegpt(path, mode="train")
    compare_with_torch(document, token_nets.run(tensors, TOKENS, rescale=False, binarise=True), backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("mode", ["author", "train"])
def test_rwkv4_has_no_neurons(deep, mode, backend):
    tensors, path = deep
    document = import_rwkv4(path, mode=mode)
    assert not [node for node in document.nodes if node.op == "lif"]
    trace = token_nets.run(tensors, TOKENS, rescale=mode == "author", spiking=False)
    ours = by_run(model_of(document, backend), TOKENS, ["head"])["head"]
    assert np.abs(ours - trace.stacked("logits")).max() <= 1e-4
