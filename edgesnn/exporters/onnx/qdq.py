"""The form "qdq": ONNX's own operators only, for TensorRT and others that know no `MatMulInteger`.

Weights are int8 behind a DequantizeLinear, spikes and counts go through a QuantizeLinear and a DequantizeLinear of step
1, which change no whole number up to 127: an engine may join them to an integer product. int4 weights of a `linear` in
whole groups stay int4, behind a DequantizeLinear by blocks; others become float32. Bytes are cast where they enter and
leave: TensorRT computes with none.
"""

from __future__ import annotations

import numpy as np

from edgesnn.exporters.onnx.graph import TYPES, Array, NodeGraph
from edgesnn.exporters.onnx.matrices import affine, geometry, grouped, rounded, shifted, vector
from edgesnn.exporters.onnx.time import delayed, taken_in
from edgesnn.graph import NodeView
from edgesnn.graph.layout import unpack
from edgesnn.graph.operators.embedding import group_of

_BYTE = 127  # the largest int8


def add_linear(node: NodeGraph) -> None:
    """Add a `linear`."""
    weight, folded = _weight(node, "KN")
    if node.attribute("activations") != "int8":
        _finish(node, node.op("MatMul", _input(node), weight), folded, 0)
        return
    whole, step = rounded(node)
    y = node.op("MatMul", whole, weight)
    y = y if folded else node.op("Mul", y, vector(node, "scale", 0))
    node.make("float32", shifted(node, node.op("Mul", y, step)))


def add_conv1d(node: NodeGraph) -> None:
    """Add a `conv1d`."""
    _add_convolution(node, 1)


def add_conv2d(node: NodeGraph) -> None:
    """Add a `conv2d`."""
    _add_convolution(node, 2)


def _add_convolution(node: NodeGraph, axes: int) -> None:
    weight, folded = _weight(node, "")
    batch = node.constant(np.array([0], np.int64))
    total = node.op("Conv", node.op("Unsqueeze", _input(node), batch), weight, **geometry(node))
    _finish(node, node.op("Squeeze", total, batch), folded, axes)


def _finish(node: NodeGraph, total: str, folded: bool, places: int) -> None:
    if node.attribute("output") == "int32":
        node.make("int32", node.op("Cast", total, to=TYPES["int32"]))
    else:
        node.make("float32", shifted(node, total, places) if folded else affine(node, total, places))


def _input(node: NodeGraph) -> str:
    """Add the input, of integer matrices as int8 and back where that holds it."""
    x, value = node.input(0, "float32"), node.view.inputs[0]
    if value.kind != "int" or value.bound > _BYTE or node.view.tensors["weight"].number == "float32":
        return x
    return _dequantized(node, node.op("QuantizeLinear", x, _one(node), node.constant(np.int8(0))))


def _weight(node: NodeGraph, form: str) -> tuple[str, bool]:
    """Add the weight as float32; say whether its scale is in it."""
    if node.view.tensors["weight"].number == "float32":
        return node.tensor("weight", form, lambda w: w.T if form else w), False
    if node.attribute("activations") != "float32" and "multiplier" not in node.view.tensors:
        whole = node.tensor("weight", form, lambda w: w.T if form else w)
        return _dequantized(node, whole), False
    if in_blocks(node.view):
        return _four_bits(node), True
    return node.tensor("weight", f"{form} scaled".strip(), lambda w: _scaled(node, w, form)), True


def in_blocks(view: NodeView) -> bool:
    """Say whether a node's int4 weights can be dequantised block by block: whole groups along the input of a matrix."""
    if view.node.op != "linear" or "multiplier" not in view.tensors:
        return False
    return bool(view.tensors["weight"].shape[1] % view.attribute("group") == 0)


def _four_bits(node: NodeGraph) -> str:
    """Add int4 weights [K, N] and a scale for each group of K and each of N."""
    name = f"tensor/{node.view.node.tensors['weight']}/KN four bits"
    weight = node.graph.four_bits(name, lambda: np.ascontiguousarray(node.plain("weight").T))
    scale = node.tensor(
        "multiplier", "KN scale", lambda m: np.asarray(m.astype(np.float32) * node.plain("scale")[:, None]).T
    )
    return node.op("DequantizeLinear", weight, scale, axis=0, block_size=node.attribute("group"))


def _scaled(node: NodeGraph, weight: Array, form: str) -> Array:
    """Return float32(m * w) * scale."""
    whole = grouped(node, weight) if "multiplier" in node.view.tensors else weight
    y = whole.astype(np.float32) * node.plain("scale").reshape(-1, *[1] * (weight.ndim - 1))
    return np.asarray(y.T if form else y)


def _dequantized(node: NodeGraph, tensor: str) -> str:
    return node.op("DequantizeLinear", tensor, _one(node), node.constant(np.int8(0)))


def _one(node: NodeGraph) -> str:
    return node.constant(np.float32(1))


def add_embedding(node: NodeGraph) -> None:
    """Add an `embedding` with a table of float32."""
    table = node.tensor("weight", "rows", lambda w: _rows(node, w))
    node.make("float32", node.op("Gather", table, node.input(0, "int64"), axis=0))


def _rows(node: NodeGraph, table: Array) -> Array:
    tensors = node.view.tensors
    if "multiplier" in tensors:
        multiplier = unpack(tensors["multiplier"].layout, tensors["multiplier"].shape, tensors["multiplier"].data)
        group = group_of(tensors["weight"], tensors["multiplier"])
        table = np.repeat(multiplier.astype(np.int16), group, axis=1)[:, : table.shape[1]] * table
    return table if "scale" not in tensors else table.astype(np.float32) * node.plain("scale")[:, None]


def add_delay(node: NodeGraph) -> None:
    """Add a `delay`; a line of bytes is float32 inside."""
    whole = node.attribute("value") == "int"
    dtype = "float32" if whole else node.attribute("value")
    line = node.op("Cast", node.old["line"], to=TYPES["float32"]) if whole else node.old["line"]
    position, y = delayed(node, line, dtype)
    node.make(dtype, y)

    def finish() -> None:
        after, later = taken_in(node, line, position, dtype)
        node.keep("line", node.op("Cast", after, to=TYPES["uint8"]) if whole else after)
        node.keep("position", later)

    node.graph.finish.append(finish)
