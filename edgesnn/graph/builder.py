"""Making a document node by node: plain arrays in, kernel layouts out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from edgesnn.errors import ModelError
from edgesnn.graph import fields
from edgesnn.graph.document import Document, canonical
from edgesnn.graph.layout import GROUPS
from edgesnn.graph.operators.base import Operator
from edgesnn.graph.operators.registry import OPERATORS, find
from edgesnn.graph.tensors import Int4, Plain, plain_array, store
from edgesnn.graph.values import Node, Tensor

WHERE = "model"


class Builder:
    """Collects nodes, then gives the validated `Document`.

    Args:
        input: the `input` section; kind "dense" may leave out value ("float32") and bound (255 for "int"), kind
            "spikes" value ("binary"), bound (1 for "binary") and events (null), kind "tokens" the tokenizer (null).
        reset: when states go back to their initial value: a policy's word, or an object with `policy`, `tokens` and
            `idle_ms` (docs/model-file.md, "States"); default "window" for points, else "never".

    >>> import numpy as np
    >>> b = Builder(input={"kind": "dense", "shape": [2]})
    >>> ones = np.ones(3, dtype=np.float32)
    >>> current = b.add("linear", "input", name="fc", attributes={"activations": "float32"},
    ...                 tensors={"weight": np.ones((3, 2), dtype=np.float32), "scale": ones, "bias": ones})
    >>> b.document(outputs=[current]).analysis.values["fc"].shape
    (3,)
    """

    def __init__(self, *, input: Mapping[str, Any], reset: str | Mapping[str, Any] | None = None) -> None:
        self._input = fields.fill_input(input)
        policy = reset or ("window" if self._input.get("kind") == "points" else "never")
        self._reset = fields.reset_policy(policy, WHERE, "reset")
        self._nodes: list[Node] = []
        self._tensors: dict[str, Tensor] = {}

    @classmethod
    def of(cls, document: Document, *, reset: str | Mapping[str, Any] | None = None) -> Builder:
        """Return a builder that goes on from a document's nodes; see `Builder` for `reset`, of all states."""
        made = cls(input=document.input, reset=reset)
        made._nodes, made._tensors = list(document.nodes), dict(document.tensors)
        return made

    def add(
        self,
        op: str,
        inputs: str | Sequence[str],
        *,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        tensors: Mapping[str, Plain] | None = None,
        outputs: str | Sequence[str] | None = None,
    ) -> Any:
        """Add a node and return its output's name, or a tuple of names where there are several.

        Args:
            op: operator name.
            inputs: value names; the graph's input is "input".
            name: the node's name, unique.
            attributes: those that differ from the operator's defaults.
            tensors: plain arrays: weights [N, ...] float32, int8 or `Int4`, vectors float32 or int32.
            outputs: names of the values; default the node's name (and the operator's suffixes).

        Raises:
            ModelError: the operator is not known, a name that a file cannot hold, or a tensor that no layout holds.
                The rest is checked by `document`.
        """
        fields.text(name, WHERE, "node's name")
        operator = find(op)
        if operator is None:
            raise ModelError("operator is not known", where=f"node {name!r}", found=op, expected=", ".join(OPERATORS))
        made = tuple(name + suffix for suffix in operator.results) if outputs is None else _names(outputs, "outputs")
        filled = _attributes(operator, attributes or {})
        roles = {
            role: self._store(operator, f"{name}.{role}", role, array, filled)
            for role, array in (tensors or {}).items()
        }
        self._nodes.append(Node(name, op, _names(inputs, "inputs"), made, filled, roles))
        return made[0] if len(made) == 1 else made

    def keep_only(self, outputs: str | Sequence[str]) -> None:
        """Drop the nodes, and their tensors, on which none of these outputs depends."""
        made_by = {name: node for node in self._nodes for name in node.outputs}
        wanted: set[str] = set()
        waiting = list(_names(outputs, "graph.outputs"))
        while waiting:
            node = made_by.get(waiting.pop())
            if node is not None and node.name not in wanted:
                wanted.add(node.name)
                waiting += node.inputs
        self._nodes = [node for node in self._nodes if node.name in wanted]
        used = {name for node in self._nodes for name in node.tensors.values()}
        self._tensors = {name: tensor for name, tensor in self._tensors.items() if name in used}

    def document(
        self,
        *,
        outputs: str | Sequence[str],
        readout: Mapping[str, Any] | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Document:
        """Return the validated document.

        Args:
            outputs: names of the graph's output values.
            readout: at least node and labels; the rest has defaults (temperature 1, nothing rejected).
            provenance: any JSON object.

        Raises:
            ModelError: anything that does not fit; names node or tensor, found and expected.
        """
        section = fields.check_input(self._input, WHERE)
        draft = Document(section, tuple(self._nodes), _names(outputs, "graph.outputs"), (), self._tensors)
        states = tuple(replace(state, **self._reset) for state in draft.analysis.states("never"))
        if readout is not None:
            readout = {**fields.READOUT_DEFAULTS, **readout}
        canonical([section, provenance])  # refuses what a file could not hold
        checked = fields.check_readout(readout, draft.analysis, draft.outputs, WHERE)
        return Document(section, draft.nodes, draft.outputs, states, draft.tensors, checked, dict(provenance or {}))

    def _store(self, operator: Operator, name: str, role: str, array: Plain, attributes: Mapping[str, Any]) -> str:
        number, plain = plain_array(name, array)
        layout = operator.layout(role, number, plain.ndim, attributes)
        group = attributes.get("group", array.group if isinstance(array, Int4) else 0)
        if layout == "om16x8" and group not in GROUPS:
            what = "attribute 'group' is wrong" if "group" in attributes else "group of Int4 is wrong"
            raise ModelError(what, where=f"tensor {name!r}", found=str(group), expected=str(GROUPS))
        self._tensors[name] = store(plain, layout, group)
        return name


def _names(values: str | Sequence[str], at: str) -> tuple[str, ...]:
    """Return one name or several as a tuple, checked as a file's are."""
    return fields.names([values] if isinstance(values, str) else list(values), WHERE, at)


def _attributes(operator: Operator, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all attributes: defaults filled in, whole numbers as floats where one is wanted, tuples as lists."""
    filled = {name: default for name, (default, _) in operator.attributes.items() if default is not None}
    filled.update(given)
    for name, (_, allowed) in operator.attributes.items():
        value = filled.get(name)
        if allowed is float and type(value) is int:
            filled[name] = float(value)
        if allowed is list and isinstance(value, (list, tuple)):
            filled[name] = list(value)
    return filled
