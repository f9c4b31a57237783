"""vote, count, accumulate: docs/operators.md, "Readouts"."""

from __future__ import annotations

import numpy as np

from edgesnn.exporters.onnx.graph import TYPES, NodeGraph


def add_vote(node: NodeGraph) -> None:
    """Add a `vote`."""
    classes, voters = node.attribute("classes"), node.attribute("voters")
    dtype = "int64" if node.view.inputs[0].kind == "int" else "float32"
    votes = node.op("Reshape", node.input(0, dtype), node.constant(np.array([classes, voters], np.int64)))
    own = node.op("ReduceSum", votes, node.constant(np.array([1], np.int64)), keepdims=0)
    total, steps = node.op("Add", node.old["sum"], own), _one_more(node)
    node.keep("sum", total)
    counted = node.op("Mul", steps, node.constant(np.int64(voters)))
    node.make("float32", node.op("Div", _float32(node, total, dtype), _float32(node, counted, "int64")))


def add_count(node: NodeGraph) -> None:
    """Add a `count`."""
    total = node.op("Add", node.old["total"], node.input(0, "int64"))
    node.keep("total", total)
    node.make("float32", _float32(node, total, "int64"))


def add_accumulate(node: NodeGraph) -> None:
    """Add an `accumulate`."""
    total, alpha = node.old["sum"], node.parameter("alpha")
    total = node.op("Add", total if alpha is None else node.op("Mul", total, alpha), node.input(0, "float32"))
    node.keep("sum", total)
    if node.attribute("mode") == "mean":
        total = node.op("Div", total, _float32(node, _one_more(node), "int64"))
    node.make("float32", total)


def _one_more(node: NodeGraph) -> str:
    """Count this step."""
    steps = node.op("Add", node.old["steps"], node.constant(np.int64(1)))
    node.keep("steps", steps)
    return steps


def _float32(node: NodeGraph, tensor: str, dtype: str) -> str:
    return tensor if dtype == "float32" else node.op("Cast", tensor, to=TYPES["float32"])
