"""Validation of the graph: names, order, attributes, tensors, types. Nothing runs that this has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from edgesnn.errors import ModelError
from edgesnn.graph.layout import stored_shape
from edgesnn.graph.operators.base import Operator, state_types
from edgesnn.graph.operators.registry import OPERATORS, find
from edgesnn.graph.values import MAX_ELEMENTS, Node, NodeView, StateType, Tensor, ValueType

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


def input_type(section: Mapping[str, Any]) -> ValueType:
    """Return the type of the graph's input; the section was checked."""
    if section["kind"] == "points":
        return ValueType("window", (section["groups"], section["neighbours"]))
    return ValueType(section["value"], tuple(section["shape"]), section["bound"])


def analyse(
    section: Mapping[str, Any],
    nodes: Sequence[Node],
    outputs: Sequence[str],
    tensors: Mapping[str, Tensor],
    where: str,
) -> Analysis:
    """Return the types of all values, or raise the first ModelError."""
    values = {INPUT: input_type(section)}
    if prod(values[INPUT].shape) > MAX_ELEMENTS:
        expected = f"at most {MAX_ELEMENTS} elements"
        raise ModelError("input is too large", where=where, found=str(values[INPUT]), expected=expected)
    for name, tensor in tensors.items():
        _check_tensor(name, tensor, where)
    made_by = _producers(nodes, where)
    operators = []
    used: dict[str, str] = {}
    for node in nodes:
        operator, view = _view(node, values, made_by, tensors, where)
        for name, value in zip(node.outputs, operator.infer(view), strict=True):
            if prod(value.shape) > MAX_ELEMENTS:
                raise view.error("value is too large", found=value, expected=f"at most {MAX_ELEMENTS} elements")
            values[name] = value
        used.update(dict.fromkeys(node.tensors.values(), node.name))
        operators.append((operator, view))
    _check_ends(values, outputs, tensors.keys() - used.keys(), where)
    return Analysis(values, tuple(operators))


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
        if name in values:
            continue
        if name in made_by:
            what = f"input {name!r} is made by a later node: a cycle, or nodes out of order"
            raise ModelError(what, where=at, found=f"made by {made_by[name]!r}", expected="an earlier node")
        raise ModelError(f"input {name!r} is made by no node", where=at)
    counts = (len(node.inputs), len(node.outputs))
    wanted = (operator.arity, len(operator.results))
    if counts != wanted:
        raise ModelError("other number of inputs and outputs", where=at, found=str(counts), expected=str(wanted))
    _check_attributes(node, operator, at)
    missing = set(operator.tensors) ^ node.tensors.keys()
    if missing:
        found, expected = sorted(node.tensors), sorted(operator.tensors)
        raise ModelError("node has other tensors", where=at, found=str(found), expected=str(expected))
    for role, name in node.tensors.items():
        if name not in tensors:
            raise ModelError("tensor is missing", where=f"{at}, {role}", found=f"no tensor {name!r}")
    inputs = tuple(values[n] for n in node.inputs)
    return operator, NodeView(node, inputs, {r: tensors[n] for r, n in node.tensors.items()}, where)


def _check_attributes(node: Node, operator: Operator, at: str) -> None:
    for name in node.attributes.keys() ^ operator.attributes.keys():
        state = "unknown" if name in node.attributes else "missing"
        raise ModelError(f"attribute {name!r} is {state}", where=at, expected=", ".join(operator.attributes) or "none")
    for name, (_, allowed) in operator.attributes.items():
        value = node.attributes[name]
        fits = type(value) is allowed if isinstance(allowed, type) else value in allowed
        if not fits or (type(value) is int and abs(value) > MAX_ELEMENTS):
            expected = allowed.__name__ if isinstance(allowed, type) else str(allowed)
            raise ModelError(f"attribute {name!r} is wrong", where=at, found=repr(value)[:80], expected=expected)


def _check_tensor(name: str, tensor: Tensor, where: str) -> None:
    at = f"{where}, tensor {name!r}"
    data = tensor.data
    wanted = stored_shape(tensor.layout, tensor.shape, data.dtype.itemsize)
    if wanted is None:
        found = f"{tensor.layout!r} for {list(tensor.shape)}"
        raise ModelError("layout is not known", where=at, found=found, expected="im [N, K] or vector [N]")
    if data.shape != wanted:
        found, expected = str(list(data.shape)), str(list(wanted))
        raise ModelError("stored shape is not the layout's", where=at, found=found, expected=expected)
    if data.dtype not in (np.float32, np.int8):
        raise ModelError("tensor type is not used", where=at, found=str(data.dtype), expected="float32 or int8")
    if data.dtype == np.float32 and not np.isfinite(data).all():
        raise ModelError("tensor has values that are not numbers", where=at, found="NaN or infinity")
    if data.dtype == np.int8 and (data == -128).any():
        raise ModelError("weight is out of range", where=at, found="-128", expected="-127 to 127")


def _check_ends(values: Mapping[str, ValueType], outputs: Sequence[str], unused: set[str], where: str) -> None:
    for name in outputs:
        if name not in values or values[name].kind == "window":
            raise ModelError(f"output {name!r} is made by no node", where=where, expected=f"one of {', '.join(values)}")
    if len(set(outputs)) != len(outputs):
        raise ModelError("an output stands twice", where=where, found=str(list(outputs)))
    for name in unused:
        raise ModelError("tensor is used by no node", where=f"{where}, tensor {name!r}")
