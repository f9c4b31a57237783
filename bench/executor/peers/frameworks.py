"""snnTorch, Norse, SpikingJelly and sinabs: their neuron modules, kept state, one step a call, no gradient.

The matrices are torch's in all of them, as their users write it. What a framework scales its input by is divided out of
the weights, so that all compute the network of `nets.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from nets import Layer, Net

torch.set_num_threads(1)
_DT = 1e-3  # Norse's own default; only dt * tau_inv counts


class _Framework:
    """Matrices, recurrence and the framework's cells: `cell(current) -> spikes`, its state inside."""

    def __init__(self, net: Net, cells: Callable[[Layer], tuple[float, Any]]) -> None:
        self.net, self.cells = net, cells
        self.gains, self.matrices, self.own = [], [], []
        for layer in net.layers:
            gain, _ = cells(layer)
            self.matrices.append(_matrix(layer, gain))
            self.own.append(None if layer.recurrent is None else _linear(layer.recurrent, None, gain))
        self.reset()

    def inputs(self, spikes: npt.NDArray[np.uint8]) -> list[torch.Tensor]:
        """See `Peer`."""
        return [torch.from_numpy(x[None].astype(np.float32)) for x in spikes]

    def reset(self) -> None:
        """See `Peer`."""
        self.neurons = [self.cells(layer)[1] for layer in self.net.layers]
        self.z = [None if n.recurrent is None else torch.zeros(1, len(n.bias)) for n in self.net.layers]

    @torch.inference_mode()
    def step(self, x: torch.Tensor) -> torch.Tensor:
        """See `Peer`."""
        for n, neuron in enumerate(self.neurons):
            c = self.matrices[n](x)
            if self.own[n] is not None:
                x = self.z[n] = neuron(c + self.own[n](self.z[n]))
            else:
                x = neuron(c)
        return x

    def spikes(self, output: torch.Tensor) -> npt.NDArray[Any]:
        """See `Peer`."""
        return output.numpy()


def _linear(weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32] | None, gain: float) -> torch.nn.Linear:
    module = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    return _filled(module, weight, bias, gain)


def _filled(module: Any, weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32] | None, gain: float) -> Any:
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(weight.astype(np.float64) * gain))
        if bias is not None:
            module.bias.copy_(torch.from_numpy(bias.astype(np.float64) * gain))
    return module.eval()


def _matrix(layer: Layer, gain: float) -> torch.nn.Module:
    weight = layer.weight * np.float32(layer.pool**2)
    parts: list[torch.nn.Module] = [torch.nn.AvgPool2d(layer.pool)] if layer.pool > 1 else []
    if layer.conv:
        outputs, inputs, *kernel = weight.shape
        module = torch.nn.Conv2d(inputs, outputs, tuple(kernel), stride=layer.stride, padding=layer.padding)
        parts.append(_filled(module, weight, layer.bias, gain))
    else:
        parts += [torch.nn.Flatten()] if layer.pool > 1 else []
        parts.append(_linear(weight, layer.bias if layer.bias.any() else None, gain))
    return parts[0] if len(parts) == 1 else torch.nn.Sequential(*parts)


def snntorch(net: Net) -> _Framework:
    """Return the net with snnTorch's Leaky and Synaptic, states hidden inside (faster than passing them)."""
    import snntorch as snn

    same: dict[str, Any] = {"init_hidden": True, "reset_mechanism": "zero", "reset_delay": False}

    def cells(layer: Layer) -> tuple[float, Any]:
        if layer.beta is None:
            return 1.0, snn.Leaky(beta=layer.alpha, threshold=layer.v_th, **same)
        return 1.0, snn.Synaptic(alpha=layer.beta, beta=layer.alpha, threshold=layer.v_th, **same)

    return _Framework(net, cells)


def norse(net: Net) -> _Framework:
    """Return the net with Norse's LIFBoxCell, LIFCell and IAFCell."""
    from norse import torch as n

    class Kept:
        """A Norse cell with its state."""

        def __init__(self, cell: Any) -> None:
            self.cell, self.state = cell, None

        def __call__(self, c: torch.Tensor) -> torch.Tensor:
            z, self.state = self.cell(c, self.state)
            return z

    def cells(layer: Layer) -> tuple[float, Any]:
        v_th, inverse = torch.tensor(layer.v_th), torch.tensor((1 - layer.alpha) / _DT)
        if layer.alpha == 1:
            return 1.0, Kept(n.IAFCell(n.IAFParameters(v_th=v_th), dt=_DT))
        gain = 1 / (1 - layer.alpha)
        if layer.beta is None:
            return gain, Kept(n.LIFBoxCell(n.LIFBoxParameters(tau_mem_inv=inverse, v_th=v_th), dt=_DT))
        synapse = torch.tensor((1 - layer.beta) / _DT)
        return gain, Kept(n.LIFCell(n.LIFParameters(tau_syn_inv=synapse, tau_mem_inv=inverse, v_th=v_th), dt=_DT))

    return _Framework(net, cells)


def spikingjelly(net: Net) -> _Framework:
    """Return the net with SpikingJelly's LIFNode, IFNode and CUBALIFNode, step mode 's'."""
    from spikingjelly.activation_based import neuron

    def cells(layer: Layer) -> tuple[float, Any]:
        same = {"v_threshold": layer.v_th, "v_reset": 0.0}
        if layer.beta is not None:
            return 1.0, neuron.CUBALIFNode(c_decay=layer.beta, v_decay=layer.alpha, **same).eval()
        if layer.alpha == 1:
            return 1.0, neuron.IFNode(**same).eval()
        return 1.0, neuron.LIFNode(tau=1 / (1 - layer.alpha), decay_input=False, **same).eval()

    return _Framework(net, cells)


def sinabs(net: Net) -> _Framework:
    """Return the net with sinabs's LIF and IAF, squeezed, single spikes, reset to zero."""
    from sinabs import activation, layers

    same: dict[str, Any] = {"spike_fn": activation.SingleSpike, "reset_fn": activation.MembraneReset()}

    def cells(layer: Layer) -> tuple[float, Any]:
        v_th = torch.tensor(layer.v_th)
        if layer.alpha == 1:
            return 1.0, layers.IAFSqueeze(batch_size=1, spike_threshold=v_th, **same).eval()
        synapse = None if layer.beta is None else -1 / math.log(layer.beta)
        made = layers.LIFSqueeze(
            batch_size=1,
            tau_mem=-1 / math.log(layer.alpha),
            tau_syn=synapse,
            spike_threshold=v_th,
            norm_input=False,
            **same,
        )
        return (1.0 if layer.beta is None else 1 / layer.beta), made.eval()

    return _Framework(net, cells)
