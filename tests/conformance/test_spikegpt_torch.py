"""`edgesnn.models.spikegpt` against the official code's outputs, and its two forms against each other."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra test)")

from edgesnn.models.plif import surrogate_gradient  # noqa: E402
from edgesnn.models.spikegpt import LIF, SpikeGPT, SpikeGPTConfig, wkv_of_sequences  # noqa: E402

CASES = {"sgpt_v77_L4_D64": True, "sgpt_v300_L4_D64": False}


def stepped(model, tokens):
    """Return logits [T, V] and spikes [T, 2 L, D] of one stream."""
    state, logits, spikes = model.state(), [], []
    for token in tokens:
        out, fired = model.step(int(token), state)
        logits.append(out)
        spikes.append(torch.stack(fired) if fired else torch.zeros(0))
    return torch.stack(logits), torch.stack(spikes)


def some(layers, *, spiking=True, rescale=False, seed=0):
    torch.manual_seed(seed)
    model = SpikeGPT(SpikeGPTConfig(vocab=11, layers=layers, width=16, spiking=spiking, rescale=rescale))
    for block in model.blocks:
        for matrix in (block.att.output.weight, block.ffn.value.weight):
            torch.nn.init.normal_(matrix, std=1.0 if spiking else 0.2)
    return model


@pytest.mark.conformance
@pytest.mark.parametrize("name", CASES)
def test_the_official_outputs(name, shared):
    weights = torch.load(shared(f"conformance/spikegpt/{name}.pth"), weights_only=True)
    with np.load(shared(f"conformance/spikegpt/{name}.npz")) as file:
        official = {key: file[key] for key in file.files}
    layers = json.loads(str(official["config"]))["n_layer"]
    vocab, width = weights["emb.weight"].shape
    model = SpikeGPT(SpikeGPTConfig(vocab, layers, width, binarise=CASES[name], rescale=True))
    model.load_state_dict(weights)
    logits, spikes = stepped(model, official["tokens"])
    for first, key in enumerate(("att_spikes", "ffn_spikes")):
        assert (spikes[:, first::2].numpy() == np.unpackbits(official[key], axis=-1)[..., :width]).all()
    assert np.abs(logits.numpy() - official["logits"]).max() <= 1e-4
    whole = model(torch.from_numpy(official["tokens"].astype(np.int64))[:, None])[:, 0].detach().numpy()
    assert np.abs(whole - official["logits"]).max() <= 1e-4


@pytest.mark.parametrize("rescale", [False, True])
@pytest.mark.parametrize("spiking", [False, True])
@pytest.mark.parametrize("layers", [1, 3, 13])
def test_whole_sequences_are_the_steps(layers, spiking, rescale):
    model = some(layers, spiking=spiking, rescale=rescale, seed=layers).double()
    tokens = torch.randint(11, (40, 2))
    whole = model(tokens)
    for stream in range(2):
        logits, spikes = stepped(model, tokens[:, stream])
        assert not spiking or 0.01 < spikes.mean() < 0.9
        torch.testing.assert_close(whole[:, stream], logits, rtol=1e-9, atol=1e-9)


def test_rescaling_is_seen_beyond_six_layers():
    plain, halved = (some(8, rescale=rescale, seed=3) for rescale in (False, True))
    tokens = torch.randint(11, (30, 1))
    assert (plain(tokens) - halved(tokens)).abs().max() > 0.01


def test_gradients_of_the_attention():
    torch.manual_seed(1)
    k, v = (torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    bonus = torch.randn(3, dtype=torch.float64, requires_grad=True)
    decay = (-torch.rand(3, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(wkv_of_sequences, (k, v, bonus, decay))


def test_gradients_of_the_neuron_are_those_of_its_steps():
    """Autograd through the literal loop, with the step's derivative replaced and the reset held fixed."""

    class Step(torch.autograd.Function):
        @staticmethod
        def forward(ctx, v):
            ctx.save_for_backward(v)
            return (v >= 1).to(v.dtype)

        @staticmethod
        def backward(ctx, ds):
            return ds * surrogate_gradient(ctx.saved_tensors[0])

    torch.manual_seed(2)
    z = (2 * torch.randn(9, 4, dtype=torch.float64)).requires_grad_()
    weights = torch.randn(9, 4, dtype=torch.float64)
    spikes, _ = LIF.apply(z, torch.zeros(4, dtype=torch.float64))
    ours = torch.autograd.grad((spikes * weights).sum(), z)[0]
    rest, total = torch.zeros(4, dtype=torch.float64), 0
    for t in range(9):
        v = rest + (z[t] - rest) / 2
        s = Step.apply(v)
        assert (s == spikes[t]).all()
        total = total + (s * weights[t]).sum()
        rest = v * (1 - s.detach())
    torch.testing.assert_close(ours, torch.autograd.grad(total, z)[0])
    assert 0 < spikes.mean() < 1
