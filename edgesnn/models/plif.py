"""Parametric leaky integrate-and-fire neurons behind a batch norm: all time steps in one autograd function.

Equations (Fang et al., "Incorporating learnable membrane time constant", ICCV 2021, without decay of the input, as
SpikePoint uses it; docs/training.md):

    y[t] = (x[t] - mean) / sqrt(var + eps) * gamma + beta
    v[t] = r[t-1] * alpha + y[t],   alpha = 1 - sigmoid(w)
    s[t] = v[t] >= 1
    r[t] = v[t] * (1 - s[t])   (reset "zero")   or   v[t] - s[t]   (reset "subtract")

The backward pass replaces the derivative of the step by that of an arctangent and does not follow the reset:
ds/dv = 1 / (1 + (pi (v - 1))^2), dr/dv = 1 - s or 1.

Layer by layer over the steps, so the elementwise work is the cost; `compiled(True)` fuses each pass with
torch.compile (a C++ compiler must be there), 10 to 20 times faster than eager on one core.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

EPS = 1e-5
V_TH = 1.0

_compile = False
_bfloat16 = False
_cache: dict[Callable[..., Any], Callable[..., Any]] = {}


def compiled(on: bool) -> None:
    """Fuse the elementwise passes with torch.compile from now on, or stop doing so (process-wide)."""
    global _compile
    _compile = on


def bfloat16(on: bool) -> None:
    """Multiply matrices in bfloat16 in `linear` from now on, or stop doing so (process-wide).

    Spikes and small integers are exact in it; weights and gradients are rounded, sums are float32.
    """
    global _bfloat16
    _bfloat16 = on


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return x weight^T + bias, in bfloat16 if `bfloat16` is on."""
    if _bfloat16:
        y: Tensor = _LinearBfloat16.apply(x, weight, bias)  # type: ignore[no-untyped-call]
        return y
    return torch.nn.functional.linear(x, weight, bias)


class _LinearBfloat16(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        rounded = x.bfloat16()
        ctx.save_for_backward(rounded, weight)
        return (rounded @ weight.t().bfloat16()).float() + bias

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        rows = dy.reshape(-1, dy.shape[-1])
        rounded = rows.bfloat16()
        dx = (rounded @ weight.bfloat16()).float().view(x.shape) if ctx.needs_input_grad[0] else None
        return dx, (rounded.t() @ x.reshape(-1, x.shape[-1])).float(), rows.sum(0)


def _fused(function: Callable[..., Any]) -> Callable[..., Any]:
    if not _compile:
        return function
    if function not in _cache:
        torch._dynamo.config.recompile_limit = 64
        _cache[function] = torch.compile(function, dynamic=False)
    return _cache[function]


def surrogate_gradient(v: Tensor) -> Tensor:
    """Return the arctangent surrogate's derivative at membrane potentials `v` (threshold 1, SpikingJelly's width 2)."""
    return 1.0 / (1.0 + ((v - V_TH) * math.pi) ** 2)


def scale_and_bias(mean: Tensor, var: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
    """Return a batch norm as y = x * scale + bias: two tensors [C]."""
    scale = gamma * torch.rsqrt(var + EPS)
    return scale, beta - mean * scale


def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and (biased) variance over all axes but the last: two tensors [C]."""
    axes = tuple(range(x.dim() - 1))
    mean = x.mean(axes)
    return mean, ((x - mean) ** 2).mean(axes)


def integrate(
    x: Tensor, scale: Tensor, bias: Tensor, alpha: Tensor, steps: int, subtract: bool
) -> tuple[Tensor, Tensor]:
    """Step the neuron through the currents x * scale + bias.

    Args:
        x: [T, rows, C], or [1, rows, C]: the same at every step.
        scale, bias: [C].
        alpha: decay, a scalar tensor.
        steps: T.
        subtract: reset by subtraction instead of to zero.

    Returns:
        Spikes (0 or 1, float) and membrane potentials before the reset, both [T, rows, C].
    """
    spikes, membranes, rest = [], [], None
    for t in range(steps):
        y = x[t if x.shape[0] > 1 else 0] * scale + bias
        v = y if rest is None else rest * alpha + y
        s = (v >= V_TH).to(x.dtype)
        rest = v - s if subtract else v * (1.0 - s)
        spikes.append(s)
        membranes.append(v)
    return torch.stack(spikes), torch.stack(membranes)


def integrate_backward(ds: Tensor, v: Tensor, alpha: Tensor, held: bool, subtract: bool) -> tuple[Tensor, Tensor]:
    """Return the gradients of the currents ([T, rows, C], or [1, rows, C] when held) and of alpha (scalar)."""
    steps = v.shape[0]
    dy: list[Tensor] = []
    dalpha, carry = torch.zeros((), dtype=v.dtype), None
    for t in range(steps - 1, -1, -1):
        g = ds[t] * surrogate_gradient(v[t])
        g = g if carry is None else g + carry
        dy.append(g)
        if t > 0:
            fired = (v[t - 1] >= V_TH).to(v.dtype)
            dalpha = dalpha + (g * (v[t - 1] - fired if subtract else v[t - 1] * (1.0 - fired))).sum()
            carry = g * alpha if subtract else g * alpha * (1.0 - fired)
    if not held:
        return torch.stack(dy[::-1]), dalpha
    total = dy[0]
    for g in dy[1:]:
        total = total + g
    return total[None], dalpha


def _norm_plif(
    x: Tensor, gamma: Tensor, beta: Tensor, alpha: Tensor, steps: int, subtract: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    mean, var = statistics(x)
    scale, bias = scale_and_bias(mean, var, gamma, beta)
    s, v = integrate(x, scale, bias, alpha, steps, subtract)
    return s, v, mean, var


def _norm_plif_backward(
    ds: Tensor, v: Tensor, x: Tensor, gamma: Tensor, mean: Tensor, var: Tensor, alpha: Tensor, subtract: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    dy, dalpha = integrate_backward(ds, v, alpha, x.shape[0] == 1, subtract)
    inverse = torch.rsqrt(var + EPS)
    centred = (x - mean) * inverse
    dbeta, dgamma = dy.sum((0, 1)), (dy * centred).sum((0, 1))
    rows = x.shape[0] * x.shape[1]
    dx = (gamma * inverse) * (dy - dbeta / rows - centred * (dgamma / rows))
    return dx, dgamma, dbeta, dalpha


class NormPLIF(torch.autograd.Function):
    """Batch norm with the batch's own statistics, then the neuron, over all steps.

    apply(x [T or 1, rows, C], gamma [C], beta [C], w scalar, steps, subtract) -> spikes [T, rows, C], mean, var.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, w: Tensor, steps: int, subtract: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        alpha = 1.0 - torch.sigmoid(w)
        s, v, mean, var = _fused(_norm_plif)(x, gamma, beta, alpha, steps, subtract)
        ctx.save_for_backward(v, x, gamma, mean, var, alpha)
        ctx.subtract = subtract
        ctx.mark_non_differentiable(mean, var)
        return s, mean, var

    @staticmethod
    def backward(ctx: Any, ds: Tensor, _mean: Tensor, _var: Tensor) -> Any:
        v, x, gamma, mean, var, alpha = ctx.saved_tensors
        backward = _fused(_norm_plif_backward)
        dx, dgamma, dbeta, dalpha = backward(ds.contiguous(), v, x, gamma, mean, var, alpha, ctx.subtract)
        return dx, dgamma, dbeta, -dalpha * alpha * (1.0 - alpha), None, None


def _pool(x: Tensor) -> Tensor:
    return x.amax(-2)


def _pool_backward(dy: Tensor, x: Tensor, y: Tensor) -> Tensor:
    hit = (x == y.unsqueeze(-2)).to(x.dtype)
    return hit * (dy / hit.sum(-2)).unsqueeze(-2)


class MaxPool(torch.autograd.Function):
    """Largest value over the last axis but one, [.., A, C] -> [.., C]; ties share the gradient evenly."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y: Tensor = _fused(_pool)(x)
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        x, y = ctx.saved_tensors
        dx: Tensor = _fused(_pool_backward)(dy.contiguous(), x, y)
        return dx


def norm_plif(
    x: Tensor, gamma: Tensor, beta: Tensor, w: Tensor, steps: int, subtract: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """See `NormPLIF`."""
    result: tuple[Tensor, Tensor, Tensor] = NormPLIF.apply(x, gamma, beta, w, steps, subtract)  # type: ignore[no-untyped-call]
    return result


def max_pool(x: Tensor) -> Tensor:
    """See `MaxPool`."""
    y: Tensor = MaxPool.apply(x)  # type: ignore[no-untyped-call]
    return y
