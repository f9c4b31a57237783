"""The form "qdq": ONNX's own operators only, for TensorRT and others that know no `MatMulInteger`.

Weights are int8 behind a DequantizeLinear, spikes and counts go through a QuantizeLinear and a DequantizeLinear of step
1, which change no whole number up to 127: an engine may join them to an integer product. int4 weights of a `linear` in
whole groups stay int4, behind a DequantizeLinear by blocks; others become float32. Bytes are cast where they enter and
leave: TensorRT computes with none. Sums of whole numbers that can reach 2^24 are cut into parts (`sums.py`).
"""

from __future__ import annotations

import numpy as np

from edgesnn.exporters.onnx.graph import TYPES, Array, NodeGraph
from edgesnn.exporters.onnx.matrices import affine, geometry, grouped, rounded, shifted, stepped
from edgesnn.exporters.onnx.sums import BLOCK, added, parts
from edgesnn.exporters.onnx.time import delayed, taken_in
from edgesnn.graph import NodeView
from edgesnn.graph.layout import unpack
from edgesnn.graph.operators.embedding import group_of

_BYTE = 127  # the largest int8


def add_linear(node: NodeGraph) -> None:
    """Add a `linear`."""
    if node.attribute("activations") == "int8":
        whole, step = rounded(node)
        node.make("float32", stepped(node, *_whole_product(node, whole, _BYTE), step))
    elif _exact(node):
        _finish(node, *_whole_product(node, _input(node), node.view.inputs[0].bound), 0)
    else:
        weight, folded = _weight(node, "KN")
        total = node.op("MatMul", node.input(0, "float32"), weight)
        node.make("float32", shifted(node, total) if folded else affine(node, total))


def _whole_product(node: NodeGraph, x: str, largest: int) -> tuple[str, str]:
    """Add the exact sum of whole weights and whole numbers: (tensor, type)."""
    four_bits = in_blocks(node.view)
    pieces = parts(node, lambda: _whole(node), largest, BLOCK if four_bits else 1)
    weight = _four_bits_part if four_bits else _part
    xs = node.graph.cut(x, pieces)
    return added(node, [node.op("MatMul", one, weight(node, piece)) for one, piece in zip(xs, pieces, strict=True)])


def _part(node: NodeGraph, piece: slice) -> str:
    """Add weights [K, N] of a part of K; multiplied by those of their groups these are no bytes."""
    if "multiplier" in node.view.tensors:
        form = f"KN grouped {piece.start}:{piece.stop}"
        return node.tensor("weight", form, lambda w: grouped(node, w).T[piece].astype(np.float32))
    return _dequantized(node, node.tensor("weight", f"KN {piece.start}:{piece.stop}", lambda w: w.T[piece]))


def _whole(node: NodeGraph) -> Array:
    """Return the whole weights [N, K], multipliers in them."""
    weight = node.plain("weight")
    return grouped(node, weight) if "multiplier" in node.view.tensors else weight.reshape(len(weight), -1)


def _exact(node: NodeGraph) -> bool:
    return node.view.inputs[0].kind == "int" and node.view.tensors["weight"].number != "float32"


def add_conv1d(node: NodeGraph) -> None:
    """Add a `conv1d`."""
    _add_convolution(node, 1)


def add_conv2d(node: NodeGraph) -> None:
    """Add a `conv2d`."""
    _add_convolution(node, 2)


def _add_convolution(node: NodeGraph, axes: int) -> None:
    batch = node.constant(np.array([0], np.int64))

    def product(x: str, weight: str) -> str:
        total = node.op("Conv", node.op("Unsqueeze", x, batch), weight, **geometry(node))
        return node.op("Squeeze", total, batch)

    if not _exact(node):
        weight, folded = _weight(node, "")
        total = product(node.input(0, "float32"), weight)
        node.make("float32", shifted(node, total, axes) if folded else affine(node, total, axes))
        return
    x, pieces = _input(node), parts(node, lambda: _whole(node), node.view.inputs[0].bound)
    sums = [product(x, _dequantized(node, _kernels(node, piece))) for piece in pieces]
    _finish(node, *added(node, sums), axes)


def _kernels(node: NodeGraph, piece: slice) -> str:
    """Add a convolution's weights that are 0 outside a part of K."""

    def masked(weight: Array) -> Array:
        kept = np.zeros((len(weight), int(np.prod(weight.shape[1:]))), weight.dtype)
        kept[:, piece] = weight.reshape(kept.shape)[:, piece]
        return kept.reshape(weight.shape)

    return node.tensor("weight", f"{piece.start}:{piece.stop}", masked)


def _finish(node: NodeGraph, total: str, dtype: str, places: int) -> None:
    """Make the output of an exact sum."""
    wanted = node.attribute("output")
    total = total if dtype == wanted else node.op("Cast", total, to=TYPES[wanted])
    node.make(wanted, total if wanted == "int32" else affine(node, total, places))


def _input(node: NodeGraph) -> str:
    """Add the input of an exact sum, as int8 and back where that holds it."""
    x = node.input(0, "float32")
    if node.view.inputs[0].bound > _BYTE:
        return x
    return _dequantized(node, node.op("QuantizeLinear", x, _one(node), node.constant(np.int8(0))))


def _weight(node: NodeGraph, form: str) -> tuple[str, bool]:
    """Add the weight of a sum of floats as float32; say whether its scale is in it."""
    if node.view.tensors["weight"].number == "float32":
        return node.tensor("weight", form, lambda w: w.T if form else w), False
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


def _four_bits_part(node: NodeGraph, piece: slice) -> str:
    """Add a part of K of int4 weights [K, N] times their multipliers, in blocks of at most BLOCK."""
    group, block = node.attribute("group"), min(node.attribute("group"), BLOCK)
    name = f"tensor/{node.view.node.tensors['weight']}/KN four bits {piece.start}:{piece.stop}"
    weight = node.graph.four_bits(name, lambda: np.ascontiguousarray(node.plain("weight").T[piece]))
    blocks = slice(piece.start // block, piece.stop // block)
    multiplier = node.tensor(
        "multiplier",
        f"KN {piece.start}:{piece.stop}",
        lambda m: np.repeat(m, group // block, axis=1).T[blocks].astype(np.float32),
    )
    return node.op("DequantizeLinear", weight, multiplier, axis=0, block_size=block)


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
