"""`edgesnn eval` on a model of spikes whose every score is known by hand: figures, precisions, early exit, refusals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.cli.main import main
from edgesnn.encode.spans import every_span
from edgesnn.graph import Builder
from edgesnn.pipeline import Pipeline
from edgesnn.quantize import quantize
from edgesnn.runtime.windows import encoding_of, readout_of
from edgesnn.train.datasets import Sample
from edgesnn.train.early_exit import curve
from edgesnn.train.evaluate import score
from tests.small_models import small_document, spikes_document
from tests.unit.test_pipeline_spikes import make_events

STEPS = 8


SIDES = np.array([[1, 0, 1, 0], [0, 1, 0, 1]], np.float32)


def sides(early_exit: dict[str, Any] | None = None, reset: str = "window", weight: Any = SIDES) -> Any:
    """Return a model that counts the steps with an event on the left and on the right of a sensor of two pixels."""
    events = {"sensor": [2, 1], "bin_us": 1000, "origin": "zero", "rounding": "floor", "polarity_order": [0, 1]}
    section = {"kind": "spikes", "shape": [2, 1, 2], "events": {**events, "steps": STEPS, "hop_steps": STEPS}}
    builder = Builder(input=section, reset=reset)
    flat = builder.add("reshape", "input", name="flat", attributes={"shape": [4]})
    tensors = {"weight": weight, "scale": np.ones(2, np.float32), "bias": np.zeros(2, np.float32)}
    current = builder.add("linear", flat, name="fc", attributes={"activations": "int"}, tensors=tensors)
    leak = {"alpha": np.ones(1, np.float32), "v_th": np.ones(1, np.float32)}
    count = builder.add("count", builder.add("lif", current, name="lif", tensors=leak), name="count")
    readout = {"node": count, "labels": ["0", "1"], "early_exit": early_exit}
    return builder.document(outputs=[count], readout=readout)


def recording(side: int, steps: Sequence[int], end_us: int = 1000 * STEPS) -> list[tuple[int, int]]:
    """Return (t, x): an event in the middle of each step, one on both sides at the end."""
    return [*((1000 * step + 500, side) for step in steps), (end_us, 0), (end_us, 1)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Write an .npz file: three right recordings, one whose label is wrong, one that ends too early."""
    every = range(STEPS)
    rows = [
        (0, recording(0, every)),
        (1, recording(1, every)),
        (1, recording(1, [0, 2, 4, 6])),
        (0, recording(1, every)),
        (0, recording(0, every, end_us=1000 * STEPS - 1)),
    ]
    events = [event for _, part in rows for event in part]
    offsets = np.cumsum([0, *(len(part) for _, part in rows)])
    path = tmp_path / "sides.npz"
    t, x = np.array(events, np.int64).T
    labels = np.array([label for label, _ in rows])
    zeros = np.zeros(len(t), np.uint8)
    np.savez(path, x=x, y=zeros, p=zeros, t_us=t, offsets=offsets, ids=np.arange(1, 6), labels=labels)
    return path


def saved(document: Any, tmp_path: Path) -> str:
    path = tmp_path / "sides.safetensors"
    document.save(path)
    return str(path)


def evaluated(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["eval", *arguments, "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def test_figures_are_those_counted_by_hand(data: Path, tmp_path: Path, capsys: Any) -> None:
    report = evaluated(capsys, saved(sides(), tmp_path), "--data", str(data), "--ids", "1-5")
    assert report["confusion"] == [[1, 1, 1], [0, 2, 0]]
    assert (report["recordings"], report["windows"], report["without_a_window"]) == (5, 4, 1)
    assert (report["by_window"], report["by_vote"], report["mean_steps"]) == (3 / 4, 3 / 5, STEPS)


def test_precisions_stand_side_by_side(data: Path, tmp_path: Path, capsys: Any) -> None:
    flags = ["--data", str(data), "--ids", "1-5", "--precisions", "float32,int8,int4"]
    model = saved(sides(), tmp_path)
    report = evaluated(capsys, model, *flags)
    assert [part["model"]["precision"] for part in report["precisions"].values()] == ["float32", "int8", "int4"]
    assert {part["by_vote"] for part in report["precisions"].values()} == {3 / 5}
    assert report["precisions"]["float32"]["model"] == report["model"]
    assert main(["eval", model, *flags]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[-3:]] == [[name, "60.0", "%"] for name in ("float32", "int8", "int4")]


def test_votes_that_a_precision_changes_are_counted(data: Path, tmp_path: Path, capsys: Any) -> None:
    """Eight events on the left are 8 * 0.2 and 8 * 0.28: one spike and two; in int4 0.28 of a largest 4 is nothing."""
    weight = np.array([[0.2, 0, 0.2, 0], [0.28, 4, 0.28, 4]], np.float32)
    flags = ["--data", str(data), "--ids", "1-5", "--precisions", "float32,int8,int4"]
    report = evaluated(capsys, saved(sides(weight=weight), tmp_path), *flags)
    assert [part["votes_that_differ"] for part in report["precisions"].values()] == [0, 0, 1]
    assert report["precisions"]["int4"]["confusion"][0][0] == report["confusion"][0][0] + 1


def test_early_exit_costs_what_can_be_computed(data: Path, tmp_path: Path, capsys: Any) -> None:
    """After k spikes p = e^k / (e^k + 1): above 0.9 from 3 on, above 0.99 from 5 on."""
    flags = ["--data", str(data), "--ids", "1-5", "--early-exit", "0.9,0.99,1"]
    model = saved(sides(), tmp_path)
    rows = evaluated(capsys, model, *flags)["early_exit"]
    assert [row["confidence"] for row in rows] == [0.9, 0.99, 1, None]
    assert [row["mean_steps"] for row in rows] == [(3 + 3 + 5 + 3) / 4, (5 + 5 + 8 + 5) / 4, STEPS, STEPS]
    assert {(row["by_window"], row["by_vote"]) for row in rows} == {(3 / 4, 3 / 5)}
    assert main(["eval", model, *flags]) == 0
    assert capsys.readouterr().out.splitlines()[-4].split()[:4] == ["0.9", "3.5", "43.8", "%"]


def test_the_models_own_early_exit_is_used_and_gives_the_least_steps(data: Path, tmp_path: Path, capsys: Any) -> None:
    model = saved(sides({"confidence": 0.5, "min_steps": 2}), tmp_path)
    report = evaluated(capsys, model, "--data", str(data), "--ids", "1-5", "--early-exit", "0.5")
    assert report["mean_steps"] == 2
    assert [row["mean_steps"] for row in report["early_exit"]] == [2, STEPS]


def test_models_of_points_have_a_curve_too() -> None:
    rng = np.random.default_rng(1)
    events = np.zeros(9_000, edgesnn.EVENT)
    events["t"] = np.sort(rng.integers(0, 400_000, 9_000))
    events["x"], events["y"] = rng.integers(0, 128, (2, 9_000))
    model = edgesnn.Model(small_document())
    rows = curve(model, [Sample("s", events, 0)], (128, 128), [0.4], lambda _: None)
    assert rows[0]["mean_steps"] < rows[1]["mean_steps"] == 4


@pytest.mark.parametrize(
    "options", [{}, {"reset": "never", "hop_steps": 20}, {"origin": "zero", "rounding": "nearest"}]
)
def test_windows_and_scores_are_those_of_the_pipeline(options: dict[str, Any]) -> None:
    model, events = edgesnn.Model(spikes_document(**options)), make_events()
    (result,) = score(model, [Sample("s", events, 0)], (16, 12), lambda _: None)
    predictions = list(Pipeline([events], model))
    busy = [p for p in predictions if p.decision != "idle"]
    readout = readout_of(model)
    assert [p.topk and p.topk[0][1] for p in busy] == [float(readout.probabilities(row).max()) for row in result.scores]
    assert [p.sensor.t1_us for p in busy] == result.ends_us
    found = [(s.number, s.t0_us, s.t1_us, s.last - s.first, s.idle) for s in every_span(events, encoding_of(model))]
    expected = [(p.window, p.sensor.t0_us, p.sensor.t1_us, p.sensor.events, p.decision == "idle") for p in predictions]
    assert found == expected


def refusal(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    assert main(["eval", *arguments]) == code
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_what_cannot_be_evaluated_is_refused_in_one_line(data: Path, tmp_path: Path, capsys: Any) -> None:
    model = saved(sides(), tmp_path)
    base = (model, "--data", str(data), "--ids", "1-5")
    assert "no such precision: found 'int2'" in refusal(capsys, 2, *base, "--precisions", "int2")
    assert "a precision stands twice: found 'int8'" in refusal(capsys, 2, *base, "--precisions", "int8,int8")
    assert "not a confidence: found '1.5'" in refusal(capsys, 2, *base, "--early-exit", "0.5,1.5")
    assert "not a confidence: found 'x'" in refusal(capsys, 2, *base, "--early-exit", "x")
    wide = refusal(capsys, 4, *base, "--sensor", "4x4")
    assert "the model takes events of another sensor: found 4x4, expected 2x1" in wide
    assert "events are outside the sensor: found 2x1, expected inside 1x1" in refusal(
        capsys, 3, *base, "--sensor", "1x1"
    )
    going_on = tmp_path / "going_on.safetensors"
    sides(reset="never").save(going_on)
    line = refusal(capsys, 4, str(going_on), *base[1:], "--early-exit", "0.5")
    assert "windows of this model cannot stop early: found state 'lif.v' of reset policy 'never'" in line
    small = tmp_path / "int8.safetensors"
    quantize(sides()).save(small)
    line = refusal(capsys, 4, str(small), *base[1:], "--precisions", "int8,int4")
    assert "only a float32 model has other precisions: found int8" in line
