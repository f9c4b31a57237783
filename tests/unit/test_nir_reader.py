"""The NIR reader: what other people's writers put into a file, and where a graph's cycles are cut."""

from __future__ import annotations

import numpy as np
import pytest

from edgesnn.errors import ModelError
from edgesnn.importers.nir.flatten import FlatGraph, flatten, schedule
from edgesnn.importers.nir.reader import NirNode, read_nir
from edgesnn.importers.nir.shapes import find_shapes
from tests.nir_files import chain, ends, graph, write

LINEAR = {"type": "Linear", "weight": np.ones((3, 3), np.float32)}
NEURON = {"type": "LIF", "tau": np.float64(0.01), "r": np.ones(3), "v_leak": np.zeros(1), "v_threshold": np.ones(3)}


def read_flat(path, nodes, edges) -> FlatGraph:
    return flatten(read_nir(write(path / "a.nir", nodes, edges)), "a.nir")


def test_fields_keep_their_types_and_texts(tmp_path):
    conv = {"type": "Conv1d", "weight": np.ones((1, 1, 3), np.float64), "padding": "same", "stride": 1}
    found = read_nir(write(tmp_path / "a.nir", {**ends([1, 8]), "conv.1": conv}, chain("conv.1"))).nodes["conv.1"]
    assert isinstance(found, NirNode)
    assert found.type == "Conv1d"
    assert found.fields["padding"] == "same"
    assert found.fields["weight"].dtype == np.float64
    assert found.fields["stride"].shape == ()


def test_duplicate_edges_count_once(tmp_path):
    edges = [*chain("w"), ("input", "w"), ("w", "output")]
    flat = read_flat(tmp_path, {**ends(3), "w": LINEAR}, edges)
    assert flat.edges == (("input", "w"), ("w", "output"))


def test_subgraphs_are_flattened_with_dotted_names(tmp_path):
    inner = graph({**ends(3), "lif": NEURON, "w": LINEAR}, [*chain("lif"), ("lif", "w"), ("w", "lif")])
    outer = graph({**ends(3), "block": inner, "w": LINEAR}, chain("w", "block"))
    flat = read_flat(tmp_path, {**ends(3), "outer": outer}, chain("outer"))
    assert set(flat.nodes) == {"outer.w", "outer.block.lif", "outer.block.w"}
    assert set(flat.edges) == {
        ("input", "outer.w"),
        ("outer.w", "outer.block.lif"),
        ("outer.block.lif", "outer.block.w"),
        ("outer.block.w", "outer.block.lif"),
        ("outer.block.lif", "output"),
    }


def test_a_dotted_node_and_a_subgraphs_node_of_one_name_are_refused(tmp_path):
    nodes = {**ends(3), "a": graph({**ends(3), "b": LINEAR}, chain("b")), "a.b": LINEAR}
    with pytest.raises(ModelError, match=r"node 'a\.b'.*two nodes have one name"):
        read_flat(tmp_path, nodes, chain("a", "a.b"))


def plan(flat: FlatGraph):
    return schedule(flat, lambda name: False, lambda name: name in flat.nodes and flat.nodes[name].type == "LIF")


def test_a_recurrent_weight_is_cut_at_the_spikes(tmp_path):
    nodes = {**ends(3), "fc": LINEAR, "lif": NEURON, "rec": LINEAR}
    found = plan(read_flat(tmp_path, nodes, [*chain("fc", "lif"), ("lif", "rec"), ("rec", "lif")]))
    assert found.cut == (("lif", "rec"),)
    assert found.recurrent == {"rec"}
    assert found.order.index("rec") < found.order.index("lif")
    assert sorted(found.order) == ["fc", "lif", "rec"]


def test_a_neuron_that_feeds_itself_and_a_loop_of_two_layers_are_cut_once_each(tmp_path):
    nodes = {**ends(3), "a": NEURON, "b": NEURON, "fc": LINEAR, "back": LINEAR}
    edges = [*chain("a", "fc", "b"), ("a", "a"), ("b", "back"), ("back", "a")]
    found = plan(read_flat(tmp_path, nodes, edges))
    assert set(found.cut) == {("a", "a"), ("b", "back")}
    assert found.order.index("a") < found.order.index("fc") < found.order.index("b")


def test_a_graph_without_cycles_is_not_cut(tmp_path):
    nodes = {**ends(3), "a": LINEAR, "b": LINEAR, "c": LINEAR}
    found = plan(read_flat(tmp_path, nodes, [*chain("a", "b", "c"), ("a", "c"), ("input", "c")]))
    assert found.cut == ()
    assert found.order == ("a", "b", "c")


def test_shapes_follow_convolutions_pools_and_flattening(tmp_path):
    conv = {
        "type": "Conv2d",
        "weight": np.ones((8, 1, 5, 3)),
        "bias": np.zeros(8),
        "stride": np.array([2, 1]),
        "padding": np.array([1, 0]),
        "dilation": 1,
        "groups": 2,
    }
    pool = {"type": "SumPool2d", "kernel_size": 2, "stride": np.array([2, 2]), "padding": 0}
    flat = {"type": "Flatten", "start_dim": 0, "end_dim": -1}
    nodes = {**ends([2, 12, 12], 160), "conv": conv, "pool": pool, "flat": flat}
    shapes = find_shapes(read_flat(tmp_path, nodes, chain("conv", "pool", "flat")), "a.nir")
    assert (shapes["conv"], shapes["pool"], shapes["flat"]) == ((8, 5, 10), (8, 2, 5), (80,))


def test_a_layer_with_the_name_of_our_input_is_renamed(tmp_path):
    nodes = {"in": {"type": "Input", "shape": np.array([3])}, "input": LINEAR, "out": {"type": "Output", "shape": [3]}}
    flat = read_flat(tmp_path, nodes, [("in", "input"), ("input", "out")])
    assert flat.edges == (("in", "input.node"), ("input.node", "out"))
    assert list(flat.nodes) == ["input.node"]
