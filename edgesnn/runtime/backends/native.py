"""The native backend: the door to `native/executor`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from edgesnn.errors import BackendError
from edgesnn.graph import Document
from edgesnn.runtime.backends.base import Array, Engine


class NativeBackend:
    """See `edgesnn.runtime.backends.base.Backend`."""

    def available(self) -> str | None:
        """See `Backend.available`; a build without the native module cannot."""
        try:
            from edgesnn import _native  # noqa: F401
        except (ImportError, BackendError) as error:
            return str(error)
        return None

    def prepare(self, document: Document) -> tuple[Document, Any]:
        """See `Backend.prepare`.

        Raises:
            BackendError: the arm that EDGESNN_ARM names cannot run here.
        """
        from edgesnn import _native

        return document, _native.executor.Model(source(document))

    def engine(self, prepared: Any, record: Sequence[str]) -> Engine:
        """See `Backend.engine`."""
        document, model = prepared
        return NativeEngine(document, model, record)


class NativeEngine:
    """See `edgesnn.runtime.backends.base.Engine`."""

    def __init__(self, document: Document, model: Any, record: Sequence[str]) -> None:
        from edgesnn import _native

        self._outputs = document.outputs
        self._recorded = [o for n in document.nodes if n.name in record for o in n.outputs]
        self._points = document.input["kind"] == "points"
        self._session = _native.executor.Session(model, list(self._outputs), self._recorded, True)
        self.state: Mapping[str, Array] = self._session.states()
        self.recorded: Mapping[str, Array] = {}

    @property
    def step_number(self) -> int:
        """See `Engine.step_number`."""
        return int(self._session.step_number)

    @step_number.setter
    def step_number(self, value: int) -> None:
        self._session.step_number = value

    @property
    def spikes(self) -> int:
        """See `Engine.spikes`."""
        return int(self._session.spikes)

    @property
    def synops(self) -> int:
        """See `Engine.synops`."""
        return int(self._session.synops)

    def step(self, x: Any) -> Mapping[str, Array]:
        """See `Engine.step`."""
        return self._keep(self._session.step_points(x) if self._points else self._session.run_array(x[np.newaxis]))

    def run(self, x: Any) -> Mapping[str, Array]:
        """See `Engine.run`."""
        return self._keep(self._session.run_points(x) if self._points else self._session.run_array(x))

    def reset(self) -> None:
        """See `Engine.reset`."""
        self._session.reset()

    def _keep(self, arrays: list[Array]) -> Mapping[str, Array]:
        count = len(self._outputs)
        self.recorded = dict(zip(self._recorded, arrays[count:], strict=True))
        return dict(zip(self._outputs, arrays[:count], strict=True))


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
    if section["kind"] != "spikes":
        return section
    return {"kind": "dense", "shape": section["shape"], "value": "int", "bound": section["bound"]}


def _native_order(document: Document) -> Sequence[Any]:
    """Return the states in the graph's order, whatever their order in the file."""
    order = [state.name for state in document.analysis.states("never")]
    return sorted(document.states, key=lambda state: order.index(state.name))
