"""The shape of every node's output, found from the Input on (the file does not hold them all)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import prod

import numpy as np

from edgesnn.errors import ModelError
from edgesnn.graph.values import MAX_ELEMENTS
from edgesnn.importers.neuron import Shape
from edgesnn.importers.nir.fields import Fields
from edgesnn.importers.nir.flatten import FlatGraph
from edgesnn.importers.nir.profiles import NEURONS

Rule = Callable[[Fields, Shape], Shape]


def find_shapes(graph: FlatGraph, where: str) -> dict[str, Shape]:
    """Return the output shape of the Input and of every node.

    Raises:
        ModelError: an unknown primitive (named), or an input that a node cannot take.
    """
    given = Fields(graph.input, graph.input_node, where)
    key = "shape" if given.has("shape") else "input_type"
    sizes = given.array(key).ravel()
    if (sizes != np.rint(sizes)).any():
        raise given.error(f"{key} is wrong", found=sizes.tolist(), expected="whole numbers")
    shapes = {graph.input: _checked(given, tuple(int(n) for n in sizes))}
    for name, node in graph.nodes.items():
        if node.type not in RULES:
            raise ModelError(
                "NIR primitive is not known",
                where=f"{where}, node {name!r}",
                found=node.type,
                expected=", ".join(RULES),
            )
    waiting = deque(graph.targets(graph.input))
    while waiting:
        name = waiting.popleft()
        if name in shapes or name not in graph.nodes:
            continue
        source = next(s for s in graph.sources(name) if s in shapes)
        fields = Fields(name, graph.nodes[name], where)
        shapes[name] = _checked(fields, RULES[fields.type](fields, shapes[source]))
        waiting.extend(graph.targets(name))
    for name in graph.nodes:
        if name not in shapes:
            raise ModelError("node cannot be reached from the Input", where=f"{where}, node {name!r}")
    return shapes


def _checked(fields: Fields, shape: Shape) -> Shape:
    if not shape or min(shape) < 1 or prod(shape) > MAX_ELEMENTS:
        raise fields.error("output has a wrong size", found=list(shape), expected=f"1 to {MAX_ELEMENTS} elements")
    return shape


def _same(_fields: Fields, shape: Shape) -> Shape:
    return shape


def _matrix(fields: Fields, shape: Shape) -> Shape:
    weight = fields.array("weight")
    if weight.size == 1:
        weight = weight.reshape(1, 1)
    if weight.ndim != 2 or weight.shape[1] != shape[-1]:
        raise fields.error("weight does not fit", found=list(weight.shape), expected=f"[N, {shape[-1]}]")
    return (*shape[:-1], weight.shape[0])


def _conv(rank: int) -> Rule:
    def rule(fields: Fields, shape: Shape) -> Shape:
        weight = fields.array("weight")
        groups = fields.integers("groups", 1, default=1)[0]
        if len(shape) != rank + 1 or weight.ndim != rank + 2 or weight.shape[1] * groups != shape[0]:
            found = f"weight {list(weight.shape)}, groups {groups}, input {list(shape)}"
            raise fields.error("convolution does not fit its input", found=found)
        kernel = list(weight.shape[2:])
        stride, dilation = (fields.integers(n, rank, default=1) for n in ("stride", "dilation"))
        padding = fields.padding(kernel, stride, dilation)
        spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
        return _windows(fields, weight.shape[0], shape, spans, stride, padding)

    return rule


def _pool(fields: Fields, shape: Shape) -> Shape:
    if len(shape) != 3:
        raise fields.error("input is no image", found=list(shape), expected="[channels, height, width]")
    kernel = fields.integers("kernel_size", 2)
    stride, padding = pool_stride(fields), fields.integers("padding", 2, default=0)
    return _windows(fields, shape[0], shape, kernel, stride, padding)


def pool_stride(fields: Fields) -> list[int]:
    """Return a pool's stride; the kernel where the file has none."""
    return fields.integers("stride" if fields.has("stride") else "kernel_size", 2)


def _windows(
    fields: Fields, channels: int, shape: Shape, spans: list[int], stride: list[int], padding: list[int]
) -> Shape:
    if min(stride) < 1 or min(padding) < 0 or min(spans) < 1:
        raise fields.error("window is wrong", found=f"size {spans}, stride {stride}, padding {padding}")
    sizes = [(n + 2 * p - s) // t + 1 for n, p, s, t in zip(shape[1:], padding, spans, stride, strict=True)]
    if min(sizes) < 1:
        raise fields.error("window is larger than its input", found=f"size {spans} on {list(shape)}")
    return (channels, *sizes)


def _flatten(fields: Fields, shape: Shape) -> Shape:
    start, end = (fields.integers(n, 1, default=d)[0] for n, d in (("start_dim", 0), ("end_dim", -1)))
    first, last = (n if n >= 0 else n + len(shape) for n in (start, end))
    if not 0 <= first <= last < len(shape):
        raise fields.error("axes do not exist", found=f"{start} to {end} of {list(shape)}")
    merged = 1
    for n in shape[first : last + 1]:
        merged *= n
    return (*shape[:first], merged, *shape[last + 1 :])


RULES: dict[str, Rule] = {
    "Affine": _matrix,
    "Linear": _matrix,
    "Scale": _same,
    "Conv1d": _conv(1),
    "Conv2d": _conv(2),
    "SumPool2d": _pool,
    "AvgPool2d": _pool,
    "Flatten": _flatten,
    "Delay": _same,
    **dict.fromkeys(NEURONS, _same),
}
"""All primitives but Input, Output and NIRGraph: name to the shape of its output."""
