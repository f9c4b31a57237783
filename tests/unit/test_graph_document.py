"""A model file is what its page says: readable by the safetensors package, aligned, hashed, mapped."""

from __future__ import annotations

import dataclasses
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from bench import spikepoint_net
from edgesnn.errors import ModelError
from edgesnn.graph import Builder, Document, container, read
from edgesnn.graph.operators.registry import OPERATORS
from edgesnn.quantize import quantize
from edgesnn.runtime import Model
from tests.graphs import random_document

SMALL = {"points": 32, "groups": 8, "neighbours": 4, "steps": 3, "classes": 2, "voters": 2, "widths": (8, 16, 16, 32)}


@pytest.fixture(scope="module")
def document() -> Document:
    return quantize(spikepoint_net.document(SMALL))


def test_the_safetensors_package_reads_what_we_write(document: Document, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    document.save(path)
    theirs = safetensors.numpy.load_file(path)
    assert theirs.keys() == document.tensors.keys()
    for name, tensor in document.tensors.items():
        assert theirs[name].dtype == tensor.data.dtype
        np.testing.assert_array_equal(theirs[name], tensor.data)
    with safetensors.safe_open(path, "np") as file:  # type: ignore[no-untyped-call]
        assert json.loads(file.metadata()["edgesnn"])["format_version"] == 2


def test_we_read_what_the_safetensors_package_writes(document: Document, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.safetensors", tmp_path / "theirs.safetensors"
    document.save(ours)
    metadata, arrays = container.map_file(ours)
    safetensors.numpy.save_file({name: array.copy() for name, array in arrays.items()}, theirs, metadata)
    again = read(theirs)
    again.verify()
    assert again.identity == document.identity


def test_header_and_tensors_lie_at_multiples_of_64_bytes(document: Document, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    document.save(path)
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    assert (8 + length) % 64 == 0
    for entry in json.loads(data[8 : 8 + length]).values():
        assert "data_offsets" not in entry or all(offset % 64 == 0 for offset in entry["data_offsets"])
    assert all(tensor.data.ctypes.data % 64 == 0 for tensor in read(path).tensors.values())


@pytest.mark.parametrize("seed", range(20))
def test_any_document_survives_a_trip_through_a_file(seed: int, tmp_path: Path) -> None:
    document = random_document(seed)
    document.save(tmp_path / "m.safetensors")
    again = read(tmp_path / "m.safetensors")
    again.verify()
    assert again.body() == document.body()
    assert again.identity == document.identity
    for name in document.tensors:
        np.testing.assert_array_equal(again.unpack(name), document.unpack(name))


def test_the_file_is_mapped_or_copied(document: Document, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    document.save(path)
    mapped, copied = read(path), read(path, copy=True)
    name = "fc1.weight"
    root = mapped.tensors[name].data
    while isinstance(root.base, np.ndarray):
        root = root.base
    assert isinstance(root, np.memmap)
    assert copied.tensors[name].data.base is None
    with pytest.raises(ValueError, match="read-only"):
        mapped.tensors[name].data[0] = 0


def test_identity_covers_the_weights_and_the_document_but_not_the_provenance(document: Document) -> None:
    base = spikepoint_net.document(SMALL)
    assert spikepoint_net.document(SMALL).identity == base.identity
    assert spikepoint_net.document(SMALL, seed=1).identity != base.identity
    assert spikepoint_net.document(SMALL, polarity=True).identity != base.identity
    assert dataclasses.replace(base, provenance={"who": "me"}).identity == base.identity
    assert document.identity != base.identity
    assert document.provenance["quantized"]["from"] == base.identity


def test_a_file_is_replaced_not_written_into(document: Document, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    document.save(path)
    before = read(path)
    weights = before.unpack("fc1.weight")
    spikepoint_net.document(SMALL, seed=9).save(path)
    np.testing.assert_array_equal(before.unpack("fc1.weight"), weights)
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_a_write_that_fails_leaves_the_old_file(document: Document, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    document.save(path)
    with pytest.raises(KeyError):
        container.write(path, {"a": np.zeros(2, dtype=np.complex64)}, {})
    assert read(path).identity == document.identity
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_a_readout_has_all_its_fields_in_the_file(document: Document) -> None:
    assert document.readout is not None
    assert document.readout["temperature"] == 1.0
    assert document.readout["calibrated"] is False
    assert document.readout["onset"] == {"confidence": 0.0, "windows": 1}


def test_the_builder_refuses_what_a_file_may_not_hold() -> None:
    b = Builder(input={"kind": "dense", "shape": [3]})
    with pytest.raises(ModelError, match="operator is not known"):
        b.add("warp", "input", name="w")
    with pytest.raises(ModelError, match="not a matrix or vector"):
        b.add("lif", "input", name="l", tensors={"alpha": np.zeros((2, 0), np.float32)})
    with pytest.raises(ModelError, match="not a matrix or vector"):
        b.add("lif", "input", name="l", tensors={"alpha": np.zeros(2, np.int64)})
    b.add("lif", "input", name="lif", tensors={"alpha": [0.5], "v_th": [1.0, 2.0]})
    with pytest.raises(ModelError, match=r"node 'lif', tensor 'lif.v_th'.*found float32 \[2\].*\[1\] or float32 \[3\]"):
        b.document(outputs="lif")


def relu(b: Builder, value: str, name: str) -> str:
    return str(b.add("activation", value, name=name, attributes={"function": "relu"}))


def test_the_builder_checks_names_as_a_file_s_are() -> None:
    b = Builder(input={"kind": "dense", "shape": [3]})
    for name in ("", "\ud800", "a\udfff"):
        with pytest.raises(ModelError, match="node's name is wrong"):
            relu(b, "input", name)
        with pytest.raises(ModelError, match="inputs is wrong"):
            relu(b, name, "a")
        with pytest.raises(ModelError, match="outputs is wrong"):
            b.add("activation", "input", name="a", attributes={"function": "relu"}, outputs=[name])
    relu(b, "input", "é\U0001f642")
    for outputs in ([], [""], ["\ud800"]):
        with pytest.raises(ModelError, match="outputs is wrong"):
            b.document(outputs=outputs)
    assert b.document(outputs="é\U0001f642").identity


@pytest.mark.parametrize("value", ["\ud800", float("nan"), {1, 2}, np.float32(1)])
def test_the_builder_refuses_what_json_cannot_hold(value: object) -> None:
    b = Builder(input={"kind": "dense", "shape": [3]})
    relu(b, "input", "a")
    with pytest.raises(ModelError, match="document holds what JSON cannot"):
        b.document(outputs="a", provenance={"note": value})
    table = {"kind": "characters", "table": value, "unknown": None}
    tokens = Builder(input={"kind": "tokens", "vocab": 3, "tokenizer": table})
    tokens.add("embedding", "input", name="a", tensors={"weight": np.ones((3, 2), np.float32)})
    with pytest.raises(ModelError, match=r"input.tokenizer.table is wrong"):
        tokens.document(outputs="a")


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_what_reaches_a_limit_runs_and_what_passes_it_is_refused_before_any_backend(backend: str) -> None:
    def joined(count: int) -> Document:
        b = Builder(input={"kind": "dense", "shape": [2]})
        values = [relu(b, "input", f"a{i}") for i in range(count)]
        return b.document(outputs=b.add("concat", values, name="all"))

    def axes(count: int) -> Document:
        b = Builder(input={"kind": "dense", "shape": [1] * count})
        return b.document(outputs=relu(b, "input", "a"))

    def pooled(kernel: int, stride: int) -> Document:
        b = Builder(input={"kind": "dense", "shape": [1, 5000]})
        attributes = {"mode": "max", "kernel": [kernel], "stride": [stride], "padding": [0]}
        return b.document(outputs=b.add("pool1d", "input", name="pool", attributes=attributes))

    def convolved(size: int, kernel: int, padding: int = 0) -> Document:
        b = Builder(input={"kind": "dense", "shape": [1, size]})
        tensors = {"weight": np.full((1, 1, kernel), 1 / kernel, np.float32), "scale": np.ones(1), "bias": np.zeros(1)}
        attributes = {"activations": "float32", "stride": [1], "padding": [padding], "dilation": [1]}
        return b.document(outputs=b.add("conv1d", "input", name="conv", attributes=attributes, tensors=tensors))

    for document in (
        convolved(1 << 15, 1),
        convolved(1 << 12, 1 << 12),
        joined(8),
        axes(8),
        pooled(4096, 1),
        pooled(1, 4096),
    ):
        x = np.ones(document.input["shape"], np.float32)
        assert np.all(Model(document, backend=backend).session().step(x) == 1)
    for make, message in (
        (lambda: joined(9), "node 'all': too many inputs: found 9, expected at most 8"),
        (lambda: convolved((1 << 15) + 1, 1), "node 'conv': input, kernel and output of an axis are too long"),
        (lambda: convolved(1 << 15, 2, 1), "are too long: found 32768, 2 and 32769, expected at most 32768"),
        (lambda: convolved((1 << 12) + 1, 1 << 12), r"input \* kernel 16777216"),
        (lambda: axes(9), r"input.shape is wrong: .*expected 1 to 8 axes"),
        (lambda: pooled(4097, 1), r"attribute 'kernel' is wrong: found \[4097\], expected 1 integers from 1 to 4096"),
        (lambda: pooled(1, 4097), r"attribute 'stride' is wrong: found \[4097\]"),
    ):
        with pytest.raises(ModelError, match=message):
            make()


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_the_line_of_a_value_with_all_axes_survives_a_snapshot(backend: str) -> None:
    shape = [1, 2, 1, 1, 1, 1, 1, 2]
    b = Builder(input={"kind": "dense", "shape": shape})
    attributes = {"steps": 2, "shape": shape, "value": "float32"}
    model = Model(b.document(outputs=b.add("delay", "input", name="past", attributes=attributes)), backend=backend)
    session, twin = model.session(), model.session()
    session.step(np.full(shape, 3, np.float32))
    twin.restore(session.snapshot())
    twin.step(np.zeros(shape, np.float32))
    assert np.all(twin.step(np.zeros(shape, np.float32)) == 3)


def test_a_small_file_may_not_declare_states_of_many_gigabytes() -> None:
    b, value = Builder(input={"kind": "dense", "shape": [65536]}), "input"
    attributes = {"steps": 4096, "shape": [65536], "value": "float32"}
    for i in range(9):
        value = b.add("delay", value, name=f"d{i}", attributes={**attributes, "steps": 4095 + (i == 8)})
    with pytest.raises(ModelError, match=r"state 'd8.line': states need too much memory: found .*expected .*8 GiB"):
        b.document(outputs=value)
    smaller = Builder(input={"kind": "dense", "shape": [65536]})
    value = "input"
    for i in range(8):
        value = smaller.add("delay", value, name=f"d{i}", attributes={**attributes, "steps": 4095})
    assert sum(state.nbytes for state in smaller.document(outputs=value).states) < 8 << 30


def test_an_operator_is_three_files_of_one_name() -> None:
    from edgesnn import _native
    from edgesnn.runtime.backends.reference.base import OPERATORS as REFERENCE

    root = Path(__file__).parents[2]
    native = set(_native.executor.operators())
    assert set(OPERATORS) == set(REFERENCE) >= native
    for name in OPERATORS:
        assert (root / "edgesnn/graph/operators" / f"{name}.py").is_file()
        assert (root / "edgesnn/runtime/backends/reference" / f"{name}.py").is_file()
        assert (root / "native/executor/ops" / f"{name}.cpp").is_file() == (name in native)


def test_files_of_any_size_are_what_the_safetensors_package_reads(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(3), tmp_path / "large.safetensors"
    sizes = (64, 1 << 20, 3 << 20, 0, (2 << 20) - 64, 128, 5 << 20)
    tensors = {f"t{i}": rng.integers(0, 256, size).astype(np.uint8) for i, size in enumerate(sizes)}
    container.write(path, tensors, {"a": "b"})
    for found in (safetensors.numpy.load_file(path), container.map_file(path)[1]):
        assert found.keys() == tensors.keys()
        for name, array in tensors.items():
            np.testing.assert_array_equal(found[name], array)
