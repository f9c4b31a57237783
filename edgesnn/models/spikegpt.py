"""SpikeGPT (Zhu et al., arXiv 2302.13939) and RWKV-4, its parent without spikes, under the keys of their checkpoints.

    x = emb[token], binarised (x >= 0) or not; x = LN0(x)
    for each block:  x = x + LIF(Wo (sigmoid(Wr xr) * wkv(Wk xk, Wv xv)))      xr, xk, xv: LN1(x) mixed with its
                     x = x + LIF(sigmoid(Wr xr) * (Wv relu(Wk xk)^2))          last one (LN2 for the second line)
    logits = head LN(x)

`wkv` is an average of the values so far, by decaying weights e^k; `LIF` has tau 2, threshold 1 and a reset to zero, and
RWKV-4 has none. `rescale`: x is halved after every sixth block and both output matrices of block i are
divided by 2^(i//6), as the published inference script does ("author"); training does neither.
The equations are in docs/token-models.md.

Two forms of the same network: `SpikeGPT.forward` takes whole sequences, layer by layer (what training needs);
`SpikeGPT.step` takes one token and a state (what the runtime does).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesnn.models.plif import surrogate_gradient

V_TH = 1.0
RESCALE_EVERY = 6
NOTHING_YET = -1e30  # the largest exponent of a wkv before the first token


@dataclass(frozen=True)
class SpikeGPTConfig:
    """What defines a network.

    Attributes:
        vocab: V, number of tokens.
        layers: L.
        width: D.
        spiking: False for RWKV-4.
        binarise: the embedding is made 0 or 1 (the gradient passes straight through).
        rescale: halve x every six blocks ("author" mode; not for training).
    """

    vocab: int
    layers: int = 4
    width: int = 128
    spiking: bool = True
    binarise: bool = True
    rescale: bool = False


class LIF(torch.autograd.Function):
    """Leaky integrate-and-fire over time: apply(z [T, ...], v [...]) -> spikes [T, ...], v after the last step.

    v += (z - v) / 2; s = v >= 1; v *= 1 - s. Backward: the arctangent of `plif.surrogate_gradient`, the reset's own
    dependence on v left out.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
        membranes, spikes = torch.empty_like(z), torch.empty_like(z)
        for t in range(len(z)):
            v = torch.lerp(rest, z[t], 0.5, out=membranes[t])
            fired = spikes[t].copy_(v >= V_TH)
            rest = v * (1.0 - fired)
        ctx.save_for_backward(membranes, spikes)
        ctx.mark_non_differentiable(rest)
        return spikes, rest

    @staticmethod
    def backward(ctx: Any, ds: Tensor, _rest: Tensor) -> Any:
        membranes, spikes = ctx.saved_tensors
        dz = ds * surrogate_gradient(membranes)
        kept = (1.0 - spikes).mul_(0.5)
        carry = dz[-1]
        for t in range(len(dz) - 2, -1, -1):  # of v[t + 1] to v[t]: half of what was not reset
            carry = torch.addcmul(dz[t], carry, kept[t], out=dz[t])
        return dz.mul_(0.5), None


class Binarise(torch.autograd.Function):
    """x >= 0 as 1 or 0; the gradient passes straight through."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, dx: Tensor) -> Tensor:
        return dx


def wkv_of_sequences(k: Tensor, v: Tensor, bonus: Tensor, decay: Tensor) -> Tensor:
    """Return the wkv of whole sequences that begin with no past, [T, B, D].

    wkv[t] = (sum_i<t e^((t-1-i) decay + k[i]) v[i] + e^(bonus + k[t]) v[t]) / (the same with v = 1), as one
    product with a matrix of decays [T, T] for each channel. Keys of a channel more than 80
    below its largest have no weight.

    Args:
        k, v: keys and values [T, B, D].
        bonus: `time_first` [D].
        decay: -exp(time_decay) [D].
    """
    steps = len(k)
    top = k.amax(0, keepdim=True)
    own = torch.exp(k - top)
    t = torch.arange(steps, device=k.device)
    past = (t[:, None] - 1 - t).to(k.dtype)
    weights = torch.exp(past.clamp(min=0) * decay[:, None, None]) * (past >= 0)  # [D, T, T]
    sums = torch.bmm(weights, torch.stack((own * v, own)).permute(3, 1, 0, 2).reshape(len(decay), steps, -1))
    above, below = sums.view(len(decay), steps, 2, -1).permute(2, 1, 3, 0)
    now = torch.exp(bonus) * own
    wkv: Tensor = (above + now * v) / (below + now).clamp_min(torch.finfo(k.dtype).tiny)
    return wkv


class Attention(nn.Module):
    """Time mixing: sigmoid(Wr xr) * wkv(Wk xk, Wv xv), through Wo."""

    def __init__(self, width: int, depth: float) -> None:
        """Start as RWKV-4 does; `depth` is 0 for the first block and 1 for the last."""
        super().__init__()
        channel = torch.arange(width) / max(1, width - 1)
        self.time_decay = nn.Parameter(-5.0 + 8.0 * channel ** (0.7 + 1.3 * depth))
        self.time_first = nn.Parameter(math.log(0.3) + ((torch.arange(width) + 1) % 3 - 1) * 0.5)
        share = (torch.arange(width) / width)[None, None] ** (1.0 - depth * 0.999)
        self.time_mix_k = nn.Parameter(share.clone())
        self.time_mix_v = nn.Parameter(share + 0.3 * depth)
        self.time_mix_r = nn.Parameter(share.sqrt())
        self.key, self.value, self.receptance, self.output = (nn.Linear(width, width, bias=False) for _ in range(4))

    def forward(self, h: Tensor) -> Tensor:
        """Return the currents [T, B, D] of sequences that begin here."""
        last = shifted(h)
        k, v = self.key(mixed(h, last, self.time_mix_k)), self.value(mixed(h, last, self.time_mix_v))
        r = torch.sigmoid(self.receptance(mixed(h, last, self.time_mix_r)))
        y: Tensor = self.output(r * wkv_of_sequences(k, v, self.time_first, -torch.exp(self.time_decay)))
        return y

    def step(self, h: Tensor, state: dict[str, Tensor]) -> Tensor:
        """Return the currents of one token; `state`: att_xx, aa, bb, pp."""
        last, state["att_xx"] = state["att_xx"], h
        mix_k, mix_v, mix_r = (m.flatten() for m in (self.time_mix_k, self.time_mix_v, self.time_mix_r))
        k, v = self.key(mixed(h, last, mix_k)), self.value(mixed(h, last, mix_v))
        r = torch.sigmoid(self.receptance(mixed(h, last, mix_r)))
        aa, bb, pp = state["aa"], state["bb"], state["pp"]
        now = self.time_first + k
        p = torch.maximum(pp, now)
        old, new = torch.exp(pp - p), torch.exp(now - p)
        wkv = (old * aa + new * v) / (old * bb + new)
        kept = pp - torch.exp(self.time_decay)
        p = torch.maximum(kept, k)
        old, new = torch.exp(kept - p), torch.exp(k - p)
        state["aa"], state["bb"], state["pp"] = old * aa + new * v, old * bb + new, p
        y: Tensor = self.output(r * wkv)
        return y


class FeedForward(nn.Module):
    """Channel mixing: sigmoid(Wr xr) * (Wv relu(Wk xk)^2)."""

    def __init__(self, width: int, depth: float) -> None:
        super().__init__()
        share = (torch.arange(width) / width)[None, None] ** (1.0 - depth * 0.999)
        self.time_mix_k, self.time_mix_r = nn.Parameter(share.clone()), nn.Parameter(share.clone())
        self.key = nn.Linear(width, 4 * width, bias=False)
        self.receptance = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(4 * width, width, bias=False)

    def forward(self, h: Tensor, last: Tensor | None = None) -> Tensor:
        """Return the currents of sequences [T, B, D] that begin here, or of one token [D] after `last`."""
        before = shifted(h) if last is None else last
        mix_k, mix_r = (m if last is None else m.flatten() for m in (self.time_mix_k, self.time_mix_r))
        k = torch.square(torch.relu(self.key(mixed(h, before, mix_k))))
        y: Tensor = torch.sigmoid(self.receptance(mixed(h, before, mix_r))) * self.value(k)
        return y


class Block(nn.Module):
    """One layer."""

    def __init__(self, index: int, config: SpikeGPTConfig) -> None:
        super().__init__()
        width, depth = config.width, index / max(1, config.layers - 1)
        if index == 0:
            self.ln0 = nn.LayerNorm(width)
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.att, self.ffn = Attention(width, depth), FeedForward(width, depth)
        self.divisor = 2.0 ** (index // RESCALE_EVERY) if config.rescale else 1.0
        self.halves = config.rescale and (index + 1) % RESCALE_EVERY == 0
        self.spiking = config.spiking

    def forward(self, x: Tensor) -> Tensor:
        """Return x [T, B, D] after this layer, of sequences that begin here."""
        for z in (self.att, self.ffn):
            y = z(self.ln1(x) if z is self.att else self.ln2(x)) / self.divisor
            x = x + (spikes_of(y) if self.spiking else y)
        return x / 2 if self.halves else x

    def step(self, x: Tensor, state: dict[str, Tensor], spikes: list[Tensor]) -> Tensor:
        """Return x [D] after this layer; `state` (7 tensors [D]) is replaced, both neurons' spikes are appended."""
        x = x + self._fired(self.att.step(self.ln1(x), state) / self.divisor, "v_att", state, spikes)
        h, last = self.ln2(x), state["ffn_xx"]
        state["ffn_xx"] = h
        x = x + self._fired(self.ffn(h, last) / self.divisor, "v_ffn", state, spikes)
        return x / 2 if self.halves else x

    def _fired(self, z: Tensor, name: str, state: dict[str, Tensor], spikes: list[Tensor]) -> Tensor:
        if not self.spiking:
            return z
        v = state[name] + (z - state[name]) / 2
        s = (v >= V_TH).to(v.dtype)
        state[name] = v * (1 - s)
        spikes.append(s)
        return s


class SpikeGPT(nn.Module):
    """The network; its `state_dict` has the keys and shapes of the published checkpoints."""

    def __init__(self, config: SpikeGPTConfig) -> None:
        super().__init__()
        self.config = config
        self.emb = nn.Embedding(config.vocab, config.width)
        self.blocks = nn.ModuleList(Block(i, config) for i in range(config.layers))
        self.ln_out = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.vocab, bias=False)
        nn.init.uniform_(self.emb.weight, -0.5, 0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [T, B, V] of sequences int64 [T, B] that begin with an empty state."""
        x = self._embedded(tokens)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.ln_out(x))
        return logits

    def state(self) -> list[dict[str, Tensor]]:
        """Return the state before the first token: seven float32 [D] a layer."""
        zero = torch.zeros(self.config.width, dtype=self.head.weight.dtype)
        names = ("att_xx", "aa", "bb", "ffn_xx", "v_att", "v_ffn")
        return [dict.fromkeys(names, zero) | {"pp": zero + NOTHING_YET} for _ in self.blocks]

    @torch.no_grad()
    def step(self, token: int, state: list[dict[str, Tensor]]) -> tuple[Tensor, list[Tensor]]:
        """Return one token's logits [V] and the spikes [D] of each neuron, in order; `state` moves on."""
        x, spikes = self._embedded(torch.tensor(token)), list[Tensor]()
        for block, own in zip(self.blocks, state, strict=True):
            x = block.step(x, own, spikes)  # type: ignore[operator]
        return self.head(self.ln_out(x)), spikes

    def _embedded(self, tokens: Tensor) -> Tensor:
        x: Tensor = self.emb(tokens)
        if self.config.binarise:
            x = Binarise.apply(x)  # type: ignore[no-untyped-call]
        y: Tensor = self.blocks[0].ln0(x)  # type: ignore[operator]
        return y


def shifted(h: Tensor) -> Tensor:
    """Return the sequences [T, B, D] one step later, zero first."""
    return F.pad(h, (0, 0, 0, 0, 1, 0))[:-1]


def mixed(h: Tensor, last: Tensor, mix: Tensor) -> Tensor:
    """Return h * mix + last * (1 - mix)."""
    return h * mix + last * (1 - mix)


def spikes_of(z: Tensor) -> Tensor:
    """Return the spikes [T, B, D] of neurons at rest before the first step."""
    spikes: Tensor = LIF.apply(z, torch.zeros_like(z[0]))[0]  # type: ignore[no-untyped-call]
    return spikes
