"""onnxruntime's matrix times vector: MatMul in float32, its own dynamic int8, and MatMulNBits with 4 bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

from peers import onnx_steps

BLOCK = 128
EXTRA = "com.microsoft"

Floats = npt.NDArray[np.float32]


def make(weight: Floats, xs: Floats, kind: str) -> tuple[Callable[[Any], Any], list[Any]]:
    """Return (step, inputs); `step` gives the output as numpy's view of a kept buffer."""
    model = _four_bits(weight) if kind == "int4" else _plain(weight)
    data = onnx_steps.dynamic_int8(model) if kind == "int8" else model.SerializeToString()
    session = onnx_steps.session(data)
    output = onnx_steps.Value.ortvalue_from_numpy(np.zeros((1, len(weight)), np.float32))
    binding = session.io_binding()
    binding.bind_ortvalue_output("y", output)

    def step(x: Any) -> Any:
        binding.bind_ortvalue_input("x", x)
        session.run_with_iobinding(binding)
        return output.numpy()

    return step, [onnx_steps.Value.ortvalue_from_numpy(x[None]) for x in xs]


def _plain(weight: Floats) -> Any:
    constant = numpy_helper.from_array(np.ascontiguousarray(weight.T), "w")
    return _model(helper.make_node("MatMul", ["x", "w"], ["y"]), weight, [constant])


def _four_bits(weight: Floats) -> Any:
    """Blocks of 128 inputs with a scale each; w = (q - 8) * scale."""
    outputs, inputs = weight.shape
    blocks = weight.reshape(outputs, inputs // BLOCK, BLOCK)
    scale = np.abs(blocks).max(axis=2, keepdims=True) / np.float32(7)
    q = (np.clip(np.rint(blocks / scale), -8, 7) + 8).astype(np.uint8)
    packed = q[..., 0::2] | (q[..., 1::2] << 4)
    constants = [numpy_helper.from_array(packed, "w"), numpy_helper.from_array(scale.reshape(-1), "scale")]
    attributes = {"K": inputs, "N": outputs, "bits": 4, "block_size": BLOCK, "accuracy_level": 4}
    node = helper.make_node("MatMulNBits", ["x", "w", "scale"], ["y"], domain=EXTRA, **attributes)
    return _model(node, weight, constants)


def _model(node: Any, weight: Floats, constants: list[Any]) -> Any:
    outputs, inputs = weight.shape
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, inputs])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, outputs])
    graph = helper.make_graph([node], "matrix", [x], [y], constants)
    sets = [helper.make_opsetid("", onnx_steps.OPSET), helper.make_opsetid(EXTRA, 1)]
    return helper.make_model(graph, opset_imports=sets, ir_version=onnx_steps.IR_VERSION)
