"""The networks of the tables, each described once: the same weights and inputs for ours and for every peer.

Weights are random (from a seed), rounded to int8 with one scale per output channel and written back as float32, so that
int8 and float32 engines compute the same network. Thresholds are calibrated so that the spike rates hold that are
asked for; `Net.rates` are those that were measured. All neurons fire at v >= v_th and are reset to zero, because that
is what every framework here can do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import twin

from edgesnn.quantize.rounding import quantize_rows

Floats = npt.NDArray[np.float32]
Spikes = npt.NDArray[np.uint8]

STEPS = 200


@dataclass(frozen=True)
class Layer:
    """A matrix, then neurons: pool? -> weight, bias (+ recurrent of the step before) -> v = alpha*v + c; s = v >= v_th.

    Attributes:
        weight: [N, K] or [Cout, Cin, kh, kw].
        scale: [N]; weights (recurrent ones too) are scale times integers in [-127, 127].
        bias: [N].
        alpha, v_th: of the membrane; alpha 1 is integrate-and-fire.
        beta: None, or i = beta*i + x and c = i.
        recurrent: None, or [N, N].
        pool: 1, or the input is summed over pool x pool before (stride pool).
    """

    name: str
    weight: Floats
    scale: Floats
    bias: Floats
    alpha: float
    v_th: float = 1.0
    beta: float | None = None
    recurrent: Floats | None = None
    stride: int = 1
    padding: int = 0
    pool: int = 1

    @property
    def conv(self) -> bool:
        """Whether the matrix is a convolution; a linear layer after an image flattens it."""
        return self.weight.ndim == 4


@dataclass(frozen=True)
class Net:
    """Layers and T steps of input spikes [T, ...].

    Attributes:
        rates: measured spikes per neuron and step, of the input and of each layer.
    """

    name: str
    layers: tuple[Layer, ...]
    inputs: Spikes
    rates: Mapping[str, float]

    @property
    def recurrent(self) -> bool:
        """Whether one different spike changes all that follow."""
        return any(layer.recurrent is not None for layer in self.layers)


def integers(weight: Floats, scale: Floats) -> npt.NDArray[np.int8]:
    """Return the int8 weights of float32 ones that lie on the grid of their scale."""
    return np.rint(weight / scale.reshape(-1, *[1] * (weight.ndim - 1))).astype(np.int8)


def shd(seed: int = 1) -> Net:
    """700-256r-20: 12 input spikes a step; hidden and output neurons fire in 10 % of the steps."""
    rng = np.random.default_rng(seed)
    hidden = _layer("hidden", _normal(rng, 0.1, 256, 700), 0.9375, recurrent=_normal(rng, 0.02, 256, 256))
    output = _layer("output", _normal(rng, 0.1, 20, 256), 0.9375)
    return _calibrate("SHD 700-256r-20", [hidden, output], _bernoulli(rng, 12 / 700, 700), [0.1, 0.1])


def braille(seed: int = 2) -> Net:
    """12-40r-7 with synaptic currents; three of twelve inputs a step, as a finger that moves over letters gives."""
    rng = np.random.default_rng(seed)
    hidden = _layer(
        "hidden",
        _normal(rng, 0.5, 40, 12, mean=0.1),
        0.875,
        bias=_normal(rng, 0.05, 40),
        beta=0.75,
        recurrent=_normal(rng, 0.1, 40, 40),
    )
    output = _layer("output", _normal(rng, 0.5, 7, 40), 0.875, bias=_normal(rng, 0.05, 7), beta=0.75)
    return _calibrate("Braille 12-40r-7", [hidden, output], _bernoulli(rng, 3 / 12, 12), [0.15, 0.1])


def cnn(seed: int = 3) -> Net:
    """2x34x34, convolutions 16-16-8, linear 256-10: 11 events a step; layers as active as a trained N-MNIST net's."""
    rng = np.random.default_rng(seed)
    layers = [
        _layer("conv1", _normal(rng, 0.2, 16, 2, 5, 5), 1.0, stride=2, padding=1),
        _layer("conv2", _normal(rng, 0.2, 16, 16, 3, 3), 1.0, padding=1),
        _layer("conv3", _normal(rng, 0.2, 8, 16, 3, 3), 1.0, padding=1, pool=2),
        _layer("fc1", _normal(rng, 0.2, 256, 128, mean=0.02), 1.0, pool=2),
        _layer("fc2", _normal(rng, 0.2, 10, 256, mean=0.02), 1.0),
    ]
    return _calibrate("N-MNIST CNN", layers, _moving_blob(rng, 11), [0.007, 0.017, 0.08, 0.11, 0.12])


def mlp(rate: float, seed: int = 4) -> Net:
    """Three layers of 1024 neurons, all of them and the input at the same spike rate."""
    rng = np.random.default_rng(seed)
    layers = [_layer(f"fc{i + 1}", _normal(rng, 0.05, 1024, 1024, mean=0.005), 0.875) for i in range(3)]
    return _calibrate(f"MLP 3x1024 {rate:.0%}", layers, _bernoulli(rng, rate, 1024), [rate] * 3)


NETS: dict[str, Callable[[], Net]] = {
    "shd": shd,
    "braille": braille,
    "cnn": cnn,
    "mlp2": lambda: mlp(0.02),
    "mlp10": lambda: mlp(0.1),
    "mlp50": lambda: mlp(0.5),
}


def _normal(rng: np.random.Generator, sigma: float, *shape: int, mean: float = 0.0) -> Floats:
    return rng.normal(mean, sigma, shape).astype(np.float32)


def _layer(
    name: str,
    weight: Floats,
    alpha: float,
    *,
    bias: Floats | None = None,
    recurrent: Floats | None = None,
    **shape: Any,
) -> Layer:
    """Return a layer with its weights on an int8 grid: one scale per output channel, shared with recurrent weights."""
    own = weight.reshape(len(weight), -1)
    rows = own if recurrent is None else np.concatenate([own, recurrent], axis=1)
    q, step = quantize_rows(rows)
    scale = step.astype(np.float32)
    rounded = q.astype(np.float32) * scale[:, None]
    made = Layer(
        name,
        weight=np.ascontiguousarray(rounded[:, : own.shape[1]]).reshape(weight.shape),
        scale=scale,
        bias=np.zeros(len(weight), np.float32) if bias is None else bias,
        alpha=alpha,
        **shape,
    )
    if recurrent is None:
        return made
    return dataclasses.replace(made, recurrent=np.ascontiguousarray(rounded[:, own.shape[1] :]))


def _bernoulli(rng: np.random.Generator, rate: float, channels: int) -> Spikes:
    return (rng.random((STEPS, channels)) < rate).astype(np.uint8)


def _moving_blob(rng: np.random.Generator, events: int) -> Spikes:
    """Return [T, 2, 34, 34]: about `events` spikes a step around a point that goes round the middle."""
    frames = np.zeros((STEPS, 2, 34, 34), np.uint8)
    for t in range(STEPS):
        centre = 17 + 4 * np.array([np.cos(t / 16), np.sin(t / 16)])
        y, x = np.clip(np.rint(rng.normal(centre, 5.0, (events, 2))), 0, 33).astype(int).T
        frames[t, rng.integers(0, 2, events), y, x] = 1
    return frames


def _calibrate(name: str, layers: list[Layer], inputs: Spikes, rates: list[float]) -> Net:
    """Return the net with the threshold of each layer bisected to its spike rate."""
    measured = {"input": float(inputs.mean())}
    done: list[Layer] = []
    x = inputs
    for layer, wanted in zip(layers, rates, strict=True):
        fixed, x = _bisect(layer, x, wanted)
        measured[layer.name] = float(x.mean())
        done.append(fixed)
    return Net(name, tuple(done), inputs, measured)


def _bisect(layer: Layer, x: Spikes, wanted: float) -> tuple[Layer, Spikes]:
    """Return the layer with a threshold at which it fires within 2 % of `wanted`, and its spikes.

    It stops early on purpose: bisected to the end, the threshold would lie on a membrane value, a tie.
    """
    currents = twin.currents(layer, x)
    low, high = 0.0, 10.0 * float(np.abs(currents).max()) + 1.0
    for _ in range(30):
        middle = float(np.float32(0.5 * (low + high)))
        tried = dataclasses.replace(layer, v_th=middle)
        spikes, _ = twin.neurons(tried, currents)
        if abs(spikes.mean() - wanted) <= 0.02 * wanted:
            return tried, spikes
        low, high = (middle, high) if spikes.mean() > wanted else (low, middle)
    raise AssertionError(f"no threshold gives layer {layer.name!r} the rate {wanted}")
