"""Every NIR primitive under profile plain against a float64 walk over the same graph, written here and slow.

Values within float32's rounding; spikes where no membrane comes close to its threshold.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.errors import ModelError, UsageError
from edgesnn.importers import import_nir
from edgesnn.importers.registry import IMPORTERS, find
from tests.nir_files import chain, ends, graph, write

STEPS, DT = 12, 1e-4


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)


def run(path, nodes, edges, xs, **options) -> Any:
    document = import_nir(write(path / "a.nir", nodes, edges), **{"profile": "plain", "dt_us": 100, **options})
    return edgesnn.Model(document, backend="reference").session().run(xs)


def spread(value: Any, shape: tuple[int, ...]) -> Any:
    return np.broadcast_to(np.asarray(value, np.float64), shape)


def neuron(node: dict[str, Any], x: Any, state: dict[str, Any]) -> Any:
    """One step of a neuron's Euler equations; a spike resets to v_reset."""
    get = {name: spread(value, x.shape) for name, value in node.items() if name != "type"}
    v, i = state.setdefault("v", np.zeros(x.shape)), state.setdefault("i", np.zeros(x.shape))
    if node["type"] == "Threshold":
        return (x > get["threshold"]).astype(float)
    if node["type"].startswith("Cuba"):
        i = i + DT / get["tau_syn"] * (get["w_in"] * x - i)
        v = v + DT / get["tau_mem"] * (get["v_leak"] - v + get["r"] * i)
    elif node["type"] in ("LI", "LIF"):
        v = v + DT / get["tau"] * (get["v_leak"] - v + get["r"] * x)
    else:
        v = v + DT * get["r"] * x
    state.update(v=v, i=i)
    if "v_threshold" not in get:
        return v
    spikes = v > get["v_threshold"]
    state["v"] = np.where(spikes, get.get("v_reset", 0.0), v)
    return spikes.astype(float)


LI = {"type": "LI", "tau": np.full(4, 5e-4), "r": np.array([1.0, 2.0, 3.0, 4.0]), "v_leak": 0.25}
CUBA = {"tau_syn": 4e-4, "tau_mem": np.full(4, 8e-4), "r": 2.0, "v_leak": np.array([0.1]), "w_in": 1.5}
NEURONS = [
    {"type": "I", "r": np.array([1e4, 2e3, 5e3, 1e3])},
    {"type": "IF", "r": np.full(4, 5e3), "v_threshold": np.array([0.5, 1.0, 1.5, 2.0]), "v_reset": np.full(4, -0.25)},
    LI,
    {**LI, "type": "LIF", "v_threshold": np.full(4, 0.8)},
    {**LI, "type": "LIF", "v_threshold": np.full(4, 0.8), "v_reset": np.array([0.0, 0.1, 0.2, 0.3])},
    {"type": "CubaLI", **CUBA},
    {"type": "CubaLIF", **CUBA, "v_threshold": 0.3},
    {"type": "Threshold", "threshold": np.array([0.0, 0.5, 1.0, 1.5])},
]


@pytest.mark.parametrize("node", NEURONS, ids=lambda node: node["type"])
def test_neurons_follow_their_equations(tmp_path, random, node):
    xs = random.normal(size=(STEPS, 4)) + 0.5
    state: dict[str, Any] = {}
    expected = np.array([neuron(node, x, state) for x in xs])
    found = run(tmp_path, {**ends(4), "n": node}, chain("n"), xs)
    assert len(np.unique(expected)) > 1
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_scale_by_element_and_average_pools(tmp_path, random):
    scale = random.normal(size=(2, 4, 6))
    pool = {
        "type": "AvgPool2d",
        "kernel_size": np.array([2, 3]),
        "stride": np.array([2, 3]),
        "padding": np.array([0, 0]),
    }
    nodes = {**ends([2, 4, 6], [2, 2, 2]), "scale": {"type": "Scale", "scale": scale}, "pool": pool}
    xs = random.normal(size=(3, 2, 4, 6))
    expected = (xs * scale).reshape(3, 2, 2, 2, 2, 3).mean(axis=(3, 5))
    np.testing.assert_allclose(run(tmp_path, nodes, chain("scale", "pool"), xs), expected, rtol=1e-5, atol=1e-6)


def test_convolutions_of_sequences_with_same_padding(tmp_path, random):
    weight, bias = random.normal(size=(3, 2, 5)), random.normal(size=3)
    conv = {
        "type": "Conv1d",
        "weight": weight,
        "bias": bias,
        "padding": "same",
        "stride": 1,
        "dilation": 1,
        "groups": 1,
    }
    xs = random.normal(size=(2, 2, 9))
    padded = np.pad(xs, ((0, 0), (0, 0), (2, 2)))
    expected = [[[(padded[t, :, i : i + 5] * w).sum() + b for i in range(9)] for w, b in zip(weight, bias, strict=True)]
                for t in range(2)]  # fmt: skip
    found = run(tmp_path, {**ends([2, 9], [3, 9]), "conv": conv}, chain("conv"), xs)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_delays_of_their_own_for_each_element(tmp_path, random):
    delay = {"type": "Delay", "delay": np.array([0.0, 1e-4, 3e-4])}
    xs = random.normal(size=(STEPS, 3)).astype(np.float32)
    found = run(tmp_path, {**ends(3), "d": delay}, chain("d"), xs)
    for element, steps in enumerate((0, 1, 3)):
        np.testing.assert_array_equal(found[steps:, element], xs[: STEPS - steps, element])
        assert not found[:steps, element].any()


def test_a_cycle_through_a_delay_keeps_its_delay(tmp_path):
    """x + 0.5 * (the sum of two steps before): an impulse comes back halved every two steps."""
    half = {"type": "Linear", "weight": np.array([[0.5]])}
    unit = {"type": "Scale", "scale": np.ones(1)}
    nodes = {**ends(1), "sum": unit, "late": {"type": "Delay", "delay": np.array([2e-4])}, "half": half}
    edges = [("input", "sum"), ("sum", "late"), ("late", "half"), ("half", "sum"), ("sum", "output")]
    xs = np.zeros((7, 1))
    xs[0] = 1
    assert run(tmp_path, nodes, edges, xs)[:, 0].tolist() == [1, 0, 0.5, 0, 0.25, 0, 0.125]


def test_several_sources_are_added_and_two_outputs_given(tmp_path, random):
    a, b = ({"type": "Linear", "weight": random.normal(size=(2, 3))} for _ in range(2))
    nodes = {**ends(3, 2), "a": a, "b": b, "both": {"type": "Scale", "scale": np.full(2, 2.0)}}
    nodes["second"] = {"type": "Output", "shape": np.array([2])}
    edges = [("input", "a"), ("input", "b"), ("a", "both"), ("b", "both"), ("both", "output"), ("a", "second")]
    xs = random.normal(size=(4, 3))
    found = run(tmp_path, nodes, edges, xs)
    np.testing.assert_allclose(found["both"], 2 * (xs @ (a["weight"] + b["weight"]).T), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["a"], xs @ a["weight"].T, rtol=1e-4, atol=1e-5)


def test_a_neuron_fed_by_spikes_without_weights_takes_them_as_they_are(tmp_path):
    node = {"type": "IF", "r": np.full(2, 1e4), "v_threshold": np.full(2, 1.5)}
    inner = graph({**ends(2), "n": node}, chain("n"))
    nodes = {**ends(2), "first": {**node, "v_threshold": np.full(2, 0.5)}, "second": inner}
    found = run(tmp_path, nodes, chain("first", "second"), np.ones((4, 2), int), input="spikes")
    assert found[:, 0].tolist() == [0, 1, 0, 1]


def test_counts_stay_within_a_byte_before_sum_pools(tmp_path):
    neurons = {"type": "IF", "r": np.ones((1, 4, 4)), "v_threshold": np.ones((1, 4, 4))}
    pool = {"type": "SumPool2d", "kernel_size": 2, "stride": 2, "padding": 0}
    nodes = {**ends([1, 4, 4], [1, 1, 1]), "n": neurons, "p": pool, "q": pool}
    document = import_nir(write(tmp_path / "a.nir", nodes, chain("n", "p", "q")), profile="sinabs")
    assert document.nodes[0].attributes["cap"] == 15
    assert document.analysis.values["q"].bound == 240
    found = edgesnn.Model(document, backend="reference").session().step(np.full((1, 4, 4), 3.5))
    assert found.tolist() == [[[48]]]
    plain = import_nir(tmp_path / "a.nir", profile="plain", dt_us=1, flags={"n": {"spike": "floor"}})
    assert (plain.nodes[0].attributes["cap"], plain.analysis.values["q"].bound) == (15, 240)
    once = import_nir(tmp_path / "a.nir", profile="sinabs", flags={"n": {"spike": "binary"}})
    assert (once.nodes[0].attributes["cap"], once.analysis.values["q"].bound) == (1, 16)


@pytest.mark.parametrize(
    ("flag", "value", "error", "what"),
    [
        ("spike", "often", ModelError, "attribute 'spike' is wrong"),
        ("spike", ["floor"], ModelError, "attribute 'spike' is wrong"),
        ("cap", "x", ModelError, "attribute 'cap' is wrong"),
        ("cap", [2], ModelError, "attribute 'cap' is wrong"),
        ("v_th", 1e39, UsageError, "not a number"),
        ("v_th", 10**400, UsageError, "not a number"),
        ("v_th", float("nan"), UsageError, "not a number"),
    ],
)
def test_a_wrong_value_of_a_flag_is_refused_by_name(tmp_path, flag, value, error, what):
    neurons = {"type": "IF", "r": np.ones(3), "v_threshold": np.ones(3)}
    path = write(tmp_path / "a.nir", {**ends(3), "n": neurons}, chain("n"))
    for profile in ("plain", "sinabs"):
        with pytest.raises(error, match=what):
            import_nir(path, profile=profile, dt_us=1, flags={"n": {flag: value}})


@pytest.mark.parametrize("name", IMPORTERS)
def test_every_importer_of_the_registry_is_there(name):
    assert find(name).__doc__
