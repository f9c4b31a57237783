"""The onnx backend: the step graph of `edgesnn.exporters.onnx` in onnxruntime, states in two buffers that are swapped.

Windows stay ours: what `point_code` makes comes from another backend. Nothing is imported before a model is prepared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesnn.errors import BackendError
from edgesnn.exporters import registry as exporters
from edgesnn.graph import Document
from edgesnn.packages import missing
from edgesnn.runtime.backends.base import Array
from edgesnn.runtime.backends.stepping import Buffers, SteppingBackend

LEAST = {"onnx": exporters.LEAST["onnx"], "onnxruntime": (1, 17)}
"""Oldest versions: onnxruntime 1.17 brought the accuracy level of MatMulNBits."""

INSTALL = "pip install 'edgesnn[onnx]'"


class OnnxBackend(SteppingBackend):
    """See `edgesnn.runtime.backends.base.Backend`."""

    def available(self) -> str | None:
        """See `Backend.available`: both packages must be there, not too old, and must import."""
        return next((why for name, least in LEAST.items() if (why := missing(name, least, INSTALL)) is not None), None)

    def built(self, document: Document, shown: tuple[str, ...], threads: int) -> Any:
        """See `SteppingBackend.built`: an `InferenceSession`."""
        import onnxruntime

        from edgesnn.exporters.onnx.model import step_model

        how = onnxruntime.SessionOptions()
        how.intra_op_num_threads, how.inter_op_num_threads = threads, 1
        how.add_session_config_entry("session.intra_op.allow_spinning", "0")
        how.log_severity_level = 3
        data = step_model(document, shown).SerializeToString()
        try:
            return onnxruntime.InferenceSession(data, how, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no common class
            found = " ".join(str(error).split())[:300]
            where = f"{document.where}, backend 'onnx'"
            raise BackendError("onnxruntime does not take the model", where=where, found=found) from error

    def buffers(self, built: Any, arrays: Mapping[str, Array], states: Mapping[str, Array], where: str) -> Buffers:
        """See `SteppingBackend.buffers`: two bindings."""
        return Bound(built, arrays, states)


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
