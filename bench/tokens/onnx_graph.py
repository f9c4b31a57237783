"""One step of a token model as an ONNX graph: token and states in, logits and states out.

Elementwise work is stacked where it saves nodes: the token shifts of a block's half, and what a `wkv` gives now
(row 0) and keeps (row 1). Matrices are Gemm (float32: a tenth quicker than MatMul), MatMul (what onnxruntime makes int8
of), or MatMulNBits.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import shapes
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from edgesnn.importers.spikegpt import EPS, RESCALE_LAYERS

OPSET, IR_VERSION = 17, 9
EXTRA = "com.microsoft"
OUTPUT = "logits"
STATES = {  # ours -> here
    "att.past.line": "att.past",
    "att.wkv.pp": "pp",
    "att.wkv.aa": "aa",
    "att.wkv.bb": "bb",
    "att.lif.v": "att.v",
    "ffn.past.line": "ffn.past",
    "ffn.lif.v": "ffn.v",
}

Floats = npt.NDArray[np.float32]


class Graph:
    """Collects nodes and constants of a shape's step. `product`: of matrices, "MatMulNBits" with bits and block."""

    def __init__(self, name: str, product: str, bits: int, block: int) -> None:
        self.name, self.shape, self.tensors = name, shapes.SHAPES[name], shapes.checkpoint(name)
        self.product, self.bits, self.block = product, bits, block
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def step(self) -> None:
        """Add everything."""
        x = self.op("Gather", self.constant(shapes.table(self.name)), "token")
        for i in range(self.shape.layers):
            name, share = f"blocks.{i}", 2.0 ** -(i // RESCALE_LAYERS)
            h = self.norm(f"{name}.ln1", x, f"{name}.att.past.next")
            x = self.neurons(f"{name}.att", x, self.time_mix(name, h, share))
            h = self.norm(f"{name}.ln2", x, f"{name}.ffn.past.next")
            x = self.neurons(f"{name}.ffn", x, self.channel_mix(name, h, share))
            if (i + 1) % RESCALE_LAYERS == 0:
                x = self.op("Mul", x, self.constant(np.float32(0.5)))
        self.matrix("head", self.norm("ln_out", x), output=OUTPUT)

    def time_mix(self, name: str, h: str, share: float) -> str:
        """Add Wo (sigmoid(Wr xr) * wkv(Wk xk, Wv xv)); return it, halved as `neurons` takes it."""
        xk, xv, xr = self.shifts(f"{name}.att", h, "kvr")
        k, v, r = (self.matrix(f"{name}.att.{n}", x) for n, x in (("key", xk), ("value", xv), ("receptance", xr)))
        first, decay = (self.get(f"{name}.att.time_{n}") for n in ("first", "decay"))
        zero = np.zeros_like(first)
        past = self.op("Add", f"{name}.pp", self.constant(np.stack([zero, -np.exp(decay)])))
        now = self.op("Add", k, self.constant(np.stack([first, zero])))
        top = self.op("Max", past, now)
        old, new = (self.op("Exp", self.op("Sub", x, top)) for x in (past, now))
        above = self.op("Add", self.op("Mul", old, f"{name}.aa"), self.op("Mul", new, v))
        below = self.op("Add", self.op("Mul", old, f"{name}.bb"), new)
        above_now, _ = self.rows(above, f"{name}.aa.next")
        below_now, _ = self.rows(below, f"{name}.bb.next")
        self.rows(top, f"{name}.pp.next")
        gated = self.op("Mul", self.op("Sigmoid", r), self.op("Div", above_now, below_now))
        return self.matrix(f"{name}.att.output", gated, share / 2)

    def channel_mix(self, name: str, h: str, share: float) -> str:
        """Add sigmoid(Wr xr) * (Wv relu(Wk xk)^2); return it, halved."""
        xk, xr = self.shifts(f"{name}.ffn", h, "kr")
        k = self.op("Relu", self.matrix(f"{name}.ffn.key", xk))
        value = self.matrix(f"{name}.ffn.value", self.op("Mul", k, k), share / 2)
        return self.op("Mul", self.op("Sigmoid", self.matrix(f"{name}.ffn.receptance", xr)), value)

    def neurons(self, name: str, x: str, half: str) -> str:
        """Add v = v / 2 + half; fired = v >= 1; v = 0 where fired; return x + fired."""
        u = self.op("Add", self.op("Mul", f"{name}.v", self.constant(np.float32(0.5))), half)
        fired = self.op("GreaterOrEqual", u, self.constant(np.float32(1)))
        self.op("Where", fired, self.constant(np.float32(0)), u, outputs=[f"{name}.v.next"])
        return self.op("Add", x, self.op("Cast", fired, to=TensorProto.FLOAT))

    def shifts(self, name: str, h: str, which: str) -> list[str]:
        """Add past + (h - past) * mix for each mix."""
        mix = np.stack([self.get(f"{name}.time_mix_{n}").reshape(-1) for n in which])
        moved = self.op("Mul", self.op("Sub", h, f"{name}.past"), self.constant(mix))
        names = [f"{name}.x{n}" for n in which]
        self.op("Split", self.op("Add", moved, f"{name}.past"), outputs=names, axis=0)
        return names

    def norm(self, name: str, x: str, output: str | None = None) -> str:
        roles = [self.constant(self.get(f"{name}.{role}")) for role in ("weight", "bias")]
        return self.op("LayerNormalization", x, *roles, outputs=[output] if output else None, epsilon=EPS)

    def rows(self, x: str, kept: str) -> list[str]:
        """Split [2, D]; the second row is called `kept`."""
        names = [f"{kept}.row0", kept]
        self.op("Split", x, outputs=names, axis=0)
        return names

    def matrix(self, name: str, x: str, share: float = 1.0, output: str | None = None) -> str:
        """Add the product with a matrix [N, K] times `share`."""
        weight, outputs = self.get(f"{name}.weight") * np.float32(share), [output] if output else None
        if self.product == "Gemm":
            return self.op("Gemm", x, self.constant(weight), outputs=outputs, transB=1)
        if self.product == "MatMul":
            return self.op("MatMul", x, self.constant(np.ascontiguousarray(weight.T)), outputs=outputs)
        packed, scale = n_bits(weight, self.bits, self.block)
        attributes = {"N": len(weight), "K": weight.shape[1], "bits": self.bits, "block_size": self.block}
        inputs = [x, self.constant(packed), self.constant(scale.reshape(-1))]
        return self.op("MatMulNBits", *inputs, outputs=outputs, domain=EXTRA, accuracy_level=4, **attributes)

    def get(self, key: str) -> Floats:
        array: Floats = self.tensors[key].numpy()
        return array

    def constant(self, value: Any) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def op(self, op: str, *inputs: str, outputs: list[str] | None = None, **attributes: Any) -> str:
        names = outputs or [f"t{len(self.nodes)}"]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names[0]


def states(name: str) -> dict[str, float]:
    """Return the states of a shape, each [1, D], and what they hold at first."""
    layers = range(shapes.SHAPES[name].layers)
    return {f"blocks.{i}.{state}": -1e30 if state == "pp" else 0.0 for i in layers for state in STATES.values()}


def n_bits(weight: Floats, bits: int, block: int) -> tuple[npt.NDArray[np.uint8], Floats]:
    """Return (packed [N, blocks, bytes], scales) of w = (q - 2^(bits - 1)) * scale, in blocks of so many inputs."""
    n, k = weight.shape
    blocks = weight.reshape(n, k // block, block)
    half = 1 << (bits - 1)
    scale = np.abs(blocks).max(axis=2, keepdims=True) / np.float32(half - 1)
    q = (np.clip(np.rint(blocks / scale), -half, half - 1) + half).astype(np.uint8)
    return (q if bits == 8 else q[..., 0::2] | (q[..., 1::2] << 4)), scale


def model(name: str, product: str, bits: int = 0, block: int = 0) -> Any:
    """Return the ONNX model of a shape."""
    graph = Graph(name, product, bits, block)
    graph.step()
    shape, own = graph.shape, states(name)

    def info(name: str, width: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, width])

    inputs = [helper.make_tensor_value_info("token", TensorProto.INT64, [1])] + [info(n, shape.width) for n in own]
    outputs = [info(OUTPUT, shape.vocab)] + [info(f"{n}.next", shape.width) for n in own]
    made = helper.make_graph(graph.nodes, "step", inputs, outputs, list(graph.constants.values()))
    sets = [helper.make_opsetid("", OPSET), helper.make_opsetid(EXTRA, 1)]
    return helper.make_model(made, opset_imports=sets, ir_version=IR_VERSION)


def file(name: str, kind: str) -> Path:
    """Return the path of a shape's "float32", "int8" (dynamic), or "8 bits, blocks of 32" and the like."""

    def make(path: Path) -> None:
        if kind == "float32":
            onnx.save(model(name, "Gemm"), path)
        elif kind == "int8":
            logging.getLogger().setLevel(logging.ERROR)  # it asks for a pre-processing step that changes nothing here
            options = {"per_channel": True, "weight_type": QuantType.QInt8, "op_types_to_quantize": ["MatMul"]}
            quantize_dynamic(model(name, "MatMul"), path, **options)
        else:
            bits, block = map(int, re.findall(r"\d+", kind))
            onnx.save(model(name, "MatMulNBits", bits, block), path)

    return shapes.cached(f"{name}-{kind.replace(', ', '-').replace(' ', '-')}.onnx", make)
