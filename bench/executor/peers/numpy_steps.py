"""numpy, the two forms a careful user writes: dense matrices, and the rows of the spikes that are there."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import twin
from nets import Layer, Net

from peers import CannotRunError

Floats = npt.NDArray[np.float32]


class _Cell:
    """Neurons with buffers made once, updated in place."""

    def __init__(self, layer: Layer, shape: tuple[int, ...]) -> None:
        self.alpha, self.v_th, self.bias = np.float32(layer.alpha), np.float32(layer.v_th), layer.bias.any()
        self.beta = None if layer.beta is None else np.float32(layer.beta)
        self.v, self.i, self.z = (np.zeros(shape, np.float32) for _ in range(3))
        self.fired = np.zeros(shape, bool)

    def reset(self) -> None:
        """Forget."""
        for state in (self.v, self.i, self.z):
            state.fill(0)

    def step(self, c: Floats) -> Floats:
        """Return this step's spikes as float32, a kept buffer."""
        if self.beta is not None:
            self.i *= self.beta
            self.i += c
            c = self.i
        if self.alpha != 1:
            self.v *= self.alpha
        self.v += c
        np.greater_equal(self.v, self.v_th, out=self.fired)
        self.v[self.fired] = 0
        self.z[...] = self.fired
        return self.z


class Dense:
    """Matrix times vector; recurrence as one matrix over input and own spikes; convolutions as patches times matrix."""

    def __init__(self, net: Net) -> None:
        self.layers = net.layers
        self.cells = []
        self.joined: list[tuple[Floats, Floats] | None] = []
        x = net.inputs[:1]
        for layer in net.layers:
            x = twin.currents(layer, x)
            self.cells.append(_Cell(layer, x.shape[1:]))
            if layer.recurrent is None:
                self.joined.append(None)
            else:
                matrix = np.ascontiguousarray(np.concatenate([layer.weight, layer.recurrent], axis=1))
                self.joined.append((matrix, np.zeros(matrix.shape[1], np.float32)))

    def inputs(self, spikes: npt.NDArray[np.uint8]) -> list[Floats]:
        """See `Peer`."""
        return list(spikes.astype(np.float32))

    def reset(self) -> None:
        """See `Peer`."""
        for cell in self.cells:
            cell.reset()

    def step(self, x: Floats) -> Floats:
        """See `Peer`."""
        for layer, cell, joined in zip(self.layers, self.cells, self.joined, strict=True):
            x = cell.step(self._current(layer, cell, joined, twin.pooled(x, layer.pool)))
        return x

    def spikes(self, output: Floats) -> Floats:
        """See `Peer`."""
        return output

    def _current(self, layer: Layer, cell: _Cell, joined: Any, x: Floats) -> Floats:
        if layer.conv:
            sums = layer.weight.reshape(len(layer.weight), -1) @ twin.patches(layer, x)
            return (sums + layer.bias[:, None]).reshape(cell.v.shape)
        if joined is None:
            return layer.weight @ x.reshape(-1) + layer.bias
        matrix, vector = joined
        vector[: x.size] = x.reshape(-1)
        vector[x.size :] = cell.z
        return matrix @ vector + layer.bias


class Gather:
    """Only the rows of active inputs, input-major, summed by numpy."""

    def __init__(self, net: Net) -> None:
        if any(layer.conv for layer in net.layers):
            raise CannotRunError("gathering rows is written for matrices, not for convolutions")
        self.layers = net.layers
        self.cells = [_Cell(layer, layer.bias.shape) for layer in net.layers]
        self.rows = [np.ascontiguousarray(layer.weight.T) for layer in net.layers]
        self.own = [None if r.recurrent is None else np.ascontiguousarray(r.recurrent.T) for r in net.layers]

    def inputs(self, spikes: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.uint8]]:
        """See `Peer`; the search for the spikes is part of the step."""
        return list(spikes)

    def reset(self) -> None:
        """See `Peer`."""
        for cell in self.cells:
            cell.reset()

    def step(self, x: npt.NDArray[Any]) -> Floats:
        """See `Peer`."""
        for layer, cell, rows, own in zip(self.layers, self.cells, self.rows, self.own, strict=True):
            c = rows[np.flatnonzero(x)].sum(axis=0)
            if own is not None:
                c += own[np.flatnonzero(cell.z)].sum(axis=0)
            if cell.bias:
                c += layer.bias
            x = cell.step(c)
        return x

    def spikes(self, output: Floats) -> Floats:
        """See `Peer`."""
        return output
