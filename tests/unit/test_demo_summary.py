"""The demo's figures: bounded memory however long `--keep` goes on, and the numbers of what arrived."""

from __future__ import annotations

import tracemalloc

import pytest

import edgesnn
from edgesnn.cli.summary import KEPT, Summary
from edgesnn.runtime.model import ZOO
from tests.predictions import make_prediction


@pytest.fixture(scope="module")
def model() -> edgesnn.Model:
    return edgesnn.load("gestures")


def test_memory_does_not_grow_with_the_predictions(model, monkeypatch):
    monkeypatch.setattr(Summary, "_full_speed", lambda self: (0, 0.0))
    summary = Summary(model, ZOO / "demo.raw")
    prediction = make_prediction(0)
    for number in range(KEPT):
        summary.add(prediction, 1.0 + number)
    tracemalloc.start()
    for number in range(3 * KEPT):
        summary.add(prediction, 2.0 + number)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 40 * KEPT, "three times what is kept has come, and what is kept has been replaced"
    facts = summary.to_dict()
    assert (facts["predictions"], facts["over_mqtt"]) == (4 * KEPT, 4 * KEPT)
    assert facts["arrive_us"]["p50"] == pytest.approx(1e3 * 2.5 * KEPT, rel=0.01), "of the last ones"
