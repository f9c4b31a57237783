"""The native backend: the door to `native/executor`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import BackendError, ModelError, unloadable
from edgesnn.graph import Document
from edgesnn.runtime.backends.base import COUNTS, Array, Engine, Keep, Options, QuickRun, QuickStep, step_each
from edgesnn.runtime.inputs import Active


class NativeBackend:
    """See `edgesnn.runtime.backends.base.Backend`."""

    def available(self) -> str | None:
        """See `Backend.available`; a build without the native module cannot."""
        try:
            from edgesnn import _native  # noqa: F401
        except BackendError as error:
            return str(error)
        except ImportError as error:
            return str(unloadable(error))
        return None

    def prepare(self, document: Document) -> tuple[Document, Any]:
        """See `Backend.prepare`.

        Raises:
            BackendError: the arm that EDGESNN_ARM names cannot run here.
        """
        from edgesnn import _native

        return document, _native.executor.Model(source(document))

    def engine(self, prepared: Any, options: Options) -> Engine:
        """See `Backend.engine`."""
        document, model = prepared
        return NativeEngine(document, model, options)

    def step_many(self, engines: Sequence[Engine], x: Any) -> Mapping[str, Array]:
        """See `Backend.step_many`: one pass over the weights."""
        from edgesnn import _native

        own = [engine for engine in engines if isinstance(engine, NativeEngine)]
        if own[0].points:
            return step_each(engines, x)
        sessions, many = [engine.session for engine in own], _native.executor.Session
        if isinstance(x, Active):
            return _together(own, many.step_many_events(sessions, x.indices, x.offsets))
        return _together(own, many.step_many(sessions, x))

    def quick_many(self, engines: Sequence[Engine], active: Any) -> Mapping[str, Array] | None:
        """See `Backend.quick_many`: arrays of uint32 and int64, which the module checks itself."""
        from edgesnn import _native

        if not isinstance(active, (tuple, list)) or len(active) != 2:
            return None
        indices, offsets = active
        if not (_holds(indices, np.uint32) and _holds(offsets, np.int64)):
            return None
        own = [engine for engine in engines if isinstance(engine, NativeEngine)]
        try:
            arrays = _native.executor.Session.step_many_events([engine.session for engine in own], indices, offsets)
        except ModelError:
            return None
        return _together(own, arrays)


class NativeEngine:
    """See `edgesnn.runtime.backends.base.Engine`."""

    def __init__(self, document: Document, model: Any, options: Options) -> None:
        from edgesnn import _native

        self.points = document.input["kind"] == "points"
        self.outputs = document.outputs
        self._recorded = [o for n in document.nodes if n.name in options.record for o in n.outputs]
        self.session = _native.executor.Session(
            model, list(self.outputs), self._recorded, options.account, options.threads, _active(document.input)
        )
        self.state: Mapping[str, Array] = self.session.states()
        self.recorded: Mapping[str, Array] = {}
        plain = len(self.outputs) == 1 and not self._recorded
        self.quick_step: QuickStep | None = self.session.quick_step if plain else None
        self.quick_run: QuickRun | None = self.session.quick_run if plain else None

    @property
    def step_number(self) -> int:
        """See `Engine.step_number`."""
        return int(self.session.step_number)

    @step_number.setter
    def step_number(self, value: int) -> None:
        self.session.step_number = value

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """See `Engine.counts`."""
        return np.array(self.session.counters(), dtype=np.int64).reshape(-1, len(COUNTS))

    def step(self, x: Any) -> Mapping[str, Array]:
        """See `Engine.step`."""
        return self._keep(self.session.step_points(x[0]) if self.points else self._run(x, "all"))

    def run(self, x: Any, keep: Keep) -> Mapping[str, Array]:
        """See `Engine.run`."""
        if not self.points:
            made = self._keep(self._run(x, keep))
            return {} if keep == "none" else made
        made = self._keep(self.session.run_points(x[0]))
        if keep == "none":
            return {}
        return made if keep == "all" else {name: array[-1:].copy() for name, array in made.items()}

    def reset(self) -> None:
        """See `Engine.reset`."""
        self.session.reset()

    def new_window(self) -> None:
        """See `Engine.new_window`."""
        self.session.begin_window()

    def _run(self, x: Any, keep: Keep) -> list[Array]:
        if isinstance(x, Active):
            made: list[Array] = self.session.run_events(x.indices, x.offsets, keep)
            return made
        made = self.session.run_array(x, keep)
        return made

    def _keep(self, arrays: list[Array]) -> Mapping[str, Array]:
        count = len(self.outputs)
        self.recorded = dict(zip(self._recorded, arrays[count:], strict=True))
        return dict(zip(self.outputs, arrays[:count], strict=True))


def _together(engines: Sequence[NativeEngine], arrays: list[Array]) -> Mapping[str, Array]:
    for engine in engines:
        engine.recorded = {}
    return dict(zip(engines[0].outputs, arrays, strict=True))


def _holds(array: Any, dtype: type[np.generic]) -> bool:
    return isinstance(array, np.ndarray) and array.dtype == dtype and array.flags.c_contiguous


def source(document: Document) -> dict[str, Any]:
    """Return the document as `_native.executor.Model` reads it; the arrays are those of the document."""
    return {
        "identity": document.identity,
        "input": _input(document.input),
        "nodes": [_node(document, node) for node in document.nodes],
        "states": list(_native_order(document)),
        "outputs": list(document.outputs),
        "readout": document.readout["node"] if document.readout else "",
    }


def _node(document: Document, node: Any) -> SimpleNamespace:
    tensors = {}
    for role, name in node.tensors.items():
        tensor = document.tensors[name]
        data = np.ascontiguousarray(tensor.data)
        tensors[role] = SimpleNamespace(name=name, layout=tensor.layout, shape=tensor.shape, data=data)
    return SimpleNamespace(
        name=node.name,
        op=node.op,
        inputs=node.inputs,
        outputs=node.outputs,
        attributes=dict(node.attributes),
        tensors=tensors,
    )


def _input(section: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the input as the module knows it: spikes are small integers."""
    if section["kind"] == "dense":
        return {name: section[name] for name in ("kind", "shape", "value", "bound")}
    if section["kind"] != "spikes":
        return section
    return {"kind": "dense", "shape": section["shape"], "value": "int", "bound": section["bound"]}


def _active(section: Mapping[str, Any]) -> str:
    """Return how the module reads a list of active inputs: "count" (a repeated one adds up), "binary" or "none"."""
    return str(section["value"]) if section["kind"] == "spikes" else "none"


def _native_order(document: Document) -> Sequence[Any]:
    """Return the states in the graph's order, whatever their order in the file."""
    found = {state.name: state for state in document.states}
    return [found[state.name] for state in document.analysis.states("never")]
