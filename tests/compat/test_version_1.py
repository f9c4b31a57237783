"""Model files and snapshots of format version 1 load, keep their identity, and go on as they did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from bench.spikepoint_net import random_window
from edgesnn.errors import ModelError
from edgesnn.graph import FORMAT_VERSION, container, read
from edgesnn.quantize import quantize

FOLDER = Path(__file__).parent / "v1"
ZOO = Path(edgesnn.__file__).parent / "zoo"
DENSE = (np.arange(20).reshape(4, 5) % 7 - 3).astype(np.float32) / 2


def inputs(model: edgesnn.Model) -> list[Any]:
    return [random_window(model.document, number=3, seed=5)] * 2 if model.input["kind"] == "points" else list(DENSE[2:])


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize("name", ["points", "dense"])
def test_a_snapshot_of_version_1_goes_on_bit_for_bit(name: str, backend: str) -> None:
    model = edgesnn.load(str(FOLDER / f"{name}.safetensors"), backend=backend)
    wanted = json.loads((FOLDER / f"{name}.json").read_text())
    assert model.identity == wanted["identity"]
    session = model.session()
    session.restore((FOLDER / f"{name}.snapshot").read_bytes())
    outputs = [np.asarray(session.step(x)).astype(float).tolist() for x in inputs(model)]
    assert outputs == wanted["outputs"]
    assert (session.spikes, session.synops) == (wanted["spikes"], wanted["synops"])


@pytest.mark.parametrize("path", [*FOLDER.glob("*.safetensors"), *ZOO.glob("*.safetensors")], ids=lambda p: p.name)
def test_the_document_of_an_old_file_is_that_of_the_file_and_saves_as_it_was(path: Path, tmp_path: Path) -> None:
    root = json.loads(container.map_file(path)[0]["edgesnn"])
    document = read(path)
    provenance = root.pop("provenance")
    if root["format_version"] < FORMAT_VERSION:
        assert document.format_version == root["format_version"]
    assert document.body() == root
    document.save(tmp_path / "again.safetensors")
    again = read(tmp_path / "again.safetensors")
    assert again.identity == document.identity
    assert again.provenance == provenance


def test_a_changed_old_document_is_one_of_this_version(tmp_path: Path) -> None:
    old = read(FOLDER / "dense.safetensors")
    quantize(old).save(tmp_path / "new.safetensors")
    root = json.loads(container.map_file(tmp_path / "new.safetensors")[0]["edgesnn"])
    assert root["format_version"] == FORMAT_VERSION
    assert root["graph"]["nodes"][1]["attributes"]["decay"] == "multiply"
    assert read(tmp_path / "new.safetensors").identity != old.identity


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda node: node.update(op="softmax"), "operator is not known: found 'softmax', expected .*version 1"),
        (lambda node: node["attributes"].update(axis=-1), "attribute 'axis' is unknown"),
    ],
)
def test_version_1_has_nothing_of_version_2(change: Any, message: str, tmp_path: Path) -> None:
    metadata, arrays = container.map_file(FOLDER / "dense.safetensors")
    root = json.loads(metadata["edgesnn"])
    change(root["graph"]["nodes"][1])
    container.write(tmp_path / "odd.safetensors", arrays, {"edgesnn": json.dumps(root)})
    with pytest.raises(ModelError, match=message):
        read(tmp_path / "odd.safetensors")
