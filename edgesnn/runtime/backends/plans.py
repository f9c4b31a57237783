"""TensorRT's plans: built from a step graph once, kept in a folder that the user names.

A plan is a program: whoever may write it may run code here. Plans are kept only where EDGESNN_TENSORRT_PLANS says, are
named after all that they depend on, and one is read only if nobody else could have written it and its bytes are whole.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
import threading
from collections import deque
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edgesnn.graph.container import replace_file

FOLDER_VARIABLE = "EDGESNN_TENSORRT_PLANS"
MAGIC = b"edgesnn plan 1\n"

_log = logging.getLogger("edgesnn.backends")
_building = threading.Lock()


class PlanError(Exception):
    """TensorRT makes no engine; the words are TensorRT's own where it has some."""


class Maker:
    """Makes engines with the `tensorrt` module; builds one at a time.

    Args:
        trt: the module, 10.3 or newer.
        device: what a plan depends on besides TensorRT's version: `Cuda.about`.
    """

    def __init__(self, trt: Any, device: dict[str, int]) -> None:
        self._trt = trt
        self._device = device

    def engine(self, model: bytes, where: str) -> Any:
        """Return the `ICudaEngine` of an ONNX file, from its plan if there is one.

        Raises:
            PlanError: TensorRT takes no such model, or cannot build it.
        """
        with _building:
            try:
                self._process = _process(self._trt)
                self._process.said.clear()
                return self._kept(model) or self._new(model, where)
            except PlanError:
                raise
            except Exception as error:  # a constructor of TensorRT that fails raises what pybind11 makes of it
                raise PlanError(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}") from error

    def _kept(self, model: bytes) -> Any:
        """Return the engine of a plan that is there, or None."""
        path = self._path(model)
        if path is None or (plan := _read(path)) is None:
            return None
        try:
            engine, why = self._awake(plan), self._why()
        except Exception as error:  # of the bindings, which have no common class
            engine, why = None, " ".join(str(error).split())[:300]
        if engine is None:
            _log.warning("%s: TensorRT does not take the plan (%s); the engine is built again", path, why)
        return engine

    def _new(self, model: bytes, where: str) -> Any:
        _log.info("%s: TensorRT builds an engine, which can take minutes", where)
        plan = self._built(model)
        engine = self._awake(plan)
        if engine is None:
            raise PlanError(f"it does not take the plan that it built: {self._why()}")
        if (path := self._path(model)) is not None:
            _write(path, plan)
        return engine

    def _built(self, model: bytes) -> bytes:
        trt = self._trt
        builder = trt.Builder(self._process.logger)
        # 11 knows strongly typed networks only, and keeps the flag for such callers as this
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = trt.OnnxParser(network, self._process.logger)
        if not parser.parse(model):
            errors = [" ".join(str(parser.get_error(i).desc()).split()) for i in range(parser.num_errors)]
            raise PlanError(f"its parser does not take the model: {'; '.join(errors[:3]) or self._why()}")
        config = builder.create_builder_config()
        config.clear_flag(trt.BuilderFlag.TF32)  # 10 bits of a product would move membranes across thresholds
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise PlanError(f"it builds no engine: {self._why()}")
        return bytes(plan)

    def _awake(self, plan: bytes) -> Any:
        return self._process.runtime.deserialize_cuda_engine(plan)

    def _why(self) -> str:
        return last_error(self._trt)

    def _path(self, model: bytes) -> Path | None:
        """Return where the plan belongs: named after the model, the device and the versions."""
        folder = os.environ.get(FOLDER_VARIABLE)
        if not folder:
            return None
        facts = {"model": hashlib.sha256(model).hexdigest(), "tensorrt": self._trt.__version__, **self._device}
        key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return Path(folder) / f"{key}.plan"


def last_error(trt: Any) -> str:
    """Return the last error that TensorRT logged."""
    said = _process(trt).said
    return said[-1] if said else "it says no reason"


@dataclass(frozen=True)
class _Process:
    """What TensorRT wants once in a process and as long as an engine lives.

    Attributes:
        logger: an `ILogger`.
        said: the errors that it was given.
        runtime: a `Runtime`.
    """

    logger: Any
    said: deque[str]
    runtime: Any


@cache
def _process(trt: Any) -> _Process:
    said: deque[str] = deque(maxlen=8)
    errors = (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR)

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            line = " ".join(message.split())[:300]
            if severity in errors:
                said.append(line)
            _log.debug("TensorRT: %s", line)

    logger = Logger()
    return _Process(logger, said, trt.Runtime(logger))


def _read(path: Path) -> bytes | None:
    """Return a plan that is ours and whole; None where there is none, with a line in the log where there is another."""
    try:
        _ours(os.lstat(path.parent), stat.S_ISDIR)
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            _ours(os.fstat(file.fileno()), stat.S_ISREG)
            data = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning("%s: the plan is not used (%s); the engine is built again", path, error.strerror or str(error))
        return None
    begin = len(_head(path, b""))
    if data[:begin] != _head(path, data[begin:]):
        _log.warning("%s: the plan is damaged or another's; the engine is built again", path)
        return None
    return data[begin:]


def _head(path: Path, plan: bytes) -> bytes:
    """Return what stands before a plan: a file under another's name is as wrong as one that lost a byte."""
    return MAGIC + path.stem.encode() + hashlib.sha256(plan).digest()


def _ours(status: os.stat_result, kind: Any) -> None:
    """Refuse what another user could have written."""
    if not kind(status.st_mode) or status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
        raise PermissionError("others may write it or its folder")


def _write(path: Path, plan: bytes) -> None:
    """Keep a plan; where that fails the next start builds again."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, [_head(path, plan), plan])
    except OSError as error:
        _log.warning("%s: the plan cannot be kept: %s", path, error.strerror or str(error))
