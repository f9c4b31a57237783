"""NIR graphs of any wiring: every cycle is cut, nothing else is, and the document runs."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgesnn
from edgesnn.importers.nir import importer
from edgesnn.importers.nir.flatten import flatten
from edgesnn.importers.nir.reader import NirGraph, NirNode

SIZE = 2
ENDS = {name: NirNode(kind, {"shape": np.array([SIZE])}) for name, kind in (("input", "Input"), ("output", "Output"))}
PRIMITIVES = {
    "w": NirNode("Affine", {"weight": np.eye(SIZE) / 2, "bias": np.ones(SIZE)}),
    "s": NirNode("Scale", {"scale": np.full(SIZE, 0.5)}),
    "n": NirNode(
        "LIF", {"tau": np.array(2e-4), "r": np.ones(1), "v_leak": np.zeros(SIZE), "v_threshold": np.ones(SIZE)}
    ),
    "l": NirNode("LI", {"tau": np.array(2e-4), "r": np.ones(1), "v_leak": np.zeros(SIZE)}),
    "d": NirNode("Delay", {"delay": np.array([1e-4])}),
    "z": NirNode("Delay", {"delay": np.zeros(SIZE)}),
}


@st.composite
def graphs(draw) -> NirGraph:
    """Draw a graph in which the Input reaches every node; any further edges, self-connections among them."""
    kinds = draw(st.lists(st.sampled_from(sorted(PRIMITIVES)), min_size=1, max_size=7))
    names = [f"{kind}{number}" for number, kind in enumerate(kinds)]
    edges = [(draw(st.sampled_from(["input", *names[:i]])), name) for i, name in enumerate(names)]
    edges += draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=8))
    edges += [(name, "output") for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=2))]
    nodes = {**ENDS, **{name: PRIMITIVES[name[0]] for name in draw(st.permutations(names))}}
    return NirGraph(nodes, tuple(draw(st.permutations(edges))))


def instant_cycle(graph: NirGraph) -> bool:
    """Say whether the graph has a cycle without a Delay."""
    before: dict[str, set[str]] = {}
    for a, b in graph.edges:
        if not b.startswith("d"):
            before.setdefault(b, set()).add(a)
    try:
        TopologicalSorter(before).prepare()
    except CycleError:
        return True
    return False


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Give a file for the provenance; the graph itself is put in place of what is read from it."""
    path = tmp_path_factory.mktemp("nir") / "a.nir"
    path.write_bytes(b"")
    return path


@settings(max_examples=60)
@given(graph=graphs(), profile=st.sampled_from(["plain", "norse"]))
def test_any_wiring_is_imported_and_runs(source, graph, profile):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importer, "read_nir", lambda path: graph)
        document = importer.import_nir(source, profile=profile, dt_us=100)
    cuts = [tuple(edge) for edge in document.provenance["imported"]["cycles_cut"]]
    assert bool(cuts) == instant_cycle(graph)
    flat = flatten(graph, "graph")
    assert set(cuts) <= set(flat.edges)
    left = NirGraph(graph.nodes, tuple(edge for edge in graph.edges if edge not in cuts))
    assert not instant_cycle(left)
    xs = np.random.default_rng(0).normal(size=(5, SIZE))
    session = edgesnn.Model(document, backend="reference").session(record=[node.name for node in document.nodes])
    session.run(xs)
    assert all(session.recorded[name].shape == (5, SIZE) for name in flat.nodes)
