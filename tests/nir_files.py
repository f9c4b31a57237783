"""Small NIR files, written with h5py as nir.write lays them out: /version, /node/{type, edges, nodes/<name>/...}."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

h5py = pytest.importorskip("h5py", reason="h5py is not installed (extra nir)")

Nodes = Mapping[str, Mapping[str, Any]]
Edges = Sequence[tuple[str, str]]


def graph(nodes: Nodes, edges: Edges) -> dict[str, Any]:
    """Return a subgraph as a node of `write`."""
    return {"type": "NIRGraph", "nodes": nodes, "edges": edges}


def ends(size: int | Sequence[int], out: int | Sequence[int] | None = None) -> dict[str, dict[str, Any]]:
    """Return an Input and an Output node named so."""
    shapes = [np.atleast_1d(size), np.atleast_1d(size if out is None else out)]
    return {"input": {"type": "Input", "shape": shapes[0]}, "output": {"type": "Output", "shape": shapes[1]}}


def chain(*names: str) -> list[tuple[str, str]]:
    """Return the edges from input over `names` to output."""
    path = ["input", *names, "output"]
    return list(pairwise(path))


def write(path: Path, nodes: Nodes, edges: Edges) -> Path:
    """Write a file and return its path."""
    with h5py.File(path, "w") as file:
        file["version"] = "1.0.4"
        _graph(file.create_group("node"), nodes, edges)
    return path


def _graph(group: Any, nodes: Nodes, edges: Edges) -> None:
    group["type"] = "NIRGraph"
    texts = np.array(edges, dtype=object).reshape(-1, 2)
    group.create_dataset("edges", data=texts, dtype=h5py.string_dtype())
    inner = group.create_group("nodes")
    for name, node in nodes.items():
        child = inner.create_group(name)
        if node["type"] == "NIRGraph":
            _graph(child, node["nodes"], node["edges"])
            continue
        for field, value in node.items():
            child[field] = value
