"""onnxruntime: one step as a graph with states as inputs and outputs; IoBinding, two sets of state buffers swapped.

int8 is onnxruntime's own `quantize_dynamic`, per channel: our weights lie on that grid and spikes are 0 and 1, so it
computes the same network.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from nets import Layer, Net
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from peers import CannotRunError

OPSET, IR_VERSION = 17, 9
Value = onnxruntime.OrtValue


class _Graph:
    """Collects nodes, constants and states (name -> shape)."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.states: dict[str, list[int]] = {}

    def constant(self, value: Any) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def op(self, op: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        name = output or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def layer(self, layer: Layer, x: str, shape: list[int]) -> tuple[str, list[int]]:
        """Add matrix and neurons; return the spikes and their shape."""
        c, shape = self._matrix(layer, x, shape)
        f32 = np.float32
        self.states[f"{layer.name}.v"] = shape
        if layer.beta is not None:
            self.states[f"{layer.name}.i"] = shape
            held = self.op("Mul", f"{layer.name}.i", self.constant(f32(layer.beta)))
            c = self.op("Add", held, c, output=f"{layer.name}.i.next")
        held = f"{layer.name}.v"
        if layer.alpha != 1:
            held = self.op("Mul", held, self.constant(f32(layer.alpha)))
        u = self.op("Add", held, c)
        fired = self.op("GreaterOrEqual", u, self.constant(f32(layer.v_th)))
        self.op("Where", fired, self.constant(f32(0)), u, output=f"{layer.name}.v.next")
        z = self.op("Cast", fired, output=f"{layer.name}.z.next", to=TensorProto.FLOAT)
        return z, shape

    def _matrix(self, layer: Layer, x: str, shape: list[int]) -> tuple[str, list[int]]:
        weight = layer.weight
        if layer.pool > 1:
            size = [layer.pool, layer.pool]
            x = self.op("AveragePool", x, kernel_shape=size, strides=size)
            weight = weight * np.float32(layer.pool**2)
            shape = [*shape[:2], *(n // layer.pool for n in shape[2:])]
        if layer.conv:
            pads, kernel = [layer.padding] * 4, weight.shape[2:]
            inputs = [x, self.constant(weight), self.constant(layer.bias)]
            c = self.op("Conv", *inputs, pads=pads, strides=[layer.stride] * 2, kernel_shape=kernel)
            size = [(n + 2 * layer.padding - k) // layer.stride + 1 for n, k in zip(shape[2:], kernel, strict=True)]
            return c, [1, len(weight), *size]
        if len(shape) > 2:
            x = self.op("Flatten", x)
        if layer.recurrent is not None:
            self.states[f"{layer.name}.z"] = [1, len(weight)]
            x = self.op("Concat", x, f"{layer.name}.z", axis=1)
            weight = np.concatenate([weight, layer.recurrent], axis=1)
        c = self.op("MatMul", x, self.constant(np.ascontiguousarray(weight.T)))
        return (self.op("Add", c, self.constant(layer.bias)) if layer.bias.any() else c), [1, len(weight)]


def _model(net: Net) -> tuple[Any, dict[str, list[int]], str]:
    """Return (model, states, name of the output)."""
    graph, x, shape = _Graph(), "x", [1, *net.inputs.shape[1:]]

    def info(name: str, shape: list[int]) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    inputs = [info("x", shape)]
    for layer in net.layers:
        x, shape = graph.layer(layer, x, shape)
    inputs += [info(name, size) for name, size in graph.states.items()]
    results = [info(f"{name}.next", size) for name, size in graph.states.items()]
    if f"{net.layers[-1].name}.z" not in graph.states:
        results.append(info(x, shape))
    made = helper.make_graph(graph.nodes, "step", inputs, results, list(graph.constants.values()))
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return model, graph.states, x


class OnnxSteps:
    """A session, its two sets of states and the bindings between them."""

    def __init__(self, model: bytes, states: dict[str, list[int]], output: str, width: int) -> None:
        self.session = session(model)
        self.buffers = [{n: self._zeros(shape) for n, shape in states.items()} for _ in range(2)]
        self.output = self._zeros([1, width])
        self.bindings = [self._bind(self.buffers[i], self.buffers[1 - i], output) for i in range(2)]
        self.turn = 0

    def inputs(self, spikes: npt.NDArray[np.uint8]) -> list[Any]:
        """See `Peer`."""
        return [Value.ortvalue_from_numpy(x[None].astype(np.float32)) for x in spikes]

    def reset(self) -> None:
        """See `Peer`."""
        for state in self.buffers[self.turn].values():
            state.update_inplace(np.zeros(state.shape(), np.float32))

    def step(self, x: Any) -> Any:
        """See `Peer`."""
        binding = self.bindings[self.turn]
        binding.bind_ortvalue_input("x", x)
        self.session.run_with_iobinding(binding)
        self.turn = 1 - self.turn
        return self.output

    def spikes(self, output: Any) -> npt.NDArray[Any]:
        """See `Peer`."""
        return output.numpy()

    def _bind(self, before: dict[str, Any], after: dict[str, Any], output: str) -> Any:
        binding = self.session.io_binding()
        for name, value in before.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in after.items():
            binding.bind_ortvalue_output(f"{name}.next", value)
        binding.bind_ortvalue_output(output, self.output)
        return binding

    def _zeros(self, shape: list[int]) -> Any:
        return Value.ortvalue_from_numpy(np.zeros(shape, np.float32))


def float32(net: Net) -> OnnxSteps:
    """Return the float32 form."""
    model, states, output = _model(net)
    return OnnxSteps(model.SerializeToString(), states, output, len(net.layers[-1].bias))


def int8(net: Net) -> OnnxSteps:
    """Return the form with int8 matrices and activations quantised as they come."""
    if any(layer.conv for layer in net.layers):
        raise CannotRunError("int8 convolutions ran at a third of float32's speed, and pooled counts not exactly")
    model, states, output = _model(net)
    return OnnxSteps(dynamic_int8(model), states, output, len(net.layers[-1].bias))


def session(model: bytes) -> Any:
    """Return a session of one thread on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def dynamic_int8(model: Any) -> bytes:
    """Return the model with int8 matrices, one scale per output, and activations quantised as they come."""
    logging.getLogger().setLevel(logging.ERROR)  # it asks for a pre-processing step that changes nothing here
    with tempfile.TemporaryDirectory() as folder:
        plain, quantized = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, plain)
        quantize_dynamic(plain, quantized, per_channel=True, weight_type=QuantType.QInt8)
        return quantized.read_bytes()
