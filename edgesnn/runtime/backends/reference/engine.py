"""The reference engine: the graph's nodes in order, step after step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesnn.encode.points import PointWindow
from edgesnn.errors import ModelError
from edgesnn.graph import Document
from edgesnn.graph.analysis import INPUT
from edgesnn.runtime.backends.base import Array, Engine, state_array
from edgesnn.runtime.backends.reference.base import ReferenceOperator, make


class ReferenceBackend:
    """See `edgesnn.runtime.backends.base.Backend`."""

    def available(self) -> str | None:
        """It needs numpy only."""
        return None

    def prepare(self, document: Document) -> tuple[Document, list[ReferenceOperator]]:
        """See `Backend.prepare`."""
        return document, [make(view, document) for _, view in document.analysis.operators]

    def engine(self, prepared: Any, record: Sequence[str]) -> Engine:
        """See `Backend.engine`."""
        document, operators = prepared
        return ReferenceEngine(document, operators, record)


class ReferenceEngine:
    """See `edgesnn.runtime.backends.base.Engine`."""

    def __init__(self, document: Document, operators: list[ReferenceOperator], record: Sequence[str]) -> None:
        self._document = document
        self._operators = operators
        self._record = record
        self.state: Mapping[str, Array] = {s.name: state_array(s) for s in document.states}
        self._states = [_of_node(self.state, node.name) for node in document.nodes]
        self.recorded: Mapping[str, Array] = {}
        self.step_number = 0
        self.spikes = 0
        self.synops = 0

    def reset(self) -> None:
        """See `Engine.reset`."""
        self._reset(("window", "never"))

    def step(self, x: Any) -> Mapping[str, Array]:
        """See `Engine.step`."""
        if self._document.input["kind"] == "points":
            check_window(x, self._document.input)
            if self.step_number >= self._document.input["steps"]:
                self._reset(("window",))
        return self._steps([x])

    def run(self, x: Any) -> Mapping[str, Array]:
        """See `Engine.run`."""
        if self._document.input["kind"] != "points":
            return self._steps(list(x))
        check_window(x, self._document.input)
        self._reset(("window",))
        return self._steps([x] * self._document.input["steps"])

    def _reset(self, policies: Sequence[str]) -> None:
        for state in self._document.states:
            if state.reset in policies:
                self.state[state.name][...] = state.initial
        self.step_number = 0

    def _steps(self, xs: Sequence[Any]) -> Mapping[str, Array]:
        self.spikes = self.synops = 0
        outputs = self._document.outputs
        recorded = [o for n in self._document.nodes if n.name in self._record for o in n.outputs]
        rows: dict[str, list[Array]] = {name: [] for name in (*outputs, *recorded)}
        for x in xs:
            with np.errstate(all="ignore"):
                values = self._one(x)
            for name, row in rows.items():
                row.append(values[name].copy())
        types = self._document.analysis.values
        stacked = {
            name: np.stack(row) if row else np.zeros((0, *types[name].shape), types[name].dtype)
            for name, row in rows.items()
        }
        self.recorded = {name: stacked[name] for name in recorded}
        return {name: stacked[name] for name in outputs}

    def _one(self, x: Any) -> dict[str, Any]:
        """Do one step and return all values."""
        values, types = {INPUT: x}, self._document.analysis.values
        work = list(zip(self._document.analysis.operators, self._operators, self._states, strict=True))
        for (rules, view), operator, states in work:
            node = view.node
            if self.step_number == 0 and node.attributes.get("cold_start") == "skip":
                values.update((name, np.zeros(types[name].shape, types[name].dtype)) for name in node.outputs)
                continue
            inputs: list[Any] = [values.get(name) for name in node.inputs]
            made = operator.step(inputs, states, self.step_number)
            values.update(zip(node.outputs, made, strict=True))
            self.synops += rules.synops(view, inputs)
            if rules.spiking and made[0].dtype == np.uint8:
                self.spikes += int(made[0].sum(dtype=np.int64))
        for (_, view), operator, states in work:
            operator.finish([values[name] for name in view.node.inputs], states)
        self.step_number += 1
        return values


def _of_node(states: Mapping[str, Array], name: str) -> dict[str, Array]:
    """Return the states of a node by suffix; a suffix has no point, a node's name may have some."""
    return {state.rpartition(".")[2]: array for state, array in states.items() if state.rpartition(".")[0] == name}


def check_window(window: Any, section: Mapping[str, Any]) -> None:
    """Check that an encoded window is one that this model's input describes.

    Raises:
        ModelError: another type, other sizes, or indices of points that do not exist.
    """
    if not isinstance(window, PointWindow):
        raise ModelError("input is not a window of points", found=type(window).__name__, expected="PointWindow")
    points, groups, neighbours = section["points"], section["groups"], section["neighbours"]
    found = (window.coordinates.shape, window.centroids.shape, window.members.shape)
    wanted = ((points, 4), (groups,), (groups, neighbours))
    if found != wanted:
        raise ModelError("window has other sizes than the model's input", found=str(found), expected=str(wanted))
    for indices in (window.centroids, window.members):
        if indices.min() < 0 or indices.max() >= points:
            raise ModelError("window has indices of points that do not exist", expected=f"0 to {points - 1}")
    if not np.isfinite(window.sd) or window.sd < 0:
        raise ModelError("window's scale is not a number", found=str(window.sd), expected="0 or more")
