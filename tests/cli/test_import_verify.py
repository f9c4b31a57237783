"""`edgesnn import` and `edgesnn verify` as commands: what they write, print and refuse."""

from __future__ import annotations

import io
import json
import pickle
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn.cli.main import main
from edgesnn.graph import Builder, read
from tests.nir_files import chain, ends, write

WEIGHT = np.array([[0.75, -0.25], [0.5, 0.5], [-0.25, 1.0]], np.float32)
FULL = np.ones(3)
NODES = {
    **ends(2, 3),
    "fc": {"type": "Affine", "weight": WEIGHT, "bias": np.zeros(3, np.float32)},
    "lif": {"type": "LIF", "tau": 2e-4 * FULL, "r": 2 * FULL, "v_leak": 0 * FULL, "v_threshold": FULL},
}
INPUTS = np.array([[1, 0], [1, 1], [0, 1], [1, 1], [0, 0], [1, 1]], np.uint8)


@pytest.fixture
def nir(tmp_path: Path) -> Path:
    return write(tmp_path / "net.nir", NODES, chain("fc", "lif"))


@pytest.fixture
def model(nir: Path, tmp_path: Path) -> Path:
    path = tmp_path / "net.safetensors"
    flags = ["--profile", "snntorch-no-delay", "--input", "spikes", "-o", str(path)]
    assert main(["import", str(nir), "--from", "nir", *flags]) == 0
    return path


def by_hand() -> tuple[np.ndarray, np.ndarray]:
    """Return spikes and membranes by snnTorch's equations: decay 0.5, threshold 1, reset by subtraction at once."""
    v = np.zeros(3)
    spikes, membranes = [], []
    for x in INPUTS:
        v = 0.5 * v + WEIGHT @ x
        fired = (v > 1).astype(float)
        v = v - fired
        spikes.append(fired)
        membranes.append(v)
    return np.array(spikes), np.array(membranes)


def outputs(path: Path, **changed: np.ndarray) -> str:
    spikes, membranes = by_hand()
    np.savez(path, **{"input": INPUTS, "spikes/lif": spikes, "membrane/lif": membranes, **changed})
    return str(path)


def saved(write: Callable[..., None], *arrays: np.ndarray, **named: np.ndarray) -> bytes:
    file = io.BytesIO()
    write(file, *arrays, **named)
    return file.getvalue()


def crooked(data: bytes) -> bytes:
    """Return a zip file whose first member has other bytes."""
    return data[:60] + b"\xff" * 20 + data[80:]


def zipped(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, data)
    return file.getvalue()


def test_import_writes_every_flag_and_where_it_came_from(capsys, model):
    document = read(model)
    lif = document.nodes[-1]
    assert (lif.attributes["reset"], lif.attributes["reset_at"]) == ("subtract", "no_double")
    assert (lif.attributes["compare"], lif.attributes["decay"]) == ("gt", "multiply")
    assert document.unpack(lif.tensors["alpha"]).tolist() == [0.5]
    made = document.provenance["imported"]
    assert (made["profile"], made["reset"], made["dt_us"]) == ("snntorch-no-delay", "subtract", 100)
    assert len(made["sha256"]) == 64
    assert "profile snntorch-no-delay, reset subtract, dt 100 us" in capsys.readouterr().out


def test_set_changes_one_flag_of_one_layer(nir, tmp_path):
    path = tmp_path / "set.safetensors"
    flags = ["--set", "lif.compare=ge", "--set", "lif.v_th=0.5", "--set", "lif.refractory=2"]
    assert main(["import", str(nir), "--from", "nir", "--profile", "norse", *flags, "-o", str(path)]) == 0
    lif = read(path).nodes[-1]
    assert (lif.attributes["compare"], lif.attributes["refractory"]) == ("ge", 2)
    assert read(path).unpack(lif.tensors["v_th"]).tolist() == [0.5]


def test_events_and_labels_make_a_model_that_decides(tmp_path):
    nodes = {**NODES, **ends([2, 3, 4], 3), "flat": {"type": "Flatten", "start_dim": 0, "end_dim": -1}}
    nodes["fc"] = {"type": "Linear", "weight": np.ones((3, 24), np.float32)}
    nir = write(tmp_path / "events.nir", nodes, chain("flat", "fc", "lif"))
    (tmp_path / "labels.txt").write_text("left\nright\n\nnone of them\n")
    path = tmp_path / "events.safetensors"
    flags = ["--profile", "sinabs", "--input", "spikes", "--bin", "2ms", "--sensor", "4x3", "--steps", "50"]
    more = ["--polarity-order", "on-off", "--labels", str(tmp_path / "labels.txt"), "-o", str(path)]
    more += ["--filter", "refractory:period=1ms", "--filter", "flip"]
    assert main(["import", str(nir), "--from", "nir", *flags, *more]) == 0
    document = read(path)
    assert document.input["filters"] == [
        {"filter": "refractory", "period_us": 1000, "after": "passed"},
        {"filter": "flip", "axis": "x"},
    ]
    assert document.input["events"] == {
        "sensor": [4, 3],
        "bin_us": 2000,
        "steps": 50,
        "hop_steps": 50,
        "origin": "first",
        "rounding": "floor",
        "polarity_order": [1, 0],
    }
    assert document.readout["labels"] == ["left", "right", "none of them"]
    assert document.readout["node"] == "lif.count"
    assert {state.reset for state in document.states} == {"window"}


@pytest.mark.parametrize(
    ("flags", "code", "what"),
    [
        (["--profile", "brian"], 2, "no such profile"),
        (["--profile", "norse", "--bin", "1ms"], 2, "--sensor and --steps"),
        (["--profile", "norse", "--set", "lif"], 2, "not a flag of a layer"),
        (["--profile", "norse", "--set", "lif.warp=1"], 4, "attribute 'warp' is unknown"),
        (["--profile", "norse", "--set", "nobody.compare=ge"], 2, "no such layer"),
        (["--profile", "norse", "--labels", "/nowhere/labels"], 2, "labels cannot be read"),
        (["--profile", "norse", "--value", "count"], 2, "value: only spikes have a value: found 'count'"),
        (["--profile", "norse", "--hop-steps", "4"], 2, "--hop-steps: no events become the input"),
        (["--profile", "norse", "--origin", "first"], 2, "--origin: no events become the input"),
        (["--profile", "norse", "--rounding", "floor"], 2, "--rounding: no events become the input"),
        (["--profile", "norse", "--polarity-order", "off-on"], 2, "--polarity-order: no events become the input"),
        (["--profile", "norse", "--adapt", "crop"], 2, "--adapt: no events become the input"),
        (["--profile", "norse", "--filter", "flip"], 2, "filters: no events become the input"),
    ],
)
def test_import_refuses_in_one_line(nir, tmp_path, capsys, flags, code, what):
    path = tmp_path / "no.safetensors"
    assert main(["import", str(nir), "--from", "nir", *flags, "-o", str(path)]) == code
    assert what in capsys.readouterr().err
    assert not path.exists()


def test_a_reset_of_no_neuron_is_refused(tmp_path, capsys):
    path = write(tmp_path / "plain.nir", {**ends(2, 3), "fc": NODES["fc"]}, chain("fc"))
    command = ["import", str(path), "--from", "nir", "--profile", "norse", "-o", str(tmp_path / "no.safetensors")]
    assert main([*command, "--reset", "zero"]) == 2
    assert "reset: no neuron of the file resets: found 'zero'" in capsys.readouterr().err
    assert main(command) == 0


@pytest.mark.parametrize(("dt", "warned"), [("200us", False), ("201us", True), ("1s", True)])
def test_a_step_that_is_longer_than_a_time_constant_is_warned_of_by_the_layers_name(nir, tmp_path, capsys, dt, warned):
    path = tmp_path / "net.safetensors"
    assert main(["import", str(nir), "--from", "nir", "--profile", "sinabs", "--dt", dt, "-o", str(path)]) == 0
    said = capsys.readouterr().err
    assert ("node 'lif': a step of" in said) == warned
    assert said.count("is longer than its tau of 200 us") == warned
    assert path.exists()


def test_import_says_which_kinds_there_are(nir, capsys):
    assert main(["import", str(nir), "--from", "onnx", "--profile", "norse", "-o", "x.safetensors"]) == 2
    assert "no such importer: found 'onnx', expected nir" in capsys.readouterr().err


def test_a_model_without_events_is_stepped_but_not_replayed(model, tmp_path, capsys):
    assert edgesnn.load(model, backend="reference").session().step(np.array([1, 0])).tolist() == [0, 0, 0]
    recording = tmp_path / "clip.bin"
    recording.write_bytes(bytes(5))
    assert main(["replay", str(recording), "-m", str(model), "--sensor", "4x4"]) == 4
    assert "input.events" in capsys.readouterr().err


def test_verify_agrees_and_writes_the_result_beside_the_identity(model, tmp_path, capsys):
    before = read(model).identity
    against = outputs(tmp_path / "right.npz")
    assert main(["verify", str(model), "--against", against, "--backend", "reference", "--json", "--write"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["equal"]
    assert report["first_divergence"] is None
    assert report["layers"]["lif"]["values"] == 18
    assert report["layers"]["lif"]["spikes"] == report["layers"]["lif"]["expected_spikes"] > 0
    assert report["layers"]["lif"]["membrane_error"] == 0
    written = read(model)
    assert written.identity == before
    assert written.provenance["verified"] == [report]
    assert main(["verify", str(model), "--against", against, "--backend", "reference", "--write"]) == 0
    assert len(read(model).provenance["verified"]) == 1


OTHER = {"against": "other.npz"}


@pytest.mark.parametrize(("before", "kept"), [(5, []), (None, []), ({"a": 1}, []), (["x", OTHER], [OTHER])])
def test_verify_writes_beside_whatever_somebody_else_called_verified(model, tmp_path, before, kept):
    document = read(model, copy=True)
    replace(document, provenance={**document.provenance, "verified": before}).save(model)
    against = outputs(tmp_path / "right.npz")
    assert main(["verify", str(model), "--against", against, "--backend", "reference", "--write"]) == 0
    *earlier, last = read(model).provenance["verified"]
    assert earlier == kept
    assert last["against"] == "right.npz"


def test_verify_names_the_keys_that_it_does_not_know(model, tmp_path, capsys):
    against = outputs(tmp_path / "more.npz", **{"label": np.zeros(1), "spike/lif": by_hand()[0]})
    assert main(["verify", str(model), "--against", against, "--backend", "reference", "--json"]) == 0
    said = capsys.readouterr()
    assert "warning: more.npz: not compared: 'label', 'spike/lif'; keys are input, spikes/LAYER" in said.err
    assert json.loads(said.out)["unknown_keys"] == ["label", "spike/lif"]


def test_verify_names_the_first_divergence(model, tmp_path, capsys):
    spikes, membranes = by_hand()
    step, neuron = (int(i) for i in np.argwhere(spikes == 0)[4])
    spikes[step, neuron] = 1
    spikes[5] = 1 - spikes[5]
    against = outputs(tmp_path / "wrong.npz", **{"spikes/lif": spikes})
    assert main(["verify", str(model), "--against", against, "--backend", "reference", "--json"]) == 4
    report = json.loads(capsys.readouterr().out)
    first = report["first_divergence"]
    assert (first["sample"], first["step"], first["layer"], first["neuron"]) == (0, step, "lif", [neuron])
    assert (first["spikes"], first["expected_spikes"]) == (0, 1)
    assert first["membrane"] == first["expected_membrane"] == membranes[step, neuron]
    assert first["margin"] == pytest.approx(1 - membranes[step, neuron])
    assert report["layers"]["lif"]["mismatches"] == 4


def test_inputs_of_other_tools_may_be_floats_that_are_whole(model, tmp_path, capsys):
    whole = outputs(tmp_path / "floats.npz", input=INPUTS.astype(np.float32))
    assert main(["verify", str(model), "--against", whole, "--backend", "reference"]) == 0
    half = outputs(tmp_path / "halves.npz", input=INPUTS * 0.5)
    assert main(["verify", str(model), "--against", half, "--backend", "reference"]) == 4
    assert "input is no spikes or counts" in capsys.readouterr().err


def test_verify_takes_a_modules_outputs(model, tmp_path, monkeypatch, capsys):
    outputs(tmp_path / "right.npz")
    module = tmp_path / "their_outputs.py"
    module.write_text("import numpy as np\n\n\ndef outputs():\n    return dict(np.load('right.npz'))\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main(["verify", str(model), "--against", "python:their_outputs", "--backend", "reference"]) == 0
    assert "all spikes are equal" in capsys.readouterr().out


def test_layers_that_are_no_neurons_are_compared_as_values(model, tmp_path, capsys):
    currents = (INPUTS @ WEIGHT.T).astype(np.float64)
    right = tmp_path / "values.npz"
    np.savez(right, **{"input": INPUTS, "spikes/fc": currents})
    assert main(["verify", str(model), "--against", str(right), "--backend", "reference"]) == 0
    text = capsys.readouterr().out
    assert "all values are equal" in text
    assert "spikes are equal" not in text
    currents[3, 1] += 0.25
    np.savez(right, **{"input": INPUTS, "spikes/fc": currents, "spikes/lif": by_hand()[0]})
    assert main(["verify", str(model), "--against", str(right), "--backend", "reference"]) == 4
    text = capsys.readouterr().out
    assert "spikes and values differ" in text
    assert "layer fc, neuron [1]: 1, expected 1.25; " in text
    assert main(["verify", str(model), "--against", str(right), "--backend", "reference", "--json"]) == 4
    layers = json.loads(capsys.readouterr().out)["layers"]
    assert (layers["fc"]["kind"], layers["lif"]["kind"]) == ("values", "spikes")
    assert layers["fc"]["spikes"] is None


def test_models_of_tokens_are_verified_and_models_of_points_say_that_they_are_not(tmp_path, capsys):
    b = Builder(input={"kind": "tokens", "vocab": 3})
    table = np.array([[0.5, 1], [2, 0], [1, 1.5]], np.float32)
    x = b.add("embedding", "input", name="rows", tensors={"weight": table})
    spikes = b.add("lif", x, name="lif", tensors={"alpha": [0.5], "v_th": [1.0]})
    path, against = tmp_path / "tokens.safetensors", tmp_path / "tokens.npz"
    b.document(outputs=spikes).save(path)
    fired = np.array([[1, 0], [0, 1], [1, 1]])  # from rest, v = v/2 + x, reset to zero
    np.savez(against, **{"input": np.array([1, 0, 2]), "spikes/lif": fired})
    assert main(["verify", str(path), "--against", str(against), "--backend", "reference"]) == 0
    np.savez(against, **{"input": np.array([1.0, 0, 3]), "spikes/lif": fired})
    assert main(["verify", str(path), "--against", str(against), "--backend", "reference"]) == 4
    assert "input is no tokens" in capsys.readouterr().err
    assert main(["verify", "gestures", "--against", str(against), "--backend", "reference"]) == 4
    assert "verify takes models of dense, spikes or token inputs: found input of points" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("raise KeyError('no dataset')", "outputs() failed: found KeyError: 'no dataset'"),
        ("return {'input': [[1, 2], [3]]}", "outputs() gave no array"),
        ("return 3", "outputs() gave no mapping"),
        ("raise SystemExit(0)", "outputs() failed: found SystemExit: 0"),
    ],
)
def test_a_module_that_fails_is_named(model, tmp_path, monkeypatch, capsys, body, what):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = f"failing_{abs(hash(body))}"
    (tmp_path / f"{name}.py").write_text(f"def outputs():\n    {body}\n")
    assert main(["verify", str(model), "--against", f"python:{name}"]) == 2
    assert f"python:{name}" in (err := capsys.readouterr().err)
    assert what in err
    for number, (text, error) in enumerate([("def outputs(:\n", "SyntaxError"), ("exit(0)\n", "SystemExit")]):
        (tmp_path / f"{name}_import{number}.py").write_text(text)
        assert main(["verify", str(model), "--against", f"python:{name}_import{number}"]) == 2
        assert f"module cannot be imported: found {error}" in capsys.readouterr().err


def test_models_are_not_written_into_folders_that_are_not_there(nir, model, tmp_path, capsys):
    path = str(tmp_path / "nowhere" / "m.safetensors")
    flags = ["--from", "nir", "--profile", "norse", "-o", path]
    for command in (["import", str(nir), *flags], ["quantize", str(model), "--weights", "int8", "-o", path]):
        assert main(command) == 4
        assert f"{path}: cannot write the model file: found No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"spikes/lif": np.full((6, 3), np.nan)}, "spikes/lif: array holds what is not a number"),
        ({"spikes/lif": np.full((6, 3), "1")}, "spikes/lif: array does not hold numbers"),
        ({"membrane/lif": np.full((6, 3), np.inf)}, "membrane/lif: array holds what is not a number"),
        ({"input": INPUTS.astype(complex)}, "input: array does not hold numbers"),
        ({"input": np.full((6, 2), np.nan)}, "input: array holds what is not a number"),
        ({"spikes/nobody": np.zeros((6, 3))}, "model has no such layer"),
        ({"spikes/input": INPUTS}, "model has no such layer"),
        ({"spikes/lif": np.zeros((6, 4))}, "array does not fit the layer"),
        ({"membrane/fc": np.zeros((6, 3))}, "model has no such layer"),
        ({"input": np.zeros((6, 3))}, "input does not fit the model"),
    ],
)
def test_outputs_that_do_not_fit_are_refused(model, tmp_path, capsys, changed, what):
    assert main(["verify", str(model), "--against", outputs(tmp_path / "odd.npz", **changed)]) == 4
    assert what in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"hello", "byte 0: not a file of outputs: found it begins with b'hello', expected an .npz file"),
        (b"", "byte 0: not a file of outputs: found it begins with b''"),
        (pickle.dumps([1]), "byte 0: not a file of outputs"),
        (saved(np.save, np.zeros(3)), "found one .npy array, expected an .npz file"),
        (saved(np.savez, input=INPUTS)[:-40], "file of outputs is damaged"),
        (saved(np.savez, input=np.array([None])), "x.npz, input: array holds Python objects"),
        (crooked(saved(np.savez_compressed, input=INPUTS)), "x.npz, input: file of outputs is damaged"),
        (zipped("input.npy", b"hello"), "x.npz, input: "),
        (zipped("input.npy", b"\x93NUMPY\x01\x00\x05\x00hello"), "x.npz, input: file of outputs is damaged"),
        (zipped("input", b"hello"), "x.npz, input: not an array"),
    ],
)
def test_files_that_hold_no_outputs_are_refused_in_one_line_of_ours(model, tmp_path, capsys, data, what):
    (tmp_path / "x.npz").write_bytes(data)
    assert main(["verify", str(model), "--against", str(tmp_path / "x.npz")]) == 4
    said = capsys.readouterr().err
    assert what in said
    assert said.count("\n") == 1
    assert "allow_pickle" not in said


def test_outputs_that_are_not_there_are_refused(model, tmp_path, capsys):
    assert main(["verify", str(model), "--against", str(tmp_path / "no.npz")]) == 4
    assert "no.npz: file of outputs cannot be read: found No such file" in capsys.readouterr().err
    assert main(["verify", str(model), "--against", "python:no_such_module_at_all"]) == 2
    assert "module cannot be imported" in capsys.readouterr().err
