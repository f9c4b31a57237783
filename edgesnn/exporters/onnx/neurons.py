"""lif and cuba: docs/operators.md, "Neurons", line by line."""

from __future__ import annotations

import numpy as np

from edgesnn.exporters.onnx.graph import TYPES, NodeGraph
from edgesnn.graph.values import INT32_MAX

_COMPARE = {"ge": "GreaterOrEqual", "gt": "Greater"}


def add_lif(node: NodeGraph) -> None:
    """Add a `lif`."""
    x = _with(node, "Mul", node.input(0, "float32"), "gain")
    c = _with(node, "Add", _current(node, x), "leak")
    u, n, dtype = _membrane(node, node.old["v"], c)
    if node.attribute("refractory"):
        u, n, dtype = _refractory(node, u, n, dtype)
    node.keep("v", u)
    if node.attribute("spike") == "none":
        node.make("float32", u)
    else:
        node.make(dtype, n)


def _with(node: NodeGraph, op: str, x: str, role: str) -> str:
    """Add a product or sum with an optional parameter."""
    value = node.parameter(role)
    return x if value is None else node.op(op, x, value)


def _need(node: NodeGraph, role: str) -> str:
    value = node.parameter(role)
    assert value is not None
    return value


def _current(node: NodeGraph, x: str) -> str:
    """Line 2: the synaptic current."""
    kind = node.attribute("current")
    if kind == "none":
        return x
    i, beta = node.old["i"], _need(node, "beta")
    if kind in ("new", "old"):
        after = node.op("Add", node.op("Mul", i, beta), x)
        node.keep("i", after)
        return after if kind == "new" else i
    jumped = node.op("Add", i, x)
    if kind == "sum_decay":
        after = node.op("Mul", jumped, beta)
        node.keep("i", after)
        return after
    node.keep("i", node.op("Sub", jumped, node.op("Mul", beta, jumped)))
    return jumped


def _membrane(node: NodeGraph, v: str, c: str) -> tuple[str, str, str]:
    """Lines 4 to 9: return the membrane after the step, the spikes, and their type."""
    at, spike = node.attribute("reset_at"), node.attribute("spike")
    alpha = _need(node, "alpha")
    before = "" if at == "same" else node.op(_COMPARE[node.attribute("compare")], v, _need(node, "v_th"))
    if at == "next":
        v = node.op("Where", before, _reset(node, v), v)
    if node.attribute("decay") == "multiply":
        u = node.op("Add", node.op("Mul", v, alpha), c)
    else:
        u = node.op("Add", v, node.op("Mul", alpha, node.op("Sub", c, v)))
    if at == "old":
        u = node.op("Where", before, _reset(node, u), u)
    if at == "no_double":
        u = _less(node, u, before)
    if spike == "none":
        return _with(node, "Max", u, "v_min"), "", ""
    n, dtype = _spikes(node, u)
    if at == "same" and node.attribute("reset") != "none":
        u = _reset_by(node, u, n, dtype)
    if at == "no_double":  # n - before is 1, 0 or -1
        once = node.op("Sub", *(node.op("Cast", b, to=TYPES["float32"]) for b in (n, before)))
        u = node.op("Sub", u, node.op("Mul", once, _need(node, "v_th")))
    return _with(node, "Max", u, "v_min"), n, dtype


def _less(node: NodeGraph, u: str, where: str) -> str:
    """Add u - v_th where a boolean is true."""
    return node.op("Where", where, node.op("Sub", u, _need(node, "v_th")), u)


def _reset(node: NodeGraph, u: str) -> str:
    """Add what a spike leaves of a membrane; zero and value broadcast."""
    kind = node.attribute("reset")
    if kind == "subtract":
        return node.op("Sub", u, _need(node, "v_th"))
    return node.constant(np.float32(0)) if kind == "zero" else _need(node, "v_reset")


def _reset_by(node: NodeGraph, u: str, n: str, dtype: str) -> str:
    """Line 8, reset in the same step by so many spikes."""
    if dtype == "bool":
        return node.op("Where", n, _reset(node, u), u)
    if node.attribute("reset") == "subtract":
        return node.op("Sub", u, node.op("Mul", n, _need(node, "v_th")))
    return node.op("Where", node.op("Greater", n, node.constant(np.float32(0))), _reset(node, u), u)


def _spikes(node: NodeGraph, u: str) -> tuple[str, str]:
    """Line 7: return the spikes and their type."""
    kind, zero = node.attribute("spike"), node.constant(np.float32(0))
    v_th, cap = _need(node, "v_th"), node.constant(np.float32(node.attribute("cap")))
    if kind == "binary":
        return node.op(_COMPARE[node.attribute("compare")], u, v_th), "bool"
    q = node.op("Div", u, v_th)
    if kind == "floor":
        return node.op("Min", node.op("Max", node.op("Floor", q), zero), cap), "float32"
    q = node.op("Min", node.op("Max", q, zero), cap)
    if kind == "half_even":
        return node.op("Round", q), "float32"
    return node.op("Floor", node.op("Add", q, node.constant(np.float32(0.5)))), "float32"


def _refractory(node: NodeGraph, u: str, n: str, dtype: str) -> tuple[str, str, str]:
    """While the count is above 0 the membrane is held and nothing fires; a spike sets it."""
    count, zero = node.old["refractory"], node.constant(np.int32(0))
    held = node.op("Greater", count, zero)
    u = node.op("Where", held, node.old["v"], u)
    fired = n if dtype == "bool" else node.op("Greater", n, node.constant(np.float32(0)))
    if dtype == "bool":
        n = node.op("And", n, node.op("Not", held))
    else:
        n = node.op("Where", held, node.constant(np.float32(0)), n)
    fresh = node.op("Where", fired, node.constant(np.int32(node.attribute("refractory"))), zero)
    node.keep("refractory", node.op("Where", held, node.op("Sub", count, node.constant(np.int32(1))), fresh))
    return u, n, dtype


def add_cuba(node: NodeGraph) -> None:
    """Add a `cuba`: products in 64 bits, states in 32."""
    get = node.attribute
    x = node.op("Mul", node.input(0, "int64"), node.constant(np.int64(get("gain"))))
    u = _clamped(node, node.op("Add", _decayed(node, "u", get("current_decay")), x))
    v = _clamped(node, node.op("Add", _decayed(node, "v", get("voltage_decay")), u))
    fired = node.op(_COMPARE[get("compare")], v, node.constant(np.int64(get("v_th"))))
    v = node.op("Cast", node.op("Where", fired, node.constant(np.int64(0)), v), to=TYPES["int32"])
    if get("refractory"):
        count, one = node.old["refractory"], node.constant(np.int32(1))
        held = node.op("Greater", count, node.constant(np.int32(0)))
        fired = node.op("And", fired, node.op("Not", held))
        v = node.op("Where", held, node.old["v"], v)
        rest = node.op("Where", held, node.op("Sub", count, one), count)
        node.keep("refractory", node.op("Where", fired, node.constant(np.int32(get("refractory"))), rest))
    node.keep("u", node.op("Cast", u, to=TYPES["int32"]))
    node.keep("v", v)
    node.make("bool", fired)


def _decayed(node: NodeGraph, state: str, d: int) -> str:
    """Add q * (4096 - d) / 4096 truncated toward zero, which is ONNX's division of integers."""
    q = node.op("Cast", node.old[state], to=TYPES["int64"])
    return node.op("Div", node.op("Mul", q, node.constant(np.int64(4096 - d))), node.constant(np.int64(4096)))


def _clamped(node: NodeGraph, q: str) -> str:
    limit = node.constant(np.int64(INT32_MAX))
    return node.op("Max", node.op("Min", q, limit), node.constant(np.int64(-INT32_MAX)))
