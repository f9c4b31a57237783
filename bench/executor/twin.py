"""The numpy float twin: what every engine's spikes are compared with, layer by layer, simply written.

float32, one step after the other, matrices by `@`, so values agree with other engines to rounding only. Where spikes
differ, the twin's margin tells a threshold tie from a wrong answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from nets import Layer, Net

TIE = 2e-5  # a membrane this near its threshold (as a part of it) may fall on either side
SURE_STEPS = 20  # at least so many first steps are equal
LOOSE_SHARE = 0.01  # without recurrence at most so many of the output spikes differ over all steps

Floats = npt.NDArray[np.float32]
Spikes = npt.NDArray[np.uint8]


def pooled(x: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """Return [.., C, H, W] summed over size x size."""
    if size == 1:
        return x
    *lead, height, width = x.shape
    return x.reshape(*lead, height // size, size, width // size, size).sum(axis=(-3, -1), dtype=np.float32)


def patches(layer: Layer, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the columns of a convolution, [.., Cin * kh * kw, H' * W'], of images [.., C, H, W]."""
    kernel = layer.weight.shape[2:]
    edge = (layer.padding, layer.padding)
    padded = np.pad(x, [(0, 0)] * (x.ndim - 2) + [edge, edge])
    view = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(-2, -1))
    view = view[..., :: layer.stride, :: layer.stride, :, :]
    order = (*range(x.ndim - 3), *(x.ndim - 3 + axis for axis in (0, 3, 4, 1, 2)))
    *lead, channels, kh, kw, height, width = (view := view.transpose(order)).shape
    return view.reshape(*lead, channels * kh * kw, height * width)


def currents(layer: Layer, x: npt.NDArray[Any]) -> Floats:
    """Return [T, ...]: the matrix and bias of all steps of the layer's input, without recurrence."""
    x = pooled(x.astype(np.float32), layer.pool)
    if not layer.conv:
        return x.reshape(len(x), -1) @ layer.weight.T + layer.bias
    flat = layer.weight.reshape(len(layer.weight), -1)
    sums = np.stack([flat @ patches(layer, image) for image in x]) + layer.bias[:, None]
    size = (x.shape[-1] + 2 * layer.padding - layer.weight.shape[-1]) // layer.stride + 1
    return sums.reshape(len(x), len(flat), size, size)


def neurons(layer: Layer, currents: Floats) -> tuple[Spikes, Floats]:
    """Return (spikes [T, ...], margins [T]: the smallest |v - v_th| / v_th of the step)."""
    spikes = np.zeros(currents.shape, np.uint8)
    margins = np.zeros(len(currents), np.float32)
    v, i, z = (np.zeros(currents.shape[1:], np.float32) for _ in range(3))
    alpha, v_th = np.float32(layer.alpha), np.float32(layer.v_th)
    for t, c in enumerate(currents):
        if layer.recurrent is not None:
            c = c + layer.recurrent @ z
        if layer.beta is not None:
            c = i = i * np.float32(layer.beta) + c
        v = v * alpha + c
        margins[t] = np.abs(v - v_th).min() / v_th
        fired = v >= v_th
        v = np.where(fired, np.float32(0), v)
        z = fired.astype(np.float32)
        spikes[t] = fired
    return spikes, margins


def run(net: Net) -> tuple[Spikes, Floats]:
    """Return (output spikes [T, N], margins [T] over all layers)."""
    x, margins = net.inputs, np.full(len(net.inputs), np.inf, np.float32)
    for layer in net.layers:
        x, own = neurons(layer, currents(layer, x))
        margins = np.minimum(margins, own)
    return x, margins


def compare(net: Net, expected: Spikes, margins: Floats, found: npt.NDArray[Any]) -> dict[str, Any]:
    """Return how output spikes [T, N] agree with the twin's: {"equal_steps", "different"}.

    Raises:
        AssertionError: they part without a tie at or before that step, too early, or in too many spikes.
    """
    assert found.shape == expected.shape, f"output {found.shape}, expected {expected.shape}"
    assert expected.any(), f"{net.name} is silent: nothing is compared"
    different = found != expected
    if not different.any():
        return {"equal_steps": len(expected), "different": 0}
    first = int(np.flatnonzero(different.any(axis=1))[0])
    nearest = float(margins[: first + 1].min())
    assert nearest <= TIE, f"{net.name}: spikes part at step {first}; the nearest threshold was {nearest:.2g} away"
    assert first >= SURE_STEPS, f"{net.name}: spikes part at step {first}"
    share = float(different.mean())
    assert net.recurrent or share <= LOOSE_SHARE, f"{net.name}: {share:.2%} of the output spikes differ"
    return {"equal_steps": first, "different": int(different.sum())}
