"""The native executor equals the numpy reference bit for bit: any graph, input and arm, by step, by run, restored."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn import _native
from edgesnn.graph import Builder, Document, Int4
from edgesnn.runtime import Model, Session
from tests.drawn import drawn
from tests.graphs import as_active, random_document, random_images, random_inputs

ROOT = Path(__file__).parents[2]
ARMS = _native.executor.arms()
seeds = st.integers(0, 2**32)


def sessions(document: Document) -> tuple[Session, Session]:
    nodes = [node.name for node in document.nodes]
    return (
        Model(document, backend="reference").session(record=nodes),
        Model(document, backend="native").session(record=nodes),
    )


def same(a: Any, b: Any, what: str = "output") -> None:
    """Compare bits; NaN payloads and signs are left out, as docs/arithmetic.md says."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for name in a:
            same(a[name], b[name], name)
        return
    assert a.dtype == b.dtype, what
    assert a.shape == b.shape, what
    if a.dtype == np.float32:
        a, b = np.where(np.isnan(a), np.float32(np.nan), a), np.where(np.isnan(b), np.float32(np.nan), b)
    assert a.tobytes() == b.tobytes(), what


def same_session(a: Session, b: Session) -> None:
    same(dict(a.recorded), dict(b.recorded))
    same(dict(a.state), dict(b.state))
    assert a.layers == b.layers
    assert (a.spikes, a.synops, a.macs, a.step_number) == (b.spikes, b.synops, b.macs, b.step_number)


def check_seed(seed: int) -> None:
    """One random graph, and one of images, whose convolutions and neurons may be one."""
    check_document(random_document(seed, _native.executor.operators()), seed)
    check_document(random_images(seed), seed)


def check_document(document: Document, seed: int) -> None:
    """Two inputs: run, then single steps from a snapshot of the other backend.

    Where nothing is recorded the native executor may join a matrix and its neurons: that session is compared too.
    """
    reference, native = sessions(document)
    quick = native.model.session()
    points = document.input["kind"] == "points"
    for turn in range(2):
        xs = random_inputs(document, seed + turn, steps=3 if turn else 20)
        expected = reference.run(xs)
        same(expected, native.run(xs))
        same_session(reference, native)
        same(expected, quick.run(xs))
        same(dict(reference.state), dict(quick.state))
        assert (reference.layers, reference.step_number) == (quick.layers, quick.step_number)
    native.restore(reference.snapshot())
    xs = random_inputs(document, seed + 2, steps=3)
    for x in [xs] * 3 if points else xs:
        same(reference.step(x), native.step(x))
        same_session(reference, native)


@settings(max_examples=120)
@given(seeds)
def test_native_equals_reference_on_any_graph_and_input(seed: int) -> None:
    check_seed(seed)


def test_what_another_window_left_behind_a_row_of_points_does_not_reach_quantised_input() -> None:
    """Seed 1815: direct points, neurons, an int8 matrix; the padding of the points' rows was not cleared."""
    check_seed(1815)


LARGE = {  # int4 weights that stay packed: shapes of input and weight, and attributes
    "linear": ("linear", [3, 500], (70, 500), {}),
    "convolution": ("conv2d", [24, 5, 7], (90, 24, 3, 3), {"padding": [1, 1]}),
    "groups": ("conv2d", [60, 5, 7], (90, 20, 3, 3), {"groups": 3, "stride": [2, 1]}),
    "one group": ("conv2d", [40, 4, 4], (128, 40, 2, 2), {}),
}


def large_int4(name: str, bound: int) -> Document:
    op, shape, weight, attributes = LARGE[name]
    rng = np.random.default_rng(bound)
    tensors = {
        "weight": Int4(rng.integers(-8, 8, weight)),
        "scale": rng.uniform(0.01, 1, weight[0]).astype(np.float32),
        "bias": rng.normal(0, 1, weight[0]).astype(np.float32),
    }
    builder = Builder(input={"kind": "dense", "shape": shape, "value": "int", "bound": bound})
    node = builder.add(op, "input", name="large", attributes={"activations": "int", **attributes}, tensors=tensors)
    return builder.document(outputs=[node])


@pytest.mark.parametrize("arm", ARMS)
def test_int4_weights_too_large_to_be_unpacked(arm: str) -> None:
    script = (
        "from tests.property.test_executor_equal import LARGE, check_document, large_int4\n"
        "for name in LARGE:\n"
        "    for bound in (1, 7): check_document(large_int4(name, bound), bound)"
    )
    run_python(script, EDGESNN_ARM=arm)


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_equals_the_reference(arm: str) -> None:
    script = (
        "from edgesnn import _native; from tests.property.test_executor_equal import check_seed\n"
        f"assert _native.executor.arm() == {arm!r}\n"
        f"for seed in range({drawn(60)}): check_seed(seed)"
    )
    run_python(script, EDGESNN_ARM=arm)


@pytest.mark.parametrize("backend", ["native", "reference"])
@settings(max_examples=40)
@given(seed=seeds, cut=st.integers(0, 12))
def test_run_is_so_many_steps_and_a_snapshot_between_changes_nothing(backend: str, seed: int, cut: int) -> None:
    document = random_document(seed, _native.executor.operators())
    model = Model(document, backend=backend)
    whole, parts = model.session(), model.session()
    xs = random_inputs(document, seed, steps=12)
    points = document.input["kind"] == "points"
    rows = [xs] * document.input["steps"] if points else list(xs)
    outputs = whole.run(xs)
    steps = []
    for t, x in enumerate(rows):
        if t == cut:
            blob = parts.snapshot()
            parts = model.session()
            parts.restore(blob)
        steps.append(parts.step(x))
    if isinstance(outputs, dict):
        same(outputs, {name: np.stack([s[name] for s in steps]) for name in outputs})
    else:
        same(outputs, np.stack(steps))
    assert whole.snapshot() == parts.snapshot()


@pytest.mark.parametrize("backend", ["native", "reference"])
@settings(max_examples=40)
@given(seed=seeds)
def test_every_form_of_a_call_gives_the_same_bits(backend: str, seed: int) -> None:
    """step_many of sessions in different states, indices instead of arrays, `keep`, `out`, threads and no accounts."""
    document = random_document(seed, _native.executor.operators())
    model = Model(document, backend=backend)
    inputs = [random_inputs(document, seed + i, steps=4) for i in range(3)]
    points = document.input["kind"] == "points"
    alone, together = ([model.session(threads=1 + i, account=i != 1) for i in range(3)] for _ in range(2))
    for i in range(3):
        for _ in range(i):
            alone[i].run(inputs[i], keep="none")
            together[i].run(inputs[i], keep="none")
    rows = inputs if points else [xs[0] for xs in inputs]
    expected = [session.step(x) for session, x in zip(alone, rows, strict=True)]
    same(_stack(expected), model.step_many(together, rows if points else np.stack(rows)))
    for a, b in zip(alone, together, strict=True):
        assert a.snapshot() == b.snapshot()
        assert a.layers == b.layers
    same(_last(alone[0].run(inputs[0])), together[0].run(inputs[0], keep="last"))
    out = _empty(expected[0])
    again = together[0].step(rows[0], out=out)
    assert again is out
    same(alone[0].step(rows[0]), out)
    if document.input["kind"] == "spikes":
        same(alone[2].run(inputs[1]), together[2].run(active=as_active(inputs[1])))
        indices, offsets = as_active(np.stack(rows))
        same(
            _stack([s.step(x) for s, x in zip(alone, rows, strict=True)]),
            model.step_many(together, active=(indices, offsets)),
        )
        same(alone[2].step(rows[1]), together[2].step(active=indices[offsets[1] : offsets[2]]))
        assert [s.snapshot() for s in alone] == [s.snapshot() for s in together]


def _stack(outputs: list[Any]) -> Any:
    if isinstance(outputs[0], dict):
        return {name: np.stack([o[name] for o in outputs]) for name in outputs[0]}
    return np.stack(outputs)


def _last(outputs: Any) -> Any:
    return {name: array[-1] for name, array in outputs.items()} if isinstance(outputs, dict) else outputs[-1]


def _empty(output: Any) -> Any:
    return {n: np.empty_like(a) for n, a in output.items()} if isinstance(output, dict) else np.empty_like(output)


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("seed", [3, 4, 11])
def test_a_snapshot_goes_on_in_a_new_process(tmp_path: Path, seed: int, arm: str) -> None:
    document = random_document(seed)
    document.save(tmp_path / "model.safetensors")
    xs = random_inputs(document, seed, steps=9)
    rows = [xs] * 2 * document.input["steps"] if document.input["kind"] == "points" else list(xs)
    cut = int(np.random.default_rng(seed).integers(len(rows)))
    session = Model(document, backend="reference").session()
    for x in rows[:cut]:
        session.step(x)
    (tmp_path / "blob").write_bytes(session.snapshot())
    for x in rows[cut:]:
        session.step(x)
    script = (
        "import sys, edgesnn; from pathlib import Path; from tests.graphs import random_inputs\n"
        f"d = Path({str(tmp_path)!r}); m = edgesnn.load(str(d / 'model.safetensors'), backend='native')\n"
        f"s = m.session(); s.restore((d / 'blob').read_bytes()); xs = random_inputs(m.document, {seed}, steps=9)\n"
        f"for i in range({cut}, {len(rows)}): s.step(xs if m.input['kind'] == 'points' else xs[i])\n"
        "(d / 'after').write_bytes(s.snapshot())"
    )
    run_python(script, EDGESNN_ARM=arm)
    assert (tmp_path / "after").read_bytes() == session.snapshot()


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("number", [np.int8, np.float32])
def test_convolutions_of_images_whose_places_are_not_kept(last: bool, number: Any) -> None:
    """More than 2^20 elements; with channels last after neurons, whose few spikes the input makes."""
    rng = np.random.default_rng(8)
    b = Builder(
        input={"kind": "dense", "shape": [1, 300, 3500] if not last else [1, 260, 260], "value": "int", "bound": 1}
    )
    x = "input"
    attributes = {"activations": "int", "padding": [1, 1], "stride": [2, 3]}
    if last:
        ones = {"weight": np.ones((3, 1, 1, 1), np.float32), "scale": np.ones(3), "bias": np.float32([0, -0.5, 0.5])}
        x = b.add("conv2d", x, name="first", attributes={"activations": "int"}, tensors=ones)
        neuron = {"alpha": np.float32([0.5]), "v_th": np.float32([1])}
        x = b.add("lif", x, name="lif", attributes={"axis": -3}, tensors=neuron)
    weight = rng.integers(-9, 10, (2, 3 if last else 1, 3, 3)).astype(number)
    tensors = {"weight": weight, "scale": rng.normal(0, 1, 2), "bias": rng.normal(0, 1, 2)}
    document = b.document(outputs=b.add("conv2d", x, name="conv", attributes=attributes, tensors=tensors))
    xs = (rng.random((2, *document.input["shape"])) < 0.01).astype(np.uint8)
    reference, native = sessions(document)
    same(reference.run(xs), native.run(xs))
    same_session(reference, native)


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_a_membrane_that_begins_at_a_zero_keeps_its_sign(zero: float) -> None:
    b = Builder(input={"kind": "dense", "shape": [3]})
    neuron = {"alpha": np.float32([0.5]), "v_th": np.float32([1])}
    document = b.document(outputs=b.add("lif", "input", name="lif", attributes={"v_init": zero}, tensors=neuron))
    reference, native = sessions(document)
    assert reference.snapshot() == native.snapshot()
    x = np.float32([-0.0, 0, 1e-3])
    same(reference.step(x), native.step(x))
    assert reference.snapshot() == native.snapshot()


def denormal_net() -> Document:
    """A neuron whose membrane, current and threshold are denormal."""
    b = Builder(input={"kind": "dense", "shape": [3], "value": "int", "bound": 9})
    tiny = np.full(4, 2e-41, dtype=np.float32)
    weight = np.arange(1, 13, dtype=np.float32).reshape(4, 3)
    tensors = {"weight": weight, "scale": tiny, "bias": tiny}
    current = b.add("linear", "input", name="fc", attributes={"activations": "int"}, tensors=tensors)
    neuron = {"alpha": np.array([0.5], np.float32), "v_th": np.array([3e-39], np.float32)}
    return b.document(outputs=[current, b.add("lif", current, name="lif", tensors=neuron)])


def test_flush_to_zero_set_by_the_embedding_process_changes_no_bits() -> None:
    torch = pytest.importorskip("torch")
    document = denormal_net()
    xs = np.random.default_rng(0).integers(0, 10, (40, 3))
    expected = Model(document, backend="reference").session().run(xs)
    assert isinstance(expected, dict)
    assert 0 < expected["lif"].sum() < expected["lif"].size
    assert torch.set_flush_denormal(True)
    try:
        assert float(torch.tensor([1e-40]) * 0.5) == 0.0
        session = Model(document, backend="native").session()
        ours = session.run(xs)
    finally:
        torch.set_flush_denormal(False)
    same(expected, ours)


def run_python(script: str, **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
