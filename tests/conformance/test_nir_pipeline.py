"""The N-MNIST network of sinabs' authors classifies recordings through the whole pipeline as it does in sinabs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("h5py", reason="h5py is not installed (extra nir)")

import edgesnn
from edgesnn.importers.nir import import_nir
from edgesnn.train.datasets import DataConfig, load_dataset
from edgesnn.train.evaluate import score, summarise

pytestmark = pytest.mark.conformance

FULL = pytest.mark.full
STEPS = 300
EVENTS = {"sensor": [34, 34], "bin_us": 1000, "steps": STEPS, "origin": "zero"}
LABELS = [str(digit) for digit in range(10)]
STILL = ("t_mono_us", "latency_us", "deadline_missed", "model")


@pytest.fixture(scope="module")
def cnn(shared):
    path = shared("conformance/nir/cnn_sinabs.nir")
    return import_nir(path, profile="sinabs", dt_us=1000, input="spikes", events=EVENTS, labels=LABELS)


@pytest.fixture(scope="module")
def expected(shared):
    with np.load(shared("conformance/nir/cnn_sinabs_counts_1000.npz")) as file:
        return dict(file)


@pytest.fixture(scope="module")
def digits(shared):
    data = load_dataset(DataConfig(source=str(shared("datasets/nmnist_1000.npz")), sensor="34x34"))
    return data.train + data.validate


def decided(model: edgesnn.Model, events: Any, packets: int) -> list[edgesnn.Prediction]:
    """Push a recording and let time pass to its window's end: a dozen of them end a little before."""
    pipeline = edgesnn.Pipeline(None, model)
    for packet in np.array_split(events, packets):
        pipeline.push(packet)
    pipeline.push(events[:0], t_end_us=1000 * STEPS)
    return list(iter(pipeline.poll, None))


@pytest.mark.parametrize(
    ("backend", "samples"), [("native", 20), ("reference", 1), pytest.param("native", 1000, marks=FULL)]
)
def test_a_recording_gets_the_class_that_sinabs_gives_it(cnn, digits, expected, backend, samples):
    model = edgesnn.Model(cnn, backend=backend)
    found = []
    for sample in digits[:samples]:
        (prediction,) = decided(model, sample.events, 1)
        assert prediction.sensor.t0_us == 0
        found.append(prediction.class_index)
    np.testing.assert_array_equal(found, expected["pred"][:samples])
    if samples == 1000:
        assert np.mean(found == expected["labels"]) == 0.989


def test_packets_change_nothing(cnn, digits):
    model = edgesnn.Model(cnn)
    for sample in digits[:3]:
        whole, split = (decided(model, sample.events, n)[0].to_dict() for n in (1, 97))
        assert {k: v for k, v in whole.items() if k not in STILL} == {k: v for k, v in split.items() if k not in STILL}


@pytest.mark.parametrize(("first", "last"), [(0, 20), pytest.param(0, 1000, marks=FULL)])
def test_eval_counts_them_as_sinabs_does(cnn, digits, expected, first, last):
    """A recording that ends before its window does has no decision there."""
    samples = digits[first:last]
    results = score(edgesnn.Model(cnn), samples, (34, 34), lambda _: None)
    votes = [result.vote for result in results]
    whole = np.array([sample.events["t"][-1] >= 1000 * STEPS for sample in samples])
    assert [vote is not None for vote in votes] == whole.tolist()
    np.testing.assert_array_equal([v for v in votes if v is not None], expected["pred"][first:last][whole])
    report = summarise(results, LABELS)
    assert report["by_window"] >= 0.98
