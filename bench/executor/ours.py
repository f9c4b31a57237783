"""The networks of `nets.py` as our documents, through `edgesnn.graph.Builder` and `edgesnn.quantize`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from nets import Layer, Net, integers

from edgesnn.graph import Builder, Document
from edgesnn.quantize import quantize


def document(net: Net, weights: str, *, step_by_step: bool = False) -> Document:
    """Return the net with int8 (its own grid), int4 (rounded from there) or float32 weights.

    `step_by_step`: the output goes into a delay that nobody reads, so that all layers lie on a cycle and `run` takes
    one step through all of them before the next, as `step` must.
    """
    if weights == "int4":
        return quantize(document(net, "float32", step_by_step=step_by_step), weights="int4")
    section = {"kind": "spikes", "shape": list(net.inputs.shape[1:]), "value": "binary", "bound": 1, "events": None}
    b = Builder(input=section)
    if step_by_step:
        last = net.layers[-1]
        line = {"steps": 1, "shape": [len(last.bias)], "value": "int", "bound": 1}
        b.add("delay", last.name, name="unread", attributes=line)
    x = "input"
    for layer in net.layers:
        x = _neurons(b, layer, _currents(b, layer, x, weights))
    return b.document(outputs=[x])


def indices(spikes: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """Return (indices, offsets [T + 1]) of spikes [T, ...], as `Session.run` takes them."""
    steps, places = np.nonzero(spikes.reshape(len(spikes), -1))
    return places.astype(np.uint32), np.searchsorted(steps, np.arange(len(spikes) + 1)).astype(np.int64)


def with_weights_of(net: Net, made: Document) -> Net:
    """Return the net with the weights that a document has: what its twin computes."""

    def plain(node: str) -> npt.NDArray[np.float32]:
        weight = made.unpack(f"{node}.weight").astype(np.float32)
        scale = made.unpack(f"{node}.scale")
        return weight * scale.reshape(-1, *[1] * (weight.ndim - 1))

    layers = []
    for layer in net.layers:
        own = None if layer.recurrent is None else plain(f"{layer.name}_recurrent")
        layers.append(dataclasses.replace(layer, weight=plain(f"{layer.name}_in"), recurrent=own))
    return dataclasses.replace(net, layers=tuple(layers))


def _currents(b: Builder, layer: Layer, x: str, weights: str) -> str:
    name = layer.name
    if layer.pool > 1:
        size = [layer.pool, layer.pool]
        attributes: Mapping[str, Any] = {"mode": "sum", "kernel": size, "stride": size}
        x = b.add("pool2d", x, name=f"{name}_pool", attributes=attributes)
    tensors = {**_matrix(layer, layer.weight, weights), "bias": layer.bias}
    if layer.conv:
        attributes = {"activations": "int", "stride": [layer.stride] * 2, "padding": [layer.padding] * 2}
        return str(b.add("conv2d", x, name=f"{name}_in", attributes=attributes, tensors=tensors))
    if layer.pool > 1:
        x = b.add("reshape", x, name=f"{name}_flat", attributes={"shape": [layer.weight.shape[1]]})
    c = b.add("linear", x, name=f"{name}_in", attributes={"activations": "int"}, tensors=tensors)
    if layer.recurrent is None:
        return str(c)
    line = {"steps": 1, "shape": [len(layer.bias)], "value": "int", "bound": 1}
    z = b.add("delay", name, name=f"{name}_delay", attributes=line)
    own = {**_matrix(layer, layer.recurrent, weights), "bias": np.zeros_like(layer.bias)}
    r = b.add("linear", z, name=f"{name}_recurrent", attributes={"activations": "int"}, tensors=own)
    return str(b.add("add", [c, r], name=f"{name}_sum"))


def _matrix(layer: Layer, weight: npt.NDArray[np.float32], weights: str) -> dict[str, npt.NDArray[Any]]:
    if weights == "float32":
        return {"weight": weight, "scale": np.ones_like(layer.scale)}
    return {"weight": integers(weight, layer.scale), "scale": layer.scale}


def _neurons(b: Builder, layer: Layer, c: str) -> str:
    attributes: dict[str, Any] = {"compare": "ge", "reset": "zero"}
    tensors = {"alpha": np.array([layer.alpha], np.float32), "v_th": np.array([layer.v_th], np.float32)}
    if layer.beta is not None:
        attributes["current"] = "new"
        tensors["beta"] = np.array([layer.beta], np.float32)
    if layer.conv:
        attributes["axis"] = -3
    return str(b.add("lif", c, name=layer.name, attributes=attributes, tensors=tensors))
