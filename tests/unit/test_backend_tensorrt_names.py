"""What the tensorrt backend calls is in TensorRT's own Python bindings, and our TensorRT for tests is like them.

The bindings load without TensorRT's libraries: in their place stand empty ones, compiled here, that make nothing.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fake_tensorrt import BUILDER_FLAGS, FLAGS

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.find_spec("tensorrt_bindings")
COMPILER = shutil.which("cc")
pytestmark = [
    pytest.mark.skipif(SPEC is None, reason="TensorRT's bindings are not installed (tensorrt-cu12-bindings, or cu13)"),
    pytest.mark.skipif(COMPILER is None, reason="there is no C compiler (cc)"),
]

MAKERS = {
    "nvinfer": (
        *("createInferBuilder_INTERNAL", "createInferRefitter_INTERNAL", "createInferRuntime_INTERNAL"),
        *("getBuilderPluginRegistry", "getPluginRegistry"),
    ),
    "nvonnxparser": ("createNvOnnxParserRefitter_INTERNAL", "createNvOnnxParser_INTERNAL", "getNvOnnxParserVersion"),
    "nvinfer_plugin": ("initLibNvInferPlugins",),
}
LOOK = """
import sys
import tensorrt_bindings as trt
from edgesnn.runtime.backends.plans import Maker, PlanError

used = {
    "Builder": "create_network create_builder_config build_serialized_network",
    "IBuilderConfig": "clear_flag",
    "OnnxParser": "parse num_errors get_error",
    "ParserError": "desc",
    "Runtime": "deserialize_cuda_engine",
    "ICudaEngine": "num_io_tensors get_tensor_name get_tensor_mode get_tensor_dtype get_tensor_shape"
    " create_execution_context",
    "IExecutionContext": "set_tensor_address execute_async_v3",
    "DataType": "FLOAT INT32 INT64 UINT8",
    "TensorIOMode": "INPUT",
}
for name, members in used.items():
    for member in members.split():
        getattr(getattr(trt, name), member)
for kind, wanted in zip((trt.NetworkDefinitionCreationFlag, trt.BuilderFlag), eval(sys.argv[1])):
    found = {name: int(value) for name, value in kind.__members__.items()}
    assert wanted.items() <= found.items(), (wanted, found)
    assert all(name in wanted for name in ("EXPLICIT_BATCH", "FP16") if name in found), found
try:
    Maker(trt, {}).engine(b"", "here")
except PlanError as error:
    print(trt.__version__, error)
"""


def empty_libraries(folder: Path, number: str) -> None:
    for name, functions in MAKERS.items():
        source = folder / f"{name}.c"
        source.write_text("".join(f"void *{function}(void) {{ return 0; }}\n" for function in functions))
        library = f"lib{name}.so.{number}"
        command = [
            str(COMPILER),
            "-shared",
            "-fPIC",
            f"-Wl,-soname,{library}",
            "-o",
            str(folder / library),
            str(source),
        ]
        subprocess.run(command, check=True, timeout=60)


def test_the_bindings_have_what_is_called_and_their_failure_is_a_line(tmp_path):
    assert SPEC is not None
    assert SPEC.origin is not None
    found = re.search(r'__version__ = "(\d+)', Path(SPEC.origin).read_text("utf-8"))
    assert found is not None
    empty_libraries(tmp_path, found[1])
    version = next(name for name in FLAGS if name.startswith(f"{found[1]}."))
    done = subprocess.run(
        [sys.executable, "-c", LOOK, repr((FLAGS[version], BUILDER_FLAGS[version]))],
        env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "factory function returned nullptr" in done.stdout
