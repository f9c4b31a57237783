"""Pipelines over another sensor than the model's, and models that take events as dense frames."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesnn.cli.main import main
from edgesnn.encode.adapt import ADAPTS, placement
from edgesnn.encode.native import encode_spikes
from edgesnn.encode.spikes import SpikeEncoding
from edgesnn.errors import ModelError, UsageError
from edgesnn.events.types import EVENT
from edgesnn.graph import Builder, Document
from edgesnn.pipeline import Pipeline
from edgesnn.pipeline.bench import bench
from edgesnn.prediction import Prediction
from edgesnn.runtime import Model
from edgesnn.runtime.windows import encoding_of, readout_of, run_window, window_scores
from tests.small_models import EVENTS, LABELS, small_document, spikes_document
from tests.walks import same

WIDE = (37, 25)
BACKENDS = ["native", "reference"]


def make_events(sensor: tuple[int, int], count: int = 4000) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(7)
    events = np.empty(count, EVENT)
    events["t"] = 500 + np.sort(rng.integers(0, 600_000, count))
    events["x"], events["y"] = rng.integers(0, sensor[0], count), rng.integers(0, sensor[1], count)
    events["p"] = rng.integers(0, 2, count)
    return events


def told(prediction: Prediction) -> dict[str, Any]:
    """Return what does not depend on the model's name and on the events that it does not see."""
    left_out = ("model", "sensor")
    return {name: value for name, value in same(prediction).items() if name not in left_out}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("adapt", ADAPTS)
def test_predictions_are_those_of_events_moved_by_hand(adapt: Any, backend: str) -> None:
    events = make_events(WIDE)
    columns, rows = placement(adapt, WIDE, (16, 12))
    moved, seen = events.copy(), (columns[events["x"]] >= 0) & (rows[events["y"]] >= 0)
    moved["x"], moved["y"] = columns[events["x"]], rows[events["y"]]
    moved = moved[seen]
    own = Model(spikes_document(), backend=backend)
    first = events["t"][0] if adapt == "crop" else moved["t"][0]  # the crop may leave out the very first event
    moved = np.concatenate([np.array([(first, 0, 0, 0)], EVENT), moved]) if not seen[0] else moved
    expected = [told(p) for p in Pipeline([moved], own)]
    for pipeline in (
        Pipeline([events], Model(spikes_document(adapt=adapt), backend=backend), sensor=WIDE),
        Pipeline([events], own, sensor=WIDE, adapt=adapt),
    ):
        found = [told(p) for p in pipeline]
        assert found[2:] == expected[2:]  # the event added above is in the first two windows
        assert len(found) > 8
        outside = pipeline.counters["events_outside"]
        assert outside > 0 if adapt == "crop" else outside == 0


def test_another_sensor_is_refused_unless_model_or_caller_says_how() -> None:
    model = Model(spikes_document(), backend="reference")
    with pytest.raises(ModelError, match="takes events of another sensor: found 37x25, expected 16x12; say how"):
        Pipeline(None, model, sensor=WIDE)
    with pytest.raises(ModelError, match="only a larger sensor can be downsampled: found 8x8, expected at least 16x12"):
        Pipeline(None, model, sensor=(8, 8), adapt="downsample")
    with pytest.raises(UsageError, match="no such way to adapt a sensor: found 'stretch'"):
        Pipeline(None, model, sensor=WIDE, adapt="stretch")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="a model of points takes any sensor as it is"):
        Pipeline(None, Model(small_document(), backend="reference"), adapt="crop")


def test_a_snapshot_goes_on_and_fits_no_other_way_to_adapt() -> None:
    model, packets = Model(spikes_document()), np.array_split(make_events(WIDE), 9)
    whole = [same(p) for p in Pipeline(packets, model, sensor=WIDE, adapt="crop")]
    half = Pipeline(packets, model, sensor=WIDE, adapt="crop")
    for _ in range(4):
        next(half)
    rest = Pipeline(packets, model, sensor=WIDE, adapt="crop")
    rest.restore(half.snapshot())
    assert [same(p) for p in rest] == whole[4:]
    assert rest.counters["events_outside"] > 0
    with pytest.raises(ModelError, match="snapshot is of a sensor that was adapted otherwise"):
        Pipeline(packets, model, sensor=WIDE, adapt="letterbox").restore(half.snapshot())


def test_replay_takes_another_sensor_when_told_how(tmp_path: Path, capsys: Any) -> None:
    events, model = make_events((34, 34)), tmp_path / "m.safetensors"
    t = events["t"].astype(np.uint32)
    rows = np.stack([events["x"], events["y"], t >> 16 | events["p"].astype(np.uint32) << 7, t >> 8 & 255, t & 255], 1)
    (tmp_path / "clip.bin").write_bytes(rows.astype(np.uint8).tobytes())
    spikes_document().save(model)
    replay = ["replay", str(tmp_path / "clip.bin"), "-m", str(model), "--sensor", "34x34", "--json"]
    assert main(replay) == 4
    assert "another sensor" in capsys.readouterr().err
    assert main([*replay, "--adapt", "letterbox"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 8


def numbered(document: Document) -> Document:
    assert document.readout is not None
    return replace(document, readout={**document.readout, "labels": [str(i) for i in range(len(LABELS))]})


def test_eval_takes_another_sensor_where_the_model_says_how(tmp_path: Path, capsys: Any) -> None:
    events, model, data = make_events((34, 34)), tmp_path / "m.safetensors", tmp_path / "data.npz"
    classes = len(LABELS)
    columns = {name: np.tile(events[name[0]], classes) for name in ("x", "y", "p", "t_us")}
    np.savez(data, **columns, offsets=len(events) * np.arange(classes + 1), ids=range(classes), labels=range(classes))
    flags = ["eval", str(model), "--data", str(data), "--ids", "0-9", "--sensor", "34x34", "--json"]
    numbered(spikes_document()).save(model)
    assert main(flags) == 4
    assert "data.npz: the model takes events of another sensor: found 34x34" in capsys.readouterr().err
    numbered(spikes_document(adapt="letterbox")).save(model)
    assert main(flags) == 0
    assert json.loads(capsys.readouterr().out)["work"]["spikes"] > 0


@pytest.mark.parametrize("value", ["int", "float32"])
def test_bench_takes_dense_frames(value: str) -> None:
    assert bench(Model(frames_document(value)), seconds=0.01, least=3)["windows"] >= 2


def frames_document(value: str, early_exit: dict[str, Any] | None = None, reset: str = "window") -> Document:
    """Return a model over dense frames of counts: `spikes_document` without its recurrence."""
    rng = np.random.default_rng(3)
    bound = {"int": 3, "float32": 0, "spikes": 3}[value]
    kind = {"kind": "spikes", "value": "count"} if value == "spikes" else {"kind": "dense", "value": value}
    builder = Builder(input={**kind, "shape": [2, 12, 16], "bound": bound, "events": EVENTS}, reset=reset)
    flat = builder.add("reshape", "input", name="flat", attributes={"shape": [384]})
    n = len(LABELS)
    tensors = {
        "weight": rng.integers(-8, 9, (n, 384)).astype(np.float32),
        "scale": np.full(n, 1 / 32, np.float32),
        "bias": np.zeros(n, np.float32),
    }
    activations = "float32" if value == "float32" else "int"
    x = builder.add("linear", flat, name="fc", attributes={"activations": activations}, tensors=tensors)
    x = builder.add("lif", x, name="lif", tensors={"alpha": [0.5], "v_th": [1.0]})
    readout = {"node": "count", "labels": list(LABELS), "temperature": 2.0, "early_exit": early_exit}
    return builder.document(outputs=builder.add("count", x, name="count"), readout=readout)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("early_exit", [None, {"confidence": 0.5, "min_steps": 4}])
@pytest.mark.parametrize("value", ["int", "float32"])
def test_dense_frames_of_events_decide_as_spikes_do(value: str, early_exit: Any, backend: str) -> None:
    """Whole-number weights: the float sums are exact, so a float frame and a list of spikes give the same bits."""
    events = [make_events((16, 12))]
    work = () if value == "int" else ("synops", "energy_uj_estimate")  # of floats they are multiply-adds
    found, expected = (
        [
            {k: v for k, v in told(p).items() if k not in work}
            for p in Pipeline(events, Model(frames_document(kind, early_exit), backend=backend))
        ]
        for kind in (value, "spikes")
    )
    assert found == expected
    assert len({p["class"] for p in found}) > 1
    assert (min(p["steps"] for p in found) < 20) == (early_exit is not None)


@pytest.mark.parametrize("value", ["int", "float32"])
def test_dense_frames_go_through_a_session_as_arrays(value: str) -> None:
    events = make_events((16, 12))
    model = Model(frames_document(value))
    encoding = encoding_of(model)
    first = next(Pipeline([events], model))
    assert isinstance(encoding, SpikeEncoding)
    window = encode_spikes(events, encoding)
    frames = window.counts((2, 12, 16))
    assert frames.max() > 1
    session = model.session()
    scores = np.asarray(session.run(frames.astype(np.float32) if value == "float32" else frames))
    np.testing.assert_array_equal(window_scores(model.session(), window), scores)
    made = run_window(model.session(), window, readout_of(model))
    np.testing.assert_array_equal(made.scores, scores[-1])
    assert first.spikes == made.spikes == session.spikes


def test_dense_frames_with_a_state_that_goes_on_need_windows_that_follow_each_other() -> None:
    with pytest.raises(ModelError, match="states that windows do not reset need windows that follow each other"):
        Pipeline(None, Model(frames_document("int", reset="never"), backend="reference"))
