"""`edgesnn.Pipeline` over models of spikes: backends, splits and snapshots; resets, silence, early exit, refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import edgesnn
from edgesnn.cli.main import main
from edgesnn.encode.spikes import SpikeEncoding, encode_spikes
from edgesnn.errors import ModelError, UsageError
from edgesnn.events.types import EVENT
from edgesnn.graph import Builder
from edgesnn.pipeline.bench import bench
from edgesnn.prediction import Prediction
from edgesnn.runtime.decide import Readout
from edgesnn.runtime.windows import encoding_of, readout_of, run_window, window_scores
from edgesnn.schemas import load_schema
from tests.small_models import small_document, spikes_document

BACKENDS = ("reference", "native")
STILL = ("t_mono_us", "latency_us", "deadline_missed", "stamp_ns", "model")


def make_events(count: int = 6_000, start_us: int = 70_000, duration_us: int = 700_000, seed: int = 0) -> Any:
    """A blob that moves, with a pause in the middle."""
    rng = np.random.default_rng(seed)
    events = np.zeros(count, dtype=EVENT)
    t = np.sort(rng.integers(0, duration_us, count))
    share = t / duration_us
    events["t"] = start_us + t + (t > duration_us // 2) * 450_000
    events["x"] = np.clip(rng.normal(2 + 12 * share, 1.5, count), 0, 15)
    events["y"] = np.clip(rng.normal(6, 2, count), 0, 11)
    events["p"] = rng.integers(0, 2, count)
    return events


def models(**options: Any) -> dict[str, edgesnn.Model]:
    return {name: edgesnn.Model(spikes_document(**options), backend=name) for name in BACKENDS}


def same(predictions: Any) -> list[dict[str, Any]]:
    return [{key: value for key, value in p.to_dict().items() if key not in STILL} for p in predictions]


def packets(events: Any, count: int) -> list[Any]:
    return np.array_split(events, count)


EARLY = {"confidence": 0.5, "min_steps": 3}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"hop_steps": 20, "reset": "never"},
    {"hop_steps": 33, "origin": "zero", "rounding": "nearest", "polarity_order": [1, 0]},
    {"early_exit": EARLY},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_backends_packets_and_snapshots_agree(options: dict[str, Any]) -> None:
    events, made = make_events(), models(**options)
    whole = {name: same(edgesnn.Pipeline([events], model)) for name, model in made.items()}
    assert whole["native"] == whole["reference"]
    assert len({str(p["topk"]) for p in whole["native"]}) > 3
    assert same(edgesnn.Pipeline(packets(events, 41), made["native"])) == whole["native"]
    for first, second in (("native", "reference"), ("reference", "native")):
        half = edgesnn.Pipeline(packets(events, 17), made[first])
        for _ in range(4):
            next(half)
        other = edgesnn.Pipeline(packets(events, 17), made[second])
        other.restore(half.snapshot())
        assert same(other) == whole["native"][4:]
        assert other.counters["spikes_clamped"] > half.counters["spikes_clamped"] > 0


def plain_scores(model: edgesnn.Model, predictions: list[Prediction], events: Any) -> list[Any]:
    """Each window's scores from arrays of counts, stepped one by one by a session that is reset before every window."""
    encoding, session, found = encoding_of(model), model.session(), []
    assert isinstance(encoding, SpikeEncoding)
    for p in predictions:
        window = encode_spikes(events, encoding, number=p.window, t0_us=p.sensor.t0_us)
        session.reset()
        for step in range(encoding.steps):
            active = window.indices[window.offsets[step] : window.offsets[step + 1]]
            counts = np.bincount(active, minlength=384).reshape(2, 12, 16)
            scores = session.step(counts)
        found.append(scores)
    return found


@pytest.mark.parametrize("options", [OPTIONS[0], OPTIONS[2]])
def test_a_window_is_its_steps_from_a_reset(options: dict[str, Any]) -> None:
    model, events = models(**options)["native"], make_events()
    predictions = list(edgesnn.Pipeline([events], model))
    readout = readout_of(model)
    for prediction, scores in zip(predictions, plain_scores(model, predictions, events), strict=True):
        if prediction.decision != "idle":
            assert prediction.topk is not None
            assert prediction.topk[0][1] == float(readout.probabilities(scores).max())
            assert prediction.steps == 20
    schema = jsonschema.Draft202012Validator(load_schema("prediction-1"))
    for seq, p in enumerate(predictions):
        schema.validate(p.numbered(node="n", boot_id="0" * 16, seq=seq, ts="2026-01-01T00:00:00.000Z").to_dict())
        assert Prediction.from_dict(p.to_dict()) == p
    assert {p.decision == "idle" for p in predictions} == {True, False}


def test_the_first_window_from_zero_is_the_one_of_the_first_event() -> None:
    model, events = models(origin="zero")["native"], make_events(start_us=70_000)
    predictions = list(edgesnn.Pipeline([events], model))
    assert predictions[0].window == 0
    assert predictions[0].sensor.t0_us == 0
    pipeline = edgesnn.Pipeline([make_events(start_us=10_000_000)], model)
    late = list(pipeline)
    assert (late[0].window, late[0].sensor.t0_us, late[0].sensor.t1_us) == (199, 9_950_000, 10_050_000)
    assert pipeline.counters["windows_skipped"] == 199


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_state_that_is_never_reset_goes_on_through_silence(backend: str) -> None:
    model, events = models(reset="never", hop_steps=20)[backend], make_events()
    predictions = list(edgesnn.Pipeline(packets(events, 5), model))
    steps = 20 * len(predictions)
    encoding = SpikeEncoding((16, 12), 5_000, steps, steps, bound=3)
    scores = window_scores(model.session(), encode_spikes(events, encoding))
    readout = readout_of(model)
    for number, prediction in enumerate(predictions):
        if prediction.decision != "idle":
            assert prediction.topk is not None
            assert prediction.topk[0][1] == float(readout.probabilities(scores[20 * number + 19]).max())
    decisions = [p.decision for p in predictions]
    assert "idle" in decisions[2:-2]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["spikes", "points"])
def test_a_window_stops_once_it_is_sure(kind: str, backend: str) -> None:
    if kind == "spikes":
        document, events = spikes_document(early_exit=EARLY), make_events()
    else:
        document, events = with_early_exit(small_document(), {"confidence": 0.45, "min_steps": 2}), wide_events()
    model = edgesnn.Model(document, backend=backend)
    readout = readout_of(model)
    assert readout.early_exit is not None
    predictions = [p for p in edgesnn.Pipeline([events], model) if p.decision != "idle"]
    done = {p.steps for p in predictions}
    last = model.input["steps"] if kind == "points" else 20
    assert len(done) > 1
    assert readout.early_exit.min_steps <= min(s or 0 for s in done) < last
    for p in predictions:
        assert p.topk is not None
        assert (p.steps == last) or p.topk[0][1] > readout.early_exit.confidence
    twin = edgesnn.Pipeline([events], edgesnn.Model(document, backend=BACKENDS[backend == "reference"]))
    assert same(predictions) == same(p for p in twin if p.decision != "idle")


def with_early_exit(document: Any, rule: dict[str, Any]) -> Any:
    return replace(document, readout={**document.readout, "early_exit": rule})


def wide_events() -> Any:
    rng = np.random.default_rng(3)
    events = np.zeros(20_000, dtype=EVENT)
    events["t"] = np.sort(rng.integers(0, 900_000, 20_000))
    for axis in ("x", "y"):
        events[axis] = np.clip(rng.normal(20, 6, 20_000) + events["t"] * 80 // 900_000, 0, 127)
    events["p"] = rng.integers(0, 2, 20_000)
    return events


def test_a_threshold_that_nothing_exceeds_changes_nothing() -> None:
    sure = {"confidence": 1.0, "min_steps": 1}
    whole = edgesnn.Pipeline([make_events()], models()["native"])
    stepped = edgesnn.Pipeline([make_events()], models(early_exit=sure)["native"])
    assert same(whole) == same(stepped)


def test_running_a_window_early_is_the_first_scores_that_the_rule_stops_at() -> None:
    model = models(early_exit=EARLY)["native"]
    readout, encoding, events = readout_of(model), encoding_of(model), make_events()
    window = encode_spikes(events, encoding)  # type: ignore[arg-type]
    scores = window_scores(model.session(), window)
    expected = next((k for k in range(1, 20) if readout.stops(scores[k - 1], k)), 20)
    made = run_window(model.session(), window, readout)
    assert made.steps == expected < 20
    np.testing.assert_array_equal(made.scores, scores[expected - 1])
    whole = run_window(model.session(), window, Readout(readout.labels, readout.temperature))
    assert whole.steps == 20
    assert 0 < made.synops < whole.synops


# --- refusals -------------------------------------------------------------------------------------------------------


def refused(document: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    """Return what `Pipeline` and `edgesnn replay` (exit code 4) say."""
    with pytest.raises(ModelError) as error:
        edgesnn.Pipeline(None, edgesnn.Model(document), **options)
    path = tmp_path / "net.safetensors"
    document.save(path)
    demo = Path(edgesnn.__file__).parent / "zoo" / "demo.raw"
    assert main(["replay", str(demo), "-m", str(path)]) == 4
    shown = capsys.readouterr().err
    assert str(error.value).split(": ", 1)[1].split(": ")[0] in shown
    return str(error.value)


def bare(events: Any, labels: bool, kind: str = "spikes") -> Any:
    section: dict[str, Any] = {"kind": kind, "shape": [2, 1, 1]}
    if kind == "spikes":
        section["events"] = events
    builder = Builder(input=section, reset="window")
    ones = {
        "weight": np.ones((2, 1, 1, 1), np.float32),
        "scale": np.ones(2, np.float32),
        "bias": np.ones(2, np.float32),
    }
    conv = builder.add(
        "conv2d",
        "input",
        name="conv",
        attributes={"activations": "int" if kind == "spikes" else "float32", "groups": 2},
        tensors=ones,
    )
    out = builder.add("reshape", conv, name="flat", attributes={"shape": [2]})
    return builder.document(outputs=[out], readout={"node": out, "labels": ["a", "b"]} if labels else None)


TINY = {"sensor": [1, 1], "bin_us": 1000, "origin": "zero", "rounding": "floor", "polarity_order": [0, 1]}
TINY = {**TINY, "steps": 4, "hop_steps": 4}


@pytest.mark.parametrize("kind", ["spikes", "dense"])
def test_a_model_without_events_is_refused_by_the_missing_field(kind: str, tmp_path: Path, capsys: Any) -> None:
    message = refused(bare(None, True, kind), tmp_path, capsys)
    assert "input.events: the model does not say how events become its input" in message
    assert "--input spikes --bin --sensor --steps" in message


def test_a_model_without_a_readout_is_refused_by_the_missing_field(tmp_path: Path, capsys: Any) -> None:
    message = refused(bare(TINY, False), tmp_path, capsys)
    assert "readout: the model cannot decide" in message
    assert "--labels" in message


def test_states_that_go_on_need_windows_that_follow_each_other(tmp_path: Path, capsys: Any) -> None:
    message = refused(spikes_document(reset="never"), tmp_path, capsys)
    assert "input.events.hop_steps" in message
    assert "found 10, expected steps, 20" in message


def test_states_that_go_on_cannot_stop_early(tmp_path: Path, capsys: Any) -> None:
    document = spikes_document(reset="never", hop_steps=20, early_exit=EARLY)
    assert "readout.early_exit" in refused(document, tmp_path, capsys)


def test_another_sensor_is_refused(tmp_path: Path, capsys: Any) -> None:
    message = refused(spikes_document(), tmp_path, capsys, sensor=(34, 34))
    assert "sensor: the model takes events of another sensor: found 34x34, expected 16x12" in message


def test_windows_by_count_are_refused() -> None:
    with pytest.raises(UsageError, match="window_events: a model of time steps takes no windows by count"):
        edgesnn.Pipeline(None, models()["native"], window_events=100)


def test_it_is_timed_like_any_other(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    facts = bench(models()["native"], seconds=0.05, least=3)
    assert facts["events_per_window"] == 320
    assert facts["hop_ms"] == 50
    assert 0 < facts["infer_ms"]["p50"] <= facts["infer_ms"]["p99"]
    path = tmp_path / "net.safetensors"
    spikes_document().save(path)
    assert main(["bench", str(path), "--events", "100", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["events_per_window"] == 100
