"""Pools, shapes, time, elementwise operators and readouts, against torch, float64 or paper and pencil."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgesnn.errors import ModelError
from edgesnn.graph import Builder, Int4
from edgesnn.runtime import Model
from tests.one_operator import counts, document, once, run, session
from tests.running import BACKENDS

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("geometry", [([2], [2], [0]), ([3], [1], [1]), ([3], [2], [2]), ([4], [3], [1])])
@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("kind", ["int", "float32"])
def test_pools_are_those_of_torch(kind: str, axes: int, geometry: Any) -> None:
    torch = pytest.importorskip("torch")
    shape = (3, 11) if axes == 1 else (3, 11, 8)
    kernel, stride, padding = (part * axes for part in geometry)
    x = RNG.integers(0, 10, shape) if kind == "int" else RNG.normal(0, 1, shape).astype(np.float32)
    section = counts(shape, 9) if kind == "int" else shape
    attributes = {"kernel": kernel, "stride": stride, "padding": padding}
    pooled = {m: once(x, document(f"pool{axes}d", section, {"mode": m, **attributes})) for m in ("sum", "avg", "max")}
    padded = torch.nn.functional.pad(torch.from_numpy(x[None].astype(np.float64)), [p for p in padding for _ in "lr"])
    average = {1: torch.nn.functional.avg_pool1d, 2: torch.nn.functional.avg_pool2d}[axes](padded, kernel, stride)[0]
    np.testing.assert_allclose(pooled["avg"], average, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(pooled["sum"], average * np.prod(kernel), rtol=1e-5, atol=1e-5)
    outside = torch.nn.functional.pad(
        torch.from_numpy(x[None].astype(np.float64)), [p for p in padding for _ in "lr"], value=-1e9
    )
    largest = {1: torch.nn.functional.max_pool1d, 2: torch.nn.functional.max_pool2d}[axes](outside, kernel, stride)[0]
    np.testing.assert_allclose(pooled["max"], largest, rtol=1e-6)
    assert pooled["avg"].dtype == np.float32


def test_a_sum_pool_is_a_byte_where_that_is_enough() -> None:
    attributes = {"mode": "sum", "kernel": [4, 4], "stride": [4, 4]}
    for bound, kind in ((15, "int"), (16, "int32")):
        made = document("pool2d", counts([1, 4, 4], bound), attributes)
        assert (made.analysis.values["op"].kind, made.analysis.values["op"].bound) == (kind, 16 * bound)
        assert once(np.full((1, 4, 4), bound), made).tolist() == [[[16 * bound]]]
    with pytest.raises(ModelError, match=r"attribute 'padding' is wrong: found \[4, 0\]"):
        document("pool2d", counts([1, 4, 4]), {**attributes, "padding": [4, 0]})
    with pytest.raises(ModelError, match="kernel is larger than the input"):
        document("pool2d", counts([1, 4, 3]), attributes)


def test_layer_norm_softmax_and_activations_are_those_of_torch() -> None:
    torch = pytest.importorskip("torch")
    x = RNG.normal(0, 3, (5, 37)).astype(np.float32)
    t = torch.from_numpy(x).double()
    weight, bias = (RNG.normal(0, 1, 37).astype(np.float32) for _ in range(2))
    y = once(x, document("layer_norm", x.shape, {"eps": 1e-3}, {"weight": weight, "bias": bias}))
    norm = torch.nn.functional.layer_norm(
        t, [37], torch.from_numpy(weight).double(), torch.from_numpy(bias).double(), 1e-3
    )
    np.testing.assert_allclose(y, norm, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(once(x, document("softmax", x.shape)), torch.softmax(t, -1), rtol=1e-5, atol=1e-9)
    functions = {
        "relu": torch.relu(t),
        "relu2": torch.relu(t) ** 2,
        "sigmoid": torch.sigmoid(t),
        "silu": torch.nn.functional.silu(t),
        "exp": torch.exp(t),
    }
    for function, expected in functions.items():
        y = once(x, document("activation", x.shape, {"function": function}))
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-7)


def test_mean_and_max_are_over_the_axis_before_the_channels() -> None:
    x = RNG.integers(0, 8, (2, 19, 3))
    np.testing.assert_array_equal(once(x, document("max", counts(x.shape, 7))), x.max(axis=1))
    expected = (x.sum(axis=1).astype(np.float32) / np.float32(19)).astype(np.float32)
    np.testing.assert_array_equal(once(x, document("mean", counts(x.shape, 7))), expected)
    f = RNG.normal(0, 1, (2, 19, 3)).astype(np.float32)
    np.testing.assert_allclose(once(f, document("mean", f.shape)), f.mean(axis=1), rtol=1e-4, atol=1e-6)


def test_shapes() -> None:
    x = np.arange(24).reshape(2, 3, 4)
    section = counts(x.shape, 23)
    np.testing.assert_array_equal(once(x, document("reshape", section, {"shape": [4, 6]})), x.reshape(4, 6))
    np.testing.assert_array_equal(once(x, document("slice", section, {"axis": -2, "start": 1, "stop": 3})), x[:, 1:3])
    indices = np.array([3, 0, 0, 2, 1], np.int32)
    made = document("gather", section, {"axis": -1}, {"indices": indices})
    np.testing.assert_array_equal(once(x, made), x[:, :, indices])
    b = Builder(input=section)
    part = b.add("slice", "input", name="part", attributes={"axis": -3, "stop": 1})
    joined = b.document(outputs=b.add("concat", ["input", part, part], name="joined", attributes={"axis": -3}))
    np.testing.assert_array_equal(once(x, joined), np.concatenate([x, x[:1], x[:1]]))


@pytest.mark.parametrize(
    ("op", "attributes", "tensors", "message"),
    [
        ("reshape", {"shape": [5]}, {}, "input cannot be reshaped"),
        ("reshape", {"shape": [-1, -6]}, {}, "input cannot be reshaped"),
        ("reshape", {"shape": [2.0, 3]}, {}, "attribute 'shape' is wrong"),
        ("slice", {"start": 2, "stop": 2}, {}, "slice is not within the axis"),
        ("slice", {"stop": 4}, {}, "slice is not within the axis"),
        ("slice", {"axis": -3, "stop": 1}, {}, "axis is none of the value's"),
        ("gather", {}, {"indices": np.array([3], np.int32)}, "indices are out of range: found 3 to 3, expected 0 to 2"),
        ("gather", {}, {"indices": np.array([-1], np.int32)}, "indices are out of range"),
        ("gather", {}, {"indices": np.array([1.0], np.float32)}, "another shape or type"),
        ("concat", {}, {}, "other number of inputs"),
        ("embedding", {}, {"weight": np.ones((2, 2), np.float32)}, "input is not a token"),
        ("layer_norm", {"eps": -1}, {"weight": np.ones(3), "bias": np.ones(3)}, "attribute 'eps' is wrong"),
    ],
)
def test_what_does_not_fit_is_refused(op: str, attributes: Any, tensors: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        document(op, [2, 3], attributes, tensors)


def test_add_multiply_and_scale() -> None:
    b = Builder(input=counts([3], 100))
    currents = [
        b.add("linear", "input", name=f"fc{i}", attributes={"activations": "int", "output": "int32"},
              tensors={"weight": (np.eye(3) * (i + 1)).astype(np.int8)})
        for i in range(2)
    ]  # fmt: skip
    both = b.add("add", currents, name="both")
    scaled = b.add("scale", "input", name="scaled", tensors={"scale": [0.5], "bias": np.array([1.0, 2.0, 3.0])})
    gated = b.add("multiply", [scaled, "input"], name="gated")
    squared = b.add("multiply", [scaled, scaled], name="squared")
    twice, mixed = b.add("add", ["input", "input"], name="twice"), b.add("add", [scaled, "input"], name="mixed")
    made = b.document(outputs=[both, gated, squared, twice, mixed])
    assert made.analysis.values["both"].bound == 2 * 127 * 3 * 100
    y: Any = Model(made, backend="reference").session().step([2, 100, 0])
    assert y["both"].tolist() == [6, 300, 0]
    assert y["gated"].tolist() == [4.0, 5200.0, 0.0]
    assert y["squared"].tolist() == [4.0, 2704.0, 9.0]
    assert y["twice"].tolist() == [4, 200, 0]
    assert y["mixed"].tolist() == [4.0, 152.0, 3.0]


def test_sums_of_integers_that_may_not_fit_are_refused() -> None:
    b = Builder(input=counts([1], 128))
    b.add("add", ["input", "input"], name="sum")
    with pytest.raises(ModelError, match="found up to 256, expected at most 255"):
        b.document(outputs="sum")
    b = Builder(input=counts([40000], 255))
    weight = {"weight": np.ones((1, 40000), np.int8)}
    b.add("linear", "input", name="fc", attributes={"activations": "int", "output": "int32"}, tensors=weight)
    b.add("add", ["fc", "fc"], name="sum")
    with pytest.raises(ModelError, match="expected at most 2147483647"):
        b.document(outputs="sum")


def test_readouts_accumulate_until_the_reset() -> None:
    xs = [[1, 0], [2, 1], [0, 1]]
    assert run(xs, document("count", counts([2], 3))).tolist() == [[1, 0], [3, 1], [3, 2]]
    modes = {"sum": [[1, 0], [3, 1], [3, 2]], "mean": [[1, 0], [1.5, 0.5], [1, np.float32(2) / np.float32(3)]]}
    for mode, expected in modes.items():
        for section in (counts([2], 3), [2]):
            assert run(xs, document("accumulate", section, {"mode": mode})).tolist() == expected
    leaky = document("accumulate", [2], {"mode": "leaky"}, {"alpha": np.array([0.5, 0])})
    assert run(xs, leaky).tolist() == [[1, 0], [2.5, 1], [1.25, 1]]
    stream = session(document("count", counts([2], 3)))
    stream.run(xs)
    stream.reset()
    assert np.asarray(stream.step([1, 1])).tolist() == [1, 1]


def delay(steps: int, kind: str = "int", bound: int = 9, **more: Any) -> dict[str, Any]:
    return {"steps": steps, "shape": [3], "value": kind, "bound": bound, **more}


def test_a_delay_gives_what_was_so_many_steps_before() -> None:
    xs = np.arange(1, 10).repeat(3).reshape(9, 3)
    for steps in (1, 2, 5):
        expected = np.vstack([np.zeros((steps, 3), int), xs[: 9 - steps]])
        np.testing.assert_array_equal(run(xs, document("delay", counts([3], 9), delay(steps))), expected)
    each = document("delay", counts([3], 9), delay(4), {"delays": np.array([0, 4, 1], np.int32)})
    y = run(xs, each)
    assert y[:, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert y[:, 1].tolist() == [0, 0, 0, 0, 1, 2, 3, 4, 5]
    assert y[:, 2].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8]


def echo(delays: list[int] | None = None, **changes: Any) -> Any:
    """A recurrent graph: y = x + y of two steps before."""
    b = Builder(input={"kind": "dense", "shape": [3]})
    tensors = {} if delays is None else {"delays": np.array(delays, np.int32)}
    past = b.add("delay", "y", name="past", attributes={**delay(2, "float32", 0), **changes}, tensors=tensors)
    return b.document(outputs=b.add("add", ["input", past], name="y"))


def test_a_cycle_passes_through_a_delay() -> None:
    xs = np.ones((6, 3), np.float32)
    assert run(xs, echo())[:, 0].tolist() == [1, 1, 2, 2, 3, 3]
    assert run(xs, echo([1, 2, 2]))[:, :2].tolist() == [[1, 1], [2, 1], [3, 2], [4, 2], [5, 3], [6, 3]]


@pytest.mark.parametrize(
    ("delays", "changes", "message"),
    [
        (
            [0, 1, 2],
            {},
            "node 'past', tensor 'past.delays': input 'y' is made by a later node: found 0, expected at least 1",
        ),
        ([1, 3, 1], {}, "delays are out of range: found 1 to 3, expected 0 to 2"),
        ([1, 1], {}, r"found int32 \[2\], expected int32 \[3\]"),
        (None, {"shape": [4]}, r"inputs cannot be added: found float32\[3\] and float32\[4\]"),
        (
            None,
            {"value": "int", "bound": 1},
            r"not what the attributes say: found float32\[3\], expected int\[3\] up to 1",
        ),
        (None, {"bound": 1}, "attribute 'bound' is wrong"),
        (None, {"steps": 0}, "attribute 'steps' is wrong"),
        (None, {"steps": 4097}, "attribute 'steps' is wrong: found 4097, expected an integer from 1 to 4096"),
        (None, {"steps": 4096, "shape": [2**28]}, "value is too large"),
        (None, {"shape": []}, "inputs cannot be added"),
    ],
)
def test_a_delay_that_does_not_fit_is_refused(delays: Any, changes: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        echo(delays, **changes)


def test_a_cycle_without_a_delay_and_a_delay_of_itself_are_refused() -> None:
    b = Builder(input={"kind": "dense", "shape": [3]})
    b.add("add", ["input", "y"], name="x")
    with pytest.raises(ModelError, match="a cycle, or nodes out of order"):
        b.document(outputs=b.add("add", ["x", "x"], name="y"))
    b = Builder(input={"kind": "dense", "shape": [3]})
    with pytest.raises(ModelError, match="a cycle"):
        b.document(outputs=b.add("delay", "d", name="d", attributes=delay(1)))
    b = Builder(input=counts([3], 9))
    with pytest.raises(ModelError, match=r"found int\[3\] up to 9, expected int\[3\] up to 8"):
        b.document(outputs=b.add("delay", "input", name="d", attributes=delay(1, bound=8)))


def test_tokens_are_embedded_shifted_and_remembered() -> None:
    """RWKV-4's time mixing against its plain form in float64."""
    size, vocab = 6, 9
    b = Builder(input={"kind": "tokens", "vocab": vocab})
    table = RNG.normal(0, 1, (vocab, size)).astype(np.float32)
    x = b.add("embedding", "input", name="table", tensors={"weight": table})
    past = b.add("delay", x, name="past", attributes={"steps": 1, "shape": [size], "value": "float32"})
    mix = RNG.uniform(0, 1, size).astype(np.float32)
    k = b.add("token_shift", [x, past], name="k", tensors={"mix": mix, "keep": 1 - mix})
    bonus, decay = RNG.normal(0, 1, size), -RNG.uniform(0.1, 2, size)
    made = b.document(outputs=[b.add("wkv", [k, x], name="wkv", tensors={"bonus": bonus, "decay": decay}), x])
    tokens = RNG.integers(0, vocab, 12)
    y: Any = Model(made, backend="reference").session().run(tokens)
    np.testing.assert_array_equal(y["table"], table[tokens])
    v = table[tokens].astype(np.float64)
    before = np.vstack([np.zeros(size), v[:-1]])
    keys = v * mix + before * (1 - mix)
    for t in range(12):
        ages = np.array([[t - 1 - s] for s in range(t)])
        logs = np.vstack([keys[:t] + ages * decay, (keys[t] + bonus)[None]]) if t else (keys[t] + bonus)[None]
        e = np.exp(logs)
        np.testing.assert_allclose(y["wkv"][t], (e * v[: t + 1]).sum(0) / e.sum(0), rtol=2e-4, atol=1e-5)


def test_an_embedding_may_be_int8_and_must_cover_the_vocabulary() -> None:
    section = {"kind": "tokens", "vocab": 3}
    table = np.array([[1, -2], [3, 4], [5, 127]], np.int8)
    made = document("embedding", section, {}, {"weight": table, "scale": [1.0, 0.5, 0.25]})
    assert np.asarray(session(made).run([2, 0, 1])).tolist() == [[1.25, 31.75], [1, -2], [1.5, 2]]
    expected = r"found float32 \[2, 2\], expected float32, int8 \(layout rows\) or int4 \(om16x8\) \[3, D\]"
    with pytest.raises(ModelError, match=expected):
        document("embedding", section, {}, {"weight": np.ones((2, 2), np.float32)})


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("columns", "group"), [(5, 32), (40, 32), (70, 32), (70, 64), (200, 64), (130, 128)])
def test_a_table_of_int4_is_each_number_times_its_multiplier_and_scale(backend: str, columns: int, group: int) -> None:
    rng, vocab, groups = np.random.default_rng(columns), 19, -(-columns // group)
    table, scale = rng.integers(-8, 8, (vocab, columns)), rng.uniform(0.01, 1, vocab).astype(np.float32)
    multiplier = rng.integers(1, 256, (vocab, groups)).astype(np.uint8)
    tensors = {"weight": Int4(table, group), "scale": scale, "multiplier": multiplier}
    made = document("embedding", {"kind": "tokens", "vocab": vocab}, {}, tensors)
    ours = np.asarray(Model(made, backend=backend).session().run(np.arange(vocab)))
    for token in range(vocab):
        for n in range(columns):
            whole = np.float32(int(multiplier[token, n // group]) * int(table[token, n]))
            assert ours[token, n] == whole * scale[token]


def test_multipliers_that_do_not_fit_an_int4_table_are_refused() -> None:
    section, scale = {"kind": "tokens", "vocab": 3}, np.ones(3)
    weight = Int4(np.ones((3, 70), np.int8), 32)
    for multiplier, message in (
        (np.ones((3, 2), np.uint8), r"tensor has another shape or type: found uint8 \[3, 2\], expected uint8 \[3, 3\]"),
        (np.ones((2, 3), np.uint8), r"tensor has another shape or type: found uint8 \[2, 3\], expected uint8 \[3, 3\]"),
        (np.ones(3, np.float32), "tensor has another shape or type: found float32"),
        (np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8), "multiplier is out of range"),
    ):
        with pytest.raises(ModelError, match=message):
            document("embedding", section, {}, {"weight": weight, "scale": scale, "multiplier": multiplier})
    with pytest.raises(ModelError, match="node has other tensors"):
        document("embedding", section, {}, {"weight": weight, "scale": scale})
    with pytest.raises(ModelError, match="group of Int4 is wrong"):
        document("embedding", section, {}, {"weight": Int4(np.ones((3, 70), np.int8)), "scale": scale})
