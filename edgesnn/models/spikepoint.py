"""SpikePoint (Ren et al., ICLR 2024, arXiv 2310.07189): a spiking network on grouped points of a window of events.

    local  [G, K, F]:  CBL(F, d0), ResFB(d0), max over K ─┐
    centre [G, 3]:     CBL(3, d0), ResFB(d0) ──────────── + ─ CBL(d0, d1), ResF(d1), CBL(d1, d2), ResF(d2), CBL(d2, d3),
                       max over G ─ CBL(d3, d3), CBL(d3, voters*classes) ─ mean over steps and voters

CBL = Linear (the paper's Conv1d with k = 1), batch norm, PLIF. The residual is added after the neuron, so values
between layers are small integers. Two forms of the same network: `SpikePoint.forward` goes layer by layer over all
steps (what training needs), `SpikePoint.step_form` goes step by step (what the runtime does).

`neuron = "relu"` is the non-spiking twin: one step, ReLU instead of PLIF; its weights start a spiking net, its answers
teach one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesnn.encode.coding import PointCoding
from edgesnn.models.plif import V_TH, integrate, linear, max_pool, norm_plif, scale_and_bias, statistics

MOMENTUM = 0.1


@dataclass(frozen=True)
class SpikePointConfig:
    """What defines a network (the encoding of its input is `edgesnn.encode.points.PointEncoding`).

    Attributes:
        classes: number of classes.
        widths: d0 to d3.
        voters: outputs per class.
        steps: T.
        coding, features, polarity: as `edgesnn.encode.coding.PointCoding`.
        reset: "zero" (the published model) or "subtract".
        readout: "spikes" (the published model: voting neurons) or "currents" (mean of the last layer's currents).
        neuron: "plif", or "relu" for the non-spiking twin (steps must be 1).
        shift: start of the batch norms' bias before the maximum over neighbours and before that over groups.
    """

    classes: int
    widths: tuple[int, int, int, int] = (32, 64, 128, 256)
    voters: int = 10
    steps: int = 16
    coding: Literal["rate", "direct"] = "rate"
    features: Literal["unsigned", "signed"] = "unsigned"
    polarity: bool = False
    reset: Literal["zero", "subtract"] = "zero"
    readout: Literal["spikes", "currents"] = "spikes"
    neuron: Literal["plif", "relu"] = "plif"
    shift: tuple[float, float] = (-0.5, -0.85)

    @property
    def point_coding(self) -> PointCoding:
        """The coding of the points."""
        return PointCoding(self.coding, self.features, self.polarity)


def rounded(weight: Tensor) -> Tensor:
    """Return a matrix [N, K] on the int8 grid of its rows (`edgesnn.quantize`); the gradient is that of the matrix.

    >>> rounded(torch.tensor([[1.0, -0.501]])).mul(127).round().tolist()
    [[127.0, -64.0]]
    """
    with torch.no_grad():
        step = (weight.abs().amax(1, keepdim=True) / 127.0).clamp_min(1e-30)
        change = torch.round(weight / step) * step - weight
    return weight + change


class CBL(nn.Module):
    """Linear, batch norm, neuron: [T, .., a] -> [T, .., b]; one input step is held for all steps."""

    def __init__(self, a: int, b: int, config: SpikePointConfig, *, shift: float = 0.0, neuron: bool = True) -> None:
        super().__init__()
        self.linear = nn.Linear(a, b)
        self.gamma = nn.Parameter(torch.ones(b))
        self.beta = nn.Parameter(torch.full((b,), shift))
        self.register_buffer("mean", torch.zeros(b))
        self.register_buffer("var", torch.ones(b))
        self.mean: Tensor
        self.var: Tensor
        self.w = nn.Parameter(torch.zeros(())) if neuron and config.neuron == "plif" else None
        self.neuron, self.config = neuron, config
        self.int8 = False  # whether training rounds the weights

    def _weight(self) -> Tensor:
        return rounded(self.linear.weight) if self.int8 else self.linear.weight

    def forward(self, x: Tensor) -> Tensor:
        """Return spikes of all steps (or what stands for them: ReLU outputs, currents)."""
        y = linear(x, self._weight(), self.linear.bias) if self.training else self.linear(x)
        rows = y.reshape(y.shape[0], -1, y.shape[-1])
        if self.w is None:
            return self._relu_or_current(rows).view(y.shape)
        if self.training:
            subtract = self.config.reset == "subtract"
            s, mean, var = norm_plif(rows, self.gamma, self.beta, self.w, self.config.steps, subtract)
            self._track(mean, var)
        else:
            s, _ = self.membranes(rows)
        spikes: Tensor = s.view(self.config.steps, *y.shape[1:])
        return spikes

    def membranes(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return spikes and membrane potentials before the reset, from the linear's outputs [T or 1, rows, C]."""
        assert self.w is not None
        scale, bias = scale_and_bias(self.mean, self.var, self.gamma, self.beta)
        alpha = 1.0 - torch.sigmoid(self.w)
        return integrate(x, scale, bias, alpha, self.config.steps, self.config.reset == "subtract")

    def step(self, x: Tensor, rest: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return one step's spikes and the membrane potentials after the reset (None before the first step)."""
        scale, bias = scale_and_bias(self.mean, self.var, self.gamma, self.beta)
        y = self.linear(x) * scale + bias
        if self.w is None:
            return (F.relu(y) if self.neuron else y), y
        v = y if rest is None else rest * (1.0 - torch.sigmoid(self.w)) + y
        s = (v >= V_TH).to(v.dtype)
        return s, (v - s if self.config.reset == "subtract" else v * (1.0 - s))

    def _relu_or_current(self, rows: Tensor) -> Tensor:
        mean, var = statistics(rows) if self.training else (self.mean, self.var)
        if self.training:
            self._track(mean.detach(), var.detach())
        scale, bias = scale_and_bias(mean, var, self.gamma, self.beta)
        y = rows * scale + bias
        return F.relu(y) if self.neuron else y

    def _track(self, mean: Tensor, var: Tensor) -> None:
        self.mean.lerp_(mean, MOMENTUM)
        self.var.lerp_(var, MOMENTUM)


class Residual(nn.Module):
    """ResFB(c) = CBL(c, c/2), CBL(c/2, c), or ResF(c) = CBL(c, c); the input is added after the last neuron."""

    def __init__(self, c: int, config: SpikePointConfig, *, bottleneck: bool, shift: float = 0.0) -> None:
        super().__init__()
        middle = [CBL(c, c // 2, config), CBL(c // 2, c, config, shift=shift)]
        self.layers = nn.ModuleList(middle if bottleneck else [CBL(c, c, config, shift=shift)])

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, .., c] -> [T, .., c]."""
        y = x
        for layer in self.layers:
            y = layer(y)
        return y + x


class SpikePoint(nn.Module):
    """The network. Parameters: 165,621 for 12 classes at widths (32, 64, 128, 256) (the paper's Daily DVS model)."""

    def __init__(self, config: SpikePointConfig) -> None:
        super().__init__()
        if config.neuron == "relu" and (config.steps != 1 or config.readout != "currents"):
            raise ValueError("the ReLU twin has one step and reads currents")
        d0, d1, d2, d3 = config.widths
        near, far = config.shift
        self.config = config
        self.local_in = CBL(config.point_coding.local_width, d0, config)
        self.local_res = Residual(d0, config, bottleneck=True, shift=near)
        self.centre_in = CBL(3, d0, config)
        self.centre_res = Residual(d0, config, bottleneck=True)
        self.trunk = nn.ModuleList(
            [
                CBL(d0, d1, config),
                Residual(d1, config, bottleneck=False),
                CBL(d1, d2, config),
                Residual(d2, config, bottleneck=False),
                CBL(d2, d3, config, shift=far),
            ]
        )
        self.hidden = CBL(d3, d3, config)
        self.out = CBL(d3, config.voters * config.classes, config, neuron=config.readout == "spikes")

    def forward(self, local: Tensor, centre: Tensor) -> Tensor:
        """Return scores [B, classes].

        Args:
            local: float32 [T, B, G, K, F]; T is 1 with direct coding.
            centre: float32 [T, B, G, 3].
        """
        return self.outputs(local, centre).mean(0)

    def outputs(self, local: Tensor, centre: Tensor) -> Tensor:
        """Return the mean over voters at every step: [T, B, classes]."""
        x = max_pool(self.local_res(self.local_in(local))) + self.centre_res(self.centre_in(centre))
        for layer in self.trunk:
            x = layer(x)
        y: Tensor = self.out(self.hidden(max_pool(x)))
        return y.view(*y.shape[:-1], self.config.classes, self.config.voters).mean(-1)

    @torch.no_grad()
    def step_form(self, local: Tensor, centre: Tensor) -> Tensor:
        """Return scores [B, classes] computed step by step with membranes kept between, as the runtime does."""
        rest: dict[CBL, Tensor] = {}
        total: Tensor | None = None
        for t in range(self.config.steps):
            y = self._step(local[min(t, len(local) - 1)], centre[min(t, len(centre) - 1)], rest)
            total = y if total is None else total + y
        assert total is not None
        return total / self.config.steps

    def _step(self, local: Tensor, centre: Tensor, rest: dict[CBL, Tensor]) -> Tensor:
        def cbl(layer: CBL, x: Tensor) -> Tensor:
            s, rest[layer] = layer.step(x, rest.get(layer))
            return s

        def residual(block: Residual, x: Tensor) -> Tensor:
            y = x
            for layer in block.layers:
                y = cbl(layer, y)  # type: ignore[arg-type]
            return y + x

        x = residual(self.local_res, cbl(self.local_in, local)).amax(-2)
        x = x + residual(self.centre_res, cbl(self.centre_in, centre))
        for layer in self.trunk:
            x = residual(layer, x) if isinstance(layer, Residual) else cbl(layer, x)  # type: ignore[arg-type]
        y = cbl(self.out, cbl(self.hidden, x.amax(-2)))
        return y.view(*y.shape[:-1], self.config.classes, self.config.voters).mean(-1)


def parameter_count(model: nn.Module) -> int:
    """Return the number of trained parameters."""
    return sum(p.numel() for p in model.parameters())
