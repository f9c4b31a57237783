"""torch without a framework: one function of input and states, eager, and traced and frozen as TorchScript."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from nets import Net
from torch.nn import functional

torch.set_num_threads(1)


class _Step(torch.nn.Module):
    """(x, *states) -> (spikes, *states); states per layer: v, then i and z where there are some."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.layers = net.layers
        for n, layer in enumerate(net.layers):
            weight = layer.weight * np.float32(layer.pool**2)
            if layer.recurrent is not None:
                weight = np.concatenate([weight, layer.recurrent], axis=1)
            self.register_buffer(f"weight{n}", torch.from_numpy(weight))
            self.register_buffer(f"bias{n}", torch.from_numpy(layer.bias))

    def forward(self, x: torch.Tensor, *states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        left, kept = list(states), []
        for n, layer in enumerate(self.layers):
            v = left.pop(0)
            i = None if layer.beta is None else left.pop(0)
            z = None if layer.recurrent is None else left.pop(0)
            c = self._matrix(n, x, z)
            if i is not None:
                c = i = i * layer.beta + c
            u = v * layer.alpha + c if layer.alpha != 1 else v + c
            fired = u >= layer.v_th
            x = fired.float()
            kept += [state for state in (u.masked_fill(fired, 0.0), i) if state is not None]
            if z is not None:
                kept.append(x)
        return x, *kept

    def _matrix(self, n: int, x: torch.Tensor, z: torch.Tensor | None) -> torch.Tensor:
        layer, weight, bias = self.layers[n], getattr(self, f"weight{n}"), getattr(self, f"bias{n}")
        if layer.pool > 1:
            x = functional.avg_pool2d(x, layer.pool)
        if layer.conv:
            return functional.conv2d(x, weight, bias, stride=layer.stride, padding=layer.padding)
        x = x.flatten(1)
        return functional.linear(x if z is None else torch.cat([x, z], dim=1), weight, bias)

    def zeros(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the states at the start."""
        states = []
        for n, layer in enumerate(self.layers):
            z = None if layer.recurrent is None else torch.zeros(1, len(layer.recurrent))
            x = self._matrix(n, x, z)
            count = 1 + (layer.beta is not None) + (layer.recurrent is not None)
            states += [torch.zeros_like(x) for _ in range(count)]
        return states


class Eager:
    """See `Peer`."""

    def __init__(self, net: Net) -> None:
        module = _Step(net).eval()
        self.function: Any = module
        with torch.inference_mode():
            self.start = module.zeros(torch.zeros(1, *net.inputs.shape[1:]))
        self.states: list[torch.Tensor] = self.start

    def inputs(self, spikes: npt.NDArray[np.uint8]) -> list[torch.Tensor]:
        """See `Peer`."""
        return [torch.from_numpy(x[None].astype(np.float32)) for x in spikes]

    def reset(self) -> None:
        """See `Peer`."""
        self.states = self.start

    @torch.inference_mode()
    def step(self, x: torch.Tensor) -> torch.Tensor:
        """See `Peer`."""
        output, *self.states = self.function(x, *self.states)
        return output

    def spikes(self, output: torch.Tensor) -> npt.NDArray[Any]:
        """See `Peer`."""
        return output.numpy()


def script(net: Net) -> Eager:
    """Return the traced, frozen form."""
    peer = Eager(net)
    x = torch.zeros(1, *net.inputs.shape[1:])
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        states = [torch.zeros(state.shape) for state in peer.start]
        peer.function = torch.jit.freeze(torch.jit.trace(peer.function, (x, *states)))
    return peer
