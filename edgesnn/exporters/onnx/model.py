"""A document as one ONNX model: a step with explicit states (docs/backends.md).

Inputs: `x` (`x/<value>` for what `point_code` gives), `state/<name>` for each state, and `step` where a node has a cold
start. Outputs: `output/<name>` for each output of the document and `next/<name>` for each state.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import onnx
from onnx import helper

from edgesnn.errors import ModelError
from edgesnn.exporters.onnx.graph import EXTRA, TYPES, Graph, NodeGraph
from edgesnn.exporters.onnx.qdq import in_blocks
from edgesnn.exporters.onnx.registry import OUTSIDE, find
from edgesnn.graph import Document
from edgesnn.graph.analysis import INPUT
from edgesnn.graph.container import replace_file
from edgesnn.graph.document import canonical
from edgesnn.replacement import named
from edgesnn.version import __version__

OPSET, IR_VERSION = 17, 8
"""LayerNormalization came with opset 17; onnxruntime 1.17 and TensorRT 10 read both."""

FOUR_BITS_OPSET, FOUR_BITS_IR_VERSION = 21, 10
"""Integers of four bits came with opset 21, dequantised block by block; TensorRT 10 reads both."""

MOST_BYTES = (1 << 31) - (1 << 20)
"""A protobuf message ends at 2 GiB."""

STEP = "step"


def export(document: Document, path: str | os.PathLike[str], form: str = "onnxruntime") -> dict[str, Any]:
    """Write the model; an existing file is replaced by a rename, links are followed.

    Args:
        document: the model.
        path: the file.
        form: one of `registry.FORMS`.

    Returns:
        opset, bytes, and the names of the inputs and outputs that are no states.

    Raises:
        BackendError: an operator has no form in ONNX.
        ModelError: the model does not fit in one file, or the file cannot be written.
    """
    made = step_model(document, form=form)
    onnx.checker.check_model(made, full_check=True)
    data = made.SerializeToString(deterministic=True)
    try:
        replace_file(named(path), [data])
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelError("cannot write the ONNX file", where=os.fspath(path), found=reason) from None
    shown = {
        "inputs": [value.name for value in made.graph.input if not value.name.startswith("state/")],
        "outputs": [value.name for value in made.graph.output if not value.name.startswith("next/")],
    }
    return {"opset": made.opset_import[0].version, "bytes": len(data), **shown}


def step_model(document: Document, shown: Sequence[str] = (), form: str = "onnxruntime") -> Any:
    """Return the ModelProto of one step.

    Args:
        document: the model.
        shown: values that are outputs too, as `value/<name>`.
        form: one of `registry.FORMS`.

    Raises:
        BackendError: an operator has no form in ONNX.
        ModelError: the model does not fit in one file.
    """
    four_bits = form == "qdq" and any(in_blocks(view) for _, view in document.analysis.operators)
    opset, ir_version = (FOUR_BITS_OPSET, FOUR_BITS_IR_VERSION) if four_bits else (OPSET, IR_VERSION)
    graph = Graph(document, opset)
    inputs = _inputs(graph, form)
    after = _nodes(graph, form)
    outputs = []
    for prefix, names in (("output", document.outputs), ("value", shown)):
        for name in names:
            value = document.analysis.values[name]
            graph.name(_given(graph, name, str(value.dtype), form), f"{prefix}/{name}")
            outputs.append(_info(f"{prefix}/{name}", str(value.dtype), value.shape))
    for state in document.states:
        graph.name(after[state.name], f"next/{state.name}")
        inputs.append(_info(f"state/{state.name}", state.dtype, state.shape))
        outputs.append(_info(f"next/{state.name}", state.dtype, state.shape))
    size = sum(len(tensor.raw_data) for tensor in graph.constants.values())
    if size > MOST_BYTES:
        found, expected = f"{size:,} bytes of tensors", f"at most {MOST_BYTES:,}"
        raise ModelError("model does not fit in one ONNX file", where=document.where, found=found, expected=expected)
    made = helper.make_graph(graph.nodes, "step", inputs, outputs, list(graph.constants.values()))
    sets = [helper.make_opsetid("", opset), *([helper.make_opsetid(EXTRA, 1)] if form == "onnxruntime" else [])]
    model = helper.make_model(
        made, opset_imports=sets, ir_version=ir_version, producer_name="edgesnn", producer_version=__version__
    )
    helper.set_model_props(model, {**_about(document), "edgesnn.form": form})
    return model


def _inputs(graph: Graph, form: str) -> list[Any]:
    """Add the inputs but the states."""
    document = graph.document
    values, inputs = document.analysis.values, []
    given = {name: f"x/{name}" for node in document.nodes if node.op in OUTSIDE for name in node.outputs}
    given |= {} if values[INPUT].kind == "window" else {INPUT: "x"}
    for name, tensor in given.items():
        dtype = str(values[name].dtype)
        inputs.append(_info(tensor, dtype, values[name].shape))
        if form == "qdq" and dtype == "uint8":
            dtype, tensor = "float32", graph.op("Cast", tensor, to=TYPES["float32"])
        graph.put(name, dtype, tensor)
    if any(node.attributes.get("cold_start") == "skip" for node in document.nodes):
        inputs.append(_info(STEP, "int64", ()))
        graph.first = graph.op("Not", graph.op("Cast", STEP, to=TYPES["bool"]))
    return inputs


def _nodes(graph: Graph, form: str) -> dict[str, str]:
    """Add all nodes; return what holds each state after the step."""
    seen = []
    for operator, view in graph.document.analysis.operators:
        if view.node.op in OUTSIDE:
            continue
        add = find(view.node.op, f"{view.where}, node {view.node.name!r}", form)
        suffixes = [state.suffix for state in operator.states(view)]
        node = NodeGraph(graph, view, {s: f"state/{view.node.name}.{s}" for s in suffixes})
        add(node)
        seen.append(node)
    for finish in graph.finish:
        finish()
    return {f"{node.view.node.name}.{suffix}": tensor for node in seen for suffix, tensor in node.new.items()}


def _given(graph: Graph, name: str, dtype: str, form: str) -> str:
    """Return the tensor of a value in a type; TensorRT makes bytes of float32 only."""
    if form == "qdq" and dtype == "uint8":
        return graph.op("Cast", graph.get(name, "float32")[0], to=TYPES["uint8"])
    return graph.get(name, dtype)[0]


def _info(name: str, dtype: str, shape: Sequence[int]) -> Any:
    return helper.make_tensor_value_info(name, TYPES[dtype], list(shape))


def _about(document: Document) -> dict[str, str]:
    """Return the file's metadata: what a program needs to step the model and to read what it says."""
    body = document.body()
    return {
        "edgesnn.version": __version__,
        "edgesnn.model": document.identity,
        "edgesnn.input": canonical(body["input"]),
        "edgesnn.readout": canonical(body["readout"]),
        "edgesnn.states": canonical(body["states"]),
    }
