"""The tensorrt backend: the step graph of `edgesnn.exporters.onnx` in TensorRT, states in two device buffers, swapped.

Written for what TensorRT 10.3 (JetPack 6) and 11 have in common. Windows stay ours, as in the onnx backend. Nothing is
imported before it is asked for. An engine is built when a model is loaded, which can take minutes (`plans.py`).
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesnn.errors import BackendError
from edgesnn.exporters import registry as exporters
from edgesnn.graph import Document
from edgesnn.packages import missing
from edgesnn.runtime.backends.base import Array
from edgesnn.runtime.backends.cuda import ALIGNMENT, Cuda, CudaError, cuda
from edgesnn.runtime.backends.plans import Maker, PlanError, last_error
from edgesnn.runtime.backends.stepping import Buffers, SteppingBackend

LEAST = {"onnx": exporters.LEAST["onnx"], "tensorrt": (10, 3)}
INSTALL = {
    "onnx": "pip install 'edgesnn[tensorrt]'",
    "tensorrt": "it comes with the board (JetPack's python3-libnvinfer), not from PyPI",
}
TYPES = {"float32": "FLOAT", "int32": "INT32", "int64": "INT64", "uint8": "UINT8"}
"""Ours -> the names in tensorrt.DataType."""


@dataclass(frozen=True)
class Built:
    """An engine with what runs it; shared by sessions."""

    trt: Any
    cuda: Cuda
    engine: Any


class TensorrtBackend(SteppingBackend):
    """See `edgesnn.runtime.backends.base.Backend`."""

    threaded = False

    def available(self) -> str | None:
        """See `Backend.available`: the packages, the CUDA runtime, and a device."""
        for name, least in LEAST.items():
            if (why := missing(name, least, INSTALL[name])) is not None:
                return why
        try:
            cuda()
        except CudaError as error:
            return str(error)
        return None

    def built(self, document: Document, shown: tuple[str, ...], threads: int) -> Built:
        """See `SteppingBackend.built`."""
        import tensorrt as trt

        from edgesnn.exporters.onnx.model import step_model

        model = step_model(document, shown, form="qdq").SerializeToString(deterministic=True)
        try:
            return Built(trt, cuda(), Maker(trt, cuda().about()).engine(model, document.where))
        except (CudaError, PlanError) as error:
            where = f"{document.where}, backend 'tensorrt'"
            raise BackendError("TensorRT does not run the model", where=where, found=str(error)) from error

    def buffers(self, built: Any, arrays: Mapping[str, Array], states: Mapping[str, Array], where: str) -> Buffers:
        """See `SteppingBackend.buffers`."""
        where = f"{where}, backend 'tensorrt'"
        try:
            return OnDevice(built, arrays, states)
        except CudaError as error:
            raise BackendError("a session has no place on the device", where=where, found=str(error)) from error


class OnDevice:
    """See `Buffers`: one block of device memory that holds inputs, outputs and both sets of states.

    Memory, stream and context go with the object.
    """

    def __init__(self, built: Built, arrays: Mapping[str, Array], states: Mapping[str, Array]) -> None:
        self._cuda, self._trt = built.cuda, built.trt
        _check(built, arrays, states)
        reads = {name for name in _names(built) if _is_input(built, name)}
        self._inputs = {name: array for name, array in arrays.items() if name in reads}
        self._outputs = {name: array for name, array in arrays.items() if name not in reads}
        with ExitStack() as undo:
            self._stream = self._cuda.stream()
            undo.callback(_quietly, self._cuda.end, self._stream)
            places, size = _layout(
                [*arrays.items(), *((f"{n} {turn}", a) for n, a in states.items() for turn in (0, 1))]
            )
            base = self._cuda.allocate(size)
            undo.callback(_quietly, self._cuda.free, base)
            self._places = {name: base + offset for name, offset in places.items()}
            self._context = [built.engine.create_execution_context()]
            undo.callback(self._context.clear)  # it goes before what it works on
            if self._context[0] is None:
                raise CudaError(f"TensorRT makes no execution context: {last_error(built.trt)}")
            for name in arrays:
                self._address(name, self._places[name])
            self._finalizer = weakref.finalize(self, undo.pop_all().close)
        twins = {name: array.copy() for name, array in states.items()}
        self._mirrors = self._set(0, states), self._set(1, twins)
        self._mirrors[0].written(*states)
        self.states: tuple[Mapping[str, Array], Mapping[str, Array]] = self._mirrors
        self.turn = 0

    def step(self) -> None:
        """See `Buffers.step`."""
        try:
            self._enqueue()
            self._cuda.wait(self._stream)
        except Exception:
            with suppress(CudaError):  # copies into arrays of ours must not be under way when they go
                self._cuda.wait(self._stream)
            raise
        self.turn = 1 - self.turn

    def _enqueue(self) -> None:
        self._mirrors[self.turn].give_back()
        for name, array in self._inputs.items():
            self._cuda.upload(self._places[name], array, self._stream)
        for name in self.states[0]:
            self._address(f"state/{name}", self._places[f"{name} {self.turn}"])
            self._address(f"next/{name}", self._places[f"{name} {1 - self.turn}"])
        if not self._context[0].execute_async_v3(self._stream):
            raise CudaError(f"TensorRT refuses the step: {last_error(self._trt)}")
        for name, array in self._outputs.items():
            self._cuda.download(array, self._places[name], self._stream)

    def _address(self, name: str, address: int) -> None:
        if not self._context[0].set_tensor_address(name, address):
            raise CudaError(f"set_tensor_address refuses {name!r}")

    def _set(self, turn: int, arrays: Mapping[str, Array]) -> Mirror:
        return Mirror(self._cuda, self._stream, arrays, {name: self._places[f"{name} {turn}"] for name in arrays})


class Mirror(Mapping[str, Array]):
    """One set of states in host memory: fetched when looked up, given back before the next step."""

    def __init__(self, cuda: Cuda, stream: int, arrays: Mapping[str, Array], places: Mapping[str, int]) -> None:
        self._cuda, self._stream, self._arrays, self._places = cuda, stream, arrays, places
        self._here: set[str] = set()

    def __getitem__(self, name: str) -> Array:
        array = self._arrays[name]
        if name not in self._here:
            self._cuda.download(array, self._places[name], self._stream)
            self._cuda.wait(self._stream)
            self._here.add(name)
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def written(self, *names: str) -> None:
        """Say that host memory holds what the device does not have yet."""
        self._here.update(names)

    def give_back(self) -> None:
        """Copy to the device what was looked up."""
        for name in self._here:
            self._cuda.upload(self._places[name], self._arrays[name], self._stream)
        self._here.clear()


def _layout(arrays: list[tuple[str, Array]]) -> tuple[dict[str, int], int]:
    """Return each array's offset in one block, and the block's size."""
    places, size = {}, 0
    for name, array in arrays:
        places[name] = size
        size += -(-max(1, array.nbytes) // ALIGNMENT) * ALIGNMENT
    return places, max(size, ALIGNMENT)


def _names(built: Built) -> list[str]:
    return [built.engine.get_tensor_name(i) for i in range(built.engine.num_io_tensors)]


def _is_input(built: Built, name: str) -> bool:
    return bool(built.engine.get_tensor_mode(name) == built.trt.TensorIOMode.INPUT)


def _check(built: Built, arrays: Mapping[str, Array], states: Mapping[str, Array]) -> None:
    """Refuse an engine whose tensors are not these, in type and shape: it would write past their memory."""
    wanted = {**arrays, **{f"{way}/{n}": a for n, a in states.items() for way in ("state", "next")}}
    found = {n: (built.engine.get_tensor_dtype(n), tuple(built.engine.get_tensor_shape(n))) for n in _names(built)}
    for name in {**wanted, **found}:
        array = wanted.get(name)
        kind = None if array is None else (_type(built.trt, array.dtype), tuple(array.shape))
        if found.get(name) != kind:
            raise CudaError(f"the engine's tensor {name!r} is {found.get(name)}, not {kind}")


def _type(trt: Any, dtype: np.dtype[Any]) -> Any:
    return getattr(trt.DataType, TYPES[str(dtype)])


def _quietly(release: Any, what: int) -> None:
    """Give something back where nobody can be told that it fails, as when the device is gone."""
    with suppress(CudaError):
        release(what)
