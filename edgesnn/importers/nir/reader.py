"""NIR files as plain data: asked of a process that reads HDF5, and the checks on what it gave."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError
from edgesnn.hdf5 import Job, JobError

Array = npt.NDArray[Any]

MEMORY_BYTES = 4 << 30
TIMEOUT_S = 120.0
_CHILD = "edgesnn.importers.nir.child"
_MOST_BYTES = (1 << 30) + (1 << 24)  # child.MAX_BYTES, and what each array is filled up with
_HINT = "a .nir file is HDF5 with /version and /node, as nir.write makes it"


@dataclass(frozen=True)
class NirNode:
    """A node of the graph: its primitive's name, and its fields as arrays or texts."""

    type: str
    fields: Mapping[str, Array | str]


@dataclass(frozen=True)
class NirGraph:
    """A graph as the file holds it: nodes (subgraphs among them) by name, and edges in the file's order."""

    nodes: Mapping[str, NirNode | NirGraph]
    edges: tuple[tuple[str, str], ...]


def read_nir(path: str | os.PathLike[str], *, memory_bytes: int = MEMORY_BYTES) -> NirGraph:
    """Return the graph of a NIR file.

    Args:
        path: the file.
        memory_bytes: by how much the address space of the reading process may grow.

    Raises:
        ModelError: no such file, not HDF5, no NIR graph, too large, or the reading process died; h5py is not installed.
    """
    where = os.fspath(path)
    if not os.path.isfile(where):
        raise ModelError("no such file", where=where)
    tree, arrays = _run(where, memory_bytes)
    if "node" not in tree["groups"] or "version" not in tree["fields"]:
        names = sorted([*tree["groups"], *tree["fields"]])
        raise ModelError("not a NIR file", where=where, found=", ".join(names) or "nothing", hint=_HINT)
    return _graph(tree["groups"]["node"], arrays, where, "the graph")


def _run(where: str, memory_bytes: int) -> tuple[dict[str, Any], list[Array]]:
    """Return the tree of the file and the arrays that it names by number."""
    request = {"path": os.path.abspath(where)}
    try:
        job = Job(_CHILD, request, memory_bytes=memory_bytes, timeout_s=TIMEOUT_S, most_bytes=_MOST_BYTES)
        for said, arrays in job:
            return said["tree"], arrays
        raise JobError("died", "it gave no tree")
    except JobError as error:
        if error.kind == "missing":
            raise ModelError(error.what, where=where, hint="pip install 'edgesnn[nir]'") from None
        what = "file cannot be read as NIR" if error.kind == "refused" else error.what
        raise ModelError(what, where=where, found=error.text, hint=_HINT) from None


def _graph(group: Mapping[str, Any], arrays: Sequence[Array], where: str, name: str) -> NirGraph:
    """Return a graph of a group that should be one."""
    fields, groups = group["fields"], group["groups"]
    if fields.get("type") != "NIRGraph" or "nodes" not in groups:
        found = f"type {fields.get('type')!r} with {', '.join(sorted(groups)) or 'no groups'}"
        raise ModelError(f"{name} is no NIRGraph", where=where, found=found, expected="NIRGraph with nodes and edges")
    nodes: dict[str, NirNode | NirGraph] = {}
    for child, entry in groups["nodes"]["groups"].items():
        kind = entry["fields"].get("type")
        if not isinstance(kind, str):
            raise ModelError("node has no type", where=f"{where}, node {child!r}", found=repr(kind))
        if kind == "NIRGraph":
            nodes[child] = _graph(entry, arrays, where, f"node {child!r}")
        else:
            values = {k: arrays[v] if isinstance(v, int) else v for k, v in entry["fields"].items() if k != "type"}
            nodes[child] = NirNode(kind, values)
    return NirGraph(nodes, _edges(fields.get("edges"), arrays, where, name))


def _edges(number: Any, arrays: Sequence[Array], where: str, name: str) -> tuple[tuple[str, str], ...]:
    edges = arrays[number] if isinstance(number, int) else np.zeros((0, 2), np.str_)
    if edges.size == 0:
        return ()
    if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind != "U":
        found = f"{edges.dtype} {list(edges.shape)}"
        raise ModelError(f"edges of {name} are no pairs of names", where=where, found=found, expected="[E, 2] texts")
    return tuple((str(a), str(b)) for a, b in edges)
