"""The onnx backend: the step graph of `edgesnn.exporters.onnx` in onnxruntime, states in two buffers that are swapped.

Windows stay ours: what `point_code` makes comes from another backend. Nothing is imported before a model is prepared.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from importlib import import_module, metadata
from typing import Any

from edgesnn.errors import BackendError
from edgesnn.graph import Document
from edgesnn.runtime.backends.base import Array, Engine, Options, step_each
from edgesnn.runtime.backends.stepping import Buffers, SteppingEngine

LEAST = {"onnx": (1, 16), "onnxruntime": (1, 17)}
"""Oldest versions: onnxruntime 1.17 brought the accuracy level of MatMulNBits."""

INSTALL = "pip install 'edgesnn[onnx]'"


class OnnxBackend:
    """See `edgesnn.runtime.backends.base.Backend`."""

    def available(self) -> str | None:
        """See `Backend.available`: both packages must be there, not too old, and must import."""
        return next((reason for name in LEAST if (reason := _missing(name)) is not None), None)

    def prepare(self, document: Document) -> Prepared:
        """See `Backend.prepare`; onnxruntime's session of the plain model is made at once."""
        prepared = Prepared(document)
        prepared.session((), 1)
        return prepared

    def engine(self, prepared: Any, options: Options) -> Engine:
        """See `Backend.engine`."""
        return SteppingEngine(prepared.document, options, prepared.buffers)

    def step_many(self, engines: Sequence[Engine], x: Any) -> Mapping[str, Array]:
        """See `Backend.step_many`: one after the other."""
        return step_each(engines, x)

    def quick_many(self, engines: Sequence[Engine], active: Any) -> Mapping[str, Array] | None:
        """See `Backend.quick_many`; there is none."""
        return None


class Prepared:
    """What sessions share: onnxruntime's sessions, one for each set of values that are shown. Thread-safe."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._sessions: dict[tuple[tuple[str, ...], int], Any] = {}
        self._lock = threading.Lock()

    def session(self, shown: tuple[str, ...], threads: int) -> Any:
        """Return the `InferenceSession` that also gives these values."""
        with self._lock:
            if (shown, threads) not in self._sessions:
                self._sessions[shown, threads] = self._made(shown, threads)
            return self._sessions[shown, threads]

    def buffers(self, arrays: Mapping[str, Array], states: Mapping[str, Array], options: Options) -> Buffers:
        """Return two bindings of a session over these arrays; see `Buffers`."""
        shown = tuple(name.removeprefix("value/") for name in arrays if name.startswith("value/"))
        return Bound(self.session(shown, options.threads), arrays, states)

    def _made(self, shown: tuple[str, ...], threads: int) -> Any:
        import onnxruntime

        from edgesnn.exporters.onnx.model import step_model

        how = onnxruntime.SessionOptions()
        how.intra_op_num_threads, how.inter_op_num_threads = threads, 1
        how.add_session_config_entry("session.intra_op.allow_spinning", "0")
        how.log_severity_level = 3
        data = step_model(self.document, shown).SerializeToString()
        try:
            return onnxruntime.InferenceSession(data, how, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no common class
            found = " ".join(str(error).split())[:300]
            where = f"{self.document.where}, backend 'onnx'"
            raise BackendError("onnxruntime does not take the model", where=where, found=found) from error


class Bound:
    """See `Buffers`: two bindings, each reads one set of states and writes the other."""

    def __init__(self, session: Any, arrays: Mapping[str, Array], states: Mapping[str, Array]) -> None:
        self._session = session
        self._arrays = arrays
        twins = {name: array.copy() for name, array in states.items()}
        self.states: tuple[Mapping[str, Array], Mapping[str, Array]] = (states, twins)
        self.turn = 0
        names = {value.name for value in session.get_inputs()}
        self._bindings = [self._bind(names, self.states[turn], self.states[1 - turn]) for turn in (0, 1)]

    def step(self) -> None:
        """See `Buffers.step`."""
        self._session.run_with_iobinding(self._bindings[self.turn])
        self.turn = 1 - self.turn

    def _bind(self, inputs: set[str], old: Mapping[str, Array], new: Mapping[str, Array]) -> Any:
        binding = self._session.io_binding()
        places = {
            **self._arrays,
            **{f"state/{n}": a for n, a in old.items()},
            **{f"next/{n}": a for n, a in new.items()},
        }
        for name, array in places.items():
            bind = binding.bind_input if name in inputs else binding.bind_output
            bind(name, "cpu", 0, array.dtype.type, list(array.shape), array.ctypes.data)
        return binding


def _missing(name: str) -> str | None:
    """Return why a package cannot be used, in one line, or None."""
    least = ".".join(map(str, LEAST[name]))
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        version = None
    try:
        module = import_module(name)
    except Exception as error:  # a build for another numpy or processor fails with more than ImportError
        if version is None:
            return f"{name} is not installed; {INSTALL}"
        return f"{name} {version} cannot be imported: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    version = version or str(getattr(module, "__version__", "0"))
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < LEAST[name]:
        return f"{name} {version} is too old, at least {least} is needed; {INSTALL}"
    return None
