"""Elementwise operators, norms and tables: docs/operators.md, "Elementwise and vectors".

exp, sigmoid, softmax and layer_norm are onnxruntime's own, within a few units in the last place of ours, but where the
model rounds to int8 (`arithmetic.py`).
"""

from __future__ import annotations

import numpy as np

from edgesnn.exporters.onnx import arithmetic
from edgesnn.exporters.onnx.graph import TYPES, Array, NodeGraph
from edgesnn.graph.operators.embedding import group_of


def add_add(node: NodeGraph) -> None:
    """Add an `add`: in int32, else in float32, which holds small integers exactly."""
    dtype = "int32" if node.view.inputs[0].kind == "int32" else "float32"
    node.make(dtype, node.op("Add", node.input(0, dtype), node.input(1, dtype)))


def add_multiply(node: NodeGraph) -> None:
    """Add a `multiply`."""
    node.make("float32", node.op("Mul", node.input(0, "float32"), node.input(1, "float32")))


def add_scale(node: NodeGraph) -> None:
    """Add a `scale`."""
    scale, bias = node.parameter("scale"), node.parameter("bias")
    assert scale is not None
    assert bias is not None
    node.make("float32", node.op("Add", node.op("Mul", node.input(0, "float32"), scale), bias))


def add_activation(node: NodeGraph) -> None:
    """Add an `activation`."""
    x, function = node.input(0, "float32"), node.attribute("function")
    if function in ("relu", "relu2"):
        y = node.op("Relu", x)
        y = node.op("Mul", y, y) if function == "relu2" else y
    elif function == "exp":
        y = arithmetic.exp32(node.graph, x) if node.graph.rounds else node.op("Exp", x)
    else:
        y = arithmetic.sigmoid32(node.graph, x) if node.graph.rounds else node.op("Sigmoid", x)
        y = node.op("Mul", x, y) if function == "silu" else y
    node.make("float32", y)


def add_softmax(node: NodeGraph) -> None:
    """Add a `softmax`."""
    x = node.input(0, "float32")
    if node.graph.rounds:
        node.make("float32", arithmetic.softmax32(node.graph, x, node.view.inputs[0].shape))
    else:
        node.make("float32", node.op("Softmax", x, axis=-1))


def add_layer_norm(node: NodeGraph) -> None:
    """Add a `layer_norm`."""
    weight, bias = (node.tensor(role, "", lambda v: v) for role in ("weight", "bias"))
    x, eps = node.input(0, "float32"), node.attribute("eps")
    if node.graph.rounds:
        normal = arithmetic.layer_norm32(node.graph, x, node.view.inputs[0].shape, eps)
        node.make("float32", node.op("Add", node.op("Mul", normal, weight), bias))
    else:
        node.make("float32", node.op("LayerNormalization", x, weight, bias, axis=-1, epsilon=eps))


def add_embedding(node: NodeGraph) -> None:
    """Add an `embedding`: the row that the token names, times its scale."""
    token, tensors = node.input(0, "int64"), node.view.tensors
    if "multiplier" in tensors:
        group = group_of(tensors["weight"], tensors["multiplier"])
        table = node.tensor("weight", "times multiplier", lambda w: grouped(w, node.plain("multiplier"), group))
    else:
        table = node.tensor("weight", "", lambda w: w)
    row = node.op("Gather", table, token, axis=0)
    if "scale" in tensors:
        row = node.op("Cast", row, to=TYPES["float32"])
        row = node.op("Mul", row, node.op("Gather", node.tensor("scale", "", lambda s: s), token, axis=0))
    node.make("float32", row)


def grouped(table: Array, multiplier: Array, group: int) -> Array:
    """Return m * w, int16: at most 255 * 8."""
    spread = np.repeat(multiplier.astype(np.int16), group, axis=1)[:, : table.shape[1]]
    return np.asarray(spread * table)
