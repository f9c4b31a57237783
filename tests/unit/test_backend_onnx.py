"""The onnx backend behind a session: the reference's spikes, states and counts; why it cannot run, where it cannot."""

from __future__ import annotations

import sys
from importlib import metadata
from itertools import count, islice
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.errors import BackendError, UsageError
from edgesnn.graph import Builder, Document
from edgesnn.runtime import Model, Session
from edgesnn.runtime.backends.onnx import OnnxBackend
from tests.graphs import random_document, random_images, random_inputs
from tests.small_graphs import integers, language, recurrent

REASON = OnnxBackend().available()
needs_onnxruntime = pytest.mark.skipif(REASON is not None, reason=str(REASON))

OWN = {"layer_norm", "softmax", "wkv", "activation"}
"""Operators whose sums or exponentials are onnxruntime's, unless the model rounds graded values to int8."""


def exact(document: Document) -> bool:
    """Say whether onnxruntime has the same bits: whole sums, and elementwise arithmetic."""
    return not any(_own_order(document, node) for node in document.nodes)


def _own_order(document: Document, node: Any) -> bool:
    real = node.op != "point_code" and document.analysis.values[node.inputs[0]].kind == "float32"
    if "activations" in node.attributes:
        graded = node.attributes["activations"] == "float32"
        return graded or document.tensors[node.tensors["weight"]].number == "float32"
    if node.op in OWN:
        return node.attributes.get("function") not in ("relu", "relu2") and not rounds(document)
    return real and node.op in ("mean", "vote", "pool1d", "pool2d")


def rounds(document: Document) -> bool:
    return any(node.attributes.get("activations") == "int8" for node in document.nodes)


def pair(document: Document) -> tuple[Session, Session]:
    nodes = [node.name for node in document.nodes]
    reference, other = (Model(document, backend=name).session(record=nodes) for name in ("reference", "onnx"))
    return reference, other


def exact_documents(wanted: int) -> list[Any]:
    made = ((seed, make(seed)) for seed in count() for make in (random_document, random_images))
    return list(islice(((seed, d) for seed, d in made if exact(d) and len(d.nodes) > 1), wanted))


def same(a: Any, b: Any) -> None:
    """Compare types, shapes and values; only the sign of a zero may differ."""
    if not isinstance(a, dict):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_array_equal(a, b)
        return
    assert a.keys() == b.keys()
    for name in a:
        same(a[name], b[name])


def same_session(a: Session, b: Session) -> None:
    same(dict(a.recorded), dict(b.recorded))
    same(dict(a.state), dict(b.state))
    assert a.layers == b.layers
    assert a.step_number == b.step_number


def check(document: Document, seed: int) -> None:
    """A run, then single steps from a snapshot of the other backend, then from one of its own, then after a reset."""
    reference, other = pair(document)
    xs = random_inputs(document, seed, steps=8)
    same(reference.run(xs), other.run(xs))
    same_session(reference, other)
    xs = random_inputs(document, seed + 1, steps=3)
    rows = [xs] * 3 if document.input["kind"] == "points" else xs
    other.restore(reference.snapshot())
    reference.restore(other.snapshot())
    for x in rows:
        same(reference.step(x), other.step(x))
        same_session(reference, other)
    for change in ("new_window", "reset"):
        getattr(reference, change)()
        getattr(other, change)()
        other = other.clone()
        same(reference.step(rows[0]), other.step(rows[0]))
        same(dict(reference.state), dict(other.state))


@needs_onnxruntime
@pytest.mark.parametrize("amount", [6, pytest.param(150, marks=pytest.mark.full)])
def test_networks_of_whole_sums_are_the_references_bit_for_bit(amount):
    for seed, document in exact_documents(amount):
        check(document, seed)


@needs_onnxruntime
@pytest.mark.parametrize("amount", [12, pytest.param(200, marks=pytest.mark.full)])
def test_where_values_first_differ_the_sum_is_onnxruntimes_own_and_close(amount):
    """In any graph: the first node that differs is one of these, and differs by roundings."""
    for seed in range(amount):
        document = random_document(seed)
        reference, other = pair(document)
        xs = random_inputs(document, seed, steps=4)
        with np.errstate(all="ignore"):
            reference.run(xs)
            other.run(xs)
        check_first_difference(document, reference, other)


def check_first_difference(document: Document, reference: Session, other: Session) -> None:
    """Compare the recorded values of the first step, in the graph's order, up to the first node that differs."""
    for node in document.nodes:
        for name in node.outputs:
            a, b = (np.asarray(session.recorded[name])[0] for session in (reference, other))
            if np.array_equal(a, b, equal_nan=a.dtype == np.float32):
                continue
            assert _own_order(document, node), f"{node.op} differs"
            finite = np.isfinite(a) & np.isfinite(b)
            assert np.abs(a - b)[finite].max() <= 1e-4 * max(1e-30, np.abs(a[finite]).max()), node.op
            return


FUNCTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "layer_norm": ("layer_norm", {"eps": 1e-5}),
    "softmax": ("softmax", {}),
    **{name: ("activation", {"function": name}) for name in ("exp", "sigmoid", "silu")},
}


@needs_onnxruntime
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("shape", [(5,), (77,), (3, 128), (2, 3, 40)])
def test_beside_a_matrix_that_rounds_exponentials_and_norms_are_ours_to_the_bit(name, shape):
    op, attributes = FUNCTIONS[name]
    rng = np.random.default_rng(0)
    tensors = {role: rng.normal(0, 1, shape[-1]) for role in ("weight", "bias")} if op == "layer_norm" else {}
    rounding = {"weight": np.ones((2, shape[-1]), np.int8), "scale": np.ones(2), "bias": np.zeros(2)}
    b = Builder(input={"kind": "dense", "shape": list(shape), "value": "float32", "bound": 0})
    outputs = [b.add(op, "input", name="op", attributes=attributes, tensors=tensors)]
    outputs.append(b.add("linear", "input", name="fc", attributes={"activations": "int8"}, tensors=rounding))
    reference, other = (Model(b.document(outputs=outputs), backend=n).session() for n in ("reference", "onnx"))
    sizes = np.array([1e-3, 1, 30, 1e3, 1e6]).reshape(-1, *[1] * len(shape))
    xs = (rng.normal(0, 1, (5, *shape)) * sizes).astype(np.float32)
    same(reference.run(xs), other.run(xs))


@needs_onnxruntime
def test_a_session_restored_from_natives_goes_on_as_native():
    document = recurrent()
    native, other = (Model(document, backend=name).session() for name in ("native", "onnx"))
    xs = (np.random.default_rng(0).random((12, 2, 8, 6)) < 0.5).astype(np.uint8)
    native.run(xs[:6])
    other.restore(native.snapshot())
    np.testing.assert_allclose(other.run(xs[6:]), native.run(xs[6:]), rtol=1e-6, atol=1e-6)
    for name, state in native.state.items():
        np.testing.assert_allclose(other.state[name], state, rtol=1e-6, err_msg=name)
    other.step(xs[0])
    native.restore(other.snapshot())


@needs_onnxruntime
def test_sessions_of_a_model_do_not_share_their_states():
    model = Model(integers(), backend="onnx")
    first, second, twin = (model.session() for _ in range(3))
    x = np.ones(20, np.uint8)
    for _ in range(3):
        first.step(x)
    assert not any(state.any() for state in second.state.values())
    together = model.step_many([second, twin], np.stack([x, x]))
    np.testing.assert_array_equal(together[0], together[1])
    same(dict(second.state), dict(twin.state))


@needs_onnxruntime
def test_outputs_are_new_arrays_and_out_is_written():
    session = Model(language(), backend="onnx").session()
    first = np.array(kept := session.step(3))
    out = np.empty_like(first)
    assert session.step(4, out=out) is out
    np.testing.assert_array_equal(kept, first)
    assert session.run([1, 2, 3], keep="none") is None
    assert np.asarray(session.run([1, 2, 3], keep="last")).shape == first.shape
    with pytest.raises(UsageError):
        session.step(4, out=np.empty(1, np.float32))


@needs_onnxruntime
def test_without_accounting_nothing_is_counted():
    session = Model(integers(), backend="onnx").session(account=False)
    session.step(np.ones(20, np.uint8))
    assert (session.spikes, session.synops, session.macs, session.bytes_touched) == (0, 0, 0, 0)


@pytest.mark.full
@needs_onnxruntime
def test_a_pipeline_on_it_predicts_what_native_predicts():
    rows = {}
    for backend in ("native", "onnx"):
        predictions = list(edgesnn.Pipeline("recordings/hand_clap.raw", "gestures", backend=backend))
        rows[backend] = [(p.window, p.decision, p.label, p.steps) for p in predictions]
        assert predictions[0].model.backend == backend
        assert all(p.synops is None or p.synops >= 0 for p in predictions)
    assert rows["native"] == rows["onnx"]
    assert [row[2] for row in rows["native"]][-1] == "hand_clap"


@needs_onnxruntime
def test_a_model_that_onnxruntime_refuses_is_one_line(monkeypatch):
    import onnxruntime

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("no such\n operator")

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    with pytest.raises(
        BackendError, match="backend 'onnx': onnxruntime does not take the model: found no such operator"
    ):
        Model(integers(), backend="onnx")


@needs_onnxruntime
def test_plain_sessions_use_what_was_built_with_the_model(monkeypatch):
    import onnxruntime

    made = []
    plain = onnxruntime.InferenceSession

    def counted(*args: Any, **how: Any) -> Any:
        made.append(args)
        return plain(*args, **how)

    monkeypatch.setattr(onnxruntime, "InferenceSession", counted)
    model = Model(integers(), backend="onnx")
    assert len(made) == 1
    for _ in range(2):
        model.session().step(np.ones(20, np.uint8))
    assert len(made) == 1
    model.session(account=False)
    assert len(made) == 2


@needs_onnxruntime
def test_a_step_that_fails_leaves_the_state_as_it_was(monkeypatch):
    session = Model(integers(), backend="onnx").session()
    x = np.ones(20, np.uint8)
    session.step(x)
    before = session.snapshot()

    class Failing:
        def run_with_iobinding(self, _: Any) -> None:
            raise RuntimeError("out of memory")

    monkeypatch.setattr(session._engine._buffers, "_session", Failing())  # type: ignore[attr-defined]
    with pytest.raises(BackendError, match="engine failed in a step: found out of memory"):
        session.step(x)
    assert session.snapshot() == before


# --- where it cannot run --------------------------------------------------------------------------------------------


@pytest.fixture
def installed(monkeypatch):
    """Say which packages there are, and in which version."""
    versions = {"onnx": "1.18.0", "onnxruntime": "1.20.1"}

    def version(name: str) -> str:
        if versions.get(name) is None:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(metadata, "version", version)
    for name in versions:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    return versions


def test_it_can_run_with_versions_that_are_new_enough(installed):
    assert OnnxBackend().available() is None
    installed.update(onnx="1.16.0", onnxruntime="1.17.0rc1")
    assert OnnxBackend().available() is None


@pytest.mark.parametrize("name", ["onnx", "onnxruntime"])
def test_a_package_that_is_not_there_is_named_with_its_extra(installed, monkeypatch, name):
    installed[name] = None
    monkeypatch.setitem(sys.modules, name, None)
    assert OnnxBackend().available() == f"{name} is not installed; pip install 'edgesnn[onnx]'"
    with pytest.raises(BackendError, match=f"backend 'onnx': backend cannot run here: found {name} is not installed"):
        edgesnn.load("digits", backend="onnx")


@pytest.mark.parametrize(("name", "version", "least"), [("onnxruntime", "1.16.3", "1.17"), ("onnx", "1.9.0", "1.16")])
def test_a_package_that_is_too_old_is_named_with_the_least_version(installed, name, version, least):
    installed[name] = version
    expected = f"{name} {version} is too old, at least {least} is needed; pip install 'edgesnn[onnx]'"
    assert OnnxBackend().available() == expected


def test_a_package_that_cannot_be_imported_says_why(installed, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    reason = OnnxBackend().available()
    assert reason is not None
    assert reason.startswith("onnxruntime 1.20.1 cannot be imported: ModuleNotFoundError: ")
    assert "\n" not in reason
