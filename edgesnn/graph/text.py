"""A model file in words, for a person."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from edgesnn.graph.document import Document, read
from edgesnn.graph.values import Node


def describe(path: str | os.PathLike[str]) -> str:
    """Return what a model file holds, line by line: input, graph with the type of every value, readout, provenance.

    Raises:
        ModelError: the file is not a model, or anything in it is wrong.
    """
    document = read(path)
    weights = sum(tensor.data.nbytes for tensor in document.tensors.values())
    rows = [
        ("file", os.fspath(path)),
        ("model", f"{document.precision}, {len(document.nodes)} nodes, {weights:,} bytes of weights"),
        ("sha256", document.identity),
        ("input", _pairs(document.input)),
        *_readout(document),
        ("outputs", ", ".join(document.outputs)),
        *[("node", _node(document, node)) for node in document.nodes],
        *[("state", f"{state.name}: {state.kind} {list(state.shape)} {state.dtype}") for state in document.states],
        *[(name, _short(value)) for name, value in document.provenance.items()],
    ]
    return "\n".join(f"{name:<11} {text}" for name, text in rows)


def _node(document: Document, node: Node) -> str:
    types = document.analysis.values
    made = ", ".join(f"{name} {types[name]}" for name in node.outputs)
    return f"{node.op}({', '.join(node.inputs)}) -> {made}"


def _readout(document: Document) -> list[tuple[str, str]]:
    if document.readout is None:
        return []
    others = {name: value for name, value in document.readout.items() if name != "labels"}
    return [("labels", ", ".join(document.readout["labels"])), ("readout", _pairs(others))]


def _pairs(mapping: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_short(value)}" for name, value in mapping.items())


def _short(value: Any, longest: int = 400) -> str:
    text = "{" + _pairs(value) + "}" if isinstance(value, Mapping) else str(value)
    return text if len(text) <= longest else text[: longest - 3] + "..."
