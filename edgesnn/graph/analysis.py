"""Validation of the graph: names, order, attributes, tensors, types. Nothing runs that this has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError
from edgesnn.graph.container import release
from edgesnn.graph.layout import LAYOUTS, padding_is_zero, stored_shapes
from edgesnn.graph.operators.base import Operator, state_types
from edgesnn.graph.operators.delay import Delay
from edgesnn.graph.operators.registry import OPERATORS, find
from edgesnn.graph.values import (
    MAX_ELEMENTS,
    MAX_INPUTS,
    MAX_NODES,
    MAX_STATE_BYTES,
    Kind,
    Node,
    NodeView,
    StateType,
    Tensor,
    ValueType,
)

_FLOAT32_MAX = float(np.finfo(np.float32).max)

_PIECE = 1 << 20  # numbers that are looked at together

INPUT = "input"


@dataclass(frozen=True)
class Analysis:
    """What the graph's rules say.

    Attributes:
        values: type of each value by name, the input included.
        operators: each node's operator and view, in the graph's order.
    """

    values: Mapping[str, ValueType]
    operators: tuple[tuple[Operator, NodeView], ...]

    def states(self, reset: str) -> tuple[StateType, ...]:
        """Return all states in the graph's order, with the reset policy given."""
        return tuple(s for operator, view in self.operators for s in state_types(operator, view, reset))

    @cached_property
    def lasting(self) -> frozenset[str]:
        """Nodes on which a state depends: those that keep one, and all before them. The others make outputs only."""
        nodes = {name: view.node for _, view in self.operators for name in view.node.outputs}
        found = [view.node for operator, view in self.operators if operator.states(view)]
        names: set[str] = set()
        while found:
            node = found.pop()
            if node.name not in names:
                names.add(node.name)
                found += [nodes[name] for name in node.inputs if name in nodes]
        return frozenset(names)


def input_type(section: Mapping[str, Any]) -> ValueType:
    """Return the type of the graph's input; the section was checked."""
    if section["kind"] == "points":
        return ValueType("window", (section["groups"], section["neighbours"]))
    if section["kind"] == "tokens":
        return ValueType("token", (), section["vocab"] - 1)
    kind: Kind = "int" if section["kind"] == "spikes" else section["value"]
    return ValueType(kind, tuple(section["shape"]), section["bound"])


def analyse(
    section: Mapping[str, Any],
    nodes: Sequence[Node],
    outputs: Sequence[str],
    tensors: Mapping[str, Tensor],
    where: str,
) -> Analysis:
    """Return the types of all values, or raise the first ModelError."""
    values = {INPUT: input_type(section)}
    if values[INPUT].elements > MAX_ELEMENTS:
        expected = f"at most {MAX_ELEMENTS} elements"
        raise ModelError("input is too large", where=where, found=str(values[INPUT]), expected=expected)
    if len(nodes) > MAX_NODES:
        raise ModelError("too many nodes", where=where, found=str(len(nodes)), expected=f"at most {MAX_NODES}")
    for name, tensor in tensors.items():
        _check_tensor(name, tensor, where)
    made_by = _producers(nodes, where)
    operators = []
    used: dict[str, str] = {}
    for node in nodes:
        operator, view = _view(node, values, made_by, tensors, where)
        for name, value in zip(node.outputs, operator.infer(view), strict=True):
            _check_size(view, str(value), value.shape)
            values[name] = value
        for state in state_types(operator, view, "never"):
            _check_size(view, f"state {state.name} {list(state.shape)}", state.shape)
        used.update(dict.fromkeys(node.tensors.values(), node.name))
        operators.append((operator, view))
    _check_delays(operators, values, made_by)
    _check_states(operators, where)
    _check_ends(values, outputs, tensors.keys() - used.keys(), where)
    return Analysis(values, tuple(operators))


def _check_size(view: NodeView, what: str, shape: tuple[int, ...]) -> None:
    if prod(shape) > MAX_ELEMENTS:
        raise view.error("value is too large", found=what, expected=f"at most {MAX_ELEMENTS} elements")


def _check_states(operators: Sequence[tuple[Operator, NodeView]], where: str) -> None:
    """Bound what a session allocates: a small file may declare long lines of wide values."""
    states = [state for operator, view in operators for state in state_types(operator, view, "never")]
    if sum(state.nbytes for state in states) > MAX_STATE_BYTES:
        largest = max(states, key=lambda state: state.nbytes)
        raise ModelError(
            "states need too much memory",
            where=f"{where}, state {largest.name!r}",
            found=f"{sum(state.nbytes for state in states):,} bytes, {largest.nbytes:,} of them in this state",
            expected=f"at most {MAX_STATE_BYTES:,} bytes (8 GiB) in all states",
        )


def _check_delays(
    operators: Sequence[tuple[Operator, NodeView]], values: Mapping[str, ValueType], made_by: Mapping[str, str]
) -> None:
    """Compare what each delay declares with its input, now that every value is known."""
    place = {view.node.name: i for i, (_, view) in enumerate(operators)}
    for operator, view in operators:
        if not isinstance(operator, Delay):
            continue
        (name,), declared = view.node.inputs, operator.declared(view.node)
        found = values[name]
        if (found.kind, found.shape) != (declared.kind, declared.shape) or found.bound > declared.bound:
            raise view.error(f"input {name!r} is not what the attributes say", found=found, expected=declared)
        later = place.get(made_by[name], -1) >= place[view.node.name]
        if later and operator.passes_at_once(view):
            raise view.error(f"input {name!r} is made by a later node", tensor="delays", found=0, expected="at least 1")


def _producers(nodes: Sequence[Node], where: str) -> dict[str, str]:
    """Return which node makes each value; node and value names must be unique."""
    made_by = {INPUT: INPUT}
    seen = set()
    for node in nodes:
        if node.name in seen or node.name == INPUT:
            raise ModelError("two nodes have one name", where=f"{where}, node {node.name!r}")
        seen.add(node.name)
        for name in node.outputs:
            if name in made_by:
                found = f"also made by {made_by[name]!r}"
                raise ModelError(f"value {name!r} is made twice", where=f"{where}, node {node.name!r}", found=found)
            made_by[name] = node.name
    return made_by


def _view(
    node: Node,
    values: Mapping[str, ValueType],
    made_by: Mapping[str, str],
    tensors: Mapping[str, Tensor],
    where: str,
) -> tuple[Operator, NodeView]:
    at = f"{where}, node {node.name!r}"
    operator = find(node.op)
    if operator is None:
        raise ModelError("operator is not known", where=at, found=repr(node.op), expected=", ".join(OPERATORS))
    for name in node.inputs:
        if name in values or (operator.delayed and made_by.get(name, node.name) != node.name):
            continue
        if name in made_by:
            what = f"input {name!r} is made by a later node: a cycle, or nodes out of order"
            raise ModelError(what, where=at, found=f"made by {made_by[name]!r}", expected="an earlier node")
        raise ModelError(f"input {name!r} is made by no node", where=at)
    if len(node.inputs) > MAX_INPUTS:
        raise ModelError("too many inputs", where=at, found=str(len(node.inputs)), expected=f"at most {MAX_INPUTS}")
    counts = (len(node.inputs), len(node.outputs))
    wanted = (operator.arity or max(2, len(node.inputs)), len(operator.results))
    if counts != wanted:
        raise ModelError("other number of inputs and outputs", where=at, found=str(counts), expected=str(wanted))
    _check_attributes(node, operator, at)
    for role, name in node.tensors.items():
        if name not in tensors:
            raise ModelError("tensor is missing", where=f"{at}, {role}", found=f"no tensor {name!r}")
    inputs = tuple(operator.declared(node) if isinstance(operator, Delay) else values[n] for n in node.inputs)
    return operator, NodeView(node, inputs, {r: tensors[n] for r, n in node.tensors.items()}, where)


def _check_attributes(node: Node, operator: Operator, at: str) -> None:
    for name in node.attributes.keys() ^ operator.attributes.keys():
        state = "unknown" if name in node.attributes else "missing"
        raise ModelError(f"attribute {name!r} is {state}", where=at, expected=", ".join(operator.attributes) or "none")
    for name, (_, allowed) in operator.attributes.items():
        value = node.attributes[name]
        if not _fits(value, allowed):
            raise ModelError(
                f"attribute {name!r} is wrong", where=at, found=repr(value)[:80], expected=_describe(allowed)
            )


def _fits(value: Any, allowed: Any) -> bool:
    """Say whether an attribute is one of the values, within the range, or of the type; integers and floats differ."""
    if isinstance(allowed, range):
        return type(value) is int and value in allowed
    if not isinstance(allowed, type):
        return any(type(value) is type(choice) and value == choice for choice in allowed)
    if not isinstance(value, allowed) or type(value) is not allowed:
        return False
    if isinstance(value, float):
        return abs(value) <= _FLOAT32_MAX
    items = value if isinstance(value, list) else [value] if allowed is int else []
    return len(items) <= 8 and all(type(item) is int and abs(item) <= MAX_ELEMENTS for item in items)


def _describe(allowed: Any) -> str:
    if isinstance(allowed, range):
        return f"an integer from {allowed[0]} to {allowed[-1]}"
    if not isinstance(allowed, type):
        return str(allowed)
    return {list: "a list of integers", float: "a float within float32"}.get(allowed, allowed.__name__)


def _check_tensor(name: str, tensor: Tensor, where: str) -> None:
    at = f"{where}, tensor {name!r}"
    data = tensor.data
    wanted = stored_shapes(tensor.layout, tensor.shape, data.dtype.itemsize)
    if not wanted:
        found = f"{tensor.layout!r} for {list(tensor.shape)}"
        expected = f"one of {', '.join(LAYOUTS)}, a vector for one axis"
        raise ModelError("layout is not known", where=at, found=found, expected=expected)
    if data.shape not in wanted:
        found, expected = str(list(data.shape)), " or ".join(str(list(shape)) for shape in dict.fromkeys(wanted))
        raise ModelError("stored shape is not the layout's", where=at, found=found, expected=expected)
    if str(data.dtype) not in LAYOUTS[tensor.layout]:
        expected = f"{' or '.join(LAYOUTS[tensor.layout])} in layout {tensor.layout}"
        raise ModelError("tensor type is not used", where=at, found=str(data.dtype), expected=expected)
    _check_numbers(data, at)
    if not padding_is_zero(tensor.layout, tensor.shape, data):
        raise ModelError("padding of the tensor is not zero", where=at, expected="zeros (8 in nibbles)")


def _check_numbers(data: npt.NDArray[Any], at: str) -> None:
    """Look at all numbers, a piece at a time; of a mapped tensor each piece is let go again."""
    flat = data.reshape(-1)
    for first in range(0, flat.size if data.dtype in (np.float32, np.int8) else 0, _PIECE):
        piece = flat[first : first + _PIECE]
        if data.dtype == np.float32 and not np.isfinite(piece).all():
            raise ModelError("tensor has values that are not numbers", where=at, found="NaN or infinity")
        if data.dtype == np.int8 and (piece == -128).any():
            raise ModelError("weight is out of range", where=at, found="-128", expected="-127 to 127")
        release(piece)


def _check_ends(values: Mapping[str, ValueType], outputs: Sequence[str], unused: set[str], where: str) -> None:
    for name in outputs:
        if name not in values or values[name].kind in ("window", "token"):
            raise ModelError(f"output {name!r} is made by no node", where=where, expected=f"one of {', '.join(values)}")
    if len(set(outputs)) != len(outputs):
        raise ModelError("an output stands twice", where=where, found=str(list(outputs)))
    for name in unused:
        raise ModelError("tensor is used by no node", where=f"{where}, tensor {name!r}")
