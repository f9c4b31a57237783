"""`from_torch` against the frameworks themselves: random weights and inputs, every layer's spikes equal, step by step.

Each test needs its framework (extra `peers`) and skips without it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from edgesnn.errors import ModelError, UsageError
from edgesnn.importers.torch_modules import from_torch
from tests.running import BACKENDS, by_run, model_of

torch = pytest.importorskip("torch", reason="torch is not installed (extra test)")
nn = torch.nn

pytestmark = pytest.mark.conformance

STEPS = 40


def framework(name: str) -> Any:
    """Import a framework, or skip."""
    return pytest.importorskip(name, reason=f"{name} is not installed (extra peers)")


@pytest.fixture(params=[1, 2, 3])
def seed(request) -> int:
    torch.manual_seed(request.param)
    return request.param


@pytest.fixture(params=BACKENDS)
def backend(request) -> str:
    return request.param


def noise(*shape: int, scale: float = 1.5):
    """Return random inputs [STEPS, ...]."""
    return torch.randn(STEPS, *shape) * scale


def hooked(net, run) -> dict[str, np.ndarray]:
    """Return what every layer of neurons gave, [steps, ...] by its name; `run` runs the net."""
    rows: dict[str, list[np.ndarray]] = {}

    def keep(name):
        def hook(_module, _inputs, output):
            spikes = output[0] if isinstance(output, tuple) else output
            rows.setdefault(name, []).append(spikes.detach().numpy().copy())

        return hook

    handles = [m.register_forward_hook(keep(n)) for n, m in net.named_modules() if _is_layer(m)]
    with torch.no_grad():
        run()
    for handle in handles:
        handle.remove()
    return {name: np.concatenate(row) for name, row in rows.items()}


def _is_layer(module) -> bool:
    from edgesnn.importers.torch_neurons import is_neuron

    return is_neuron(module)


def agree(net, xs, theirs: dict[str, np.ndarray], backend: str) -> None:
    """Import the net and compare every layer with what the framework gave."""
    ours = by_run(model_of(from_torch(net, xs[0]), backend), xs.numpy(), list(theirs))
    for name, expected in theirs.items():
        found = ours[name]
        if expected.dtype.kind == "f" and found.dtype == np.float32:
            np.testing.assert_allclose(found, expected.reshape(found.shape), rtol=1e-4, atol=1e-5, err_msg=name)
            continue
        assert 0.01 < np.mean(expected > 0) < 0.95, f"{name}: nothing to compare"
        np.testing.assert_array_equal(found, expected.reshape(found.shape), err_msg=name)


# --- snnTorch -------------------------------------------------------------------------------------------------------


def snntorch_agrees(net, xs, backend: str) -> None:
    theirs = hooked(net, lambda: [net(x[None]) for x in xs])
    agree(net, xs, theirs, backend)


@pytest.mark.parametrize("delay", [True, False])
@pytest.mark.parametrize("mechanism", ["subtract", "zero", "none"])
def test_snntorch_leaky_and_synaptic(seed, backend, mechanism, delay):
    snn = framework("snntorch")
    how = {"reset_mechanism": mechanism, "reset_delay": delay, "init_hidden": True}
    net = nn.Sequential(
        nn.Linear(12, 20),
        snn.Leaky(beta=torch.rand(20), threshold=0.7, **how),
        nn.Linear(20, 8),
        snn.Synaptic(alpha=0.6, beta=torch.rand(8), threshold=torch.full((8,), 0.5), **how),
    )
    snntorch_agrees(net, noise(12), backend)


@pytest.mark.parametrize("mechanism", ["subtract", "zero"])
def test_snntorch_recurrent_layers(seed, backend, mechanism):
    snn = framework("snntorch")
    how = {"reset_mechanism": mechanism, "init_hidden": True}
    net = nn.Sequential(
        nn.Linear(10, 16),
        snn.RLeaky(beta=0.8, linear_features=16, threshold=0.6, reset_delay=False, **how),
        nn.Linear(16, 12),
        snn.RSynaptic(alpha=0.5, beta=0.7, linear_features=12, threshold=0.6, **how),
        nn.Linear(12, 6),
        snn.RLeaky(beta=0.9, all_to_all=False, V=torch.randn(6), threshold=0.5, **how),
    )
    snntorch_agrees(net, noise(10), backend)


def test_snntorch_convolutions_with_a_folded_batch_norm(seed, backend):
    snn = framework("snntorch")
    norm = nn.BatchNorm2d(6)
    with torch.no_grad():
        norm.running_mean.copy_(torch.randn(6))
        norm.running_var.copy_(torch.rand(6) + 0.5)
        norm.weight.copy_(torch.rand(6) + 0.5)
        norm.bias.copy_(torch.randn(6))
    net = nn.Sequential(
        nn.Conv2d(2, 6, 3, stride=2, padding=1, bias=False),
        norm,
        snn.Leaky(beta=0.7, threshold=0.5, init_hidden=True),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 4, 3, padding="same", groups=2),
        snn.Leaky(beta=0.5, threshold=0.2, init_hidden=True),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(16, 8),
        snn.Leaky(beta=0.9, threshold=0.1, init_hidden=True),
    ).eval()
    snntorch_agrees(net, noise(2, 16, 16), backend)


def test_options_without_a_counterpart_are_refused():
    snn = framework("snntorch")
    x = torch.zeros(4)
    with pytest.raises(ModelError, match=r"layer '0'.*snntorch.Leaky with inhibition is not known"):
        from_torch(nn.Sequential(snn.Leaky(beta=0.5, inhibition=True)), x)
    head = nn.Sequential(OrderedDict(head=nn.Sequential(nn.Linear(4, 4), nn.GELU())))
    with pytest.raises(ModelError, match=r"layer 'head\.1'.*layer is not known: found torch\.GELU"):
        from_torch(head, x)
    with pytest.raises(ModelError, match=r"found snntorch\.Lapicque"):
        from_torch(nn.Sequential(snn.Lapicque(beta=0.5)), x)


def test_a_layer_in_two_places_is_imported_twice_and_shared_neurons_are_refused():
    snn = framework("snntorch")
    pool, neurons = nn.MaxPool2d(2), snn.Leaky(beta=0.5)
    net = nn.Sequential(pool, nn.Conv2d(2, 3, 1), snn.Leaky(beta=0.5), pool)
    document = from_torch(net, torch.zeros(2, 8, 8))
    assert [node.op for node in document.nodes] == ["pool2d", "conv2d", "lif", "pool2d"]
    with pytest.raises(ModelError, match=r"layer '3'.*neurons stand in two places.*found layer '1'"):
        from_torch(nn.Sequential(nn.Linear(4, 4), neurons, nn.Linear(4, 4), neurons), torch.zeros(4))


def normal(norm):
    """Give a batch norm statistics and factors that are not the identity."""
    with torch.no_grad():
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        norm.weight.normal_()
        norm.bias.normal_()
    return norm


STATELESS = {
    "matrices of other sizes in a row": (lambda: [nn.Linear(6, 2), nn.Dropout(), nn.Linear(2, 3)], (6,)),
    "a depthwise and a pointwise convolution": (lambda: [nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 7, 1)], (4, 9, 8)),
    "a norm between convolutions": (
        lambda: [nn.Conv2d(1, 4, 3), normal(nn.BatchNorm2d(4)), nn.Conv2d(4, 2, 3, stride=2)],
        (1, 9, 9),
    ),
    "a norm of a vector": (lambda: [nn.Linear(8, 5), normal(nn.BatchNorm1d(5))], (8,)),
    "a norm of rows": (lambda: [nn.Linear(8, 5), normal(nn.BatchNorm1d(4))], (4, 8)),
    "a norm of as many rows as columns": (lambda: [nn.Linear(8, 5), normal(nn.BatchNorm1d(5))], (5, 8)),
    "a norm of images through a matrix": (lambda: [nn.Linear(8, 3), normal(nn.BatchNorm2d(3))], (3, 4, 8)),
}


@pytest.mark.parametrize("case", STATELESS)
def test_layers_without_a_state_give_what_torch_gives(seed, backend, case):
    layers, shape = STATELESS[case]
    net = nn.Sequential(*layers()).eval()
    xs = noise(*shape)
    session = model_of(from_torch(net, xs[0]), backend).session()
    with torch.no_grad():
        np.testing.assert_allclose(session.run(xs.numpy()), net(xs).numpy(), rtol=1e-4, atol=1e-5)


class Doubled(nn.Linear):
    """Looks like a Linear and is none."""

    def forward(self, x):
        return super().forward(x) * 2


def test_what_only_looks_like_a_known_layer_is_refused():
    snn = framework("snntorch")
    x = torch.zeros(4)
    with pytest.raises(ModelError, match=r"layer '0'.*layer is not known: found .*Doubled"):
        from_torch(nn.Sequential(Doubled(4, 4)), x)
    with pytest.raises(ModelError, match="module holds complex numbers"):
        from_torch(nn.Sequential(nn.Linear(4, 4, dtype=torch.complex64)), x)
    with pytest.raises(ModelError, match=r"layer '0'.*constants do not fit"):
        from_torch(nn.Sequential(snn.Leaky(beta=torch.rand(3))), x)
    with pytest.raises(UsageError, match="example_input: not an input: found list"):
        from_torch(nn.Sequential(nn.Linear(4, 4)), [0.0] * 4)
    half = from_torch(nn.Sequential(nn.Linear(4, 4).bfloat16()), x)
    assert [node.op for node in half.nodes] == ["linear"]


# --- Norse ----------------------------------------------------------------------------------------------------------


def norse_agrees(net, xs, backend: str) -> None:
    def run():
        state = None
        for x in xs:
            _, state = net(x[None], state)

    agree(net, xs, hooked(net, run), backend)


def test_norse_boxes_and_currents(seed, backend):
    norse = framework("norse.torch")
    box = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(200.0), v_th=torch.tensor(0.3), v_leak=torch.tensor(0.05))
    current = norse.LIFParameters(v_th=torch.tensor(0.2), v_reset=torch.tensor(-0.1))
    net = norse.SequentialState(
        nn.Linear(12, 20),
        norse.LIFBoxCell(box),
        nn.Linear(20, 10),
        norse.LIFCell(current),
        nn.Linear(10, 6),
        norse.IAFCell(),
        nn.Linear(6, 3),
        norse.LIBoxCell(),
    )
    norse_agrees(net, noise(12, scale=3.0), backend)


@pytest.mark.parametrize("autapses", [True, False])
def test_norse_recurrent_cells_and_their_autapses(seed, backend, autapses):
    norse = framework("norse.torch")
    parameters = norse.LIFParameters(v_th=torch.tensor(0.1))
    net = norse.SequentialState(norse.LIFRecurrentCell(8, 14, parameters, autapses=autapses))
    assert bool(net[0].recurrent_weights.diagonal().any()) == autapses
    norse_agrees(net, noise(8, scale=3.0), backend)


# --- SpikingJelly ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("v_reset", [0.0, None, 0.125])
@pytest.mark.parametrize("decay_input", [True, False])
def test_spikingjelly_nodes(seed, backend, decay_input, v_reset):
    """tau is a power of two, so that a division by it and our product with its inverse round alike."""
    neuron = framework("spikingjelly.activation_based.neuron")
    layer = framework("spikingjelly.activation_based.layer")
    net = nn.Sequential(
        layer.Linear(12, 20),
        neuron.LIFNode(tau=4.0, decay_input=decay_input, v_threshold=0.5, v_reset=v_reset),
        layer.Linear(20, 10),
        neuron.IFNode(v_threshold=0.75, v_reset=v_reset),
        layer.Linear(10, 6),
        neuron.ParametricLIFNode(init_tau=2.0, decay_input=decay_input, v_threshold=0.25, v_reset=v_reset),
    )
    xs = noise(12, scale=3.0)
    agree(net, xs, hooked(net, lambda: [net(x[None]) for x in xs]), backend)


def test_spikingjelly_containers_in_multi_step_mode(seed, backend):
    """The whole sequence in one call there, one step after the other here; the input as spikes."""
    neuron = framework("spikingjelly.activation_based.neuron")
    layer = framework("spikingjelly.activation_based.layer")
    norm = nn.BatchNorm2d(4)
    norm.running_mean.copy_(0.3 * torch.randn(4) - 0.5)
    norm.running_var.copy_(torch.rand(4) + 0.5)
    net = nn.Sequential(
        layer.SeqToANNContainer(nn.Conv2d(2, 4, 3, padding=1), norm),
        neuron.LIFNode(tau=2.0, v_threshold=0.25, step_mode="m"),
        layer.MaxPool2d(2, step_mode="m"),
        layer.Flatten(step_mode="m"),
        layer.Linear(4 * 9, 10, step_mode="m"),
        neuron.CUBALIFNode(c_decay=0.5, v_decay=0.75, v_threshold=0.125),
    ).eval()
    net[-1].step_mode = "m"
    xs = (torch.rand(STEPS, 2, 6, 6) < 0.3).float()
    theirs = hooked(net, lambda: net(xs[:, None]))
    document = from_torch(net, xs[0], input="spikes", value="binary")
    assert [node.op for node in document.nodes] == ["conv2d", "lif", "pool2d", "reshape", "linear", "lif"]
    assert document.nodes[0].attributes["activations"] == "int"
    ours = by_run(model_of(document, backend), xs.numpy().astype(np.uint8), list(theirs))
    for name, expected in theirs.items():
        assert 0 < np.mean(expected > 0) < 0.95
        np.testing.assert_array_equal(ours[name], expected[:, 0], err_msg=name)


# --- sinabs ---------------------------------------------------------------------------------------------------------


def test_sinabs_convolutions_with_multispike_neurons_and_sum_pools(seed, backend):
    sl = framework("sinabs.layers")
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        sl.IAFSqueeze(batch_size=1, min_v_mem=-1.0),
        sl.SumPool2d(2),
        nn.Conv2d(4, 4, 3, padding=1, bias=False),
        sl.LIFSqueeze(batch_size=1, tau_mem=5.0, norm_input=False, spike_threshold=0.8),
        nn.Flatten(),
        nn.Linear(4 * 16, 12),
        sl.LIFSqueeze(batch_size=1, tau_mem=8.0, tau_syn=3.0, norm_input=True, spike_threshold=0.1),
        nn.Linear(12, 3),
        sl.ExpLeakSqueeze(batch_size=1, tau_mem=10.0),
    )
    xs = noise(2, 8, 8)
    agree(net, xs, hooked(net, lambda: net(xs)), backend)


def test_sinabs_single_spikes_resets_and_recurrence(seed, backend):
    sl = framework("sinabs.layers")
    activation = framework("sinabs.activation")
    net = nn.Sequential(
        nn.Linear(10, 16),
        sl.LIF(tau_mem=6.0, norm_input=False, spike_fn=activation.SingleSpike, reset_fn=activation.MembraneReset()),
        nn.Linear(16, 12),
        sl.LIFRecurrent(tau_mem=4.0, rec_connect=nn.Linear(12, 12), norm_input=False),
        nn.Linear(12, 5),
        sl.IAF(spike_fn=activation.MaxSpike(2), min_v_mem=-0.5),
    )
    xs = noise(10)
    theirs = {name: value[0] for name, value in hooked(net, lambda: net(xs[None])).items()}
    agree(net, xs, theirs, backend)


def test_batch_norms_are_folded_into_scale_and_bias(backend):
    """Without a framework: the folded matrix gives what torch gives."""
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(7)
    norm.running_mean.copy_(torch.randn(7))
    norm.running_var.copy_(torch.rand(7) + 0.1)
    net = nn.Sequential(nn.Linear(5, 7), norm, nn.Flatten(), nn.BatchNorm1d(7)).eval()
    document = from_torch(net, torch.zeros(5))
    assert [node.op for node in document.nodes] == ["linear", "reshape", "scale"]
    x = torch.randn(5)
    with torch.no_grad():
        expected = net(x[None])[0].numpy()
    found = model_of(document, backend).session().step(x.numpy())
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
