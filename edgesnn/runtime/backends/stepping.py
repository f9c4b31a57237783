"""The engine of backends that run a step graph with explicit states: two sets of buffers, swapped at each step.

A backend says how an engine is built and gives `Buffers`; here are windows, inputs, resets, what is recorded and what
is counted.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from edgesnn.errors import BackendError
from edgesnn.graph import Document
from edgesnn.graph.analysis import INPUT
from edgesnn.runtime.backends.base import Array, Engine, Keep, Options, row, state_array, step_each
from edgesnn.runtime.backends.in_python import EngineInPython
from edgesnn.runtime.inputs import Active


class Buffers(Protocol):
    """Memory that a step reads and writes.

    Attributes:
        states: two sets of arrays by state; a step reads set `turn`, writes the other, and swaps.
        turn: 0 or 1: which set holds the states now.
    """

    states: tuple[Mapping[str, Array], Mapping[str, Array]]
    turn: int

    def step(self) -> None:
        """Do one step from the input arrays and set `turn`, into the output arrays and the other set; swap."""


MakeBuffers = Callable[[Mapping[str, Array], Mapping[str, Array], Options], Buffers]
"""From (inputs and outputs by their names in the graph, states at first, options)."""


class SteppingBackend(ABC):
    """See `edgesnn.runtime.backends.base.Backend`; one that inherits builds engines and gives buffers.

    Attributes:
        threaded: whether what is built depends on a session's threads.
    """

    threaded = True

    @abstractmethod
    def available(self) -> str | None:
        """See `Backend.available`."""

    @abstractmethod
    def built(self, document: Document, shown: tuple[str, ...], threads: int) -> Any:
        """Return the engine that also gives these values; shared by sessions, called by one thread at a time.

        Raises:
            BackendError: the engine does not take the model.
        """

    @abstractmethod
    def buffers(self, built: Any, arrays: Mapping[str, Array], states: Mapping[str, Array], where: str) -> Buffers:
        """Return the memory of a session over these arrays: inputs, outputs, and states at first; see `Buffers`.

        Raises:
            BackendError: there is no memory for it.
        """

    def prepare(self, document: Document) -> Prepared:
        """See `Backend.prepare`; a plain session's engine is built at once: a service loads before it is watched."""
        prepared, options = Prepared(self, document), Options()
        prepared.built(shown_values(document, options), options.threads)
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
    """What sessions share: engines, one for each set of values that are shown. Thread-safe."""

    def __init__(self, backend: SteppingBackend, document: Document) -> None:
        self.document = document
        self._backend = backend
        self._built: dict[tuple[tuple[str, ...], int], Any] = {}
        self._lock = threading.Lock()

    def built(self, shown: tuple[str, ...], threads: int) -> Any:
        """Return the engine that also gives these values."""
        key = shown, threads if self._backend.threaded else 1
        with self._lock:
            if key not in self._built:
                self._built[key] = self._backend.built(self.document, *key)
            return self._built[key]

    def buffers(self, arrays: Mapping[str, Array], states: Mapping[str, Array], options: Options) -> Buffers:
        """See `MakeBuffers`."""
        shown = tuple(name.removeprefix("value/") for name in arrays if name.startswith("value/"))
        return self._backend.buffers(self.built(shown, options.threads), arrays, states, self.document.where)


class States(Mapping[str, Array]):
    """The states where they are now: look one up again after each call."""

    def __init__(self, buffers: Buffers) -> None:
        self._buffers = buffers

    def __getitem__(self, name: str) -> Array:
        return self._buffers.states[self._buffers.turn][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._buffers.states[0])

    def __len__(self) -> int:
        return len(self._buffers.states[0])


class SteppingEngine(EngineInPython):
    """See `edgesnn.runtime.backends.base.Engine`."""

    def __init__(self, document: Document, options: Options, make: MakeBuffers) -> None:
        super().__init__(document, options)
        self._coder = _coder(document) if self._points else None
        self._recorded = _recorded(document, options)
        shown = shown_values(document, options)
        self._inputs = {name: np.zeros(value.shape, value.dtype) for name, value in self._input_types().items()}
        self._step = np.zeros((), np.int64)
        values = document.analysis.values
        self._outputs = {name: np.zeros(values[name].shape, values[name].dtype) for name in document.outputs}
        self._shown = {name: np.zeros(values[name].shape, values[name].dtype) for name in shown}
        arrays = {f"x/{name}" if self._points else "x": array for name, array in self._inputs.items()}
        arrays |= {f"output/{name}": array for name, array in self._outputs.items()}
        arrays |= {f"value/{name}": array for name, array in self._shown.items()}
        if any(node.attributes.get("cold_start") == "skip" for node in document.nodes):
            arrays["step"] = self._step
        self._buffers = make(arrays, {s.name: state_array(s) for s in document.states}, options)
        self.state: Mapping[str, Array] = States(self._buffers)

    def _input_types(self) -> Mapping[str, Any]:
        values = self._document.analysis.values
        return {name: values[name] for name in (self._coder.outputs if self._coder else (INPUT,))}

    def _steps(self, xs: Any, keep: Keep) -> Mapping[str, Array]:
        self.counts = np.zeros_like(self.counts)
        total = len(xs)
        kept = {"all": total, "last": min(1, total), "none": 0}[keep]
        wanted = total if self._recorded or self._points else kept
        outputs = {name: np.empty((kept, *array.shape), array.dtype) for name, array in self._outputs.items()}
        recorded = {
            name: np.empty((total, *self._shown[name].shape), self._shown[name].dtype) for name in self._recorded
        }
        for i in range(total):
            self._feed(row(xs, i))
            self._one(whole=i >= total - wanted)
            for name, made in recorded.items():
                made[i] = self._shown[name]
            if i >= total - kept:
                for name, made in outputs.items():
                    made[i - total + kept] = self._outputs[name]
        self.recorded = recorded
        return {} if keep == "none" else outputs

    def _feed(self, x: Any) -> None:
        """Set the inputs to those of one step."""
        if self._coder is not None:
            for name, made in self._coder.step(x, self.step_number).items():
                self._inputs[name][...] = made[0]
            return
        if isinstance(x, Active):
            x = x.dense(self._document.input["shape"], self._document.input["bound"])
        self._inputs[INPUT][...] = x[0]

    def _one(self, whole: bool) -> None:
        """Do one step; where it is not whole only the work of nodes on which a state depends counts."""
        self._step[...] = self.step_number
        try:
            self._buffers.step()
        except Exception as error:  # engines' errors have no common class
            found = " ".join(str(error).split())[:300]
            raise BackendError("engine failed in a step", where=self._document.where, found=found) from error
        if self._options.account:
            self._count(whole)
        self.step_number += 1

    def _count(self, whole: bool) -> None:
        values: dict[str, Any] = {**self._inputs, **self._shown}
        for i, (rules, view) in enumerate(self._document.analysis.operators):
            cold = self.step_number == 0 and view.node.attributes.get("cold_start") == "skip"
            if cold or not (whole or view.node.name in self._document.analysis.lasting):
                continue
            made = values.get(view.node.outputs[0]) if rules.spiking else None
            spikes = 0 if made is None or made.dtype != np.uint8 else int(made.sum(dtype=np.int64))
            inputs: list[Any] = [values.get(name) for name in view.node.inputs]
            self.counts[i] += spikes, rules.synops(view, inputs), rules.macs(view)


class _Coder:
    """Another backend's engine of the nodes that take a window."""

    def __init__(self, document: Document) -> None:
        from edgesnn.runtime.backends.registry import choose

        _, backend = choose("auto")
        self.outputs = document.outputs
        self._engine: Engine = backend.engine(backend.prepare(document), Options(account=False))

    def step(self, x: Any, step_number: int) -> Mapping[str, Array]:
        """Return the values of a step of a window, each [1, ...]."""
        self._engine.step_number = step_number
        return self._engine.step(x)


def shown_values(document: Document, options: Options) -> tuple[str, ...]:
    """Return the values that an engine gives besides its outputs, for a session of these options."""
    counted = _counted(document) if options.account else []
    return tuple(dict.fromkeys((*_recorded(document, options), *counted)))


def _recorded(document: Document, options: Options) -> list[str]:
    return [name for node in document.nodes if node.name in options.record for name in node.outputs]


def _counted(document: Document) -> list[str]:
    """Return the values that accounting needs: integer inputs of matrices, and spikes."""
    names = []
    for rules, view in document.analysis.operators:
        if rules.matrix and view.inputs[0].kind == "int":
            names.append(view.node.inputs[0])
        if rules.spiking and document.analysis.values[view.node.outputs[0]].kind == "int":
            names.append(view.node.outputs[0])
    return [name for name in names if name != INPUT]


def _coder(document: Document) -> _Coder:
    nodes = tuple(node for node in document.nodes if node.op == "point_code")
    outputs = tuple(name for node in nodes for name in node.outputs)
    return _Coder(replace(document, nodes=nodes, outputs=outputs, states=(), tensors={}, readout=None))
