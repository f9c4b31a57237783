"""The shipped digits model on other people's recordings (N-MNIST): int8, float32 and torch say the same.

The torch form of the float32 file is an implementation apart: torch's matrix products, torch's batch norm, its own
neuron loop, all steps layer by layer.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn.encode.coding import direct_values
from edgesnn.encode.spans import encoded
from edgesnn.runtime.windows import encoding_of
from edgesnn.train.datasets import DataConfig, Sample, load_dataset
from edgesnn.train.evaluate import Scored, score, summarise

pytestmark = pytest.mark.conformance

DATA = "datasets/nmnist_1000.npz"
NEAR_THRESHOLD = 1e-5
SENSOR = (34, 34)


@pytest.fixture(scope="module")
def samples(shared) -> list[Sample]:
    """Return the 200 validation recordings."""
    return load_dataset(DataConfig(source=str(shared(DATA)))).validate


@pytest.fixture(scope="module")
def results(samples: list[Sample]) -> dict[str, list[Scored]]:
    """Score all validation recordings with both shipped files."""
    return {
        name: score(edgesnn.load(name), samples, SENSOR, lambda done: None) for name in ("digits", "digits-float32")
    }


def test_window_is_short_enough_that_every_recording_gives_a_decision(results: dict[str, list[Scored]]) -> None:
    model = edgesnn.load("digits")
    assert model.input["window_us"] <= 290_000
    assert all(r.vote is not None for r in results["digits"])


def test_int8_decides_as_float32_but_for_two_recordings(results: dict[str, list[Scored]]) -> None:
    votes = [[r.vote for r in results[name]] for name in results]
    assert len(votes[0]) == 200
    assert sum(a != b for a, b in zip(*votes, strict=True)) <= 2


def test_card_says_what_the_files_do(results: dict[str, list[Scored]]) -> None:
    card = (Path(edgesnn.__file__).parent / "zoo" / "digits.md").read_text(encoding="utf-8")
    labels = edgesnn.load("digits").readout["labels"]
    for name, title in (("digits", "SpikePoint int8"), ("digits-float32", "SpikePoint float32")):
        report = summarise(results[name], labels)
        row = re.search(rf"{title}[^|]*\| ([\d.]+) % \| ([\d.]+) %", card)
        assert row is not None
        expected = [f"{100 * report[key]:.1f}" for key in ("by_window", "by_vote")]
        assert list(row.groups()) == expected
    assert edgesnn.load("digits").identity in card


@pytest.mark.parametrize("one_in", [5, pytest.param(1, marks=pytest.mark.full)])
def test_torch_decides_as_the_runtime_on_the_validation_set(
    samples: list[Sample], results: dict[str, list[Scored]], one_in: int
) -> None:
    torch = pytest.importorskip("torch")
    from edgesnn.models.export import restore
    from edgesnn.train.features import features

    model = edgesnn.load("digits-float32")
    net, encoding = restore(model.document), encoding_of(model)
    differing = 0
    for sample, ours in zip(samples[::one_in], results["digits-float32"][::one_in], strict=True):
        windows = encoded(sample.events, encoding, SENSOR)
        with torch.no_grad():
            theirs = net(*features(windows, net.config.point_coding, encoding.steps, encoding.seed)).numpy()
        differing += int(theirs.mean(axis=0).argmax()) != ours.vote
    assert differing == 0


def test_every_layer_of_torch_fires_as_the_reference_when_fed_the_same_input(samples: list[Sample]) -> None:
    """Spikes are equal except where torch's membrane lies within 1e-5 of the threshold; those are counted."""
    torch = pytest.importorskip("torch")
    from edgesnn.models.export import restore
    from edgesnn.models.plif import V_TH
    from edgesnn.models.spikepoint import CBL

    model = edgesnn.load("digits-float32", backend="reference")
    net, encoding, steps = restore(model.document), encoding_of(model), model.input["steps"]
    inputs = {node.name: node.inputs[0] for node in model.document.nodes if node.op == "linear"}
    session = model.session(record=[node.name for node in model.document.nodes if node.op != "point_code"])
    total = near = differing = 0
    for sample in samples[:3]:
        window = encoded(sample.events, encoding, SENSOR)[0]
        session.run(window)
        local, centre = direct_values(window, net.config.point_coding)
        given = {**session.recorded, "code.local": local[None], "code.centre": centre[None]}
        for name, layer in net.named_modules():
            if not isinstance(layer, CBL) or layer.w is None:
                continue
            x = torch.from_numpy(np.asarray(given[inputs[name]], dtype=np.float32))
            with torch.no_grad():
                y = layer.linear(x)
                spikes, v = layer.membranes(y.reshape(y.shape[0], -1, y.shape[-1]))
            reference = torch.from_numpy(session.recorded[f"{name}.lif"].astype(np.float32)).reshape(spikes.shape)
            assert reference.sum() > 0, name
            # a step next to the threshold may change what follows in the same neuron: later steps of it are left out
            close = ((v - V_TH).abs() < NEAR_THRESHOLD).cummax(dim=0).values
            total, near = total + spikes.numel(), near + int(close.sum())
            differing += int(((spikes != reference) & ~close).sum())
    assert spikes.shape[0] == steps
    assert differing == 0
    assert near <= total / 10_000
