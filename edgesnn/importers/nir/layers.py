"""Each primitive as a node of our graph; `Network` knows what it takes and names what it makes."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from edgesnn.importers.neuron import MAX_COUNT, channel_axis, compress
from edgesnn.importers.nir.cells import bound_of, delay_steps, neuron
from edgesnn.importers.nir.fields import Fields, spread
from edgesnn.importers.nir.network import Network
from edgesnn.importers.nir.profiles import NEURONS, PROFILES
from edgesnn.importers.nir.shapes import pool_stride


def _matrix(net: Network, fields: Fields) -> str:
    x = net.source(fields.name)
    shape = net.context.shapes[fields.name]
    weight = fields.array("weight")
    weight = weight.reshape(1, 1) if weight.size == 1 else weight
    attributes = {"activations": "int" if net.bound(x) else "float32", **_start(net, fields)}
    return net.add("linear", x, fields.name, shape, attributes=attributes, tensors=_tensors(fields, weight))


def _conv(rank: int) -> Callable[[Network, Fields], str]:
    def build(net: Network, fields: Fields) -> str:
        x = net.source(fields.name)
        weight = fields.array("weight")
        stride, dilation = (fields.integers(n, rank, default=1) for n in ("stride", "dilation"))
        attributes = {
            "activations": "int" if net.bound(x) else "float32",
            "stride": stride,
            "padding": fields.padding(list(weight.shape[2:]), stride, dilation),
            "dilation": dilation,
            "groups": fields.integers("groups", 1, default=1)[0],
            **_start(net, fields),
        }
        shape = net.context.shapes[fields.name]
        return net.add(f"conv{rank}d", x, fields.name, shape, attributes=attributes, tensors=_tensors(fields, weight))

    return build


def _start(net: Network, fields: Fields) -> dict[str, Any]:
    """Return whether a recurrent connection is there at step 0: only its bias can show it."""
    if fields.name not in net.context.plan.recurrent or not fields.has("bias"):
        return {}
    return {"cold_start": PROFILES[net.context.options.profile].recurrent_bias}


def _tensors(fields: Fields, weight: Any) -> dict[str, Any]:
    outputs = weight.shape[0]
    bias = fields.array("bias").ravel() if fields.has("bias") else np.zeros(1)
    if bias.size not in (1, outputs):
        raise fields.error("bias does not fit", found=bias.size, expected=f"{outputs} numbers")
    full = np.broadcast_to(bias, outputs).astype(np.float32)
    return {"weight": weight.astype(np.float32), "scale": np.ones(outputs, np.float32), "bias": full}


def _scale(net: Network, fields: Fields) -> str:
    x, shape = net.source(fields.name), net.context.shapes[fields.name]
    factors = compress(spread(fields.array("scale"), shape, fields, "scale"), shape)
    tensors = {"scale": factors, "bias": np.zeros(1, np.float32)}
    return net.add("scale", x, fields.name, shape, attributes={"axis": channel_axis(shape)}, tensors=tensors)


def _pool(mode: str) -> Callable[[Network, Fields], str]:
    def build(net: Network, fields: Fields) -> str:
        x, shape = net.source(fields.name), net.context.shapes[fields.name]
        kernel = fields.integers("kernel_size", 2)
        area = prod(kernel)
        if mode == "sum" and net.bound(x) * area > MAX_COUNT:
            x = net.as_float(x)
        bound = net.bound(x) * area if mode == "sum" else 0
        padding = fields.integers("padding", 2, default=0)
        attributes = {"mode": mode, "kernel": kernel, "stride": pool_stride(fields), "padding": padding}
        return net.add("pool2d", x, fields.name, shape, bound=bound, attributes=attributes)

    return build


def _reshape(net: Network, fields: Fields) -> str:
    x, shape = net.source(fields.name), net.context.shapes[fields.name]
    return net.add("reshape", x, fields.name, shape, bound=net.bound(x), attributes={"shape": list(shape)})


def _delay(net: Network, fields: Fields) -> str:
    shape = net.context.shapes[fields.name]
    steps = delay_steps(fields, net.context.options.dt)
    full = spread(steps, shape, fields, "delay").astype(np.int32)
    longest = int(full.max())
    if longest == 0:  # a node of its own all the same, so that every value has the name of its node
        return _reshape(net, fields)
    x, bound = net.source_ahead(fields.name), bound_of(net.context, fields.name)
    attributes = {"steps": longest, "shape": list(shape), "value": "int" if bound else "float32", "bound": bound}
    tensors = {} if (full == longest).all() else {"delays": full.ravel()}
    return net.add("delay", x, fields.name, shape, bound=bound, attributes=attributes, tensors=tensors)


def _lif(net: Network, fields: Fields) -> str:
    attributes, tensors = neuron(net.context, fields.name)
    x = net.as_float(net.source(fields.name))
    bound = bound_of(net.context, fields.name)
    shape = net.context.shapes[fields.name]
    return net.add("lif", x, fields.name, shape, bound=bound, attributes=attributes, tensors=tensors)


LAYERS: dict[str, Callable[[Network, Fields], str]] = {
    "Affine": _matrix,
    "Linear": _matrix,
    "Scale": _scale,
    "Conv1d": _conv(1),
    "Conv2d": _conv(2),
    "SumPool2d": _pool("sum"),
    "AvgPool2d": _pool("avg"),
    "Flatten": _reshape,
    "Delay": _delay,
    **dict.fromkeys(NEURONS, _lif),
}
