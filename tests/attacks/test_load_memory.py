"""Small files that name large values: loading one takes memory for what the file holds, not for what it names."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn.errors import ModelError
from edgesnn.graph import Builder, Document, Int4
from edgesnn.graph.tensors import Plain
from edgesnn.graph.values import MAX_NODES
from tests.memory import measured

LARGE = 2**26  # elements of uint8: one slot of a value is 64 MiB
MOST_MIB = 48
LOAD = """
import edgesnn
def warm(small, large): edgesnn.load(small, backend="native")
def work(small, large): edgesnn.load(large, backend="native")
"""

Add = Callable[[Builder], str]


def reshapes(b: Builder) -> str:
    x = "input"
    for i in range(6):
        x = b.add("reshape", x, name=f"r{i}", attributes={"shape": [2**13, 2**13] if i % 2 == 0 else [LARGE]})
    return x


def slices(b: Builder) -> str:
    x = "input"
    for i in range(4):
        x = b.add("slice", x, name=f"s{i}", attributes={"axis": -1, "start": 1, "stop": LARGE - 2 * i})
    return x


def joined(b: Builder) -> str:
    half = b.add("slice", "input", name="half", attributes={"axis": -1, "start": 0, "stop": LARGE // 2})
    return b.add("concat", [half, half], name="both", attributes={"axis": -1})


def gathered(b: Builder) -> str:
    rows = b.add("reshape", "input", name="rows", attributes={"shape": [2, LARGE // 2]})
    return b.add("gather", rows, name="swapped", attributes={"axis": -2}, tensors={"indices": np.array([1, 0], "i4")})


def delayed(b: Builder) -> str:
    attributes = {"steps": 1, "shape": [LARGE], "value": "int", "bound": 1}
    return b.add("delay", "input", name="past", attributes=attributes)


def currents(b: Builder) -> str:
    ones, zeros = np.ones(1, "f4"), np.zeros(1, "f4")
    return b.add("scale", "input", name="currents", tensors={"scale": ones, "bias": zeros})


def neurons(b: Builder) -> str:
    one = np.ones(1, "f4")
    flags = {"current": "new", "reset": "value"}
    roles = ("alpha", "v_th", "beta", "v_reset", "gain", "leak", "v_min")
    return b.add("lif", currents(b), name="lif", attributes=flags, tensors=dict.fromkeys(roles, one))


def neurons_of_channels(b: Builder) -> str:
    images = b.add("reshape", currents(b), name="images", attributes={"shape": [2, 2**12, LARGE // 2**13]})
    vectors = {"alpha": np.float32([0.5, 0.75]), "v_th": np.float32([1, 2])}
    return b.add("lif", images, name="lif", attributes={"axis": -3}, tensors=vectors)


def integrators(b: Builder) -> str:
    flags = {"spike": "none", "reset": "none"}
    return b.add("lif", currents(b), name="lif", attributes=flags, tensors={"alpha": np.ones(1, "f4")})


def added_up(b: Builder) -> str:
    return b.add("accumulate", "input", name="sum", attributes={"mode": "leaky"}, tensors={"alpha": np.ones(1, "f4")})


def convolved(b: Builder) -> str:
    image = b.add("reshape", "input", name="image", attributes={"shape": [1, 2**13, 2**13]})
    attributes = {"activations": "int", "stride": [2**13, 2**13]}
    tensors = {"weight": np.ones((1, 1, 1, 1), np.int8), "scale": np.ones(1, "f4"), "bias": np.zeros(1, "f4")}
    return b.add("conv2d", image, name="conv", attributes=attributes, tensors=tensors)


def pooled(b: Builder) -> str:
    image = b.add("reshape", "input", name="image", attributes={"shape": [1, 2**13, 2**13]})
    return b.add("pool2d", image, name="pool", attributes={"mode": "max", "kernel": [1, 1], "stride": [4096, 4096]})


def many_layers(b: Builder) -> str:
    x, shape = currents(b), [2, 2**9, 2**8]
    x = b.add("slice", x, name="part", attributes={"axis": -1, "start": 0, "stop": 2**18})
    x = b.add("reshape", x, name="images", attributes={"shape": shape})
    for i in range(40):
        vectors = {"scale": np.float32([1, i]), "bias": np.float32([0, i])}
        x = b.add("scale", x, name=f"s{i}", attributes={"axis": -3}, tensors=vectors)
    return x


NEURONS: list[Add] = [currents, neurons, neurons_of_channels, integrators, added_up]
MAKERS: list[Add] = [reshapes, slices, joined, gathered, delayed, convolved, pooled, *NEURONS, many_layers]


@pytest.mark.parametrize("add", MAKERS)
def test_a_small_file_with_large_values_is_loaded_in_little_memory(add: Add, tmp_path: Path) -> None:
    paths = []
    for size, name in ((64, "small"), (LARGE, "large")):
        b = Builder(input={"kind": "spikes", "shape": [size]})
        path = tmp_path / f"{name}.safetensors"
        b.document(outputs=add(b) if size == LARGE else b.add("count", "input", name="total")).save(path)
        paths.append(str(path))
    assert Path(paths[1]).stat().st_size < 2**15
    _, grown = measured(LOAD, *paths)
    assert grown < MOST_MIB << 10


def shared_by(layers: int) -> Document:
    """Return a model whose layers all name one weight of int8, 256 KiB, each of which is held as 1 MiB of floats."""
    b = Builder(input={"kind": "dense", "shape": [512]})
    vectors = {"scale": np.ones(512, "f4"), "bias": np.zeros(512, "f4")}
    weight = {"weight": np.ones((512, 512), np.int8), **vectors}
    b.add("linear", "input", name="l0", attributes={"activations": "float32"}, tensors=weight)
    first = b.document(outputs="l0")
    (node,) = first.nodes
    nodes = tuple(replace(node, name=f"l{i}", outputs=(f"l{i}",)) for i in range(layers))
    return Document(first.input, nodes, ("l0",), first.states, first.tensors)


def test_a_tensor_that_many_nodes_share_is_held_for_some_of_them_only(tmp_path: Path) -> None:
    path = tmp_path / "shared.safetensors"
    shared_by(40).save(path)
    edgesnn.load(path, backend="native")
    shared_by(400).save(path)
    with pytest.raises(ModelError, match=r"node 'l\d+': tensors that many nodes share need too much memory"):
        edgesnn.load(path, backend="native")


def test_lists_of_the_events_of_many_convolutions_count_as_memory(tmp_path: Path) -> None:
    """Each takes 20 bytes an element of its input in every workspace: 1.25 GiB here."""
    b = Builder(input={"kind": "spikes", "shape": [1, 2**13, 2**13]})
    attributes = {"activations": "int", "stride": [2**13, 2**13]}
    for i in range(8):
        tensors = {"weight": np.ones((1, 1, 1, 1), np.int8), "scale": np.ones(1, "f4"), "bias": np.zeros(1, "f4")}
        b.add("conv2d", "input", name=f"conv{i}", attributes=attributes, tensors=tensors)
    path = tmp_path / "events.safetensors"
    b.document(outputs="conv0").save(path)
    with pytest.raises(ModelError, match=r"node 'conv\d': model needs too much memory"):
        edgesnn.load(path, backend="native")


STEP = """
import edgesnn
def warm(small, large): edgesnn.load(small, backend="native").session().step(1)
def work(small, large): edgesnn.load(large, backend="native").session().step(1)
"""


@pytest.mark.parametrize("number", ["float32", "int8", "int4"])
def test_a_table_takes_memory_for_the_rows_that_are_read(number: str, tmp_path: Path) -> None:
    paths = []
    for vocab in (4, 2**26 // 512 // {"float32": 4, "int8": 1, "int4": 1}[number]):
        table: np.ndarray = np.ones((vocab, 512), "f4" if number == "float32" else "i1")
        vectors: dict[str, Plain] = {} if number == "float32" else {"scale": np.ones(vocab, "f4")}
        if number == "int4":
            vectors["multiplier"] = np.ones((vocab, 4), "u1")
        b = Builder(input={"kind": "tokens", "vocab": vocab})
        tensors = {"weight": Int4(table, 128) if number == "int4" else table, **vectors}
        b.document(outputs=b.add("embedding", "input", name="x", tensors=tensors)).save(
            tmp_path / f"{vocab}.safetensors"
        )
        paths.append(str(tmp_path / f"{vocab}.safetensors"))
    assert Path(paths[1]).stat().st_size > 2**25
    _, grown = measured(STEP, *paths)
    assert grown < 12 << 10


INFO = """
from edgesnn.graph import read
from edgesnn.graph.text import describe
def warm(small, large): describe(read(small))
def work(small, large): return describe(read(large))
"""


def test_a_small_file_with_large_values_is_described_in_little_memory(tmp_path: Path) -> None:
    paths = []
    for size in (2, 2**13):
        b = Builder(input={"kind": "dense", "shape": [1, size, size]})
        kernel = {"weight": np.ones((1, 1, 3, 3), "f4"), "scale": np.ones(1, "f4"), "bias": np.zeros(1, "f4")}
        attributes = {"activations": "float32", "padding": [1, 1]}
        made = b.add("conv2d", "input", name="conv", attributes=attributes, tensors=kernel)
        paths.append(tmp_path / f"{size}.safetensors")
        b.document(outputs=made).save(paths[-1])
    text, grown = measured(INFO, *paths)
    assert f"{(3 * 2**13 - 2) ** 2:,} a step" in text
    assert grown < MOST_MIB << 10


def counters(count: int, path: Path) -> Path:
    """Save a graph of so many counts of one input."""
    b = Builder(input={"kind": "spikes", "shape": [1]})
    first = b.document(outputs=b.add("count", "input", name="n0"))
    (node,), (state,) = first.nodes, first.states
    nodes = tuple(replace(node, name=f"n{i}", outputs=(f"n{i}",)) for i in range(count))
    states = tuple(replace(state, name=f"n{i}.total") for i in range(count))
    Document(first.input, nodes, ("n0",), states, {}).save(path)
    return path


def test_many_nodes_are_read_in_time(tmp_path: Path) -> None:
    """Nothing that is done with n nodes may take n * n: half of those that there may be took minutes."""
    path = counters(MAX_NODES // 2, tmp_path / "many.safetensors")
    begin = time.process_time()
    for backend in ("native", "reference"):
        edgesnn.load(path, backend=backend).session()
    assert time.process_time() - begin < 20


def test_more_nodes_than_there_may_be_are_refused(tmp_path: Path) -> None:
    path = counters(MAX_NODES + 1, tmp_path / "more.safetensors")
    with pytest.raises(ModelError, match="too many nodes: found 16385, expected at most 16384"):
        edgesnn.load(path)
