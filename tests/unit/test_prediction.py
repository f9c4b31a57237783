"""The record of a decision: what it prints validates against the published schema, and comes back unchanged."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesnn.errors import PublishError
from edgesnn.prediction import Latency, ModelInfo, Prediction, SensorWindow
from edgesnn.schemas import NAMES, load_schema

MODEL = ModelInfo("gestures", "0" * 64, "int8", "native")
WINDOW = SensorWindow(0, 500_000, 4711, 0)
LABELLED = Prediction(
    window=3,
    sensor=WINDOW,
    decision="label",
    label="hand clap",
    class_index=0,
    confidence=0.75,
    topk=(("hand clap", 0.75), ("arm roll", 0.25)),
    model=MODEL,
    latency_us=Latency(1.0, 0.5, 2000.25, 2001.75),
    spikes=100,
    synops=2000,
)
IDLE = replace(
    LABELLED, decision="idle", label=None, class_index=None, confidence=None, topk=None, spikes=None, synops=None
)
NONE = replace(LABELLED, decision="none", label=None, class_index=None, confidence=None)


def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(load_schema("prediction-1"))


def number(prediction: Prediction) -> Prediction:
    return prediction.numbered(node="gate", boot_id="0123456789abcdef", seq=7, ts="2026-01-02T03:04:05.678Z")


@pytest.mark.parametrize("name", NAMES)
def test_each_schema_is_a_schema(name):
    jsonschema.Draft202012Validator.check_schema(load_schema(name))


@pytest.mark.parametrize("prediction", [LABELLED, IDLE, NONE], ids=["label", "idle", "none"])
def test_a_numbered_record_validates_and_has_every_field(prediction):
    record = json.loads(number(prediction).to_json())
    validator().validate(record)
    assert set(record) == set(load_schema("prediction-1")["properties"]) - {"tokens"}


@pytest.mark.parametrize(
    "damage", [{"topk": (("hand clap", 0.5),)}, {"spikes": 3}, {"synops": 3}, {"energy_uj_estimate": 1.0}]
)
def test_an_idle_record_says_nothing_of_a_model_that_did_not_run(damage):
    assert validator().is_valid(number(IDLE).to_dict())
    assert not validator().is_valid(number(replace(IDLE, **damage)).to_dict())


@pytest.mark.parametrize("prediction", [LABELLED, NONE], ids=["label", "none"])
def test_a_record_of_a_model_that_ran_names_the_most_probable_labels(prediction):
    assert not validator().is_valid(number(replace(prediction, topk=None)).to_dict())


@pytest.mark.parametrize("prediction", [LABELLED, IDLE, NONE], ids=["label", "idle", "none"])
def test_a_record_comes_back_unchanged(prediction):
    assert Prediction.from_dict(json.loads(number(prediction).to_json())) == number(prediction)


def test_a_record_that_no_sink_numbered_does_not_validate():
    assert not validator().is_valid(LABELLED.to_dict())


@pytest.mark.parametrize(
    "damage",
    [
        {"schema": "edgesnn.prediction/2"},
        {"seq": -1},
        {"seq": None},
        {"confidence": 1.5},
        {"decision": "maybe"},
        {"decision": "idle"},
        {"label": None},
        {"node": "a/b"},
        {"stream": "a+b"},
        {"stream": ""},
        {"boot_id": "xyz"},
        {"ts": "yesterday"},
        {"topk": [["a", 0.5, 1]]},
        {"model": {"name": "m"}},
        {"late": None},
        {"sensor": None},
    ],
    ids=str,
)
def test_the_schema_refuses(damage):
    assert not validator().is_valid(number(LABELLED).to_dict() | damage)


def test_the_schema_allows_fields_of_later_versions():
    validator().validate(number(LABELLED).to_dict() | {"colour": "green"})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="confidence is"):
        replace(LABELLED, confidence=value)
    with pytest.raises(ValueError, match="infer is"):
        replace(LABELLED, latency_us=Latency(infer=value))


@pytest.mark.parametrize(
    "record",
    [{}, {"schema": "edgesnn.prediction/1"}, number(LABELLED).to_dict() | {"sensor": 3}, {"schema": "other"}]
    + [number(LABELLED).to_dict() | {"kind": kind} for kind in ("tokens", "smells", 3)],
    ids=["empty", "bare", "sensor", "other", "tokens", "smells", "number"],
)
def test_a_record_that_is_no_prediction_raises(record):
    with pytest.raises(PublishError, match="not a prediction"):
        Prediction.from_dict(record)


@given(
    confidence=st.floats(0, 1, width=32),
    t0_us=st.integers(-(2**62), 2**62),
    synops=st.integers(0, 2**62),
    label=st.text(min_size=1, max_size=50).filter(lambda text: text.isprintable()),
)
def test_any_values_survive_the_way_through_json(confidence, t0_us, synops, label):
    sensor = SensorWindow(t0_us, t0_us + 1, 1, 0)
    made = replace(number(LABELLED), confidence=confidence, sensor=sensor, synops=synops, label=label)
    assert Prediction.from_dict(json.loads(made.to_json())) == made


def test_the_module_needs_no_numpy():
    script = "import sys, edgesnn.prediction, edgesnn.schemas; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0
