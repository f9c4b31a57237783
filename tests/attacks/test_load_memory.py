"""Small files that name large values: loading one takes memory for what the file holds, not for what it names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn.errors import ModelError
from edgesnn.graph import Builder, Document
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


def many_layers(b: Builder) -> str:
    x, shape = currents(b), [2, 2**9, 2**8]
    x = b.add("slice", x, name="part", attributes={"axis": -1, "start": 0, "stop": 2**18})
    x = b.add("reshape", x, name="images", attributes={"shape": shape})
    for i in range(40):
        vectors = {"scale": np.float32([1, i]), "bias": np.float32([0, i])}
        x = b.add("scale", x, name=f"s{i}", attributes={"axis": -3}, tensors=vectors)
    return x


NEURONS: list[Add] = [currents, neurons, neurons_of_channels, integrators, added_up]
MAKERS: list[Add] = [reshapes, slices, joined, gathered, delayed, *NEURONS, many_layers]


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
