"""A graph of one operator, run by the reference: what the unit tests of the operators share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesnn.graph import Builder, Document
from edgesnn.graph.tensors import Plain
from edgesnn.runtime import Model, Session


def document(
    op: str,
    section: Mapping[str, Any] | Sequence[int],
    attributes: Mapping[str, Any] | None = None,
    tensors: Mapping[str, Plain] | None = None,
) -> Document:
    """Return a document with one node, "op"; a section that is a shape is a dense float32 input."""
    given = section if isinstance(section, Mapping) else {"kind": "dense", "shape": list(section)}
    builder = Builder(input=given)
    return builder.document(outputs=builder.add(op, "input", name="op", attributes=attributes, tensors=tensors))


def counts(shape: Sequence[int], bound: int = 1) -> dict[str, Any]:
    """Return an input section of small integers."""
    return {"kind": "dense", "shape": list(shape), "value": "int", "bound": bound}


def session(made: Document) -> Session:
    """Return a session on the reference backend."""
    return Model(made, backend="reference").session()


def run(xs: Any, made: Document) -> np.ndarray[Any, Any]:
    """Return all steps' outputs, [T, ...]."""
    return np.asarray(session(made).run(np.asarray(xs)))


def once(x: Any, made: Document) -> np.ndarray[Any, Any]:
    """Return one step's output."""
    return np.asarray(session(made).step(np.asarray(x)))
