"""The dozen calls of the CUDA runtime that an engine on a GPU needs, through ctypes.

No package: one such as cuda-python has to be of the CUDA version that the board has, while these functions have had the
same form in every version of it. The device is the first that CUDA_VISIBLE_DEVICES leaves.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from edgesnn.errors import BackendError
from edgesnn.runtime.backends.base import Array

NAMES = ("libcudart.so.13", "libcudart.so.12", "libcudart.so", "/usr/local/cuda/lib64/libcudart.so")
"""Where the library is looked for; a newer one than the driver takes says so, and the next is tried."""

ALIGNMENT = 256
"""Bytes: what TensorRT asks of an address."""

_TO_DEVICE, _TO_HOST = 1, 2
_ATTRIBUTES = {"major": 75, "minor": 76, "processors": 16}


class CudaError(BackendError):
    """A call failed: its name, the library's words and the number."""


class Cuda:
    """The library, on its first device. Thread-safe: it holds nothing.

    Args:
        library: what `ctypes.CDLL` gives.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        library.cudaGetErrorString.restype = ctypes.c_char_p
        library.cudaGetErrorString.argtypes = [ctypes.c_int]

    def devices(self) -> int:
        """Return how many devices there are."""
        return self._number("cudaGetDeviceCount")

    def about(self) -> dict[str, int]:
        """Return what an engine depends on: the device's kind, and the versions of driver and library."""
        facts = {name: self._number("cudaDeviceGetAttribute", number, 0) for name, number in _ATTRIBUTES.items()}
        return facts | {
            "driver": self._number("cudaDriverGetVersion"),
            "runtime": self._number("cudaRuntimeGetVersion"),
        }

    def allocate(self, size: int) -> int:
        """Return the address of new device memory, at a multiple of ALIGNMENT."""
        return self._pointer("cudaMalloc", ctypes.c_size_t(size))

    def free(self, address: int) -> None:
        """Give memory back, when all work on the device is done."""
        self._call("cudaFree", ctypes.c_void_p(address))

    def stream(self) -> int:
        """Return a new stream."""
        return self._pointer("cudaStreamCreate")

    def end(self, stream: int) -> None:
        """Give a stream back."""
        self._call("cudaStreamDestroy", ctypes.c_void_p(stream))

    def upload(self, address: int, array: Array, stream: int) -> None:
        """Copy an array to the device; it may be written again at once."""
        self._copy(address, array.ctypes.data, array.nbytes, _TO_DEVICE, stream)

    def download(self, array: Array, address: int, stream: int) -> None:
        """Copy into an array, which is there after `wait`."""
        self._copy(array.ctypes.data, address, array.nbytes, _TO_HOST, stream)

    def wait(self, stream: int) -> None:
        """Wait for all work in a stream; errors of that work show here."""
        self._call("cudaStreamSynchronize", ctypes.c_void_p(stream))

    def _copy(self, target: int, source: int, size: int, way: int, stream: int) -> None:
        arguments = ctypes.c_void_p(target), ctypes.c_void_p(source), ctypes.c_size_t(size), ctypes.c_int(way)
        self._call("cudaMemcpyAsync", *arguments, ctypes.c_void_p(stream))

    def _number(self, name: str, *arguments: int) -> int:
        found = ctypes.c_int()
        self._call(name, ctypes.byref(found), *(ctypes.c_int(value) for value in arguments))
        return found.value

    def _pointer(self, name: str, *arguments: Any) -> int:
        found = ctypes.c_void_p()
        self._call(name, ctypes.byref(found), *arguments)
        return found.value or 0

    def _call(self, name: str, *arguments: Any) -> None:
        """Call a function; where it fails also clear the error that the library keeps for the next who asks."""
        function: Callable[..., int] = getattr(self._library, name)
        if number := function(*arguments):
            self._library.cudaGetLastError()
            raise CudaError(f"{name}: {self._library.cudaGetErrorString(number).decode()} (error {number})")


@cache
def cuda() -> Cuda:
    """Return the library, where it is and there is a device.

    Raises:
        CudaError: neither, or a driver that is too old.
    """
    why = "the CUDA runtime (libcudart.so) is not found"
    for library in _libraries():
        found = Cuda(library)
        try:
            if found.devices():
                return found
            why = "there is no CUDA device"
        except CudaError as error:
            why = str(error)
    raise CudaError(why)


def _libraries() -> Iterator[Any]:
    for name in dict.fromkeys((*NAMES, ctypes.util.find_library("cudart") or NAMES[0])):
        try:
            yield ctypes.CDLL(name)
        except OSError:
            continue
