"""NIR files with something wrong in them: a ModelError that names it, never a crash or a flood of memory."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import numpy as np
import pytest

from edgesnn.errors import ModelError, UsageError
from edgesnn.importers.nir import import_nir
from edgesnn.importers.nir.reader import read_nir
from tests.nir_files import chain, ends, graph, h5py, write

LINEAR = {"type": "Linear", "weight": np.ones((3, 3), np.float32)}
NEURON = {"type": "LIF", "tau": np.float64(0.01), "r": np.ones(3), "v_leak": np.zeros(1), "v_threshold": np.ones(3)}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write(tmp_path / "good.nir", {**ends(3), "w": LINEAR}, chain("w"))


def refused(path: Path, what: str, **options) -> None:
    with pytest.raises(ModelError, match=what):
        import_nir(path, **{"profile": "plain", "dt_us": 100, **options})


def test_the_file_is_absent_empty_cut_or_something_else(tmp_path, good):
    refused(tmp_path / "none.nir", "no such file")
    data = good.read_bytes()
    for name, content in {"empty": b"", "text": b"hello" * 99, "cut": data[: len(data) // 2]}.items():
        path = tmp_path / f"{name}.nir"
        path.write_bytes(content)
        refused(path, rf"{name}\.nir")


def test_the_reading_process_has_no_more_memory_than_it_may(good):
    with pytest.raises(ModelError, match=r"memory|the process that reads the file died"):
        read_nir(good, memory_bytes=0)


@pytest.mark.parametrize("seed", range(8))
def test_flipped_bytes_are_read_or_refused(tmp_path, good, seed):
    random = np.random.default_rng(seed)
    data = bytearray(good.read_bytes())
    for place in random.integers(0, len(data), 24):
        data[place] ^= int(random.integers(1, 256))
    path = tmp_path / "flipped.nir"
    path.write_bytes(data)
    with contextlib.suppress(ModelError):
        read_nir(path)  # anything else than a ModelError fails


def test_an_array_larger_than_the_limit_is_not_read(tmp_path):
    path = tmp_path / "large.nir"
    with h5py.File(path, "w") as file:
        file["version"] = "1"
        node = file.create_group("node/nodes/w")
        node.create_dataset("weight", shape=(1 << 20, 1 << 20), dtype="f8", chunks=(1 << 10, 1 << 10))
    refused(path, "arrays of more than")
    assert os.path.getsize(path) < 1 << 20


def test_links_out_of_the_file_are_not_followed(tmp_path, good):
    for name, link in {"soft": h5py.SoftLink("/node"), "other": h5py.ExternalLink(str(good), "/node")}.items():
        path = tmp_path / f"{name}.nir"
        with h5py.File(path, "w") as file:
            file["version"] = "1"
            file["node"] = link
        refused(path, "is a link to somewhere else")


def test_other_hdf5_files_are_named_as_such(tmp_path):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["events/x"] = np.zeros(4)
    refused(path, "not a NIR file: found events")


@pytest.mark.parametrize(
    ("nodes", "edges", "what"),
    [
        ({"w": LINEAR}, chain("w"), "an edge ends at a node that is not there: found 'input'"),
        ({**ends(3), "w": LINEAR}, [("input", "w")], "node 'output': node has no input"),
        ({**ends(3), "w": LINEAR, "alone": LINEAR}, chain("w"), "node 'alone': node has no input"),
        ({**ends(3), "w": LINEAR}, [*chain("w"), ("w", "x")], "an edge ends at a node that is not there: found 'x'"),
        ({**ends(3), "w": LINEAR}, [*chain("w"), ("w", "input")], "an Input has no sources"),
        ({**ends(3), "in2": {"type": "Input", "shape": [3]}, "w": LINEAR}, chain("w"), "found 2 Input and 1 Output"),
        ({**ends(3), "w": LINEAR, "ring": LINEAR}, [*chain("w"), ("ring", "ring")], "cannot be reached from the Input"),
        (
            {**ends(3), "odd": {"type": "Izhikevich", "a": 0.02}},
            chain("odd"),
            "node 'odd': NIR primitive is not known: ",
        ),
        ({**ends(3), "w": {"type": "Linear"}}, chain("w"), "node 'w': Linear has no numbers 'weight'"),
        ({**ends(3), "w": {"type": "Linear", "weight": np.ones((3, 4))}}, chain("w"), "weight does not fit"),
        ({**ends(3), "w": {"type": "Linear", "weight": np.full((3, 3), np.nan)}}, chain("w"), "not numbers: found NaN"),
        ({**ends(3), "w": {"type": "Linear", "weight": "heavy"}}, chain("w"), "Linear has no numbers 'weight'"),
        ({**ends(3), "s": graph({"w": LINEAR}, [])}, chain("s"), "node 's': an edge ends at a subgraph without one"),
        (
            {**ends(1 << 40), "l": {"type": "LIF", **dict.fromkeys(NEURON.keys() - {"type"}, 1.0)}},
            chain("l"),
            "a wrong size",
        ),
        ({**ends(0), "w": LINEAR}, chain("w"), "node 'input': output has a wrong size"),
        ({**ends([3, -3]), "w": LINEAR}, chain("w"), "node 'input': output has a wrong size"),
        ({**ends(3), "d": {"type": "Delay", "delay": np.full(3, 1.5e-4)}}, chain("d"), "no whole number of steps"),
        ({**ends(3), "f": {"type": "Flatten", "start_dim": 1, "end_dim": -1}}, chain("f"), "axes do not exist"),
        ({**ends(3), "l": {**NEURON, "tau": np.zeros(3)}}, chain("l"), "node 'l': tau is not above 0"),
        ({**ends(3), "l": {**NEURON, "r": np.ones(4)}}, chain("l"), "node 'l': r does not fit"),
        ({**ends(3), "l": {"type": "LIF", "tau": 1.0, "r": 1.0}}, chain("l"), "node 'l': LIF has no v_threshold"),
        ({**ends([2.5, 3.0]), "l": NEURON}, chain("l"), "node 'input': shape is wrong"),
    ],
)
def test_graphs_that_are_wrong_are_refused_by_name(tmp_path, nodes, edges, what):
    refused(write(tmp_path / "a.nir", nodes, edges), what)


PASSING = {"type": "Flatten", "start_dim": 0, "end_dim": -1}


def test_long_chains_are_read_in_time_whatever_their_names(tmp_path):
    """Rounds over all nodes took minutes where each name comes before its source's; recursion ended at 1000 nodes."""
    names = [f"f{i:04d}" for i in reversed(range(1500))]
    path = write(tmp_path / "a.nir", {**ends(3), "l": NEURON, **dict.fromkeys(names, PASSING)}, chain("l", *names))
    begin = time.process_time()
    document = import_nir(path, profile="sinabs", input="spikes")
    assert time.process_time() - begin < 30
    assert len(document.nodes) > 1500
    assert document.analysis.values["f0000"].kind == "int"


def test_paths_that_part_and_join_again_are_not_followed_one_by_one(tmp_path):
    nodes, edges, last = {**ends(3)}, [], "input"
    for i in range(40):
        nodes.update({f"{part}{i}": PASSING for part in "abc"})
        edges += [(last, f"a{i}"), (last, f"b{i}"), (f"a{i}", f"c{i}"), (f"b{i}", f"c{i}")]
        last = f"c{i}"
    path = write(tmp_path / "a.nir", nodes, [*edges, (last, "output")])
    assert len(import_nir(path, profile="norse", input="spikes").nodes) >= 120


def test_more_nodes_or_edges_than_there_may_be_are_refused(tmp_path):
    many = {f"f{i}": PASSING for i in range(2100)}
    refused(write(tmp_path / "a.nir", {**ends(3), **many}, chain(*many)), "too many nodes or edges: found 2102")
    parts = {f"f{i}": PASSING for i in range(200)}
    inner = graph({**ends(3), **parts}, [*(("input", p) for p in parts), *((p, "output") for p in parts)])
    edges = [*(("input", p) for p in parts), *((p, "s") for p in parts), ("s", "output")]
    path = write(tmp_path / "b.nir", {**ends(3), **parts, "s": inner}, edges)
    refused(path, "too many nodes or edges")


def test_a_framework_without_the_neuron_refuses_it(tmp_path):
    nodes = {**ends(3), "l": {**NEURON, "v_leak": np.full(3, 0.5)}}
    path = write(tmp_path / "a.nir", nodes, chain("l"))
    refused(path, "node 'l': profile snntorch runs LIF only with v_leak 0", profile="snntorch")
    refused(path, "profile spikingjelly runs LIF only with v_leak 0", profile="spikingjelly")
    current = write(tmp_path / "b.nir", {**ends(3), "l": {"type": "I", "r": np.ones(3)}}, chain("l"))
    refused(current, "node 'l': profile norse has no neuron for I", profile="norse")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"profile": "brian"}, "no such profile"),
        ({"reset": "half"}, "no such reset"),
        ({"dt_us": 0.0}, "not a time step"),
        ({"input": "sound"}, "no such input"),
        ({"flags": {"v": {"compare": "gt"}}}, "no such layer"),
    ],
)
def test_options_that_are_wrong_are_refused(good, options, what):
    with pytest.raises(UsageError, match=what):
        import_nir(good, **{"profile": "norse", **options})
