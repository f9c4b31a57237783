"""NIR files under a profile against the frameworks' own NIR import: random graphs, weights and inputs.

Each test needs its framework and the `nir` package (extra `peers`) and skips without them. Spikes are exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgesnn.importers.nir import import_nir
from tests.nir_files import chain, ends, write
from tests.running import BACKENDS, by_run, model_of

torch = pytest.importorskip("torch", reason="torch is not installed (extra test)")
nir = pytest.importorskip("nir", reason="nir is not installed (extra peers)")

pytestmark = pytest.mark.conformance

STEPS, INPUTS, HIDDEN, OUTPUTS = 60, 8, 16, 6
DT = 1e-4


@pytest.fixture(params=[1, 2, 3])
def random(request) -> np.random.Generator:
    return np.random.default_rng(request.param)


@pytest.fixture(params=BACKENDS)
def backend(request) -> str:
    return request.param


def full(value: float, size: int = HIDDEN) -> Any:
    return np.full(size, value, np.float32)


def affine(random, outputs: int, inputs: int, scale: float = 1.0) -> dict[str, Any]:
    weight = scale * random.normal(size=(outputs, inputs))
    bias = 0.1 * scale * random.normal(size=outputs)
    return {"type": "Affine", "weight": weight.astype(np.float32), "bias": bias.astype(np.float32)}


def lif(v_threshold: float, **fields: float) -> dict[str, Any]:
    values = {"tau": 0.002, "r": 1.0, "v_leak": 0.0, **fields, "v_threshold": v_threshold}
    return {"type": "LIF", **{name: full(value) for name, value in values.items()}}


def cuba(size: int, v_threshold: float, **fields: float) -> dict[str, Any]:
    values = {
        "tau_syn": 5e-4,
        "tau_mem": 1e-3,
        "r": 1.0,
        "v_leak": 0.0,
        "w_in": 1.0,
        **fields,
        "v_threshold": v_threshold,
    }
    return {"type": "CubaLIF", **{name: full(value, size) for name, value in values.items()}}


def agree(path, run, random, backend: str, layer: str, **options) -> None:
    """Compare the spikes of `layer`, the output, for random inputs; `run` gives the framework's, [STEPS, ...]."""
    xs = (2 * random.normal(size=(STEPS, INPUTS))).astype(np.float32)
    with torch.no_grad():
        theirs = np.array([row.numpy().reshape(-1) for row in run(nir.read(str(path)), torch.from_numpy(xs))])
    ours = by_run(model_of(import_nir(path, dt_us=100, **options), backend), xs, [layer])[layer]
    assert 0.01 < (theirs > 0).mean() < 0.99
    np.testing.assert_array_equal(ours, theirs)


def stepped(net, xs):
    """Run a net that takes and gives its state."""
    state, rows = None, []
    for x in xs:
        y, state = net(x[None], state) if state is not None else net(x[None])
        rows.append(y[0])
    return rows


def test_norse_leak_integration_and_synapses(tmp_path, random, backend):
    norse = pytest.importorskip("norse.torch", reason="norse is not installed (extra peers)")
    nodes = {
        **ends(INPUTS, OUTPUTS),
        "fc1": affine(random, HIDDEN, INPUTS),
        "lif": lif(0.05, v_leak=0.125),
        "fc2": affine(random, HIDDEN, HIDDEN),
        "if": {"type": "IF", "r": full(1), "v_threshold": full(1.5)},
        "fc3": affine(random, OUTPUTS, HIDDEN),
        "cuba": cuba(OUTPUTS, 0.3, r=2.0, w_in=3.0),
    }
    path = write(tmp_path / "norse.nir", nodes, chain("fc1", "lif", "fc2", "if", "fc3", "cuba"))

    def run(graph, xs):
        return stepped(norse.from_nir(graph, dt=DT, ignore_warnings=True), xs)

    agree(path, run, random, backend, "cuba", profile="norse")


def test_snntorch_leaky_and_synapses(tmp_path, random, backend):
    """Feed-forward, named in order of work: snnTorch 1.0.0 reads no other file with the nirtorch that sinabs allows."""
    module = pytest.importorskip("snntorch.import_nir", reason="snntorch is not installed (extra peers)")
    nodes = {
        **ends(INPUTS, OUTPUTS),
        "0": affine(random, HIDDEN, INPUTS),
        "1": lif(0.06),
        "2": affine(random, HIDDEN, HIDDEN, 0.5),
        "3": cuba(HIDDEN, 1.0, tau_syn=2e-4, r=10.0, w_in=2.0),
        "4": affine(random, OUTPUTS, HIDDEN),
        "5": cuba(OUTPUTS, 1.0, tau_syn=4e-4, r=10.0, w_in=4.0),
    }
    path = write(tmp_path / "snntorch.nir", nodes, chain("0", "1", "2", "3", "4", "5"))

    def run(graph, xs):
        net = module.import_from_nir(graph)
        return [net(x[None])[0][0] for x in xs]

    agree(path, run, random, backend, "5", profile="snntorch-no-delay", reset="zero")


@pytest.mark.parametrize("mechanism", ["subtract", "zero"])
@pytest.mark.parametrize("delay", [True, False])
def test_snntorchs_constants_run_as_the_live_net(tmp_path, random, backend, mechanism, delay):
    """The file holds tau = dt/(1 - decay), r = tau/dt, w_in = tau_syn/dt, as snnTorch writes it; profile and reset say
    what it does not hold, reset_delay and reset_mechanism. (Its own export asks for a newer nir than sinabs allows.)"""
    snn = pytest.importorskip("snntorch", reason="snntorch is not installed (extra peers)")
    torch.manual_seed(int(random.integers(1 << 30)))
    how = {"reset_mechanism": mechanism, "reset_delay": delay, "init_hidden": True}
    net = torch.nn.Sequential(
        torch.nn.Linear(INPUTS, HIDDEN),
        snn.Leaky(beta=0.8, threshold=0.6, **how),
        torch.nn.Linear(HIDDEN, OUTPUTS),
        snn.Synaptic(alpha=0.5, beta=0.75, threshold=0.5, **how),
    )
    weights = [{"weight": net[i].weight.detach().numpy(), "bias": net[i].bias.detach().numpy()} for i in (0, 2)]
    nodes = {
        **ends(INPUTS, OUTPUTS),
        "0": {"type": "Affine", **weights[0]},
        "1": lif(0.6, tau=DT / 0.2, r=5.0),
        "2": {"type": "Affine", **weights[1]},
        "3": cuba(OUTPUTS, 0.5, tau_syn=DT / 0.5, tau_mem=DT / 0.25, r=4.0, w_in=2.0),
    }
    path = write(tmp_path / "snntorch.nir", nodes, chain("0", "1", "2", "3"))
    profile = "snntorch" if delay else "snntorch-no-delay"
    agree(
        path, lambda _graph, xs: [net(x[None])[0] for x in xs], random, backend, "3", profile=profile, reset=mechanism
    )


def test_sinabs_integration_with_multispikes(tmp_path, random, backend):
    sinabs = pytest.importorskip("sinabs.nir", reason="sinabs is not installed (extra peers)")
    nodes = {
        **ends(INPUTS, OUTPUTS),
        "fc1": affine(random, HIDDEN, INPUTS),
        "if1": {"type": "IF", "r": full(1), "v_threshold": full(0.75)},
        "fc2": affine(random, OUTPUTS, HIDDEN, 0.5),
        "if2": {"type": "IF", "r": full(1, OUTPUTS), "v_threshold": full(1.25, OUTPUTS)},
    }
    path = write(tmp_path / "sinabs.nir", nodes, chain("fc1", "if1", "fc2", "if2"))

    def run(graph, xs):
        for node in graph.nodes.values():  # its import takes tensors
            if isinstance(node, nir.IF):
                node.v_threshold = torch.from_numpy(node.v_threshold)
        spikes = sinabs.from_nir(graph, batch_size=1)(xs)
        return list(spikes[0] if isinstance(spikes, tuple) else spikes)

    agree(path, run, random, backend, "if2", profile="sinabs")


def test_spikingjelly_nodes(tmp_path, random, backend, monkeypatch):
    """Its import asks nirtorch for a device and a type, which the nirtorch that sinabs allows does not know yet."""
    nirtorch = pytest.importorskip("nirtorch", reason="nirtorch is not installed (extra peers)")
    older = nirtorch.nir_to_torch
    monkeypatch.setattr(nirtorch, "nir_to_torch", lambda graph, nodes, **_unknown: older(graph, nodes))
    module = pytest.importorskip("spikingjelly.activation_based.nir_exchange", reason="spikingjelly is not installed")
    nodes = {
        **ends(INPUTS, OUTPUTS),
        "n0": affine(random, HIDDEN, INPUTS),
        "n1": lif(0.125, tau=4e-4),
        "n2": affine(random, HIDDEN, HIDDEN, 0.5),
        "n3": lif(0.25, tau=4e-4, r=4.0),
        "n4": affine(random, OUTPUTS, HIDDEN),
        "n5": {"type": "IF", "r": full(1e4, OUTPUTS), "v_threshold": full(0.75, OUTPUTS)},
    }
    path = write(tmp_path / "spikingjelly.nir", nodes, chain("n0", "n1", "n2", "n3", "n4", "n5"))

    def run(graph, xs):
        for node in graph.nodes.values():  # fields that the older nir package does not know
            if isinstance(node, (nir.LIF, nir.IF)):
                node.v_reset = np.zeros_like(node.v_threshold)
        return stepped(module.import_from_nir(graph, dt=DT), xs)

    agree(path, run, random, backend, "n5", profile="spikingjelly")
