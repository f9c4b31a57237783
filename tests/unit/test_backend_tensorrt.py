"""The tensorrt backend on a TensorRT of our own making (`tests/fake_tensorrt.py`): its logic, not TensorRT's answers.

Spikes are compared with the reference's: the fake computes the file as written, node by node.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed (extra onnx)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra onnx)")

import edgesnn
from bench.backend_cases import PRECISIONS, compare, shipped
from edgesnn.errors import BackendError
from edgesnn.runtime import Model
from edgesnn.runtime.backends import cuda as runtime
from edgesnn.runtime.backends import plans, tensorrt
from edgesnn.runtime.backends.cuda import Cuda, CudaError
from edgesnn.runtime.backends.tensorrt import TensorrtBackend
from tests.fake_tensorrt import FLAGS, Device, Engine, Library, Runtime, module
from tests.one_operator import document as one_operator
from tests.small_graphs import integers, language, recurrent

ONES = np.ones(20, np.uint8)


@pytest.fixture(params=sorted(FLAGS))
def device(request, monkeypatch):
    """A GPU with TensorRT; at the end nobody has complained and nothing is left on it."""
    gpu = Device()
    monkeypatch.setitem(sys.modules, "tensorrt", module(gpu, request.param))
    library = Cuda(Library(gpu))
    monkeypatch.setattr(tensorrt, "cuda", lambda: library)
    monkeypatch.delenv(plans.FOLDER_VARIABLE, raising=False)
    yield gpu
    gc.collect()
    assert gpu.complaints == []
    assert gpu.empty


@pytest.fixture
def kept(tmp_path, monkeypatch):
    folder = tmp_path / "plans"
    monkeypatch.setenv(plans.FOLDER_VARIABLE, str(folder))
    return folder


def same(reference: Any, other: Any) -> None:
    """Compare what sums of floats in another order leave: integers to the bit, the rest closely."""
    for name, state in reference.state.items():
        if state.dtype == np.float32:
            np.testing.assert_allclose(other.state[name], state, rtol=1e-5, atol=1e-4, err_msg=name)
        else:
            np.testing.assert_array_equal(other.state[name], state, err_msg=name)
    assert reference.layers == other.layers
    assert reference.step_number == other.step_number


@pytest.mark.parametrize("make", [integers, recurrent])
def test_steps_states_and_counts_are_the_references(device, make):
    made = make()
    nodes = [node.name for node in made.nodes]
    reference, other = (Model(made, backend=name).session(record=nodes) for name in ("reference", "tensorrt"))
    xs = (np.random.default_rng(0).random((10, *made.input["shape"])) < 0.4).astype(np.uint8)
    np.testing.assert_allclose(other.run(xs), reference.run(xs), rtol=1e-5, atol=1e-4)
    same(reference, other)
    for x in xs[:3]:
        np.testing.assert_allclose(other.step(x), reference.step(x), rtol=1e-5, atol=1e-4)
        same(reference, other)
    for change in ("new_window", "reset"):
        for session in (reference, other):
            getattr(session, change)()
            session.step(xs[0])
        same(reference, other)


def test_a_token_model_gives_the_references_logits(device):
    made = language()
    reference, other = (Model(made, backend=name).session() for name in ("reference", "tensorrt"))
    tokens = np.random.default_rng(0).integers(0, 17, 20)
    np.testing.assert_allclose(other.run(tokens), reference.run(tokens), rtol=1e-5, atol=1e-5)


def test_cold_starts_take_the_number_of_the_step(device):
    weight = {"weight": np.full((1, 1), 2.0), "scale": np.ones(1), "bias": np.ones(1)}
    made = one_operator("linear", [1], {"activations": "float32", "cold_start": "skip"}, weight)
    session = Model(made, backend="tensorrt").session()
    assert np.asarray(session.run(np.ones((3, 1), np.float32))).ravel().tolist() == [0, 3, 3]


SHIPPED = [(name, precision) for name in ("digits", "gestures", "shakespeare") for precision in PRECISIONS]


@pytest.mark.parametrize(
    ("name", "precision"), [("gestures", "int8"), *(pytest.param(*one, marks=pytest.mark.full) for one in SHIPPED)]
)
def test_shipped_models_decide_as_native(device, name, precision):
    found = compare(shipped(name, precision, 1), "tensorrt")
    assert found["different"] == 0
    assert found["mismatches"] <= 1e-4 * found["values"]
    assert found["spikes"] > 0


def test_a_state_that_is_written_is_what_the_next_step_reads(device):
    first, second = (Model(integers(), backend="tensorrt").session() for _ in range(2))
    for _ in range(4):
        first.step(ONES)
    for name, state in first.state.items():
        second.state[name][...] = state
    np.testing.assert_array_equal(first.step(ONES), second.step(ONES))
    assert {n: s.tolist() for n, s in first.state.items()} == {n: s.tolist() for n, s in second.state.items()}


def test_snapshots_pass_between_engines_and_sessions_are_apart(device):
    native, other = (Model(integers(), backend=name).session() for name in ("native", "tensorrt"))
    fresh = other.clone()
    for _ in range(5):
        native.step(ONES)
    other.restore(native.snapshot())
    twin = other.clone()
    for session in (native, other, twin):
        session.step(ONES)
    assert native.snapshot() == other.snapshot() == twin.snapshot()
    assert not any(state.any() for state in fresh.state.values())


def test_sessions_share_an_engine_and_one_that_shows_more_has_its_own(device):
    model = Model(integers(), backend="tensorrt")
    assert device.builds == 1
    sessions = [model.session(), model.session(threads=2)]
    assert device.builds == 1
    sessions += [model.session(account=False), model.session(account=False)]
    assert device.builds == 2
    del sessions


# --- plans that are kept --------------------------------------------------------------------------------------------


def session_of(made: Any) -> Any:
    return Model(made, backend="tensorrt").session()


def test_without_a_folder_nothing_is_kept(device, tmp_path):
    session_of(integers())
    session_of(integers())
    assert device.builds == 2


def test_an_engine_is_built_once_for_a_model_a_device_and_a_version(device, kept, monkeypatch):
    session_of(integers())
    session_of(integers())
    assert device.builds == 1
    assert os.stat(kept).st_mode & 0o777 == 0o700
    session_of(recurrent())
    device.processors = 16
    session_of(integers())
    other = next(version for version in FLAGS if version != sys.modules["tensorrt"].__version__)
    monkeypatch.setitem(sys.modules, "tensorrt", module(device, other))
    session_of(integers())
    assert device.builds == 4
    assert len(list(kept.iterdir())) == 4


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def turned(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def anothers(path: Path) -> None:
    """A whole plan under a name that is not its own."""
    other = path.with_name("0" * 64 + ".plan")
    plans._write(other, b"{}\n")
    path.write_bytes(other.read_bytes())
    other.unlink()


def unknown(path: Path) -> None:
    """Whole and rightly named, but nothing that this TensorRT takes."""
    plans._write(path, b"{}\n")


def open_to_all(path: Path) -> None:
    path.chmod(0o666)


def in_an_open_folder(path: Path) -> None:
    path.parent.chmod(0o777)


def a_link(path: Path) -> None:
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


@pytest.mark.parametrize("change", [cut, turned, emptied, anothers, unknown, open_to_all, in_an_open_folder, a_link])
def test_a_plan_that_is_damaged_or_anothers_is_built_again_with_a_line(device, kept, change, caplog):
    session_of(integers())
    (path,) = kept.iterdir()
    change(path)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "edgesnn.backends"):
        session = session_of(integers())
    assert device.builds == 2
    assert [record.getMessage().startswith(f"{path}: ") for record in caplog.records] == [True]
    assert "again" in caplog.text
    np.testing.assert_array_equal(session.step(ONES), Model(integers(), backend="reference").session().step(ONES))


def test_a_plan_that_bindings_raise_for_is_built_again_too(device, kept, monkeypatch, caplog):
    session_of(integers())
    awake, calls = Runtime.deserialize_cuda_engine, []

    def raising(self, plan):
        calls.append(plan)
        if len(calls) == 1:
            raise RuntimeError("serialization assertion failed")
        return awake(self, plan)

    monkeypatch.setattr(Runtime, "deserialize_cuda_engine", raising)
    with caplog.at_level(logging.WARNING, "edgesnn.backends"):
        session_of(integers()).step(ONES)
    assert (device.builds, len(calls)) == (2, 2)
    assert "does not take the plan (serialization assertion failed); the engine is built again" in caplog.text


def test_where_a_plan_cannot_be_kept_the_session_runs(device, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv(plans.FOLDER_VARIABLE, str(tmp_path / "file" / "plans"))
    session_of(integers()).step(ONES)
    assert "cannot be kept" in caplog.text


# --- what fails -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fails", "words"),
    [
        ("parse", "its parser does not take the model: no importer registered for op: Mod"),
        ("build", "it builds no engine: could not find any implementation for node nt7"),
        ("Builder", r"TypeError: pybind11::init\(\): factory function returned nullptr"),
        ("Runtime", r"TypeError: pybind11::init\(\): factory function returned nullptr"),
        ("context", "TensorRT makes no execution context: requested size was 4096 and could not be allocated"),
        ("cudaStreamCreate", r"cudaStreamCreate: an illegal access \(error 700\)"),
    ],
)
def test_an_engine_that_cannot_be_made_is_one_line(device, fails, words):
    device.fails.add(fails)
    with pytest.raises(BackendError, match=f"backend 'tensorrt': .*: found {words}") as caught:
        session_of(integers())
    assert "\n" not in str(caught.value)
    device.fails.clear()


def test_a_device_without_room_is_one_line(device):
    device.room = 600
    with pytest.raises(BackendError, match=r"no place on the device: found cudaMalloc: out of memory \(error 2\)"):
        session_of(integers())
    device.room = 1 << 20
    session_of(integers()).step(ONES)


@pytest.mark.parametrize(
    ("fails", "words"),
    [
        ("execute", "TensorRT refuses the step: the context is broken"),
        ("cudaMemcpyAsync", r"cudaMemcpyAsync: an illegal access \(error 700\)"),
    ],
)
def test_a_step_that_fails_leaves_the_state_as_it_was(device, fails, words):
    session = session_of(integers())
    session.step(ONES)
    before = session.snapshot()
    device.fails.add(fails)
    with pytest.raises(BackendError, match=f"engine failed in a step: found {words}"):
        session.step(ONES)
    device.fails.clear()
    assert session.snapshot() == before
    session.step(ONES)
    device.fails.add("cudaMemcpyAsync")
    for call in (session.snapshot, session.clone):
        with pytest.raises(BackendError, match=r"cudaMemcpyAsync: an illegal access \(error 700\)"):
            call()
    device.fails.clear()
    twin = session_of(integers())
    twin.run(np.stack([ONES, ONES]))
    assert session.snapshot() == twin.snapshot()


def test_an_engine_of_other_tensors_is_refused_before_it_writes(device, monkeypatch):
    monkeypatch.setattr(Engine, "get_tensor_shape", lambda *_: (3,))
    with pytest.raises(BackendError, match=r"the engine's tensor '.*' is \(.*\), not \("):
        session_of(integers())


# --- where it cannot run --------------------------------------------------------------------------------------------


@pytest.fixture
def installed(monkeypatch):
    versions: dict[str, str | None] = {"onnx": "1.18.0", "tensorrt": "10.3.0"}

    def version(name: str) -> str:
        found = versions.get(name)
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(metadata, "version", version)
    for name in versions:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(tensorrt, "cuda", lambda: Cuda(Library(Device())))
    return versions


def test_it_can_run_with_versions_that_are_new_enough_and_a_device(installed):
    assert TensorrtBackend().available() is None


def test_the_board_s_package_may_have_no_metadata(installed, monkeypatch):
    installed["tensorrt"] = None
    monkeypatch.setitem(sys.modules, "tensorrt", module(Device(), "10.3.0"))
    assert TensorrtBackend().available() is None


def test_without_the_package_it_says_where_it_comes_from(installed, monkeypatch):
    installed["tensorrt"] = None
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    reason = "tensorrt is not installed; it comes with the board (JetPack's python3-libnvinfer), not from PyPI"
    assert TensorrtBackend().available() == reason
    with pytest.raises(BackendError, match="backend 'tensorrt': backend cannot run here: found tensorrt is not"):
        edgesnn.load("digits", backend="tensorrt")


def test_a_tensorrt_that_is_too_old_is_named_with_the_least_version(installed):
    installed["tensorrt"] = "8.6.2"
    assert str(TensorrtBackend().available()).startswith("tensorrt 8.6.2 is too old, at least 10.3 is needed; ")


def counting(number: int, devices: int = 0) -> Any:
    """Return a library whose count of devices fails with an error number, or is so many."""
    library = Library(Device())

    def count(place: Any) -> int:
        place._obj.value = devices
        return number

    library.cudaGetDeviceCount = count  # type: ignore[attr-defined]
    return library


@pytest.mark.parametrize(
    ("libraries", "words"),
    [
        ([], "the CUDA runtime (libcudart.so) is not found"),
        ([counting(0)], "there is no CUDA device"),
        ([counting(35)], "cudaGetDeviceCount: an illegal access (error 35)"),
    ],
)
def test_without_a_device_it_says_so(installed, monkeypatch, libraries, words):
    monkeypatch.setattr(runtime, "_libraries", lambda: iter(libraries))
    monkeypatch.setattr(tensorrt, "cuda", runtime.cuda.__wrapped__)
    assert TensorrtBackend().available() == words


def test_a_library_too_new_for_the_driver_is_passed_over(monkeypatch):
    monkeypatch.setattr(runtime, "_libraries", lambda: iter([counting(35), counting(0, devices=1)]))
    assert runtime.cuda.__wrapped__().devices() == 1


def test_libraries_are_looked_for_and_those_that_are_not_there_passed_over(monkeypatch):
    monkeypatch.setattr(runtime, "NAMES", ("libnosuchthing.so.1", "libc.so.6"))
    monkeypatch.setattr(runtime.ctypes.util, "find_library", lambda _: None)
    assert len(list(runtime._libraries())) == 1


def test_a_pointer_that_is_lost_is_an_error_of_the_call():
    library = Library(device := Device())
    with pytest.raises(CudaError, match=r"cudaFree: an illegal access \(error 700\)"):
        Cuda(library).free(256)
    assert device.complaints
