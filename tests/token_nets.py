"""Random checkpoints of SpikeGPT and RWKV-4, and their step as the papers write it, in torch: an oracle of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

Tensors = dict[str, torch.Tensor]


def checkpoint(layers: int, width: int, vocab: int, seed: int = 0) -> Tensors:
    """Return tensors by their official keys, of sizes that let about a fifth of the neurons fire."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int, sd: float = 1.0, mean: float = 0.0) -> torch.Tensor:
        return torch.randn(*shape, generator=g) * sd + mean

    def matrix(n: int, k: int, gain: float = 1.0) -> torch.Tensor:
        return normal(n, k, sd=gain / k**0.5)

    def norm(name: str) -> Tensors:
        return {f"{name}.weight": normal(width, sd=0.1, mean=1.0), f"{name}.bias": normal(width, sd=0.1)}

    made = {"emb.weight": normal(vocab, width), **norm("blocks.0.ln0")}
    for i in range(layers):
        att, ffn = f"blocks.{i}.att", f"blocks.{i}.ffn"
        made |= norm(f"blocks.{i}.ln1") | norm(f"blocks.{i}.ln2")
        made |= {f"{att}.time_decay": normal(width), f"{att}.time_first": normal(width)}
        made |= {f"{att}.time_mix_{n}": torch.rand(1, 1, width, generator=g) for n in "kvr"}
        made |= {f"{att}.{n}.weight": matrix(width, width) for n in ("key", "value", "receptance")}
        made[f"{att}.output.weight"] = matrix(width, width, 4.0 * 2 ** (i // 6))
        made |= {f"{ffn}.time_mix_{n}": torch.rand(1, 1, width, generator=g) for n in "kr"}
        made[f"{ffn}.key.weight"] = matrix(4 * width, width)
        made[f"{ffn}.receptance.weight"] = matrix(width, width)
        made[f"{ffn}.value.weight"] = matrix(width, 4 * width, 2.0 * 2 ** (i // 6))
    return {**made, **norm("ln_out"), "head.weight": matrix(vocab, width)}


@dataclass
class Trace:
    """What a run gave by token: logits [T, V], spikes [T, L, D]; and the smallest distance to a threshold."""

    logits: list[np.ndarray] = field(default_factory=list)
    att: list[np.ndarray] = field(default_factory=list)
    ffn: list[np.ndarray] = field(default_factory=list)
    margin: float = np.inf

    def stacked(self, name: str) -> np.ndarray:
        return np.stack(getattr(self, name))


def run(
    weights: Tensors,
    tokens: Sequence[int],
    *,
    rescale: bool,
    binarise: bool = False,
    spiking: bool = True,
    table: np.ndarray | None = None,
) -> Trace:
    """Return the trace of an official step over all tokens, in float64; `table` stands for embedding and ln0."""
    w = {name: value.double() for name, value in weights.items()}
    layers, width = len({n.split(".")[1] for n in w if n.startswith("blocks")}), w["emb.weight"].shape[1]
    trace, state = Trace(), [_Layer(width) for _ in range(layers)]
    for token in tokens:
        x = w["emb.weight"][int(token)]
        x = _norm((x >= 0).double() if binarise else x, w, "blocks.0.ln0")
        x = x if table is None else torch.from_numpy(table[int(token)]).double()
        fired: dict[str, list[Any]] = {"att": [], "ffn": []}
        for i, layer in enumerate(state):
            share = 2.0 ** (i // 6) if rescale else 1.0
            for part, work in (("att", layer.time_mix), ("ffn", layer.channel_mix)):
                z = work(_norm(x, w, f"blocks.{i}.ln{1 if part == 'att' else 2}"), w, f"blocks.{i}.{part}") / share
                if spiking:
                    z, margin = layer.fire(part, z)
                    trace.margin = min(trace.margin, margin)
                fired[part].append(z.numpy())
                x = x + z
            if rescale and (i + 1) % 6 == 0:
                x = x / 2
        trace.logits.append((w["head.weight"] @ _norm(x, w, "ln_out")).numpy())
        trace.att.append(np.stack(fired["att"]))
        trace.ffn.append(np.stack(fired["ffn"]))
    return trace


class _Layer:
    def __init__(self, width: int) -> None:
        zero = torch.zeros(width, dtype=torch.float64)
        self.past = {"att": zero, "ffn": zero}
        self.v = {"att": zero, "ffn": zero}
        self.aa, self.bb, self.pp = zero, zero, zero - 1e30

    def time_mix(self, h: torch.Tensor, w: Tensors, name: str) -> torch.Tensor:
        xk, xv, xr = (self._mixed("att", h, w[f"{name}.time_mix_{n}"]) for n in "kvr")
        self.past["att"] = h
        r = torch.sigmoid(w[f"{name}.receptance.weight"] @ xr)
        k, v = w[f"{name}.key.weight"] @ xk, w[f"{name}.value.weight"] @ xv
        ww = w[f"{name}.time_first"] + k
        p = torch.maximum(self.pp, ww)
        wkv = (torch.exp(self.pp - p) * self.aa + torch.exp(ww - p) * v) / (
            torch.exp(self.pp - p) * self.bb + torch.exp(ww - p)
        )
        ww = self.pp - torch.exp(w[f"{name}.time_decay"])
        p = torch.maximum(ww, k)
        self.aa = torch.exp(ww - p) * self.aa + torch.exp(k - p) * v
        self.bb = torch.exp(ww - p) * self.bb + torch.exp(k - p)
        self.pp = p
        return w[f"{name}.output.weight"] @ (r * wkv)

    def channel_mix(self, h: torch.Tensor, w: Tensors, name: str) -> torch.Tensor:
        xk, xr = (self._mixed("ffn", h, w[f"{name}.time_mix_{n}"]) for n in "kr")
        self.past["ffn"] = h
        k = torch.square(torch.relu(w[f"{name}.key.weight"] @ xk))
        return torch.sigmoid(w[f"{name}.receptance.weight"] @ xr) * (w[f"{name}.value.weight"] @ k)

    def fire(self, part: str, z: torch.Tensor) -> tuple[torch.Tensor, float]:
        v = self.v[part] + (z - self.v[part]) / 2
        s = (v >= 1).double()
        self.v[part] = v * (1 - s)
        return s, float((v - 1).abs().min())

    def _mixed(self, part: str, h: torch.Tensor, mix: torch.Tensor) -> torch.Tensor:
        mix = mix.reshape(-1)
        return h * mix + self.past[part] * (1 - mix)


def _norm(x: torch.Tensor, w: Tensors, name: str) -> torch.Tensor:
    return torch.nn.functional.layer_norm(x, x.shape, w[f"{name}.weight"], w[f"{name}.bias"], 1e-5)
