"""The tensorrt backend on a real GPU: CUDA runtime and memory are real, TensorRT is the one of our own making."""

from __future__ import annotations

import sys
from typing import Any
from weakref import WeakSet

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed (extra onnx)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra onnx)")

from edgesnn.runtime import Model
from edgesnn.runtime.backends import plans
from edgesnn.runtime.backends.cuda import ALIGNMENT, Cuda, CudaError, cuda
from tests.fake_tensorrt import module
from tests.small_graphs import integers, recurrent


def why_no_gpu() -> str | None:
    try:
        cuda()
    except CudaError as error:
        return str(error)
    return None


REASON = why_no_gpu()
pytestmark = pytest.mark.skipif(REASON is not None, reason=f"no GPU: {REASON}")


class Remote:
    """A device whose memory is a real GPU's: what the fake engine reads and writes lies there."""

    def __init__(self, real: Cuda) -> None:
        self.real, self.stream = real, real.stream()
        self.fails: set[str] = set()
        self.contexts: WeakSet[Any] = WeakSet()
        self.complaints: list[str] = []
        self.processors, self.builds = 0, 0
        self.streams = self

    def complain(self, what: str) -> None:
        self.complaints.append(what)

    def __contains__(self, stream: int) -> bool:
        return stream != 0

    def __getitem__(self, stream: int) -> Remote:
        self.real.wait(stream)
        return self

    def append(self, work: Any) -> None:
        """Compute at once: all that stood in the stream before is done."""
        work()

    def bytes_at(self, address: int, size: int) -> Bytes:
        return Bytes(self, address, size)


class Bytes:
    """A part of the memory."""

    def __init__(self, device: Remote, address: int, size: int) -> None:
        self._device, self._address, self._size = device, address, size

    def __bytes__(self) -> bytes:
        array = np.empty(self._size, np.uint8)
        self._device.real.download(array, self._address, self._device.stream)
        self._device.real.wait(self._device.stream)
        return array.tobytes()

    def __setitem__(self, _: slice, data: bytes) -> None:
        self._device.real.upload(self._address, np.frombuffer(data, np.uint8), self._device.stream)
        self._device.real.wait(self._device.stream)


@pytest.mark.parametrize("make", [integers, recurrent])
def test_states_in_the_memory_of_a_real_gpu_are_the_references(make, monkeypatch):
    gpu: Any = Remote(cuda())
    monkeypatch.setitem(sys.modules, "tensorrt", module(gpu, "10.3.0"))
    monkeypatch.delenv(plans.FOLDER_VARIABLE, raising=False)
    made = make()
    reference, other = (Model(made, backend=name).session() for name in ("reference", "tensorrt"))
    xs = (np.random.default_rng(0).random((20, *made.input["shape"])) < 0.4).astype(np.uint8)
    np.testing.assert_allclose(other.run(xs), reference.run(xs), rtol=1e-5, atol=1e-4)
    assert other.layers == reference.layers
    other.restore(reference.snapshot())
    assert other.snapshot() == reference.snapshot()
    twin = other.clone()
    for session in (reference, other, twin):
        session.step(xs[0])
    for name, state in reference.state.items():
        np.testing.assert_allclose(other.state[name], state, rtol=1e-5, atol=1e-4, err_msg=name)
    assert twin.snapshot() == other.snapshot()
    assert gpu.complaints == []


def test_a_real_gpu_says_what_it_is_and_what_fails():
    real = cuda()
    about = real.about()
    assert about["major"] >= 5
    assert about["processors"] > 0
    assert about["driver"] >= about["runtime"] // 1000 * 1000 > 0
    with pytest.raises(CudaError, match=r"cudaMalloc: out of memory \(error 2\)"):
        real.allocate(1 << 50)
    address = real.allocate(1000)
    assert address % ALIGNMENT == 0
    stream = real.stream()
    there, back = np.arange(250, dtype=np.int32), np.zeros(250, np.int32)
    real.upload(address, there, stream)
    real.download(back, address, stream)
    real.wait(stream)
    np.testing.assert_array_equal(back, there)
    real.free(address)
    real.end(stream)
