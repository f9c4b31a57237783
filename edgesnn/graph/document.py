"""The model file's document: immutable, checked before it exists anywhere else (docs/model-file.md).

`read` gives a `Document` from a file, `Builder` makes one, `Document.save` writes it. A `Document` that these hand out
has been analysed: every name, shape, type, bound and order in it holds.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy.typing as npt

from edgesnn.errors import ModelError
from edgesnn.graph import container, fields, upgrade
from edgesnn.graph.analysis import Analysis, analyse
from edgesnn.graph.layout import unpack
from edgesnn.graph.tensors import sha256
from edgesnn.graph.values import Node, StateType, Tensor

FORMAT_VERSION = 2
METADATA_KEY = "edgesnn"


@dataclass(frozen=True, eq=False)
class Document:
    """A model: graph, constants, states, input, readout, provenance. Immutable; may be shared between threads.

    Attributes:
        input: kind "points", "spikes", "dense" or "tokens" with all that it needs (docs/model-file.md).
        nodes: in an order in which each node's inputs, but those of a delay, are made before it.
        outputs: names of the graph's output values.
        states: all that a session keeps.
        tensors: constants by name, as stored.
        readout: how scores become a decision; None for a graph without one.
        provenance: where it comes from; not part of the identity.
        format_version: of the file that it was read from, and that `save` writes: a document of an older version keeps
            its identity. Set it to FORMAT_VERSION where nodes, tensors or states are replaced.
    """

    input: Mapping[str, Any]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    states: tuple[StateType, ...]
    tensors: Mapping[str, Tensor]
    readout: Mapping[str, Any] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    where: str = "model"
    format_version: int = FORMAT_VERSION

    @cached_property
    def analysis(self) -> Analysis:
        """Types of all values and states; computing it validates the graph."""
        return analyse(self.input, self.nodes, self.outputs, self.tensors, self.where)

    def body(self) -> dict[str, Any]:
        """Return the JSON document without provenance, in its file's version: what the identity is the hash of."""
        body = {
            "format_version": FORMAT_VERSION,
            "graph": {"nodes": [_node_json(n) for n in self.nodes], "outputs": list(self.outputs)},
            "input": dict(self.input),
            "readout": None if self.readout is None else dict(self.readout),
            "states": [_state_json(s) for s in self.states],
            "tensors": {
                name: {"layout": t.layout, "sha256": t.sha256, "shape": list(t.shape)}
                for name, t in self.tensors.items()
            },
        }
        return upgrade.downgrade(body) if self.format_version == 1 else body

    @cached_property
    def identity(self) -> str:
        """sha256 of the canonical JSON document without provenance, 64 hex digits."""
        return hashlib.sha256(canonical(self.body()).encode()).hexdigest()

    @cached_property
    def precision(self) -> str:
        """ "float32", "int8" or "int4" where all matrices are stored so, else "mixed"."""
        views = [view for operator, view in self.analysis.operators if operator.matrix]
        numbers = {view.tensors["weight"].number for view in views}
        return "mixed" if len(numbers) > 1 else next(iter(numbers), "float32")

    def unpack(self, name: str) -> npt.NDArray[Any]:
        """Return the plain weight [N, ...] or vector [N] of a tensor (a copy); int4 values come as int8."""
        tensor = self.tensors[name]
        return unpack(tensor.layout, tensor.shape, tensor.data)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file; an existing one is replaced by a rename."""
        text = canonical({**self.body(), "provenance": dict(self.provenance)})
        container.write(path, {name: t.data for name, t in self.tensors.items()}, {METADATA_KEY: text})

    def verify(self) -> None:
        """Compare every tensor with its sha256 in the document (reads all of the file).

        Raises:
            ModelError: names the first tensor that differs.
        """
        for name, tensor in self.tensors.items():
            digest = sha256(tensor.data)
            if digest != tensor.sha256:
                raise ModelError(
                    "tensor's bytes are not the document's",
                    where=f"{self.where}, tensor {name!r}",
                    found=f"sha256 {digest}",
                    expected=f"sha256 {tensor.sha256}",
                    hint="the file was damaged or changed; fetch it again",
                )


def canonical(value: Any) -> str:
    """Return canonical JSON: sorted keys, no spaces, no NaN, no half characters.

    Raises:
        ModelError: something that such JSON cannot hold.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        expected = "texts, finite numbers, lists and objects"
        raise ModelError("document holds what JSON cannot", found=str(error)[:200], expected=expected) from None
    return text


def read(path: str | os.PathLike[str], *, copy: bool = False) -> Document:
    """Return the document of a model file, validated.

    Args:
        path: a `.safetensors` file with metadata `edgesnn`.
        copy: copy the tensors instead of mapping them.

    Raises:
        ModelError: not a model file, or one with anything wrong in it.
    """
    where = os.fspath(path)
    metadata, arrays = container.map_file(path)
    if METADATA_KEY not in metadata:
        raise ModelError("not an edgesnn model", where=where, expected=f"metadata {METADATA_KEY!r}")
    root = container.parse_json(metadata[METADATA_KEY], where)
    _check_version(root, where)
    if copy:
        arrays = {name: array.copy() for name, array in arrays.items()}
    document = _from_json(upgrade.upgrade(root, where) if root["format_version"] == 1 else root, arrays, where)
    if root["format_version"] != FORMAT_VERSION:
        document = replace(document, format_version=root["format_version"])
    _check_states(document)
    return document


def _check_version(root: Mapping[str, Any], where: str) -> None:
    version = root.get("format_version")
    if type(version) is not int or version < 1:
        raise ModelError("no format_version", where=where, found=repr(version)[:80], expected=str(FORMAT_VERSION))
    if version > FORMAT_VERSION:
        raise ModelError(
            "model file is newer than this edgesnn",
            where=where,
            found=f"format_version {version}",
            expected=f"at most {FORMAT_VERSION}",
            hint="upgrade edgesnn",
        )


def _from_json(root: Mapping[str, Any], arrays: container.Arrays, where: str) -> Document:
    keys = ("format_version", "graph", "input", "readout", "states", "tensors", "provenance")
    fields.exact(root, keys, where, "document")
    graph = fields.mapping(root["graph"], where, "graph")
    fields.exact(graph, ("nodes", "outputs"), where, "graph")
    outputs = fields.names(graph["outputs"], where, "graph.outputs")
    tensors = _tensors(fields.mapping(root["tensors"], where, "tensors"), arrays, where)
    nodes = tuple(_node(n, where, i) for i, n in enumerate(fields.sequence(graph["nodes"], where, "graph.nodes")))
    states = tuple(_state(s, where, i) for i, s in enumerate(fields.sequence(root["states"], where, "states")))
    provenance = fields.mapping(root["provenance"], where, "provenance")
    document = Document(
        fields.check_input(root["input"], where), nodes, outputs, states, tensors, None, provenance, where
    )
    readout = fields.check_readout(root["readout"], document.analysis, outputs, where)
    made = replace(document, readout=readout)
    vars(made)["analysis"] = document.analysis  # which reads all tensors
    return made


def _tensors(table: Mapping[str, Any], arrays: container.Arrays, where: str) -> dict[str, Tensor]:
    for name in arrays.keys() ^ table.keys():
        missing, present = ("document", "file") if name in arrays else ("file", "document")
        raise ModelError(f"tensor is in the {present} but not in the {missing}", where=f"{where}, tensor {name!r}")
    tensors = {}
    for name, entry in table.items():
        at = f"tensor {name!r}"
        entry = fields.mapping(entry, where, at)
        fields.exact(entry, ("layout", "sha256", "shape"), where, at)
        shape = fields.shape(entry["shape"], where, at)
        fields.text(entry["layout"], where, f"{at}.layout")
        fields.text(entry["sha256"], where, f"{at}.sha256")
        tensors[name] = Tensor(arrays[name], shape, entry["layout"], entry["sha256"])
    return tensors


def _node(entry: Any, where: str, index: int) -> Node:
    at = f"graph.nodes[{index}]"
    entry = fields.mapping(entry, where, at)
    fields.exact(entry, ("name", "op", "inputs", "outputs", "attributes", "tensors"), where, at)
    tensors = fields.mapping(entry["tensors"], where, f"{at}.tensors")
    for role, name in tensors.items():
        fields.text(name, where, f"{at}.tensors.{role}")
    return Node(
        fields.text(entry["name"], where, f"{at}.name"),
        fields.text(entry["op"], where, f"{at}.op"),
        fields.names(entry["inputs"], where, f"{at}.inputs"),
        fields.names(entry["outputs"], where, f"{at}.outputs"),
        fields.mapping(entry["attributes"], where, f"{at}.attributes"),
        tensors,
    )


def _state(entry: Any, where: str, index: int) -> StateType:
    at = f"states[{index}]"
    entry = fields.mapping(entry, where, at)
    fields.exact(entry, ("name", "kind", "shape", "dtype", "initial", "reset"), where, at)
    name = fields.text(entry["name"], where, f"{at}.name")
    return StateType(
        name,
        fields.text(entry["kind"], where, f"{at}.kind"),
        fields.shape(entry["shape"], where, at),
        fields.text(entry["dtype"], where, f"{at}.dtype"),  # type: ignore[arg-type]
        entry["initial"],
        **fields.reset_policy(entry["reset"], where, f"state {name!r}"),
    )


def _check_states(document: Document) -> None:
    """Compare the file's states with those that the graph's operators have."""
    wanted = {s.name: s for s in document.analysis.states("never")}
    found = {s.name: s for s in document.states}
    if len(found) != len(document.states) or found.keys() != wanted.keys():
        odd = sorted(found.keys() ^ wanted.keys())
        raise ModelError("states are not the graph's", where=document.where, found=str(odd), expected=str(list(wanted)))
    for name, state in found.items():
        right = {**_state_json(wanted[name]), "reset": _reset_json(state)}
        if canonical(_state_json(state)) != canonical(right):
            raise ModelError(
                "state is not the graph's",
                where=f"{document.where}, state {name!r}",
                found=canonical(_state_json(state)),
                expected=canonical(right),
            )


def _node_json(node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "op": node.op,
        "inputs": list(node.inputs),
        "outputs": list(node.outputs),
        "attributes": dict(node.attributes),
        "tensors": dict(node.tensors),
    }


def _state_json(state: StateType) -> dict[str, Any]:
    return {
        "name": state.name,
        "kind": state.kind,
        "shape": list(state.shape),
        "dtype": state.dtype,
        "initial": state.initial,
        "reset": _reset_json(state),
    }


def _reset_json(state: StateType) -> str | dict[str, Any]:
    """Return a policy's word where the word says it all."""
    numbers = {"tokens": state.tokens, "idle_ms": state.idle_ms}
    given = {name: number for name, number in numbers.items() if number is not None}
    return {"policy": state.reset, **given} if given else state.reset
