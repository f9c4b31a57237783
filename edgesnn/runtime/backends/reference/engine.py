"""The reference engine: the graph's nodes in order, step after step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesnn.graph import Document, NodeView
from edgesnn.graph.analysis import INPUT
from edgesnn.graph.operators.base import Operator
from edgesnn.runtime.backends.base import Array, Engine, Keep, Options, state_array, step_each
from edgesnn.runtime.backends.in_python import EngineInPython
from edgesnn.runtime.backends.reference.base import ReferenceOperator, make
from edgesnn.runtime.inputs import Active


class ReferenceBackend:
    """See `edgesnn.runtime.backends.base.Backend`."""

    def available(self) -> str | None:
        """It needs numpy only."""
        return None

    def prepare(self, document: Document) -> tuple[Document, list[ReferenceOperator]]:
        """See `Backend.prepare`."""
        return document, [make(view, document) for _, view in document.analysis.operators]

    def engine(self, prepared: Any, options: Options) -> Engine:
        """See `Backend.engine`."""
        document, operators = prepared
        return ReferenceEngine(document, operators, options)

    def step_many(self, engines: Sequence[Engine], x: Any) -> Mapping[str, Array]:
        """See `Backend.step_many`."""
        return step_each(engines, x)

    def quick_many(self, engines: Sequence[Engine], active: Any) -> Mapping[str, Array] | None:
        """See `Backend.quick_many`; there is none."""
        return None


class ReferenceEngine(EngineInPython):
    """See `edgesnn.runtime.backends.base.Engine`."""

    def __init__(self, document: Document, operators: list[ReferenceOperator], options: Options) -> None:
        super().__init__(document, options)
        self._operators = operators
        self.state: Mapping[str, Array] = {s.name: state_array(s) for s in document.states}
        of_nodes = _by_node(self.state)
        self._states = [of_nodes.get(node.name, {}) for node in document.nodes]

    def _steps(self, xs: Any, keep: Keep) -> Mapping[str, Array]:
        self.counts = np.zeros_like(self.counts)
        if isinstance(xs, Active):
            xs = xs.dense(self._document.input["shape"], self._document.input["bound"])
        outputs = self._document.outputs
        recorded = [o for n in self._document.nodes if n.name in self._options.record for o in n.outputs]
        rows: dict[str, list[Array]] = {name: [] for name in (*outputs, *recorded)}
        wanted = len(xs) if recorded or self._points else {"all": len(xs), "last": 1, "none": 0}[keep]
        for i, x in enumerate(xs):
            with np.errstate(all="ignore"):
                values = self._one(x, whole=i >= len(xs) - wanted)
            for name, row in rows.items():
                if name in values:
                    row.append(values[name].copy())
        self.recorded = {name: self._stack(name, rows[name]) for name in recorded}
        if keep == "none":
            return {}
        return {name: self._stack(name, rows[name][-1:] if keep == "last" else rows[name]) for name in outputs}

    def _stack(self, name: str, row: list[Array]) -> Array:
        value = self._document.analysis.values[name]
        return np.stack(row) if row else np.zeros((0, *value.shape), value.dtype)

    def _one(self, x: Any, whole: bool) -> dict[str, Any]:
        """Do one step and return all values, or where it is not whole those that a state depends on."""
        values, types = {INPUT: x}, self._document.analysis.values
        work = list(zip(self._document.analysis.operators, self._operators, self._states, strict=True))
        lasting = self._document.analysis.lasting
        for i, ((rules, view), operator, states) in enumerate(work):
            node = view.node
            if not whole and node.name not in lasting:
                continue
            if self.step_number == 0 and node.attributes.get("cold_start") == "skip":
                values.update((name, np.zeros(types[name].shape, types[name].dtype)) for name in node.outputs)
                continue
            inputs: list[Any] = [values.get(name) for name in node.inputs]
            made = operator.step(inputs, states, self.step_number)
            values.update(zip(node.outputs, made, strict=True))
            if self._options.account:
                self.counts[i] += _work(rules, view, inputs, made[0])
        for (_, view), operator, states in work:
            if whole or view.node.name in lasting:
                operator.finish([values[name] for name in view.node.inputs], states)
        self.step_number += 1
        return values


def _work(rules: Operator, view: NodeView, inputs: Sequence[Any], made: Array) -> tuple[int, int, int]:
    """Return a node's counts of one step, as COUNTS names them."""
    spikes = int(made.sum(dtype=np.int64)) if rules.spiking and made.dtype == np.uint8 else 0
    return spikes, rules.synops(view, inputs), rules.macs(view)


def _by_node(states: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
    """Return node -> suffix -> state; a suffix has no point, a node's name may have some."""
    nodes: dict[str, dict[str, Array]] = {}
    for state, array in states.items():
        name, _, suffix = state.rpartition(".")
        nodes.setdefault(name, {})[suffix] = array
    return nodes
