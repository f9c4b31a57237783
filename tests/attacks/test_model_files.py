"""Hostile, cut and wrong model files: each is one ModelError that says what, where, found and expected.

Nothing crashes, nothing is allocated on a file's word.
"""

from __future__ import annotations

import json
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgesnn
from bench import spikepoint_net
from edgesnn.errors import ModelError
from edgesnn.graph import Builder, Int4, container, read
from edgesnn.graph.layout import pack, padding_is_zero, unpack
from edgesnn.quantize import quantize

SMALL = {"points": 32, "groups": 8, "neighbours": 4, "steps": 3, "classes": 2, "voters": 2, "widths": (8, 16, 16, 32)}
Json = dict[str, Any]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "good.safetensors"
    quantize(spikepoint_net.document(SMALL)).save(path)
    return path


def rewrite(good: Path, path: Path, change: Callable[[Json, dict[str, np.ndarray[Any, Any]]], None]) -> Path:
    """Write the good model with its document and tensors changed; the container itself stays well-formed."""
    metadata, arrays = container.map_file(good)
    document, tensors = json.loads(metadata["edgesnn"]), {name: array.copy() for name, array in arrays.items()}
    change(document, tensors)
    container.write(path, tensors, {"edgesnn": json.dumps(document)})
    return path


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        edgesnn.load(str(path), backend="native")
    message = str(caught.value)
    assert str(path) in message
    assert len(message) < 600
    return message


def node(document: Json, name: str) -> Json:
    return next(n for n in document["graph"]["nodes"] if n["name"] == name)


def put(value: Any, *path: Any) -> Callable[[Json, Any], None]:
    """Return a change that sets one field of the document."""

    def change(document: Json, tensors: Any) -> None:
        at: Any = document
        for key in path[:-1]:
            at = node(document, key[1:]) if isinstance(key, str) and key.startswith("@") else at[key]
        at[path[-1]] = value

    return change


def drop(*path: Any) -> Callable[[Json, Any], None]:
    def change(document: Json, tensors: Any) -> None:
        at: Any = document
        for key in path[:-1]:
            at = node(document, key[1:]) if isinstance(key, str) and key.startswith("@") else at[key]
        del at[path[-1]]

    return change


def set_tensor(name: str, index: Any, value: float) -> Callable[[Json, Any], None]:
    def change(document: Json, tensors: Any) -> None:
        tensors[name][index] = value

    return change


def replace_tensor(name: str, array: Any) -> Callable[[Json, Any], None]:
    def change(document: Json, tensors: Any) -> None:
        tensors[name] = array

    return change


def remove_tensor(name: str) -> Callable[[Json, Any], None]:
    def change(document: Json, tensors: Any) -> None:
        del tensors[name]
        del document["tensors"][name]

    return change


def wide_sum(document: Json, tensors: Any) -> None:
    """Add a value to itself until a byte cannot hold it."""
    nodes, last = document["graph"]["nodes"], "pool_members"
    at = next(i for i, n in enumerate(nodes) if n["name"] == last) + 1
    for i in range(9):
        entry = {"name": f"wide{i}", "op": "add", "inputs": [last, last], "outputs": [f"wide{i}"]}
        nodes.insert(at + i, {**entry, "attributes": {}, "tensors": {}})
        last = f"wide{i}"


def many_rows(document: Json, tensors: Any) -> None:
    document["input"].update(points=65536, groups=65536, neighbours=65536)


WRONG: dict[str, tuple[Callable[[Json, Any], None], str]] = {
    "newer version": (put(3, "format_version"), "newer than this edgesnn: found format_version 3, expected at most 2"),
    "version is a text": (put("1", "format_version"), "no format_version"),
    "no graph": (drop("graph"), "no 'graph'"),
    "unknown field": (put(1, "extra"), "unknown 'extra'"),
    "unknown operator": (put("warp", "@fc2", "op"), "node 'fc2': operator is not known: found 'warp'"),
    "cycle": (put(["lif2"], "@fc2", "inputs"), "node 'fc2': input 'lif2' is made by a later node: a cycle"),
    "own output": (put(["fc2"], "@fc2", "inputs"), "node 'fc2': input 'fc2' is made by a later node: a cycle"),
    "missing input": (put(["nothing"], "@fc2", "inputs"), "node 'fc2': input 'nothing' is made by no node"),
    "two inputs": (put(["lif1", "lif1"], "@fc2", "inputs"), "node 'fc2': other number of inputs and outputs"),
    "no inputs": (put([], "@fc2", "inputs"), "inputs is wrong"),
    "inputs no list": (put("lif1", "@fc2", "inputs"), "inputs is wrong"),
    "value twice": (put(["lif1"], "@fc2", "outputs"), "value 'lif1' is made twice"),
    "node twice": (put("lif1", "@fc2", "name"), "node 'lif1': two nodes have one name"),
    "missing attribute": (drop("@fc2", "attributes", "activations"), "attribute 'activations' is missing"),
    "unknown attribute": (put(1, "@fc2", "attributes", "bits"), "attribute 'bits' is unknown"),
    "wrong attribute": (put("int4", "@fc2", "attributes", "activations"), "attribute 'activations' is wrong"),
    "attribute is a list": (put([1], "@fc2", "attributes", "activations"), "attribute 'activations' is wrong"),
    "float attribute": (put(2.0, "@vote", "attributes", "classes"), "attribute 'classes' is wrong"),
    "huge attribute": (put(10**30, "@vote", "attributes", "classes"), "attribute 'classes' is wrong"),
    "other kind": (put("float32", "@fc2", "attributes", "activations"), "node 'fc2': input is of another kind"),
    "votes do not fit": (put(3, "@vote", "attributes", "classes"), "node 'vote': input is not one vote a neuron"),
    "tensor missing in file": (replace_tensor("extra", np.zeros(16, np.float32)), "tensor 'extra'"),
    "tensor missing": (remove_tensor("fc2.weight"), "node 'fc2', weight: tensor is missing"),
    "tensor unused": (drop("@fc2", "tensors", "bias"), "node 'fc2': node has other tensors"),
    "tensor of another node": (put("fc1.weight", "@fc2", "tensors", "weight"), "tensor 'fc1.weight'"),
    "wrong shape": (
        put([5, 8], "tensors", "fc2.weight", "shape"),
        "tensor 'fc2.scale': tensor has another shape or type: found float32 [4]",
    ),
    "negative shape": (put([-1, 8], "tensors", "fc2.weight", "shape"), "shape is wrong"),
    "huge shape": (put([10**18, 8], "tensors", "fc2.weight", "shape"), "shape is wrong"),
    "unknown layout": (put("om", "tensors", "fc2.weight", "layout"), "layout is not known"),
    "layout no text": (put(None, "tensors", "fc2.weight", "layout"), "layout is wrong"),
    "stored too small": (replace_tensor("fc2.weight", np.zeros((4, 16), np.int8)), "stored shape is not the layout's"),
    "wrong type": (
        replace_tensor("fc2.scale", np.zeros(16, np.float64)),
        "tensor 'fc2.scale': tensor type is not used",
    ),
    "integer scale": (replace_tensor("fc2.scale", np.zeros(16, np.int8)), "tensor 'fc2.scale'"),
    "NaN scale": (set_tensor("fc2.scale", 0, np.nan), "tensor 'fc2.scale': tensor has values that are not numbers"),
    "infinite bias": (set_tensor("fc2.bias", 1, np.inf), "tensor 'fc2.bias': tensor has values that are not numbers"),
    "NaN threshold": (set_tensor("lif2.v_th", 0, np.nan), "tensor 'lif2.v_th'"),
    "weight -128": (set_tensor("fc2.weight", (0, 0), -128), "tensor 'fc2.weight': weight is out of range"),
    "sum past a byte": (wide_sum, "sum may not fit its type: found up to 256, expected at most 255"),
    "state missing": (drop("states", 0), "states are not the graph's"),
    "state renamed": (put("lif1.w", "states", 0, "name"), "states are not the graph's"),
    "state of another shape": (put([1], "states", 0, "shape"), "state 'lif1.v': state is not the graph's"),
    "unknown reset policy": (put("sometimes", "states", 0, "reset"), "reset policy is not known"),
    "unknown output": (put(["nothing"], "graph", "outputs"), "output 'nothing' is made by no node"),
    "window as output": (put(["input"], "graph", "outputs"), "output 'input' is made by no node"),
    "no outputs": (put([], "graph", "outputs"), "graph.outputs is wrong"),
    "unknown input kind": (put("smell", "input", "kind"), "input.kind is wrong: found 'smell'"),
    "no steps": (put(0, "input", "steps"), "input.steps is wrong: found 0, expected an integer from 1"),
    "more groups than points": (put(33, "input", "groups"), "input.groups is wrong"),
    "steps is true": (put(True, "input", "steps"), "input.steps is wrong"),
    "ten billion rows": (many_rows, "is too large"),
    "seed of 65 bits": (put(2**64, "input", "seed"), "input.seed is wrong"),
    "zero sensor": (put([0, 1], "input", "sensor"), "input.sensor is wrong"),
    "too few labels": (put(["a"], "readout", "labels"), "readout.labels is wrong"),
    "labels twice": (put(["a", "a"], "readout", "labels"), "readout.labels is wrong"),
    "huge temperature": (put(10**400, "readout", "temperature"), "readout.temperature is wrong"),
    "label of half a character": (put("\ud800", "readout", "labels", 0), "not valid JSON"),
    "zero temperature": (put(0, "readout", "temperature"), "readout.temperature is wrong"),
    "rejection above one": (put(1.5, "readout", "rejection"), "readout.rejection is wrong"),
    "readout of no output": (put("lif1", "readout", "node"), "readout.node is wrong"),
    "no onset windows": (put({"confidence": 0, "windows": 0}, "readout", "onset"), "readout.onset.windows is wrong"),
    "nodes no list": (put({}, "graph", "nodes"), "graph.nodes is wrong"),
    "node no object": (put(1, "graph", "nodes", 0), "graph.nodes[0] is wrong"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_document_is_refused_by_name(name: str, good: Path, tmp_path: Path) -> None:
    change, message = WRONG[name]
    assert message in refused(rewrite(good, tmp_path / "wrong.safetensors", change))


def with_header(header: Any, body: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def entry(**fields: Any) -> Json:
    return {"t": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], **fields}}


CONTAINERS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "file is too short"),
    "seven bytes": (b"\0" * 7, "file is too short"),
    "a text": (b"hello, this is no model", "header length does not fit the file"),
    "length lies": (struct.pack("<Q", 2**63) + b"{}", "header length does not fit the file"),
    "length is all ones": (b"\xff" * 8 + b"{}", "header length does not fit the file"),
    "no json": (with_header(b"nothing", b""), "not valid JSON"),
    "not utf-8": (with_header(b'{"\xff": 1}', b""), "not valid JSON"),
    "a list": (with_header([], b""), "not a JSON object"),
    "name twice": (with_header(b'{"a": {}, "a": {}}', b""), "'a' stands twice"),
    "many names, the last twice": (
        with_header(b"{" + b"".join(b'"%d": 0, ' % i for i in range(60_000)) + b'"59999": 1}', b""),
        "'59999' stands twice",
    ),
    "deep": (with_header(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b""), "not valid JSON"),
    "half a character": (with_header(b'{"\\ud800": 1}', b""), "not valid JSON"),
    "infinite number": (with_header(b'{"a": 1e999}', b""), "1e999 is not allowed"),
    "NaN in json": (with_header(b'{"a": NaN}', b""), "NaN is not allowed"),
    "ten gigabytes": (
        with_header(entry(shape=[2_500_000_000], data_offsets=[0, 10_000_000_000]), b"\0" * 16),
        "tensor ends after the file",
    ),
    "size overflows": (with_header(entry(shape=[2**62, 2**62]), b"\0" * 16), "shape is too large"),
    "nothing of a huge size": (with_header(entry(shape=[0, 10**30], data_offsets=[0, 0]), b""), "shape is too large"),
    "shape lies": (with_header(entry(shape=[5]), b"\0" * 16), "size is not its shape's"),
    "negative shape": (with_header(entry(shape=[-4]), b"\0" * 16), "shape is not a list of sizes"),
    "fractional shape": (with_header(entry(shape=[4.0]), b"\0" * 16), "shape is not a list of sizes"),
    "huge number": (with_header(entry(data_offsets=[0, 10**400]), b"\0" * 16), "tensor ends after the file"),
    "backwards": (with_header(entry(data_offsets=[16, 0]), b"\0" * 16), "overlap or leave a hole"),
    "hole": (with_header(entry(data_offsets=[16, 32]), b"\0" * 32), "overlap or leave a hole"),
    "overlap": (
        with_header({**entry(), "u": {"dtype": "F32", "shape": [4], "data_offsets": [8, 24]}}, b"\0" * 24),
        "overlap or leave a hole",
    ),
    "bytes after": (with_header(entry(), b"\0" * 17), "bytes after its last tensor"),
    "unknown type": (with_header(entry(dtype="F8"), b"\0" * 16), "tensor type is not known"),
    "type is a list": (with_header(entry(dtype=["F32"]), b"\0" * 16), "tensor type is not known"),
    "unknown field": (with_header(entry(more=1), b"\0" * 16), "other fields"),
    "metadata no map": (with_header({"__metadata__": 3}, b""), "metadata is not a map"),
    "another's file": (with_header(entry(), b"\0" * 16), "not an edgesnn model"),
    "metadata no json": (with_header({"__metadata__": {"edgesnn": "{"}, **entry()}, b"\0" * 16), "not valid JSON"),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_wrong_container_is_refused_without_allocating(name: str, tmp_path: Path) -> None:
    data, message = CONTAINERS[name]
    path = tmp_path / "wrong.safetensors"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        assert message in refused(path)
        assert tracemalloc.get_traced_memory()[1] < 30 << 20
    finally:
        tracemalloc.stop()


def test_many_names_that_stand_twice_are_found_at_once() -> None:
    """A quadratic search took half a minute over these 0.5 MB."""
    text = "{" + ", ".join(f'"{i:07d}": 0' for i in range(40_000)) + ', "0039999": 1}'
    began = time.process_time()
    with pytest.raises(ModelError, match="stands twice"):
        container.parse_json(text, "here")
    assert time.process_time() - began < 3


# layout: plain shapes (some without padding on an axis), type, group
PADDED: dict[str, tuple[list[tuple[int, ...]], type, int]] = {
    "vector": ([(5,), (17,), (32,)], np.int32, 0),
    "im": ([(5, 7), (16, 3), (17, 4), (3, 2, 2)], np.int8, 0),
    "im4": ([(5, 7), (32, 3), (33, 4), (40, 4), (64, 5), (3, 2, 2)], np.int8, 0),
    "om16x4": ([(5, 7), (16, 18), (17, 16), (16, 16), (3, 2, 2)], np.int8, 0),
    "om16x8": ([(5, 7), (16, 34), (17, 32), (16, 32), (3, 2, 2)], np.int8, 32),
    "rows": ([(5, 7), (16, 18), (17, 16), (16, 16)], np.int8, 0),
}


@pytest.mark.parametrize("layout", PADDED)
def test_every_padded_element_of_every_layout_is_looked_at(layout: str) -> None:
    """Whatever is changed, either the plain array shows it or it is padding, which must be zero."""
    shapes, dtype, group = PADDED[layout]
    for shape in shapes:
        plain: np.ndarray[Any, Any] = np.random.default_rng(1).integers(-7, 8, shape).astype(dtype)
        stored = pack(plain, layout, group)
        assert padding_is_zero(layout, shape, stored)
        flat = stored.reshape(-1)
        for place in range(flat.size):
            for bits in (0x01, 0x10):
                flat[place] ^= bits
                seen = not np.array_equal(unpack(layout, shape, stored), plain)
                assert padding_is_zero(layout, shape, stored) == seen, (layout, shape, place, bits)
                flat[place] ^= bits


def _matrices(folder: Path) -> Path:
    """Write a model with a tensor of each layout: vector, im, im4, om16x4, om16x8 and rows."""
    b = Builder(input={"kind": "tokens", "vocab": 5})
    rng = np.random.default_rng(3)

    def weight(*shape: int) -> Any:
        return rng.integers(-7, 8, shape).astype(np.int8)

    value = b.add("embedding", "input", name="rows", tensors={"weight": weight(5, 6), "scale": np.ones(5)})
    layers: list[tuple[str, Any, Json]] = [
        ("im", weight(9, 6).astype(np.float32), {"activations": "float32"}),
        ("om16x4", weight(7, 9), {"activations": "int8"}),
        ("om16x8", Int4(weight(6, 7)), {"activations": "int8", "group": 32}),
    ]
    for name, matrix, attributes in layers:
        size = len(matrix.values if isinstance(matrix, Int4) else matrix)
        tensors = {"weight": matrix, "scale": np.ones(size), "bias": np.zeros(size)}
        if "group" in attributes:
            tensors["multiplier"] = np.ones((size, 1), np.uint8)
        value = b.add("linear", value, name=name, attributes=attributes, tensors=tensors)
    value = b.add("lif", value, name="vector", tensors={"alpha": np.full(6, 0.5), "v_th": [1.0]})
    tensors = {"weight": Int4(weight(3, 6)), "scale": np.ones(3), "bias": np.zeros(3)}
    value = b.add("linear", value, name="im4", attributes={"activations": "int"}, tensors=tensors)
    b.document(outputs=value).save(folder / "matrices.safetensors")
    return folder / "matrices.safetensors"


@pytest.mark.parametrize("tensor", ["rows", "im", "om16x4", "om16x8", "im4", "vector"])
def test_padding_that_is_not_zero_is_refused(tensor: str, tmp_path: Path) -> None:
    path = _matrices(tmp_path)
    name = f"{tensor}.alpha" if tensor == "vector" else f"{tensor}.weight"
    found = read(path).tensors[name]
    assert found.layout == tensor
    last = tuple(size - 1 for size in found.data.shape)
    message = refused(rewrite(path, tmp_path / "padded.safetensors", set_tensor(name, last, 1)))
    assert f"tensor {name!r}: padding of the tensor is not zero" in message


def test_a_model_is_not_written_into_nowhere(good: Path, tmp_path: Path) -> None:
    document = read(good)
    for path, reason in ((tmp_path / "no" / "m.safetensors", "No such file"), (tmp_path, "a folder")):
        with pytest.raises(ModelError, match=f"cannot write the model file: found .*{reason}"):
            document.save(path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "cannot read the model file: found No such file or directory" in refused(tmp_path / "nothing.safetensors")
    assert "cannot read the model file" in refused(tmp_path)


def test_every_cut_of_a_good_file_is_refused(good: Path, tmp_path: Path) -> None:
    data = good.read_bytes()
    path = tmp_path / "cut.safetensors"
    for size in sorted({*range(0, 40), *range(40, len(data), 997), len(data) - 1}):
        path.write_bytes(data[:size])
        refused(path)


def test_changed_weights_load_and_are_found_by_verify(good: Path, tmp_path: Path) -> None:
    path = rewrite(good, tmp_path / "changed.safetensors", set_tensor("fc2.weight", (0, 0), 99))
    with pytest.raises(ModelError, match="bytes are not the document's"):
        read(path).verify()


@settings(max_examples=300)
@given(data=st.data())
def test_damaged_bytes_give_a_model_error_or_a_model(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    source = path.with_name("source.safetensors")
    if not source.exists():
        quantize(spikepoint_net.document(SMALL)).save(source)
    content = bytearray(source.read_bytes())
    header = 8 + struct.unpack("<Q", content[:8])[0]
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, header - 1))] = data.draw(st.sampled_from(list(b'0179"[]{},:.-eE\\ \x00\xff')))
    path.write_bytes(content)
    try:
        model = edgesnn.load(str(path), backend="native")
    except ModelError:
        return
    window = spikepoint_net.random_window(model.document)
    model.session().run(window)
