"""Pools, max, mean, and what only moves values: docs/operators.md, "Shapes"."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from edgesnn.exporters.onnx.graph import TYPES, NodeGraph


def add_pool1d(node: NodeGraph) -> None:
    """Add a `pool1d`."""
    _add_pool(node)


def add_pool2d(node: NodeGraph) -> None:
    """Add a `pool2d`."""
    _add_pool(node)


def _add_pool(node: NodeGraph) -> None:
    get, whole = node.attribute, node.view.inputs[0].kind == "int"
    how: dict[str, Any] = {"kernel_shape": list(get("kernel")), "strides": list(get("stride"))}
    how["pads"] = list(get("padding")) * 2
    batch = node.constant(np.array([0], np.int64))
    x = node.op("Unsqueeze", node.input(0, "float32"), batch)
    if get("mode") == "max":
        node.make("float32", node.op("Squeeze", node.op("MaxPool", x, **how), batch))
        return
    y = node.op("Squeeze", node.op("AveragePool", x, count_include_pad=1, **how), batch)
    area = prod(get("kernel"))
    if get("mode") == "avg" and not whole:
        node.make("float32", y)
        return
    y = node.op("Mul", y, node.constant(np.float32(area)))
    y = node.op("Round", y) if whole else y  # the sum of integers, which a mean times its area may miss by a bit
    if get("mode") == "avg":
        node.make("float32", node.op("Mul", y, node.constant(np.float32(1.0 / area))))
    elif whole and node.view.inputs[0].bound * area > 255:
        node.make("int32", node.op("Cast", y, to=TYPES["int32"]))
    else:
        node.make("float32", y)


def add_max(node: NodeGraph) -> None:
    """Add a `max`."""
    node.make("float32", node.graph.largest(node.input(0, "float32"), -2, 0))


def add_mean(node: NodeGraph) -> None:
    """Add a `mean`."""
    total = node.op("ReduceSum", node.input(0, "float32"), node.constant(np.array([-2], np.int64)), keepdims=0)
    node.make("float32", node.op("Div", total, node.constant(np.float32(node.view.inputs[0].shape[-2]))))


def add_reshape(node: NodeGraph) -> None:
    """Add a `reshape`."""
    shape = node.constant(np.array(node.attribute("shape"), np.int64))
    node.make(node.own_type(), node.op("Reshape", node.input(), shape))


def add_concat(node: NodeGraph) -> None:
    """Add a `concat`; integers of several types become float32."""
    count = len(node.view.node.inputs)
    types = {node.own_type(i) for i in range(count)}
    dtype = types.pop() if len(types) == 1 else "float32"
    parts = [node.input(i, dtype) for i in range(count)]
    node.make(dtype, node.op("Concat", *parts, axis=node.attribute("axis")))


def add_slice(node: NodeGraph) -> None:
    """Add a `slice`."""
    names = ("start", "stop", "axis")
    bounds = [node.constant(np.array([node.attribute(name)], np.int64)) for name in names]
    node.make(node.own_type(), node.op("Slice", node.input(), *bounds))


def add_gather(node: NodeGraph) -> None:
    """Add a `gather`."""
    indices = node.tensor("indices", "int64", lambda i: i.astype(np.int64))
    node.make(node.own_type(), node.op("Gather", node.input(), indices, axis=node.attribute("axis")))
