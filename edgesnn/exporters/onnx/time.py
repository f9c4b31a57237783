"""delay, token_shift, wkv: docs/operators.md, "Time"."""

from __future__ import annotations

from math import prod

import numpy as np

from edgesnn.exporters.onnx.arithmetic import exp32
from edgesnn.exporters.onnx.graph import NodeGraph

_STORED = {"int": "uint8", "int32": "int32", "float32": "float32"}


def add_delay(node: NodeGraph) -> None:
    """Add a `delay`: what it gives now; the line takes in its input when that is made, later in the graph or not."""
    dtype, line = _STORED[node.attribute("value")], node.old["line"]
    position, y = delayed(node, line, dtype)
    node.make(dtype, y)

    def finish() -> None:
        after, later = taken_in(node, line, position, dtype)
        node.keep("line", after)
        node.keep("position", later)

    node.graph.finish.append(finish)


def delayed(node: NodeGraph, line: str, dtype: str) -> tuple[str, str]:
    """Add the position within the line, and what the delay gives now."""
    position = node.op("Mod", node.old["position"], node.constant(np.int64(node.attribute("steps"))))
    if "delays" in node.view.tensors:
        return position, _row_of_each(node, line, position, dtype)
    return position, node.op("Gather", line, position, axis=0)


def _row_of_each(node: NodeGraph, line: str, position: str, dtype: str) -> str:
    """Add what each element had its own number of steps before."""
    steps, shape = node.attribute("steps"), node.attribute("shape")
    rows = node.op("Reshape", line, node.constant(np.array([steps, prod(shape)], np.int64)))
    delays = node.tensor("delays", "int64", lambda d: d.astype(np.int64)[None])
    places = node.op("Mod", node.op("Sub", position, delays), node.constant(np.int64(steps)))
    flat = node.op("GatherElements", rows, places, axis=0)
    y = node.op("Reshape", flat, node.constant(np.array(shape, np.int64)))
    at_once = node.plain("delays") == 0
    if not at_once.any():
        return y
    return node.op("Where", node.constant(at_once.reshape(shape)), node.input(0, dtype), y)


def taken_in(node: NodeGraph, line: str, position: str, dtype: str) -> tuple[str, str]:
    """Add the line and the position after the step."""
    x = node.op("Unsqueeze", node.input(0, dtype), node.constant(np.array([0], np.int64)))
    if node.attribute("steps") == 1:
        return x, node.constant(np.int64(0))
    place = node.op("Reshape", position, node.constant(np.array([1, 1], np.int64)))
    later = node.op("Add", position, node.constant(np.int64(1)))
    steps = node.constant(np.int64(node.attribute("steps")))
    return node.op("ScatterND", line, place, x), node.op("Mod", later, steps)


def add_token_shift(node: NodeGraph) -> None:
    """Add a `token_shift`."""
    mix, keep = (node.tensor(role, "", lambda v: v) for role in ("mix", "keep"))
    new = node.op("Mul", node.input(0, "float32"), mix)
    node.make("float32", node.op("Add", new, node.op("Mul", node.input(1, "float32"), keep)))


def add_wkv(node: NodeGraph) -> None:
    """Add a `wkv`: rows 0 and 1 are the past and this token as they give, rows 2 and 3 as they are kept."""
    k, v = node.input(0, "float32"), node.input(1, "float32")
    aa, bb, pp = (node.old[name] for name in ("aa", "bb", "pp"))
    bonus, decay = (node.tensor(role, "", lambda v: v) for role in ("bonus", "decay"))
    now, later = node.op("Add", bonus, k), node.op("Add", pp, decay)
    top, kept = node.op("Max", pp, now), node.op("Max", later, k)
    apart = [node.op("Sub", a, b) for a, b in ((pp, top), (now, top), (later, kept), (k, kept))]
    powers = _exponentials(node, apart)

    def blended(old: str, new: str) -> tuple[str, str]:
        above = node.op("Add", node.op("Mul", old, aa), node.op("Mul", new, v))
        return above, node.op("Add", node.op("Mul", old, bb), new)

    node.make("float32", node.op("Div", *blended(*powers[:2])))
    for name, tensor in zip(("aa", "bb", "pp"), (*blended(*powers[2:]), kept), strict=True):
        node.keep(name, tensor)


def _exponentials(node: NodeGraph, values: list[str]) -> list[str]:
    """Add e^x of four vectors, all at once where it is many nodes."""
    if not node.graph.rounds:
        return [node.op("Exp", x) for x in values]
    return node.graph.parts(exp32(node.graph, node.op("Concat", *values, axis=-1)), len(values))
