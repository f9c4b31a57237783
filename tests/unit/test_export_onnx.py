"""The step graph in an ONNX file: valid, complete, and stepped by plain onnxruntime as the reference steps it."""

from __future__ import annotations

import json
import re
import sys
from importlib import metadata
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed (extra onnx)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra onnx)")

import onnx
import onnxruntime

import edgesnn
from edgesnn.cli.main import main
from edgesnn.errors import BackendError, ModelError
from edgesnn.exporters.onnx import model as exporter
from edgesnn.exporters.onnx import registry
from edgesnn.graph.layout import unpack
from edgesnn.graph.operators.registry import OPERATORS
from edgesnn.quantize import quantize
from edgesnn.version import __version__
from tests.one_operator import document
from tests.small_graphs import integers, language, recurrent


def test_every_operator_has_a_form_or_stays_outside():
    assert {*registry.OPERATORS, *registry.OUTSIDE} == set(OPERATORS)
    for op in registry.OPERATORS:
        assert callable(registry.find(op, "node"))


def test_an_operator_without_a_form_is_refused_by_name(monkeypatch):
    monkeypatch.delitem(registry.OPERATORS, "softmax")
    with pytest.raises(BackendError, match=r"node 'op': operator has no form in ONNX: found 'softmax', .*'native'"):
        exporter.step_model(document("softmax", [4]))


def test_a_model_that_fits_in_no_file_is_refused(monkeypatch):
    monkeypatch.setattr(exporter, "MOST_BYTES", 100)
    with pytest.raises(ModelError, match="does not fit in one ONNX file"):
        exporter.step_model(language())


@pytest.fixture
def written(tmp_path):
    def write(made: Any) -> Any:
        exporter.export(made, tmp_path / "model.onnx")
        return onnx.load(tmp_path / "model.onnx")

    return write


def test_the_file_says_what_it_is(written):
    made = recurrent()
    model = written(made)
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert about["edgesnn.version"] == model.producer_version == __version__
    assert about["edgesnn.model"] == made.identity
    assert json.loads(about["edgesnn.input"])["shape"] == [2, 8, 6]
    assert json.loads(about["edgesnn.readout"])["labels"] == list(made.readout["labels"])
    states = {state["name"]: state for state in json.loads(about["edgesnn.states"])}
    assert states["lif.v"] == {
        **{"name": "lif.v", "kind": "membrane", "shape": [4, 8, 6], "dtype": "float32", "initial": 0.25},
        "reset": "never",
    }
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": 17, "com.microsoft": 1}


def test_each_state_is_an_input_and_an_output_of_its_own_type_and_shape(written):
    made = recurrent()
    graph = written(made).graph
    kinds = {"float32": onnx.TensorProto.FLOAT, "uint8": onnx.TensorProto.UINT8}
    kinds |= {"int32": onnx.TensorProto.INT32, "int64": onnx.TensorProto.INT64}
    wanted = {state.name: (kinds[state.dtype], list(state.shape)) for state in made.states}
    for values, prefix in ((graph.input, "state/"), (graph.output, "next/")):
        found = {v.name.removeprefix(prefix): _type(v) for v in values if v.name.startswith(prefix)}
        assert found == wanted
    assert [v.name for v in graph.input if not v.name.startswith("state/")] == ["x"]
    assert [v.name for v in graph.output if not v.name.startswith("next/")] == ["output/order"]


def _type(value: Any) -> tuple[int, list[int]]:
    tensor = value.type.tensor_type
    return tensor.elem_type, [axis.dim_value for axis in tensor.shape.dim]


def stepped(model: Any, made: Any, xs: Any, *, plain: bool = False) -> list[dict[str, Any]]:
    """Run the file with nothing of ours: what a user of another program does; plain: node by node, as written."""
    options = onnxruntime.SessionOptions()
    if plain:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    states = json.loads(next(p.value for p in model.metadata_props if p.key == "edgesnn.states"))
    held = {f"state/{s['name']}": np.full(s["shape"], s["initial"], s["dtype"]) for s in states}
    rows = []
    for i, x in enumerate(xs):
        feeds = {"x": np.asarray(x), **held}
        if any(value.name == "step" for value in session.get_inputs()):
            feeds["step"] = np.array(i)
        got = dict(zip(names, session.run(None, feeds), strict=True))
        held = {name.replace("next/", "state/"): array for name, array in got.items() if name.startswith("next/")}
        rows.append(got)
    return rows


def test_plain_onnxruntime_steps_integer_neurons_as_the_reference(written):
    """Every spike and state, bit for bit."""
    made = integers()
    xs = (np.random.default_rng(0).random((40, 20)) < 0.4).astype(np.uint8)
    session = edgesnn.Model(made, backend="reference").session()
    for x, got in zip(xs, stepped(written(made), made, xs), strict=True):
        np.testing.assert_array_equal(got["output/total"], session.step(x))
        for name, state in session.state.items():
            np.testing.assert_array_equal(got[f"next/{name}"], state)
    assert session.state["total.total"].sum() > 0


def test_plain_onnxruntime_steps_a_token_model_as_the_reference(written):
    """Exponentials and norms are onnxruntime's: values within 1e-5, not bits."""
    made = language()
    tokens = np.random.default_rng(0).integers(0, 17, 30)
    session = edgesnn.Model(made, backend="reference").session()
    for token, got in zip(tokens, stepped(written(made), made, tokens), strict=True):
        np.testing.assert_allclose(got["output/mean"], session.step(int(token)), rtol=1e-5, atol=1e-5)


def test_cold_starts_take_the_number_of_the_step(written):
    weight = {"weight": np.full((1, 1), 2.0), "scale": np.ones(1), "bias": np.ones(1)}
    made = document("linear", [1], {"activations": "float32", "cold_start": "skip"}, weight)
    rows = stepped(written(made), made, np.ones((3, 1), np.float32))
    assert [float(row["output/op"][0]) for row in rows] == [0, 3, 3]


@pytest.mark.parametrize("make", [integers, recurrent])
def test_the_form_qdq_steps_networks_of_integers_as_the_reference(make):
    made = make()
    model = exporter.step_model(made, form="qdq")
    xs = (np.random.default_rng(0).random((20, *made.input["shape"])) < 0.4).astype(np.uint8)
    session = edgesnn.Model(made, backend="reference").session()
    for x, got in zip(xs, stepped(model, made, xs, plain=True), strict=True):
        np.testing.assert_allclose(got[f"output/{made.outputs[0]}"], session.step(x), rtol=1e-5, atol=1e-4)
        for name, state in session.state.items():
            (np.testing.assert_array_equal if state.dtype != np.float32 else np.testing.assert_allclose)(
                got[f"next/{name}"], state
            )


def test_the_form_qdq_steps_a_token_model_as_the_reference():
    made = language()
    tokens = np.random.default_rng(0).integers(0, 17, 30)
    session = edgesnn.Model(made, backend="reference").session()
    rows = stepped(exporter.step_model(made, form="qdq"), made, tokens, plain=True)
    for token, got in zip(tokens, rows, strict=True):
        np.testing.assert_array_equal(got["output/mean"], session.step(int(token)))


@pytest.mark.parametrize("make", [integers, recurrent, language])
def test_the_form_qdq_has_only_operators_of_onnx_and_no_bytes_inside(make):
    model = exporter.step_model(make(), form="qdq")
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    onnx.checker.check_model(model, full_check=True)
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in onnx.shape_inference.infer_shapes(model).graph.value_info
    }
    types |= {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    for node in model.graph.node:
        if onnx.TensorProto.UINT8 in {types.get(name) for name in node.input}:
            assert node.op_type in ("Cast", "Identity")
        assert node.op_type not in ("MatMulInteger", "ConvInteger", "MatMulNBits")


def test_the_form_qdq_keeps_int4_in_groups_and_steps_it_as_the_reference():
    made = quantize(edgesnn.load("shakespeare-float32").document, "int4")
    model = exporter.step_model(made, form="qdq")
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 21)]
    tokens = np.random.default_rng(0).integers(0, 60, 8)
    session = edgesnn.Model(made, backend="reference").session()
    for token, got in zip(tokens, stepped(model, made, tokens, plain=True), strict=True):
        np.testing.assert_array_equal(got[f"output/{made.outputs[0]}"], session.step(int(token)))


def test_four_bits_in_a_file_are_the_model_s_as_onnx_reads_them():
    made = quantize(edgesnn.load("shakespeare-float32").document, "int4")
    constants = {tensor.name: tensor for tensor in exporter.step_model(made, form="qdq").graph.initializer}
    seen = 0
    for node in made.nodes:
        if node.op == "linear" and "multiplier" in node.tensors:
            weight = made.tensors[node.tensors["weight"]]
            begin = f"tensor/{node.tensors['weight']}/KN four bits "
            parts = [tensor for name, tensor in constants.items() if name.startswith(begin)]
            found = np.concatenate([onnx.numpy_helper.to_array(part).astype(np.int8) for part in parts])
            np.testing.assert_array_equal(found, unpack(weight.layout, weight.shape, weight.data).T)
            seen += 1
    assert seen > 3


def test_the_command_writes_a_file_and_says_what_is_in_it(tmp_path, capsys):
    target = tmp_path / "digits.onnx"
    assert main(["export", "digits", "--to", "onnx", "-o", str(target), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["sha256"] == edgesnn.load("digits").identity
    assert report["inputs"] == ["x/code.local", "x/code.centre"]
    assert report["outputs"] == ["output/vote"]
    assert report["bytes"] == target.stat().st_size
    assert main(["export", "digits", "--to", "onnx", "--form", "qdq", "-o", str(target)]) == 0
    assert "one step, opset 17" in capsys.readouterr().out
    onnx.checker.check_model(str(target), full_check=True)


def test_the_same_model_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        exporter.export(recurrent(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["digits", "--to", "tflite", "-o", "x"], 2, "--to: format is not known: found 'tflite', expected onnx"),
        (["digits", "--to", "onnx", "-o", "no/such/folder/x"], 4, "cannot write the ONNX file: found No such file"),
        (["nosuch", "--to", "onnx", "-o", "x"], 4, "nosuch: no such model in the zoo"),
    ],
)
def test_what_is_wrong_is_one_line(arguments, code, text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", *arguments]) == code
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1


OLD = "__version__ = '1.15.0'\n"  # it has no TensorProto.INT4
BROKEN = "raise ImportError('libprotobuf.so.32: cannot open shared object file')\n"


@pytest.mark.parametrize(
    ("version", "source", "why"),
    [
        (None, None, "onnx is not installed; pip install 'edgesnn[onnx]'"),
        ("1.15.0", OLD, "onnx 1.15.0 is too old, at least 1.16 is needed; pip install 'edgesnn[onnx]'"),
        ("1.18.0", BROKEN, "onnx 1.18.0 cannot be imported: ImportError: libprotobuf.so.32: cannot open shared object"),
    ],
    ids=["absent", "old", "broken"],
)
def test_a_package_that_cannot_be_used_is_one_line(version, source, why, tmp_path, monkeypatch, capsys):
    for name in [name for name in sys.modules if re.match(r"(edgesnn\.exporters\.)?onnx\b", name)]:
        monkeypatch.delitem(sys.modules, name)
    if version is None:
        monkeypatch.setitem(sys.modules, "onnx", None)
        monkeypatch.setattr(metadata, "version", absent)
    else:
        (tmp_path / "onnx").mkdir()
        (tmp_path / "onnx" / "__init__.py").write_text(source)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setattr(metadata, "version", lambda name: version)
    assert main(["export", "digits", "--to", "onnx", "-o", str(tmp_path / "x")]) == 7
    error = capsys.readouterr().err
    assert f"--to onnx: format cannot be written here: found {why}" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "x").exists()


def absent(name: str) -> str:
    raise metadata.PackageNotFoundError(name)
