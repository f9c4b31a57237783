"""A TensorRT and a CUDA runtime of our own making: they compute with onnxruntime, and complain where the real would.

What runs on a stream runs when somebody waits for it, so a wait that is missing shows. Device memory is bytes behind
addresses; every allocation, stream and context is counted. Two versions: 10.3 and 11, each with the names that it has.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum
from functools import partial
from itertools import pairwise
from types import ModuleType
from typing import Any
from weakref import WeakSet

import numpy as np
import onnx
import onnxruntime

OUT_OF_MEMORY, BAD_CALL = 2, 700
STRANGE = {"MatMulInteger", "ConvInteger", "DynamicQuantizeLinear", "MatMulNBits"}
FLAGS = {
    "10.3.0": {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1},
    "11.4.0": {"STRONGLY_TYPED": 0, "PREFER_JIT_PYTHON_PLUGINS": 1, "PREFER_AOT_PYTHON_PLUGINS": 2},
}
BUILDER_FLAGS = {"10.3.0": {"FP16": 0, "INT8": 1, "TF32": 6}, "11.4.0": {"TF32": 6}}
ONNX_TYPES = {1: "FLOAT", 2: "UINT8", 6: "INT32", 7: "INT64"}
NUMPY_TYPES = {"FLOAT": np.float32, "UINT8": np.uint8, "INT32": np.int32, "INT64": np.int64}


class Device:
    """The state of one GPU.

    Attributes:
        memory: address -> what lies there.
        room: bytes that may still be allocated.
        streams: handle -> work that waits.
        contexts: execution contexts that are alive.
        complaints: what no caller may do.
        processors: what tells one kind of device from another.
        fails: names of calls that fail.
        builds: engines built.
    """

    def __init__(self) -> None:
        self.memory: dict[int, bytearray] = {}
        self.room = 1 << 30
        self.streams: dict[int, list[Callable[[], None]]] = {}
        self.contexts: WeakSet[Context] = WeakSet()
        self.complaints: list[str] = []
        self.processors = 8
        self.fails: set[str] = set()
        self.builds = 0
        self._next = 0x10000

    def complain(self, what: str) -> None:
        self.complaints.append(what)

    def new(self, size: int) -> int:
        address = self._next
        self._next += -(-size // 512) * 512 + 512
        self.memory[address] = bytearray(b"\xa5" * size)
        self.room -= size
        return address

    def free(self, address: int) -> int:
        for stream in self.streams:
            self.finish(stream)
        if address not in self.memory:
            self.complain("memory is freed that is not allocated")
            return BAD_CALL
        data = self.memory.pop(address)
        used = [place for context in self.contexts for place in context.places.values()]
        if any(address <= place < address + len(data) for place in used):
            self.complain("memory is freed under a context")
        self.room += len(data)
        return 0

    def new_stream(self) -> int:
        self._next += 512
        self.streams[self._next] = []
        return self._next

    def bytes_at(self, address: int, size: int) -> memoryview:
        """Return memory that is allocated, all of it."""
        for base, data in self.memory.items():
            if base <= address and address + size <= base + len(data):
                return memoryview(data)[address - base : address - base + size]
        self.complain(f"{size} bytes at {address:#x} are not allocated")
        return memoryview(bytearray(size))

    def finish(self, stream: int) -> None:
        while self.streams[stream]:
            self.streams[stream].pop(0)()

    @property
    def empty(self) -> bool:
        return not self.memory and not self.streams and not self.contexts


class Library:
    """What `ctypes.CDLL` gives of libcudart: each function takes ctypes objects and returns an error number."""

    def __init__(self, device: Device) -> None:
        self.device = device
        for name in [name for name in dir(self) if name.startswith("cuda")]:
            setattr(self, name, _Function(device, name, getattr(self, name)))

    def cudaGetDeviceCount(self, place: Any) -> int:  # noqa: N802
        return _put(place, 1)

    def cudaDeviceGetAttribute(self, place: Any, number: int, device: int) -> int:  # noqa: N802
        assert device == 0
        return _put(place, {75: 8, 76: 7, 16: self.device.processors}[number])

    def cudaDriverGetVersion(self, place: Any) -> int:  # noqa: N802
        return _put(place, 12060)

    def cudaRuntimeGetVersion(self, place: Any) -> int:  # noqa: N802
        return _put(place, 12060)

    def cudaGetErrorString(self, number: int) -> bytes:  # noqa: N802
        return {OUT_OF_MEMORY: b"out of memory"}.get(number, b"an illegal access")

    def cudaGetLastError(self) -> int:  # noqa: N802
        return 0

    def cudaMalloc(self, place: Any, size: int) -> int:  # noqa: N802
        return OUT_OF_MEMORY if size > self.device.room else _put(place, self.device.new(size))

    def cudaFree(self, address: int) -> int:  # noqa: N802
        return self.device.free(address)

    def cudaStreamCreate(self, place: Any) -> int:  # noqa: N802
        return _put(place, self.device.new_stream())

    def cudaStreamDestroy(self, stream: int) -> int:  # noqa: N802
        self.device.finish(stream)
        del self.device.streams[stream]
        return 0

    def cudaStreamSynchronize(self, stream: int) -> int:  # noqa: N802
        self.device.finish(stream)
        return 0

    def cudaMemcpyAsync(self, target: int, source: int, size: int, way: int, stream: int) -> int:  # noqa: N802
        device = self.device
        if stream not in device.streams:
            device.complain("a copy on no stream")
            return BAD_CALL
        if way == 1:
            data = ctypes.string_at(source, size)  # pageable memory is read before the call returns

            def work() -> None:
                device.bytes_at(target, size)[:] = data
        else:

            def work() -> None:
                ctypes.memmove(target, bytes(device.bytes_at(source, size)), size)

        device.streams[stream].append(work)
        return 0


class _Function:
    """A function of a library, whose types may be set."""

    def __init__(self, device: Device, name: str, function: Callable[..., Any]) -> None:
        self._device, self._name, self._function = device, name, function

    def __call__(self, *arguments: Any) -> Any:
        if self._name in self._device.fails:
            return BAD_CALL
        return self._function(*(getattr(argument, "value", argument) for argument in arguments))


def _put(place: Any, value: int) -> int:
    place._obj.value = value
    return 0


def module(device: Device, version: str) -> Any:
    """Return the module `tensorrt` of a version, "10.3.0" or "11.4.0"."""
    trt: Any = ModuleType("tensorrt")
    trt.__version__ = version
    trt.NetworkDefinitionCreationFlag = IntEnum("NetworkDefinitionCreationFlag", FLAGS[version])
    trt.BuilderFlag = IntEnum("BuilderFlag", BUILDER_FLAGS[version])
    trt.DataType = IntEnum("DataType", {"FLOAT": 0, "INT8": 2, "INT32": 3, "BOOL": 4, "UINT8": 5, "INT64": 8})
    trt.TensorIOMode = IntEnum("TensorIOMode", {"NONE": 0, "INPUT": 1, "OUTPUT": 2})
    trt.ILogger = ILogger
    for kind in (Builder, OnnxParser, Runtime):
        setattr(trt, kind.__name__, partial(kind, device, trt))
    return trt


class ILogger:
    Severity = IntEnum("Severity", {"INTERNAL_ERROR": 0, "ERROR": 1, "WARNING": 2, "INFO": 3, "VERBOSE": 4})

    def log(self, severity: Any, message: str) -> None:
        raise NotImplementedError


def _error(logger: ILogger, message: str) -> None:
    logger.log(ILogger.Severity.ERROR, message)
    logger.log(ILogger.Severity.INFO, "something else")


class Builder:
    def __init__(self, device: Device, trt: Any, logger: ILogger) -> None:
        assert isinstance(logger, ILogger)
        if "Builder" in device.fails:
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._device, self._trt, self._logger = device, trt, logger

    def create_network(self, flags: int = 0) -> Network:
        strongly = 1 << self._trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
        if self._trt.__version__.startswith("10") and not flags & strongly:
            self._device.complain("the network is weakly typed")
        return Network()

    def create_builder_config(self) -> Config:
        return Config(self._trt)

    def build_serialized_network(self, network: Network, config: Config) -> bytearray | None:
        if self._trt.BuilderFlag.TF32 in config.flags:
            self._device.complain("products have 10 bits")
        if "build" in self._device.fails:
            _error(self._logger, "could not find any implementation for node nt7")
            return None
        self._device.builds += 1
        return bytearray(_facts(self._device, self._trt) + b"\n" + network.model)


class OnnxParser:
    def __init__(self, device: Device, trt: Any, network: Network, logger: ILogger) -> None:
        assert isinstance(logger, ILogger)
        self._device, self._network = device, network
        self._errors: list[str] = []

    def parse(self, data: bytes) -> bool:
        self._network.model = data
        self._errors = list(_refused(onnx.load_from_string(data)))
        if "parse" in self._device.fails:
            self._errors.append("no importer\n registered for op: Mod")
        return not self._errors

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> ParserError:
        return ParserError(self._errors[index])


class ParserError:
    def __init__(self, words: str) -> None:
        self._words = words

    def desc(self) -> str:
        return self._words


class Runtime:
    def __init__(self, device: Device, trt: Any, logger: ILogger) -> None:
        if "Runtime" in device.fails:
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._device, self._trt, self._logger = device, trt, logger

    def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
        facts, _, model = bytes(plan).partition(b"\n")
        if facts != _facts(self._device, self._trt):
            _error(self._logger, "the engine plan file is not compatible with this version")
            return None
        return Engine(self._device, self._trt, model, self._logger)


def _facts(device: Device, trt: Any) -> bytes:
    return json.dumps({"version": trt.__version__, "processors": device.processors}).encode()


class Network:
    model = b""


class Config:
    def __init__(self, trt: Any) -> None:
        self.flags = {trt.BuilderFlag.TF32}  # on unless it is cleared, as in TensorRT

    def clear_flag(self, flag: int) -> None:
        self.flags.discard(flag)


def _refused(model: Any) -> Iterator[str]:
    """Yield what TensorRT's parser would not take: other operators, and bytes inside."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = (*inferred.input, *inferred.output, *inferred.value_info)
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    for node in model.graph.node:
        if node.domain or node.op_type in STRANGE:
            yield f"no importer registered for op: {node.op_type}"
        around = [types.get(name) for name in (*node.input, *node.output)]
        if onnx.TensorProto.UINT8 in around and node.op_type != "Identity":
            others = {kind for kind in around if kind != onnx.TensorProto.UINT8}
            if node.op_type != "Cast" or others != {onnx.TensorProto.FLOAT}:
                yield f"uint8 is not supported in {node.op_type} ({node.name})"


class Engine:
    def __init__(self, device: Device, trt: Any, model: bytes, logger: ILogger) -> None:
        self._device, self._trt, self.logger = device, trt, logger
        how = onnxruntime.SessionOptions()
        how.intra_op_num_threads = 1
        how.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = onnxruntime.InferenceSession(model, how, providers=["CPUExecutionProvider"])
        graph = onnx.load_from_string(model).graph
        self._values = {value.name: value.type.tensor_type for value in (*graph.input, *graph.output)}
        self._inputs = {value.name for value in graph.input}

    @property
    def num_io_tensors(self) -> int:
        return len(self._values)

    def get_tensor_name(self, index: int) -> str:
        return list(self._values)[index]

    def get_tensor_mode(self, name: str) -> Any:
        return self._trt.TensorIOMode.INPUT if name in self._inputs else self._trt.TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        return getattr(self._trt.DataType, ONNX_TYPES[self._values[name].elem_type])

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(axis.dim_value for axis in self._values[name].shape.dim)

    def create_execution_context(self) -> Any:
        if "context" in self._device.fails:
            _error(self.logger, "requested size was 4096 and could not be allocated")
            return None
        return Context(self._device, self)

    def sizes(self) -> Mapping[str, int]:
        return {
            name: int(np.prod(self.get_tensor_shape(name), dtype=int))
            * np.dtype(NUMPY_TYPES[self.get_tensor_dtype(name).name]).itemsize
            for name in self._values
        }

    def compute(self, places: Mapping[str, int]) -> None:
        """Do the step in device memory."""
        feeds = {}
        for name, size in self.sizes().items():
            if name in self._inputs:
                dtype = NUMPY_TYPES[self.get_tensor_dtype(name).name]
                data = bytes(self._device.bytes_at(places[name], size))
                feeds[name] = np.frombuffer(data, dtype).reshape(self.get_tensor_shape(name))
        names = [value.name for value in self._session.get_outputs()]
        for name, array in zip(names, self._session.run(names, feeds), strict=True):
            self._device.bytes_at(places[name], array.nbytes)[:] = array.tobytes()


class Context:
    def __init__(self, device: Device, engine: Engine) -> None:
        self._device, self._engine = device, engine
        self.places: dict[str, int] = {}
        device.contexts.add(self)

    def set_tensor_address(self, name: str, address: int) -> bool:
        if name not in self._engine.sizes() or address % 256:
            return False
        self.places[name] = address
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        if "execute" in self._device.fails:
            _error(self._engine.logger, "the context is broken")
            return False
        places = dict(self.places)
        sizes = self._engine.sizes()
        if stream_handle not in self._device.streams:
            self._device.complain("no stream")
            return False
        if set(sizes) != set(places):
            self._device.complain(f"no address: {sorted(set(sizes) - set(places))}")
            return False
        order = sorted((places[name], sizes[name]) for name in sizes)
        if any(a + size > b for (a, size), (b, _) in pairwise(order)):
            self._device.complain("tensors overlap")
        self._device.streams[stream_handle].append(lambda: self._engine.compute(places))
        return True
