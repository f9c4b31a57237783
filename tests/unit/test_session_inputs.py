"""What the calls of a session take and refuse, by input kind; a refused call changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.errors import ModelError, UsageError
from edgesnn.graph import Builder, Document
from edgesnn.graph.activations import with_activations
from edgesnn.runtime import Model, snapshot
from tests.one_operator import document as one
from tests.small_graphs import counting as spikes


@pytest.fixture(params=["native", "reference"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_indices_are_the_counts_that_they_stand_for(backend: str) -> None:
    model = Model(spikes(), backend=backend)
    a, b = model.session(), model.session()
    x = np.array([[1, 0, 2], [0, 0, 3]])
    np.testing.assert_array_equal(a.step(x), b.step(active=np.array([0, 2, 2, 5, 5, 5], np.uint32)))
    np.testing.assert_array_equal(a.step(0 * x), b.step(active=[]))
    np.testing.assert_array_equal(a.run([x, 0 * x]), b.run(active=([0, 2, 2, 5, 5, 5], [0, 6, 6])))
    assert a.snapshot() == b.snapshot()
    binary = Model(spikes("binary", 1), backend=backend)
    a, b = binary.session(), binary.session()
    np.testing.assert_array_equal(a.step(x > 0), b.step(active=[0, 2, 2, 5]))


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"x": [[1, 2, 3]]}, r"another shape: found \[1, 3\], expected \[2, 3\]"),
    ({"x": [[1, 2, 4]] * 2}, "integers from 0 to 3"),
    ({"x": [[1.0, 2.0, 3.0]] * 2}, "not small integers"),
    ({"x": None}, "given twice or not at all"),
    ({"x": [[1, 2, 3]] * 2, "active": [1]}, "given twice or not at all"),
    ({"active": [2, 1]}, "indices are not ascending"),
    ({"active": [6]}, "index is out of range: found 6 to 6, expected 0 to 5"),
    ({"active": [-1]}, "index is out of range"),
    ({"active": [0, 0, 0, 0]}, "index stands too often in one step: expected at most 3 times"),
    ({"active": [1.0]}, "indices are not a list of integers"),
    ({"active": [[1]]}, "indices are not a list of integers"),
    ({"active": 1}, "indices are not a list of integers"),
    ({"active": [True]}, "indices are not a list of integers"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_spikes_are_refused_and_change_nothing(arguments: dict[str, Any], message: str, backend: str) -> None:
    session = Model(spikes(), backend=backend).session()
    session.step(active=[3, 5])
    before = session.snapshot()
    with pytest.raises((ModelError, UsageError), match=message):
        session.step(**arguments)
    assert session.snapshot() == before


@pytest.mark.parametrize(
    ("active", "message"),
    [
        ([0, 1], "offsets are not one more than the steps|not a list of integers"),
        (([0, 1], [0, 1]), "offsets do not cover the indices"),
        (([0, 1], [1, 2]), "offsets do not cover the indices"),
        (([0, 1], [0, 2, 1, 2]), "offsets do not cover the indices"),
        (([0, 1], []), "offsets are not one more than the steps"),
        (([1, 0], [0, 2]), "indices are not ascending"),
        (([0, 1, 0], [0, 1, 3]), "indices are not ascending"),
        (([0, 1, 0], [0, 0, 3, 3]), "indices are not ascending"),
        (([1, 1, 1, 1, 1], [0, 1, 5]), "index stands too often in one step"),
        (3, "active is not indices and offsets"),
    ],
)
def test_wrong_offsets_are_refused(active: Any, message: str) -> None:
    session = Model(spikes(), backend="reference").session()
    with pytest.raises(ModelError, match=message):
        session.run(active=active)
    session.run(active=([1, 0], [0, 0, 1, 1, 2, 2]))
    session.run(active=([1, 1, 1, 1, 1], [0, 3, 5]))


def test_only_spikes_are_given_as_indices() -> None:
    for document in (one("count", {"kind": "dense", "shape": [3], "value": "int"}), tokens()):
        with pytest.raises(ModelError, match="takes no spikes as indices"):
            Model(document, backend="reference").session().step(active=[1])


def tokens() -> Document:
    return one("embedding", {"kind": "tokens", "vocab": 3}, {}, {"weight": np.eye(3, dtype=np.float32)})


def test_tokens(backend: str) -> None:
    session = Model(tokens(), backend=backend).session()
    out = np.empty(3, np.float32)
    for two in (2, np.int64(2), np.uint8(2), np.array(2)):
        assert np.asarray(session.step(two)).tolist() == [0, 0, 1]
    assert session.step(1, out=out) is out
    assert (out.tolist(), session.step_number) == ([0, 1, 0], 5)
    assert np.asarray(session.run(np.array([1, 0], np.uint8))).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert np.asarray(session.run([])).shape == (0, 3)
    for x in (3, -1, 2**70):
        with pytest.raises(ModelError, match="token is out of range"):
            session.step(x)
    for y in (1.0, "a", [1], True, None):
        with pytest.raises(ModelError, match="input is not a token"):
            session.step(y)
    for z in ([3], [[1]], [0.5], 1, ["a"], [True]):
        with pytest.raises(ModelError, match=r"input is not tokens|token is out of range"):
            session.run(z)


def test_floats_are_finite_and_of_any_layout_in_memory(backend: str) -> None:
    session = Model(one("accumulate", [2, 3]), backend=backend).session()
    x = np.arange(6, dtype=np.float64).reshape(3, 2)
    x.flags.writeable = False
    np.testing.assert_array_equal(session.step(x.T), x.T.astype(np.float32))
    before = session.snapshot()
    for wrong in (np.full((2, 3), np.nan), np.full((2, 3), np.inf), np.full((2, 3), 1e39), np.full((2, 3), 1j)):
        with pytest.raises(ModelError, match="input"):
            session.step(wrong)
    with pytest.raises(ModelError, match="input"):
        session.run(np.array([[[1.0] * 3] * 2, [[np.nan] * 3] * 2]))
    assert session.snapshot() == before


def test_out_is_filled_or_refused(backend: str) -> None:
    session = Model(spikes(), backend=backend).session()
    out = np.empty(4, np.float32)
    assert session.step(active=[5, 5], out=out) is out
    assert out.tolist() == [0, 1, 1, 1]  # 2 * (5, 11, 17, 23) against 20
    before = session.snapshot()
    locked = np.empty(4, np.float32)
    locked.flags.writeable = False
    for wrong in (np.empty(3, np.float32), np.empty(4), [0] * 4, locked, {"count": out}):
        with pytest.raises(UsageError, match="out does not fit output 'count'"):
            session.step(active=[], out=wrong)
    assert session.snapshot() == before


STEPS: list[dict[str, Any]] = [
    {"x": np.array([[1, 0, 3], [0, 2, 1]], np.uint8)},
    {"x": np.array([[1, 0, 3], [0, 2, 1]], np.int64)},
    {"x": np.array([[1, 9, 0], [9, 0, 9], [3, 9, 1]], np.uint8)[::2, ::2].repeat(2, 1)[:, :3]},
    {"active": np.array([0, 2, 2, 2, 4, 5], np.uint32)},
    {"active": np.array([0, 2, 2, 2, 4, 5], np.int64)},
    {"active": np.array([0, 2, 2, 2, 4, 5], ">i8")},
    {"active": np.array([5, 9, 4, 9, 0], np.uint32)[::-2]},
    {"active": np.array([], np.uint32)},
    {"active": np.array([], np.int64)},
    {"active": []},
]


@pytest.mark.parametrize("arguments", STEPS)
@pytest.mark.parametrize("value", ["count", "binary"])
def test_a_step_is_the_same_with_and_without_records(value: str, arguments: dict[str, Any]) -> None:
    """What is recorded takes the long way through the checks in Python, what is not the short one."""
    model = Model(spikes(value, 3 if value == "count" else 1), backend="native")
    plain, recorded = model.session(), model.session(record=["lif"])
    if value == "binary" and "x" in arguments:
        arguments = {"x": arguments["x"] > 0}
    for _ in range(3):
        a, b = plain.step(**arguments), recorded.step(**arguments)
        assert isinstance(a, np.ndarray)
        np.testing.assert_array_equal(a, b)
        wide = np.zeros((4, 2), np.float32)
        for out in (np.zeros(4, np.float32), wide[:, 1]):
            assert plain.step(**arguments, out=out) is out
            np.testing.assert_array_equal(out, recorded.step(**arguments))
        assert not wide[:, 0].any()
        assert (plain.snapshot(), plain.layers) == (recorded.snapshot(), recorded.layers)


_COUNTS = np.random.default_rng(4).integers(0, 4, (40, 2, 3))
_INDICES = np.concatenate([np.repeat(np.arange(6), row.ravel()) for row in _COUNTS])
_OFFSETS = np.concatenate([[0], np.cumsum(_COUNTS.sum((1, 2)))])
RUNS: list[dict[str, Any]] = [
    {"xs": _COUNTS.astype(np.uint8)},
    {"xs": _COUNTS},
    {"xs": _COUNTS.astype(np.uint8)[::-1]},
    {"xs": _COUNTS[:1].astype(np.uint8)},
    {"xs": _COUNTS[:0].astype(np.uint8)},
    {"active": (_INDICES.astype(np.uint32), _OFFSETS)},
    {"active": [_INDICES.astype(np.uint32), _OFFSETS]},
    {"active": (_INDICES.tolist(), _OFFSETS.astype(">i8"))},
    {"active": (_INDICES.astype(np.uint32), _OFFSETS.repeat(2)[::2])},
    {"active": (np.array([], np.uint32), np.zeros(1, np.int64))},
]


@pytest.mark.parametrize("arguments", RUNS)
@pytest.mark.parametrize("output", ["count", "lif", "both"])
def test_a_run_is_the_same_with_and_without_records(output: str, arguments: dict[str, Any]) -> None:
    """What is recorded takes the long way through the checks in Python, what is not the short one."""
    model = Model(replace(spikes(), outputs=(output,)), backend="native")
    plain, recorded = model.session(), model.session(record=["lif"])
    steps = len(arguments["xs"]) if "xs" in arguments else len(arguments["active"][1]) - 1
    for keep in ("all", "none", "last", "all") if steps else ("all", "none"):
        a, b = plain.run(**arguments, keep=keep), recorded.run(**arguments, keep=keep)
        assert (a is None) == (b is None) == (keep == "none")
        if a is not None:
            assert (a.dtype, a.shape, a.flags.c_contiguous) == (b.dtype, b.shape, True)
            np.testing.assert_array_equal(a, b)
        assert (plain.snapshot(), plain.layers) == (recorded.snapshot(), recorded.layers)
        assert plain.recorded == {}


@pytest.mark.parametrize("active", [[6], [2**32], [-1], [2**32 - 1], [1, 0], [3, 3, 3, 3]])
@pytest.mark.parametrize("dtype", [np.uint32, np.int64])
def test_wrong_indices_are_refused_whatever_their_type(active: list[int], dtype: Any, backend: str) -> None:
    if dtype is np.uint32 and not 0 <= active[0] < 2**32:
        pytest.skip("no such array")
    session = Model(spikes(), backend=backend).session()
    session.step(active=[3, 5])
    before = session.snapshot()
    with pytest.raises(ModelError, match=r"index is out of range|not ascending|stands too often"):
        session.step(active=np.array(active, dtype))
    assert session.snapshot() == before


def test_floats_of_another_byte_order_are_the_same_numbers(backend: str) -> None:
    session = Model(one("accumulate", [3]), backend=backend).session()
    x = np.array([1, 2.5, -3], np.float32)
    assert np.asarray(session.step(x.astype(">f4"))).tolist() == x.tolist()
    crooked = np.frombuffer(b"." + x.tobytes(), np.float32, offset=1)
    assert np.asarray(session.step(crooked)).tolist() == (2 * x).tolist()
    assert np.asarray(session.step(x, out=np.zeros(3, np.float32))).tolist() == (3 * x).tolist()
    with pytest.raises(UsageError, match="out does not fit output"):
        session.step(x, out=np.zeros(3, ">f4"))


def test_activations_can_be_other_than_the_file_s(backend: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    weight, x = rng.integers(-127, 128, (20, 70)).astype(np.int8), rng.normal(0, 1, 70).astype(np.float32)
    made = one(
        "linear", [70], {"activations": "int8"}, {"weight": weight, "scale": np.full(20, 0.01), "bias": np.zeros(20)}
    )
    made.save(tmp_path / "m.safetensors")
    path = str(tmp_path / "m.safetensors")
    exact = weight @ x.astype(np.float64) * 0.01
    errors = {}
    for activations in (None, "int8", "float32"):
        model = edgesnn.load(path, backend=backend, activations=activations)
        errors[activations] = np.abs(np.asarray(model.session().step(x)) - exact).max()
        assert (model.identity == made.identity) == (activations != "float32")
    assert errors[None] == errors["int8"] > 10 * errors["float32"]
    assert with_activations(with_activations(made, "float32"), "int8").identity == made.identity
    with pytest.raises(UsageError, match="found 'int4', expected float32, int8"):
        edgesnn.load(path, activations="int4")


def test_activations_change_for_one_of_two_nodes_that_share_a_weight(backend: str) -> None:
    rng = np.random.default_rng(5)
    b = Builder(input={"kind": "spikes", "shape": [16]})
    weight = rng.integers(-127, 128, (16, 16)).astype(np.int8)
    tensors = {"weight": weight, "scale": np.full(16, 0.01), "bias": np.zeros(16)}
    b.add("linear", "input", name="of_spikes", attributes={"activations": "int"}, tensors=tensors)
    b.add("linear", "of_spikes", name="of_floats", attributes={"activations": "float32"}, tensors=tensors)
    two = b.document(outputs="of_floats")
    first, second = two.nodes
    second = replace(second, tensors={**second.tensors, "weight": "of_spikes.weight"})
    kept = {name: tensor for name, tensor in two.tensors.items() if name != "of_floats.weight"}
    shared = Document(two.input, (first, second), two.outputs, two.states, kept)
    x = rng.integers(0, 2, 16)
    outputs = [
        np.asarray(Model(with_activations(document, "int8"), backend=backend).session().step(x))
        for document in (two, shared)
    ]
    assert outputs[0].tobytes() == outputs[1].tobytes()


def test_a_snapshot_that_could_lead_out_of_a_line_or_past_a_bound_is_refused(backend: str) -> None:
    session = Model(spikes(), backend=backend).session()
    session.step(active=[5, 5])
    blob = session.snapshot()
    arrays = snapshot.decode(blob, session.model.identity, ["session"])
    for name, value in (
        ("past.position", np.array(1)),
        ("past.position", np.array(-1)),
        ("past.line", np.full((1, 4), 2, np.uint8)),
    ):
        bad = snapshot.encode({**arrays, f"session/{name}": value}, session.model.identity, ["session"])
        with pytest.raises(ModelError, match=f"{name}: snapshot's state is out of range"):
            session.restore(bad)
        assert session.snapshot() == blob


def test_threads_are_a_number() -> None:
    model = Model(spikes(), backend="reference")
    for threads in (0, 257, 1.0, True, "2"):
        with pytest.raises(UsageError, match="no number of threads"):
            model.session(threads=threads)  # type: ignore[arg-type]
