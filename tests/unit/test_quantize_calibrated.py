"""Calibrated ranges: the sums' error on what the matrices saw is never larger than without, and where from is kept."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.cli.main import main
from edgesnn.encode.spans import encode_span, spans
from edgesnn.errors import ModelError, UsageError
from edgesnn.events.writing import write
from edgesnn.graph import Builder, Document
from edgesnn.pipeline.bench import made_up_events
from edgesnn.quantize import calibrate, quantize
from edgesnn.quantize.calibrate import _rows
from edgesnn.quantize.moments import MAX_FULL, Moments
from edgesnn.quantize.rounding import quantize_groups, quantize_rows
from edgesnn.runtime import Model
from edgesnn.runtime.windows import encoding_of
from tests.one_operator import document as one
from tests.small_models import spikes_document

RNG = np.random.default_rng(5)


def skewed(rows: int, inputs: int) -> np.ndarray:
    """Return weights with a few large ones in each row, which round the others coarsely."""
    weights = RNG.normal(0, 1, (rows, inputs)) + 6 * (RNG.random((rows, inputs)) < 0.02)
    return weights.astype(np.float32)


def spikes(rows: int, inputs: int) -> np.ndarray:
    """Return spikes that come in bursts: neighbours fire together."""
    rates = np.repeat(RNG.random((rows, -(-inputs // 8))), 8, axis=1)[:, :inputs]
    return (RNG.random((rows, inputs)) < rates).astype(np.uint8)


def moments_of(x: np.ndarray) -> Moments:
    moments = Moments(x.shape[1])
    for part in np.array_split(x, 3):
        moments.add(part)
    return moments


def test_moments_are_the_squared_error_of_the_sums() -> None:
    x, errors = RNG.normal(1, 1, (50, 20)), RNG.normal(0, 1, (7, 20))
    moments = moments_of(x)
    np.testing.assert_allclose(moments.error(errors), np.square(x @ errors.T).sum(axis=0))
    np.testing.assert_allclose(errors @ moments.part(slice(0, 20)), moments.times(errors))
    assert moments.count == 50


def test_moments_of_many_inputs_hold_their_mean_and_their_spread() -> None:
    """Inputs that vary apart from each other: the short form is the whole one, but for chance."""
    inputs = MAX_FULL + 1
    x, errors = 3 + RNG.normal(0, 1, (4000, inputs)), RNG.normal(0.01, 1, (3, inputs))
    moments = moments_of(x)
    np.testing.assert_allclose(moments.error(errors), np.square(x @ errors.T).sum(axis=0), rtol=0.15)
    columns = slice(7, 39)
    only = np.zeros_like(errors)
    only[:, columns] = errors[:, columns]
    np.testing.assert_allclose(errors[:, columns] @ moments.part(columns), moments.times(only))


@pytest.mark.parametrize("number", ["int8", "int4"])
@pytest.mark.parametrize("inputs", [1, 40, 150])
def test_no_row_s_error_is_larger_with_a_calibration(number: str, inputs: int) -> None:
    weights, x = skewed(30, inputs), spikes(200, inputs)
    errors = []
    for moments in (None, moments_of(x)):
        q, step = quantize_rows(weights, number, moments)
        errors.append(np.square(x @ (q * step[:, None] - weights).T).sum(axis=0))
    assert (errors[1] <= errors[0]).all()
    if number == "int4" and inputs > 1:
        assert errors[1].sum() < 0.8 * errors[0].sum()


@pytest.mark.parametrize("inputs", [1, 40, 150])
def test_no_row_of_groups_has_a_larger_error_with_a_calibration(inputs: int) -> None:
    weights, x = skewed(30, inputs), RNG.normal(0.5, 1, (300, inputs))
    errors = []
    for moments in (None, moments_of(x)):
        q, m, step = quantize_groups(weights, 32, moments)
        assert m.min() >= 1
        size = (m * step[:, None]).repeat(32, axis=1)[:, :inputs]
        errors.append(np.square(x @ (q * size - weights).T).sum(axis=0))
    assert (errors[1] <= errors[0] * (1 + 1e-9)).all()
    if inputs > 1:
        assert errors[1].sum() < 0.9 * errors[0].sum()


def test_inputs_that_were_never_seen_change_nothing() -> None:
    weights = skewed(4, 40)
    for moments in (Moments(40), moments_of(np.zeros((5, 40)))):
        np.testing.assert_array_equal(quantize_rows(weights, "int4", moments)[0], quantize_rows(weights, "int4")[0])
        np.testing.assert_array_equal(quantize_groups(weights, 32, moments)[0], quantize_groups(weights, 32)[0])


@pytest.mark.parametrize("op", ["conv1d", "conv2d"])
def test_rows_of_a_convolution_are_what_its_places_see(op: str) -> None:
    """The sums of the plain matrix over these rows are the operator's own."""
    axes = 1 if op == "conv1d" else 2
    weight = RNG.normal(0, 1, (6, 2, *(3, 2)[:axes])).astype(np.float32)
    tensors = {"weight": weight, "scale": np.ones(6, np.float32), "bias": np.zeros(6, np.float32)}
    how = {"stride": [2] * axes, "padding": [1] * axes, "dilation": [1] * axes, "groups": 2, "activations": "float32"}
    made = one(op, [4, *(9, 7)[:axes]], how, tensors)
    x = RNG.normal(0, 1, (20, 4, *(9, 7)[:axes])).astype(np.float32)
    expected: Any = Model(made, backend="reference").session().run(x)
    ((_, view),) = made.analysis.operators
    found = np.concatenate(list(_rows(view, x)), axis=1)
    places = expected.reshape(20, 2, 3, -1)
    sums = np.einsum("gnk,gok->gno", found, weight.reshape(2, 3, -1)).reshape(2, 20, -1, 3)
    np.testing.assert_allclose(sums.transpose(1, 0, 3, 2), places, atol=1e-4)


def recording(path: Path, sensor: tuple[int, int], events: int, duration_us: int, seed: int = 1) -> Path:
    write(path, made_up_events(events, duration_us, sensor, seed), sensor=sensor)
    return path


def seen_by(document: Document, path: Path, most: int) -> dict[str, np.ndarray]:
    """Return the inputs [n, K] of each matrix over windows of a recording, by the reference backend."""
    model = Model(document, backend="reference")
    recorded, encoding = edgesnn.open(path), encoding_of(model)
    events, makers = recorded.read(), {value: node.name for node in document.nodes for value in node.outputs}
    nodes = [node for node in document.nodes if node.op == "linear"]
    session = model.session(record=sorted({makers[node.inputs[0]] for node in nodes}))
    busy = list(spans(events, encoding))
    seen: dict[str, list[Any]] = {node.name: [] for node in nodes}
    for place in np.linspace(0, len(busy) - 1, most).round().astype(int):
        session.run(encode_span(events, busy[place], encoding, recorded.sensor or (0, 0)), keep="none")
        for node in nodes:
            x = session.recorded[node.inputs[0]]
            seen[node.name].append(x.reshape(-1, x.shape[-1]).astype(np.float64))
    return {name: np.concatenate(parts) for name, parts in seen.items()}


def effective(document: Document, name: str) -> np.ndarray:
    """Return the real numbers that a matrix multiplies with, its scale included."""
    node = next(node for node in document.nodes if node.name == name)
    weight = document.unpack(node.tensors["weight"]).astype(np.float64)
    if "multiplier" in node.tensors:
        spread = document.unpack(node.tensors["multiplier"]).repeat(node.attributes["group"], axis=1)
        weight = weight * spread[:, : weight.shape[1]]
    return np.asarray(weight * document.unpack(node.tensors["scale"])[:, None])


def test_a_shipped_model_s_int4_sums_are_closer_when_calibrated(tmp_path: Path) -> None:
    path = recording(tmp_path / "a.raw", (34, 34), 9000, 400_000)
    full = edgesnn.load("digits-float32", backend="reference").document
    inputs = seen_by(full, path, 2)
    calibration = calibrate(full, [path], most=2)
    for weights in ("int8", "int4"):
        small = [quantize(full, weights), quantize(full, weights, calibration=calibration)]  # type: ignore[arg-type]
        totals = np.zeros(2)
        for name, x in inputs.items():
            exact = x @ effective(full, name).T
            errors = [np.square(x @ effective(document, name).T - exact).sum(axis=0) for document in small]
            assert (errors[1] <= errors[0] * (1 + 1e-6)).all(), name
            totals += [error.sum() for error in errors]
        assert totals[1] <= totals[0]
        if weights == "int4":
            assert totals[1] < 0.9 * totals[0]


def test_spikes_of_events_calibrate_their_matrix_and_the_layers_after_it(tmp_path: Path) -> None:
    """A model whose first matrix sees the events themselves; its states go on, so windows are the first ones."""
    path = recording(tmp_path / "a.raw", (6, 4), 3000, 60_000)
    document = events_model()
    calibration = calibrate(document, [path], most=3)
    assert calibration.recordings[0]["windows"] == 3
    assert {name: (len(m), m[0].count) for name, m in calibration.moments.items()} == {
        "conv": (2, 3 * 20 * 24),
        "fc": (1, 3 * 20),
    }
    small = quantize(document, "int4", calibration=calibration)
    assert small.identity != quantize(document, "int4").identity
    Model(small, backend="reference").session().run(np.ones((2, 2, 4, 6), np.uint8))


@pytest.mark.parametrize("value", ["int", "float32"])
def test_dense_frames_of_events_calibrate_as_spikes_do(value: str, tmp_path: Path) -> None:
    path = recording(tmp_path / "a.raw", (6, 4), 3000, 60_000)
    spikes_, frames = (calibrate(events_model(kind, 255), [path], most=2) for kind in ("count", value))
    for ours, theirs in zip(frames.moments["conv"], spikes_.moments["conv"], strict=True):
        assert ours.count == theirs.count
        np.testing.assert_array_equal(ours.part(slice(0, 9)), theirs.part(slice(0, 9)))
        assert ours.part(slice(0, 9)).any()


def test_recordings_of_another_sensor_calibrate_a_model_that_says_how(tmp_path: Path) -> None:
    path = recording(tmp_path / "a.raw", (12, 8), 3000, 60_000)
    with pytest.raises(ModelError, match="takes events of another sensor: found 12x8, expected 6x4"):
        calibrate(events_model(), [path], most=2)
    assert calibrate(events_model(adapt="downsample"), [path], most=2).moments["conv"][0].count > 0


def events_model(value: str = "count", bound: int = 3, **adapt: str) -> Document:
    events = {"sensor": [6, 4], "bin_us": 500, "origin": "first", "rounding": "floor", "polarity_order": [0, 1]}
    section = {
        "kind": "spikes" if value == "count" else "dense",
        "shape": [2, 4, 6],
        "value": value,
        "bound": 0 if value == "float32" else bound,
        "events": {**events, "steps": 20, "hop_steps": 20, **adapt},
    }
    b = Builder(input=section, reset="never")

    def layer(*shape: int) -> dict[str, np.ndarray]:
        weight = skewed(shape[0], int(np.prod(shape[1:]))).reshape(shape)
        return {"weight": weight, "scale": np.ones(shape[0], np.float32), "bias": np.zeros(shape[0], np.float32)}

    how = {"activations": "float32" if value == "float32" else "int", "padding": [1, 1], "groups": 2}
    x = b.add("conv2d", "input", name="conv", attributes=how, tensors=layer(4, 1, 3, 3))
    x = b.add("lif", x, name="lif", tensors={"alpha": [0.5], "v_th": [1.0]})
    x = b.add("reshape", x, name="flat", attributes={"shape": [96]})
    return b.document(outputs=b.add("linear", x, name="fc", attributes={"activations": "int"}, tensors=layer(5, 96)))


def test_the_command_says_and_keeps_what_calibrated_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [recording(tmp_path / f"{i}.raw", (34, 34), 9000, 400_000, seed=i) for i in range(2)]
    out = tmp_path / "small.safetensors"
    command = ["quantize", "digits-float32", "--weights", "int4", "-o", str(out), "--windows", "3", "--json"]
    assert main([*command, "--calibrate", *map(str, paths)]) == 0
    report = json.loads(capsys.readouterr().out)
    small = edgesnn.load(out, backend="reference").document
    expected = [
        {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "windows": 1} for path in paths
    ]
    assert report["calibrated"] == small.provenance["quantized"]["calibrated"] == expected
    assert main([*command[:-3], "--calibrate", str(paths[0]), "--windows", "2"]) == 0
    assert "calibrated by 2 windows of 0.raw" in capsys.readouterr().out
    assert main(command) == 2
    assert "windows of no recording" in capsys.readouterr().err
    assert main([*command, "--calibrate", str(tmp_path / "none.raw")]) == 3
    table = tmp_path / "a.txt"
    events = edgesnn.open(paths[0]).read()
    table.write_text("".join(f"{y} {x} {p} {t}\n" for t, x, y, p in events.tolist()))
    named = [*command[:-3], "--columns", "y,x,p,t"]
    assert main([*named, "--calibrate", str(table), "--windows", "2"]) == 0
    assert main(named) == 2
    assert "columns of no recording" in capsys.readouterr().err


def test_what_cannot_calibrate_is_refused(tmp_path: Path) -> None:
    path = recording(tmp_path / "a.raw", (34, 34), 9000, 100_000)
    full = edgesnn.load("digits-float32", backend="reference").document
    with pytest.raises(UsageError, match=r"no recording holds a window .*280000 us with at least 50 events"):
        calibrate(full, [path])
    with pytest.raises(UsageError, match="not a number of windows"):
        calibrate(full, [path], most=0)
    with pytest.raises(ModelError, match="does not say how events become its input"):
        calibrate(one("count", {"kind": "spikes", "shape": [3], "value": "binary", "bound": 1}), [path])
    with pytest.raises(UsageError, match=r"a model of tokens has no windows of recordings .*leave the recordings out"):
        calibrate(edgesnn.load("shakespeare", backend="reference").document, [path])
    integer = calibrate(spikes_document(), [recording(tmp_path / "b.raw", (16, 12), 3000, 200_000)], most=1)
    assert integer.moments == {}
    with pytest.raises(UsageError, match="calibration is of another model"):
        quantize(full, calibration=integer)
