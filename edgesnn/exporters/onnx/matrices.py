"""linear, conv1d, conv2d: the answers of docs/arithmetic.md, sections 3 to 5, with what onnxruntime has.

Sums of integers are exact, so they have the same bits as ours in any order: `MatMulInteger`, `Conv` of whole float32
numbers while no sum passes 2^24, and `MatMulNBits` of such in parts below that (`sums.py`). Sums of float32 are added
in onnxruntime's own order.

Bytes up to 128 go with signed weights; larger ones, and what is quantised, with unsigned ones around 128: the signed
form adds two products of 8 bits in 16, which overflow on processors that have AVX2 and no VNNI.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from edgesnn.exporters.onnx.graph import EXTRA, TYPES, Array, NodeGraph
from edgesnn.exporters.onnx.sums import BLOCK, WHOLE, added, parts
from edgesnn.graph.operators.matrix import LARGEST

_SIGNED = 128  # the largest byte that goes with signed weights
_QUIET = np.float32(1e-30)
_FINITE = np.finfo(np.float32).max


def add_linear(node: NodeGraph) -> None:
    """Add a `linear`."""
    activations, integers = node.attribute("activations"), node.view.tensors["weight"].number != "float32"
    if not integers:
        total = node.op("MatMul", node.input(0, "float32"), node.tensor("weight", "KN", lambda w: w.T))
        node.make("float32", affine(node, total))
    elif activations == "int":
        total = _integer_sum(node)
        if node.attribute("output") == "int32":
            node.make("int32", total)
        else:
            node.make("float32", affine(node, node.op("Cast", total, to=TYPES["float32"])))
    elif "multiplier" in node.view.tensors and activations == "int8":
        node.make("float32", _quantised_four_bits(node))
    elif "multiplier" in node.view.tensors:
        node.make("float32", shifted(node, _four_bits(node)))
    elif activations == "float32":
        node.make("float32", shifted(node, node.op("MatMul", node.input(0, "float32"), _scaled_weight(node, "KN"))))
    else:
        node.make("float32", _quantised(node))


def add_conv1d(node: NodeGraph) -> None:
    """Add a `conv1d`."""
    _add_convolution(node, 1)


def add_conv2d(node: NodeGraph) -> None:
    """Add a `conv2d`."""
    _add_convolution(node, 2)


def _add_convolution(node: NodeGraph, axes: int) -> None:
    get, weight, how = node.attribute, node.view.tensors["weight"], geometry(node)
    exact = get("activations") == "int" and weight.number != "float32"
    batch = node.constant(np.array([0], np.int64))
    bound = LARGEST.get(weight.number, 0) * prod(weight.shape[1:]) * node.view.inputs[0].bound
    if exact and bound >= WHOLE:
        x = node.op("Unsqueeze", node.input(0, "uint8"), batch)
        w, zero = node.tensor("weight", "bytes", _bytes), node.constant(np.uint8(128))
        total, dtype = node.op("ConvInteger", x, w, node.constant(np.uint8(0)), zero, **how), "int32"
    else:
        x = node.op("Unsqueeze", node.input(0, "float32"), batch)
        if exact:  # whole numbers; onnxruntime makes them float32 when it loads the file
            w = node.op("Cast", node.tensor("weight", "", lambda w: w), to=TYPES["float32"])
        else:
            w = node.tensor("weight", "", lambda w: w) if weight.number == "float32" else _scaled_weight(node, "")
        total, dtype = node.op("Conv", x, w, **how), "float32"
    total = node.op("Squeeze", total, batch)
    if get("output") == "int32":
        node.make("int32", total if dtype == "int32" else node.op("Cast", total, to=TYPES["int32"]))
        return
    total = total if dtype == "float32" else node.op("Cast", total, to=TYPES["float32"])
    folded = weight.number != "float32" and not exact
    node.make("float32", shifted(node, total, axes) if folded else affine(node, total, axes))


def geometry(node: NodeGraph) -> dict[str, Any]:
    """Return the attributes of a convolution."""
    get = node.attribute
    sides = {"strides": list(get("stride")), "pads": list(get("padding")) * 2, "dilations": list(get("dilation"))}
    return {**sides, "group": get("groups")}


def affine(node: NodeGraph, total: str, places: int = 0) -> str:
    """Add total * scale + bias; a scale of ones changes nothing and is left out."""
    if (node.plain("scale") != 1).any():
        total = node.op("Mul", total, vector(node, "scale", places))
    return shifted(node, total, places)


def shifted(node: NodeGraph, total: str, places: int = 0) -> str:
    """Add total + bias; a bias of zeros is left out."""
    return node.op("Add", total, vector(node, "bias", places)) if node.plain("bias").any() else total


def vector(node: NodeGraph, role: str, places: int) -> str:
    return node.tensor(role, f"{places} places", lambda v: v.reshape((-1,) + (1,) * places))


def _bytes(weight: Array) -> Array:
    """Return weights as bytes around 128."""
    return np.asarray((weight.astype(np.int16) + 128).astype(np.uint8))


def _integer_sum(node: NodeGraph) -> str:
    """Add the exact int32 sums of weights and bytes."""
    x = node.input(0, "uint8")
    if node.view.inputs[0].bound <= _SIGNED:
        return node.op("MatMulInteger", x, node.tensor("weight", "KN", lambda w: w.T))
    zeros = node.constant(np.uint8(0)), node.constant(np.uint8(128))
    return node.op("MatMulInteger", x, node.tensor("weight", "KN bytes", lambda w: _bytes(w.T)), *zeros)


def _scaled_weight(node: NodeGraph, form: str) -> str:
    """Add float32(w) * scale, of int4 float32(m * w) * scale; onnxruntime computes it when it loads the file."""
    turned = form == "KN"
    places = node.view.tensors["weight"].shape[1:]

    def arranged(w: Array) -> Array:
        w = grouped(node, w) if "multiplier" in node.view.tensors else w
        return w.T if turned else w

    whole = node.op("Cast", node.tensor("weight", f"{form} times multiplier".strip(), arranged), to=TYPES["float32"])
    return node.op("Mul", whole, vector(node, "scale", 0 if turned else len(places)))


def grouped(node: NodeGraph, weight: Array) -> Array:
    """Return multiplier * weight, int16 of the weight's shape: at most 255 * 8."""
    matrix = weight.reshape(len(weight), -1)
    spread = np.repeat(node.plain("multiplier").astype(np.int16), node.attribute("group"), axis=1)
    return np.asarray(spread[:, : matrix.shape[1]] * matrix).reshape(weight.shape)


def _quantised(node: NodeGraph) -> str:
    """Add y = ((float32(acc) * scale) * s_x) + bias of int8 weights and input rounded to int8, vector by vector."""
    whole, step = rounded(node)
    q = node.op("Cast", node.op("Add", whole, node.constant(np.float32(128))), to=TYPES["uint8"])
    zero = node.constant(np.uint8(128))
    acc = node.op("MatMulInteger", q, node.tensor("weight", "KN bytes", lambda w: _bytes(w.T)), zero, zero)
    return stepped(node, acc, "int32", step)


def stepped(node: NodeGraph, acc: str, dtype: str, step: str) -> str:
    """Add ((float32(acc) * scale) * s_x) + bias."""
    acc = acc if dtype == "float32" else node.op("Cast", acc, to=TYPES["float32"])
    y = node.op("Mul", acc, vector(node, "scale", 0))
    return shifted(node, node.op("Mul", y, step))


def rounded(node: NodeGraph) -> tuple[str, str]:
    """Add the input rounded to whole numbers from -127 to 127, and its step, vector by vector.

    Infinities count as the largest finite number; what is not a number is no maximum and gives -127.
    """
    x = node.input(0, "float32")
    none = node.op("IsNaN", x)
    x = node.op("Clip", x, node.constant(-_FINITE), node.constant(_FINITE))
    x = node.op("Where", none, node.constant(np.float32(0)), x)
    largest = node.graph.largest(node.op("Abs", x), -1, 1)
    quiet = node.op("Less", largest, node.constant(_QUIET))
    top = node.constant(np.float32(127))
    step = node.op("Where", quiet, node.constant(np.float32(0)), node.op("Div", largest, top))
    whole = node.op("Round", node.op("Mul", x, node.op("Div", top, node.op("Max", largest, node.constant(_QUIET)))))
    return node.op("Where", none, node.constant(np.float32(-127)), whole), step


def _quantised_four_bits(node: NodeGraph) -> str:
    """Add the same of int4 weights in groups: products of whole float32 numbers, each group times its multiplier.

    onnxruntime would round the input itself (accuracy level 4), but block by block, where ours is rounded by vector.
    """
    whole, step = rounded(node)
    block = min(node.attribute("group"), BLOCK)
    pieces = parts(node, lambda: grouped(node, node.plain("weight")), 127, block)

    def product(x: str, piece: slice) -> str:
        def scale(multiplier: Array) -> Array:
            of_blocks = np.repeat(multiplier, node.attribute("group") // block, axis=1)
            return of_blocks[:, piece.start // block : -(-piece.stop // block)].astype(np.float32).reshape(-1)

        scales = node.tensor("multiplier", f"{piece.start}:{piece.stop}", scale)
        return _product_of_four_bits(node, x, piece, block, scales)

    sums = [product(x, piece) for x, piece in zip(node.graph.cut(whole, pieces), pieces, strict=True)]
    return stepped(node, *added(node, sums), step)


def _four_bits(node: NodeGraph) -> str:
    """Add onnxruntime's product of float32 and four-bit weights, each group with its own scale."""
    scale = node.tensor(
        "multiplier", "times scale", lambda m: (m.astype(np.float32) * node.plain("scale")[:, None]).reshape(-1)
    )
    everything = slice(0, node.view.tensors["weight"].shape[1])
    return _product_of_four_bits(node, node.input(0, "float32"), everything, node.attribute("group"), scale)


def _product_of_four_bits(node: NodeGraph, x: str, piece: slice, block: int, scale: str) -> str:
    """Add MatMulNBits of a part of the inputs, computed in float32 (accuracy level 1)."""
    form = f"nibbles {piece.start}:{piece.stop} in {block}"
    packed = node.tensor("weight", form, lambda w: _nibbles(w[:, piece], block))
    outputs = node.view.tensors["weight"].shape[0]
    how = {"K": piece.stop - piece.start, "N": outputs, "bits": 4, "block_size": block, "accuracy_level": 1}
    return node.op("MatMulNBits", x, packed, scale, domain=EXTRA, **how)


def _nibbles(weight: Array, group: int) -> Array:
    """Return [N, groups, group / 2] bytes, the even input in the low nibble, biased by 8; padding is 0."""
    outputs, inputs = weight.shape
    padded = np.zeros((outputs, -(-inputs // group) * group), np.int16)
    padded[:, :inputs] = weight
    nibbles = (padded + 8).astype(np.uint8).reshape(outputs, -1, group)
    return np.asarray(nibbles[..., 0::2] | nibbles[..., 1::2] << np.uint8(4))
