"""Our exponentials and sums in sixteen lanes, written out (docs/arithmetic.md, sections 5 and 6).

Where a model rounds graded values to int8, a last bit that differs can move a value by a whole step: there these stand
in for onnxruntime's own functions, which are some thirty nodes quicker each.
"""

from __future__ import annotations

import numpy as np

from edgesnn.exporters.onnx.graph import Graph

_LOWEST, _HIGHEST = np.float32(-87.33654), np.float32(88.72283)
_COEFFICIENTS = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
_LANES = 16


def exp32(graph: Graph, x: str) -> str:
    """Add e^x."""
    infinity = graph.constant(np.float32(np.inf))
    return graph.op("Where", graph.op("Greater", x, graph.constant(_HIGHEST)), infinity, _finite(graph, x))


def _finite(graph: Graph, x: str) -> str:
    """Add e^x of what is not above the highest exponent."""

    def k(value: float) -> str:
        return graph.constant(np.float32(value))

    op = graph.op
    inside = op("Clip", x, k(_LOWEST), k(_HIGHEST))
    n = op("Round", op("Mul", inside, k(1.44269504)))
    r = op("Sub", op("Sub", inside, op("Mul", n, k(0.693359375))), op("Mul", n, k(-2.12194440e-4)))
    p = k(_COEFFICIENTS[0])
    for coefficient in _COEFFICIENTS[1:]:
        p = op("Add", op("Mul", p, r), k(coefficient))
    y = op("Add", op("Add", op("Mul", p, op("Mul", r, r)), r), k(1))
    half = op("Floor", op("Mul", n, k(0.5)))
    y = op("Mul", op("Mul", y, op("Pow", k(2), half)), op("Pow", k(2), op("Sub", n, half)))
    return op("Where", op("Less", x, k(_LOWEST)), k(0), y)


def sigmoid32(graph: Graph, x: str) -> str:
    """Add 1 / (1 + e^-x), which is 0 where that power is infinite.

    The comparison comes last: onnxruntime makes (1 / a) * b, which rounds twice, b / a, which rounds once.
    """
    one, zero = graph.constant(np.float32(1)), graph.constant(np.float32(0))
    minus = graph.op("Neg", x)
    y = graph.op("Div", one, graph.op("Add", one, _finite(graph, minus)))
    return graph.op("Where", graph.op("Greater", minus, graph.constant(_HIGHEST)), zero, y)


def lane_sum(graph: Graph, x: str, shape: tuple[int, ...]) -> str:
    """Add the sum over the last axis of a value of that shape: [..., 1]."""
    size = shape[-1]
    short = -size % _LANES
    if short:
        pads = np.zeros(2 * len(shape), np.int64)
        pads[-1] = short
        x = graph.op("Pad", x, graph.constant(pads))
    total = graph.op("Sum", *graph.parts(x, (size + short) // _LANES))  # adds its inputs one after the other
    for _ in range(4):
        total = graph.op("Add", *graph.parts(total, 2))
    return total


def layer_norm32(graph: Graph, x: str, shape: tuple[int, ...], eps: float) -> str:
    """Add (x - m) / sqrt(variance + eps) over the last axis."""
    size = graph.constant(np.float32(shape[-1]))
    apart = graph.op("Sub", x, graph.op("Div", lane_sum(graph, x, shape), size))
    variance = graph.op("Div", lane_sum(graph, graph.op("Mul", apart, apart), shape), size)
    return graph.op("Div", apart, graph.op("Sqrt", graph.op("Add", variance, graph.constant(np.float32(eps)))))


def softmax32(graph: Graph, x: str, shape: tuple[int, ...]) -> str:
    """Add the softmax over the last axis."""
    e = exp32(graph, graph.op("Sub", x, graph.largest(x, -1, 1)))
    return graph.op("Div", e, lane_sum(graph, e, shape))
