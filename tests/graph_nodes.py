"""One function an operator: adds a random node to a growing graph, or nothing where no value fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgesnn.graph import Int4, ValueType
from tests.growing import Growing


def add_points(graph: Growing) -> None:
    rate, polarity = bool(graph.rng.integers(2)), bool(graph.rng.integers(2))
    features = "unsigned" if rate else graph.one_of("unsigned", "signed")
    attributes = {"coding": "rate" if rate else "direct", "features": features, "polarity": polarity}
    graph.builder.add("point_code", "input", name="code", attributes=attributes)
    kind, bound = ("int", 1) if rate else ("float32", 0)
    members = (graph.section["groups"], graph.section["neighbours"], 7 if polarity else 6)
    graph.values["code.local"] = ValueType(kind, members, bound)  # type: ignore[arg-type]
    graph.values["code.centre"] = ValueType(kind, (graph.section["groups"], 3), bound)  # type: ignore[arg-type]


def embed(graph: Growing) -> None:
    vocab, size = graph.section["vocab"], int(graph.rng.integers(1, 70))
    table = graph.rng.normal(0, 1, (vocab, size)).astype(np.float32)
    number, scale = graph.one_of("float32", "int8", "int4"), graph.vector(vocab, 0.1, 1)
    if number == "int4":
        group = int(graph.one_of(32, 64, 128))
        multiplier = graph.rng.integers(1, 4 if graph.exact else 256, (vocab, -(-size // group))).astype(np.uint8)
        tensors = {"weight": Int4(graph.rng.integers(-8, 8, (vocab, size)), group), "multiplier": multiplier}
        graph.add("embedding", "input", {}, {**tensors, "scale": scale})
    elif number == "int8":
        whole = graph.rng.integers(-127, 128, (vocab, size)).astype(np.int8)
        graph.add("embedding", "input", {}, {"weight": whole, "scale": scale})
    else:
        graph.add("embedding", "input", {}, {"weight": table})


def weight(graph: Growing, number: str, shape: tuple[int, ...]) -> Any:
    rng = graph.rng
    if number == "int4":
        return Int4(rng.integers(-8, 8, shape))
    if number == "int8":
        limit = int(rng.choice([2, 127]))
        return rng.integers(-limit, limit + 1, shape).astype(np.int8)
    if graph.exact:
        return rng.integers(-2, 3, shape).astype(np.float32)
    return rng.normal(0, 1, shape).astype(np.float32)


def affine(graph: Growing, outputs: int) -> dict[str, Any]:
    if graph.exact:
        return {"scale": np.ones(outputs, np.float32), "bias": graph.vector(outputs)}
    scale = (10.0 ** graph.rng.uniform(-6, 1, outputs)).astype(np.float32)
    return {"scale": scale, "bias": graph.vector(outputs, -0.5, 0.5)}


def matrix(graph: Growing, x: ValueType, shape: tuple[int, ...], *, quantised: bool) -> tuple[dict[str, Any], Any]:
    """Return attributes and tensors of a weight of that shape, in a random precision."""
    rng = graph.rng
    number = graph.one_of("float32", "int8", "int4")
    attributes: dict[str, Any] = {"activations": "int", "cold_start": graph.one_of("run", "run", "run", "skip")}
    tensors = {"weight": weight(graph, number, shape), **affine(graph, shape[0])}
    if x.kind == "float32":
        attributes["activations"] = "int8" if quantised and number != "float32" and rng.integers(2) else "float32"
        if number == "int4":
            attributes["group"] = group = int(rng.choice([32, 64, 128]))
            blocks = -(-int(np.prod(shape[1:])) // group)
            tensors["multiplier"] = rng.integers(1, 256, (shape[0], blocks)).astype(np.uint8)
    elif number != "float32" and rng.integers(4) == 0:
        attributes["output"] = "int32"
        del tensors["scale"], tensors["bias"]
    return attributes, tensors


def linear(graph: Growing, x: str | None = None, outputs: int | None = None, name: str | None = None) -> str | None:
    x = x or graph.pick("int", "float32")
    if x is None or not graph.values[x].shape:
        return None
    value = graph.values[x]
    shape = (outputs or int(graph.rng.integers(1, 100)), value.shape[-1])
    attributes, tensors = matrix(graph, value, shape, quantised=True)
    if name and "output" in attributes:
        del attributes["output"]
        tensors.update(affine(graph, shape[0]))
    return graph.add("linear", x, attributes, tensors, name)


def convolution(axes: int) -> Callable[[Growing], str | None]:
    def add(graph: Growing) -> str | None:
        x, rng = graph.pick("int", "float32", rank=axes + 1), graph.rng
        if x is None:
            return None
        value = graph.values[x]
        channels = value.shape[0]
        groups = int(graph.one_of(1, channels, *(n for n in range(1, channels + 1) if channels % n == 0)))
        outputs = groups * int(rng.integers(1, 5))
        kernel = tuple(int(rng.integers(1, min(5, n + 2) + 1)) for n in value.shape[1:])
        attributes, tensors = matrix(graph, value, (outputs, channels // groups, *kernel), quantised=False)
        geometry = {
            "stride": [int(rng.integers(1, 4)) for _ in range(axes)],
            "padding": [int(rng.integers(0, 4)) for _ in range(axes)],
            "dilation": [int(rng.integers(1, 3)) for _ in range(axes)],
        }
        return graph.add(
            f"conv{axes}d",
            x,
            {**attributes, **geometry, "groups": groups, "kernel": graph.one_of("event", "dense")},
            tensors,
        )

    return add


def pooling(axes: int) -> Callable[[Growing], str | None]:
    def add(graph: Growing) -> str | None:
        x, rng = graph.pick("int", "float32", rank=axes + 1), graph.rng
        if x is None:
            return None
        kernel = [int(rng.integers(1, min(4, n) + 1)) for n in graph.values[x].shape[1:]]
        attributes = {
            "mode": graph.one_of("sum", "avg", "max"),
            "kernel": kernel,
            "stride": [int(rng.integers(1, 4)) for _ in range(axes)],
            "padding": [int(rng.integers(0, k)) for k in kernel],
        }
        return graph.add(f"pool{axes}d", x, attributes)

    return add


def lif(graph: Growing, x: str | None = None, name: str | None = None) -> str | None:
    x = x or graph.pick("float32")
    if x is None or not graph.values[x].shape:
        return None
    value = graph.values[x]
    axis = graph.axis(value)
    attributes = lif_flags(graph)
    if name:
        attributes.update(spike="binary", cap=1, reset="zero", reset_at="same")
    attributes["axis"] = axis
    roles = {"alpha": (0, 1)}
    if attributes["spike"] != "none":
        roles["v_th"] = (1, 3) if graph.exact or attributes["spike"] != "binary" else (-0.2, 1.5)
    if attributes["current"] != "none":
        roles["beta"] = (0, 1)
    if attributes["reset"] == "value":
        roles["v_reset"] = (-1, 0.5)
    for role, limits in (("gain", (-1, 2)), ("leak", (-1, 1)), ("v_min", (-2, -1))):
        if graph.rng.integers(5) == 0:
            roles[role] = limits
    tensors = {role: graph.parameter(value, axis, *limits) for role, limits in roles.items()}
    if graph.exact and graph.rng.integers(2):
        tensors["alpha"] = tensors["alpha"] * np.float32(0.5)
    return graph.add("lif", x, attributes, tensors, name)


def lif_flags(graph: Growing) -> dict[str, Any]:
    one_of = graph.one_of
    spike = one_of("binary", "binary", "floor", "half_up", "half_even", "none")
    reset = one_of("zero", "subtract", "value", "none") if spike != "none" else "none"
    at = "same"
    if spike == "binary" and reset != "none":
        at = one_of("same", "same", "next", "old", *(["no_double"] if reset == "subtract" else []))
    return {
        "decay": one_of("multiply", "euler"),
        "current": one_of("none", "none", "new", "sum_decay", "jump", "old"),
        "compare": one_of("ge", "gt"),
        "spike": spike,
        "cap": 1 if spike in ("binary", "none") else one_of(1, 4, 255),
        "reset": reset,
        "reset_at": at,
        "refractory": 0 if spike == "none" else one_of(0, 0, 1, 3),
        "v_init": one_of(0.0, 0.0, -1.5),
        "cold_start": one_of("run", "run", "skip"),
    }


def cuba(graph: Growing) -> str | None:
    x = graph.pick("int32", "int")
    if x is None:
        return None
    attributes = {
        "current_decay": int(graph.rng.integers(0, 4097)),
        "voltage_decay": int(graph.one_of(0, 128, 4096)),
        "gain": int(graph.one_of(1, 64, -3, 2**31 - 1)),
        "v_th": int(graph.one_of(1, 64, 80 * 64)),
        "compare": graph.one_of("gt", "ge"),
        "refractory": int(graph.one_of(0, 0, 2)),
        "cold_start": graph.one_of("run", "skip"),
    }
    return graph.add("cuba", x, attributes)


def delay(graph: Growing) -> str | None:
    x = graph.pick("int", "int32", "float32")
    if x is None or not graph.values[x].shape:
        return None
    value, steps = graph.values[x], int(graph.one_of(1, 2, 7))
    attributes = {"steps": steps, "shape": list(value.shape), "value": value.kind, "bound": value.bound}
    if graph.rng.integers(2):
        return graph.add("delay", x, attributes)
    delays = graph.rng.integers(0, steps + 1, value.elements).astype(np.int32)
    return graph.add("delay", x, attributes, {"delays": delays})


def open_loop(graph: Growing) -> ValueType:
    """Add a delay of value "loop", which `close_loop` makes at the end."""
    size, steps = int(graph.rng.integers(1, 60)), int(graph.one_of(1, 1, 3))
    value = ValueType("int", (size,), 1) if graph.rng.integers(2) else ValueType("float32", (size,))
    attributes = {"steps": steps, "shape": [size], "value": value.kind, "bound": value.bound}
    tensors = {}
    if graph.rng.integers(2):
        tensors["delays"] = graph.rng.integers(1, steps + 1, size).astype(np.int32)
    graph.builder.add("delay", "loop", name="past", attributes=attributes, tensors=tensors)
    graph.values["past"] = value
    return value


def close_loop(graph: Growing, loop: ValueType) -> None:
    x = graph.pick("int", "float32") or "past"
    value = graph.values[x]
    if len(value.shape) != 1:
        x = graph.add("reshape", x, {"shape": [value.elements]}) or "past"
    if loop.kind == "float32":
        linear(graph, x, loop.shape[0], "loop")
        return
    current = linear(graph, x, loop.shape[0], "loop.current")
    lif(graph, current, "loop")


def pair(op: str, first: Sequence[str], second: Sequence[str]) -> Callable[[Growing], str | None]:
    def add(graph: Growing) -> str | None:
        a = graph.pick(*first)
        if a is None:
            return None
        kinds = second or (graph.values[a].kind,)
        b = graph.pick(*kinds, shape=graph.values[a].shape)
        return None if b is None else graph.add(op, [a, b])

    return add


def token_shift(graph: Growing) -> str | None:
    x = graph.pick("float32")
    previous = x and graph.pick("float32", shape=graph.values[x].shape)
    if not x or not previous or not graph.values[x].shape:
        return None
    size = graph.values[x].shape[-1]
    mix = graph.rng.uniform(0, 1, size).astype(np.float32)
    return graph.add("token_shift", [x, previous], {}, {"mix": mix, "keep": 1 - mix})


def wkv(graph: Growing) -> str | None:
    k = graph.pick("float32", rank=1)
    v = k and graph.pick("float32", shape=graph.values[k].shape)
    if not k or not v:
        return None
    size = graph.values[k].shape
    tensors = {"bonus": graph.rng.normal(0, 1, size), "decay": -graph.rng.uniform(0, 3, size)}
    return graph.add("wkv", [k, v], {}, tensors)


def rows(op: str, *kinds: str) -> Callable[[Growing], str | None]:
    """Operators over the axis before the channels."""

    def add(graph: Growing) -> str | None:
        x = graph.pick(*kinds, rank=graph.one_of(2, 3))
        return None if x is None else graph.add(op, x)

    return add


def reshape(graph: Growing) -> str | None:
    x = graph.pick("int", "int32", "float32")
    if x is None:
        return None
    n = graph.values[x].elements
    first = int(graph.one_of(*(k for k in range(1, n + 1) if n % k == 0)))
    rest = n // first
    second = int(graph.one_of(*(k for k in range(1, rest + 1) if rest % k == 0)))
    return graph.add("reshape", x, {"shape": graph.one_of([n], [first, rest], [first, second, rest // second])})


def concat(graph: Growing) -> str | None:
    a = graph.pick("int", "int32", "float32")
    if a is None or not graph.values[a].shape:
        return None
    value = graph.values[a]
    b = graph.pick(value.kind, shape=value.shape)
    return graph.add("concat", [a, str(b), a][: int(graph.one_of(2, 3))], {"axis": graph.axis(value)})


def part(graph: Growing) -> str | None:
    x = graph.pick("int", "int32", "float32")
    if x is None or not graph.values[x].shape:
        return None
    axis = graph.axis(graph.values[x])
    size = graph.values[x].shape[axis]
    start = int(graph.rng.integers(0, size))
    if graph.rng.integers(2):
        return graph.add("slice", x, {"axis": axis, "start": start, "stop": int(graph.rng.integers(start, size)) + 1})
    indices = graph.rng.integers(0, size, int(graph.rng.integers(1, size + 4))).astype(np.int32)
    return graph.add("gather", x, {"axis": axis}, {"indices": indices})


def scale(graph: Growing) -> str | None:
    x = graph.pick("int", "float32")
    if x is None or not graph.values[x].shape:
        return None
    value = graph.values[x]
    axis = graph.axis(value)
    tensors = {role: graph.parameter(value, axis, -1, 2) for role in ("scale", "bias")}
    return graph.add("scale", x, {"axis": axis}, tensors)


def activation(graph: Growing) -> str | None:
    x = graph.pick("float32")
    function = graph.one_of("relu", "relu2", "sigmoid", "silu", "exp")
    return None if x is None else graph.add("activation", x, {"function": function})


def softmax(graph: Growing) -> str | None:
    x = graph.pick("float32")
    return None if x is None else graph.add("softmax", x)


def layer_norm(graph: Growing) -> str | None:
    x = graph.pick("float32")
    if x is None:
        return None
    size = graph.values[x].shape[-1]
    tensors = {"weight": graph.vector(size), "bias": graph.vector(size)}
    return graph.add("layer_norm", x, {"eps": graph.one_of(1e-5, 0.25)}, tensors)


def vote(graph: Growing) -> str | None:
    x = graph.pick("int", "float32", rank=1)
    if x is None:
        return None
    size = graph.values[x].shape[0]
    voters = int(graph.one_of(*(n for n in range(1, size + 1) if size % n == 0)))
    return graph.add("vote", x, {"classes": size // voters, "voters": voters})


def count(graph: Growing) -> str | None:
    x = graph.pick("int")
    return None if x is None else graph.add("count", x)


def accumulate(graph: Growing) -> str | None:
    x, mode = graph.pick("int", "float32"), graph.one_of("sum", "mean", "leaky")
    if x is None:
        return None
    axis = graph.axis(graph.values[x])
    tensors = {"alpha": graph.parameter(graph.values[x], axis, 0, 1)} if mode == "leaky" else {}
    return graph.add("accumulate", x, {"mode": mode, "axis": axis}, tensors)


ADDERS: list[tuple[tuple[str, ...], Callable[[Growing], str | None]]] = [
    *[(("linear",), linear)] * 3,
    *[(("lif",), lif)] * 4,
    *[(("conv1d",), convolution(1)), (("conv2d",), convolution(2))] * 2,
    *[(("pool1d",), pooling(1)), (("pool2d",), pooling(2))],
    (("cuba",), cuba),
    (("delay",), delay),
    (("add",), pair("add", ("int", "int32", "float32"), ())),
    (("add",), pair("add", ("float32",), ("int",))),
    (("multiply",), pair("multiply", ("float32",), ("float32", "int"))),
    (("token_shift",), token_shift),
    (("wkv",), wkv),
    (("max",), rows("max", "int")),
    (("mean",), rows("mean", "int", "float32")),
    (("reshape",), reshape),
    (("concat",), concat),
    (("slice", "gather"), part),
    (("scale",), scale),
    (("activation",), activation),
    (("softmax",), softmax),
    (("layer_norm",), layer_norm),
    (("vote",), vote),
    (("count",), count),
    (("accumulate",), accumulate),
]
"""Which operators each adder uses."""
