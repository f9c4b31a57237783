"""NIR files as plain data: the child process that reads HDF5, and the checks on what it gave."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError

Array = npt.NDArray[Any]

MEMORY_BYTES = 4 << 30
TIMEOUT_S = 120.0
_CHILD = Path(__file__).with_name("child.py")
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
        memory_bytes: address space that the reading process may use.

    Raises:
        ModelError: no such file, not HDF5, no NIR graph, too large, or the reading process died; h5py is not installed.
    """
    where = os.fspath(path)
    if not os.path.isfile(where):
        raise ModelError("no such file", where=where)
    tree, arrays = _unpack(_run(where, memory_bytes), where)
    if "node" not in tree["groups"] or "version" not in tree["fields"]:
        names = sorted([*tree["groups"], *tree["fields"]])
        raise ModelError("not a NIR file", where=where, found=", ".join(names) or "nothing", hint=_HINT)
    return _graph(tree["groups"]["node"], arrays, where, "the graph")


def _run(where: str, memory_bytes: int) -> bytes:
    command = [sys.executable, str(_CHILD), os.path.abspath(where), str(memory_bytes)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        raise ModelError("reading the file took too long", where=where, found=f"more than {TIMEOUT_S:.0f} s") from None
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    last = said[-1][:300] if said else "nothing on standard error"
    if "No module named 'h5py'" in last:
        raise ModelError("h5py is not installed", where=where, hint="pip install 'edgesnn[nir]'")
    if done.returncode == 3:
        raise ModelError("file cannot be read as NIR", where=where, found=last, hint=_HINT)
    how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    raise ModelError("the process that reads the file died", where=where, found=f"{how}: {last}", hint=_HINT)


def _unpack(data: bytes, where: str) -> tuple[dict[str, Any], dict[int, Array]]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            tree = json.loads(file["tree"].tobytes())
            return tree, {int(name): file[name] for name in file.files if name != "tree"}
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise ModelError("the process that reads the file gave no tree", where=where, found=str(error)) from None


def _graph(group: Mapping[str, Any], arrays: Mapping[int, Array], where: str, name: str) -> NirGraph:
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


def _edges(number: Any, arrays: Mapping[int, Array], where: str, name: str) -> tuple[tuple[str, str], ...]:
    edges = arrays[number] if isinstance(number, int) else np.zeros((0, 2), np.str_)
    if edges.size == 0:
        return ()
    if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind != "U":
        found = f"{edges.dtype} {list(edges.shape)}"
        raise ModelError(f"edges of {name} are no pairs of names", where=where, found=found, expected="[E, 2] texts")
    return tuple((str(a), str(b)) for a, b in edges)
