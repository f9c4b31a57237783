"""The native loader refuses by itself what Python would not let through: it trusts no caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgesnn import _native
from edgesnn.errors import ModelError
from edgesnn.graph import Builder
from edgesnn.graph.tensors import store
from edgesnn.runtime.backends.native import source
from tests.small_graphs import integers, language, recurrent

Change = Callable[[Any], None]


def node(spec: Any, name: str) -> Any:
    return next(n for n in spec["nodes"] if n.name == name)


def wire(name: str, *inputs: str) -> Change:
    return lambda spec: setattr(node(spec, name), "inputs", inputs)


def attribute(name: str, **values: Any) -> Change:
    return lambda spec: node(spec, name).attributes.update(values)


def number(name: str, role: str, index: Any, value: float) -> Change:
    def change(spec: Any) -> None:
        tensor = node(spec, name).tensors[role]
        tensor.data = tensor.data.copy()
        tensor.data[index] = value

    return change


def stored(name: str, role: str, array: Any) -> Change:
    return lambda spec: setattr(node(spec, name).tensors[role], "data", array)


def state(index: int, **values: Any) -> Change:
    def change(spec: Any) -> None:
        old = spec["states"][index]
        fields = {f: getattr(old, f) for f in ("name", "shape", "dtype", "initial", "reset")}
        spec["states"][index] = type("State", (), {**fields, **values})

    return change


def images() -> Any:
    b = Builder(input={"kind": "dense", "shape": [64, 3, 3]})
    tensors = {"weight": np.ones((4, 64, 3, 3), np.int8), "scale": np.ones(4), "bias": np.zeros(4)}
    return b.document(
        outputs=b.add("conv2d", "input", name="conv", attributes={"activations": "float32"}, tensors=tensors)
    )


def quantised(spec: Any) -> None:
    """Make the convolution one that rounds its input, with weights as a matrix of that kind has them."""
    node(spec, "conv").attributes["activations"] = "int8"
    weight = node(spec, "conv").tensors["weight"]
    weight.layout, weight.data = "om16x4", store(np.ones((4, 64, 3, 3), np.int8), "om16x4").data


WRONG: dict[str, tuple[Any, Change, str]] = {
    "delay of nothing": (recurrent, wire("past"), "other number of inputs"),
    "delay of two": (recurrent, wire("past", "flat", "both"), "other number of inputs"),
    "delay of two later ones": (recurrent, wire("past", "both", "both"), "other number of inputs"),
    "delay of no node": (recurrent, wire("past", "nothing"), "made by no node"),
    "cycle without a delay": (recurrent, wire("back", "fired"), "made by no earlier node"),
    "nine inputs": (recurrent, wire("both", *["flat"] * 9), "too many inputs"),
    "delay of too small a bound": (recurrent, attribute("past", bound=7), "not what the delay declares"),
    "delay of another kind": (recurrent, attribute("past", value="float32", bound=0), "input is of another kind"),
    "delay of a huge shape": (recurrent, attribute("past", shape=[2**28] * 8), "not what|another shape|too large"),
    "delay past its steps": (recurrent, number("past", "delays", 3, 4), "delay is out of range"),
    "delay of now in a cycle": (recurrent, number("past", "delays", 3, 0), "delay is out of range"),
    "kernel larger than the image": (recurrent, attribute("conv", dilation=[7, 7]), "kernel is larger"),
    "huge dilation": (recurrent, attribute("conv", dilation=[2**28, 1]), "attribute 'dilation' is wrong"),
    "negative stride": (recurrent, attribute("conv", stride=[-1, 1]), "attribute 'stride' is wrong"),
    "convolution of quantised floats": (images, quantised, "attribute 'activations' is wrong: found int8"),
    "odd groups": (recurrent, attribute("conv", groups=3), "another shape for these groups"),
    "padding of the pool": (recurrent, attribute("pool", padding=[2, 0]), "attribute 'padding' is wrong"),
    "index past the end": (recurrent, number("order", "indices", 0, 4), "index is out of range"),
    "multiplier of zero": (recurrent, number("fc", "multiplier", (1, 2), 0), "multiplier is out of range"),
    "padding of int4": (recurrent, number("conv", "weight", (19, 0), 0), "padding of tensor 'conv.weight' is not zero"),
    "padding of blocks": (recurrent, number("fc", "weight", (0, 7, 0, 3), 0), "padding of tensor 'fc.weight'"),
    "padding of a vector": (recurrent, number("conv", "bias", 4, 1), "padding of tensor 'conv.bias' is not zero"),
    "padding of columns": (integers, number("fc", "weight", (0, 12), 1), "padding of tensor 'fc.weight' is not zero"),
    "padding of the table": (language, number("table", "weight", (17, 0), 1), "padding of tensor 'table.weight'"),
    "threshold of zero": (recurrent, number("fired", "v_th", 0, 0), "threshold"),
    "reset of nothing": (recurrent, attribute("lif", reset="none", reset_at="next"), "flags do not go together"),
    "fewer blocks": (recurrent, stored("fc", "weight", np.full((1, 7, 16, 4), 0x88, np.uint8)), "does not fit"),
    "words past the table": (language, lambda s: s.update(input={**s["input"], "vocab": 18}), "fewer rows"),
    "gain past 32 bits": (integers, attribute("cuba", gain=2**24), "gain times input is too large"),
    "state begins otherwise": (language, state(4, initial=0.0), "state begins otherwise"),
    "state of another type": (recurrent, state(1, dtype="float32"), "state is not the graph's"),
    "state of another shape": (recurrent, state(1, shape=(4, 48)), "state is not the graph's"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_model_is_refused_without_python(case: str) -> None:
    make, change, words = WRONG[case]
    spec = source(make())
    _native.executor.Model(spec)
    change(spec)
    with pytest.raises(ModelError, match=words):
        _native.executor.Model(spec)


def test_a_huge_line_is_refused_before_it_is_made() -> None:
    """2^28 elements are a value's limit, and a state's: 4096 lines of them would be a terabyte."""
    spec = source(integers())
    spec["input"] = {**spec["input"], "shape": (2**26,)}
    node(spec, "fc").inputs = ("far",)
    far = type(node(spec, "fc"))(
        name="far", op="delay", inputs=("input",), outputs=("far",), tensors={},
        attributes={"steps": 4096, "shape": [2**26], "value": "int", "bound": 1},
    )  # fmt: skip
    spec["nodes"].insert(0, far)
    with pytest.raises(ModelError, match="too large"):
        _native.executor.Model(spec)


def test_a_long_kernel_over_a_long_input_is_refused_before_its_table_is_made() -> None:
    """A table of 2^14 kernel places for each of 2^15 inputs would be gigabytes."""
    b = Builder(input={"kind": "spikes", "shape": [1, 8]})
    tensors = {"weight": np.ones((1, 1, 2), np.int8), "scale": np.ones(1), "bias": np.zeros(1)}
    spec = source(b.document(outputs=b.add("conv1d", "input", name="conv", attributes={"activations": "int"},
                                           tensors=tensors)))  # fmt: skip
    spec["input"] = {**spec["input"], "shape": (1, 1 << 15)}
    weight = node(spec, "conv").tensors["weight"]
    weight.shape, weight.data = (1, 1, 1 << 14), np.zeros((1 << 14, 16), np.int8)
    with pytest.raises(ModelError, match="kernel is too large"):
        _native.executor.Model(spec)


def test_more_nodes_than_there_may_be_are_refused() -> None:
    b = Builder(input={"kind": "dense", "shape": [1]})
    spec = source(b.document(outputs=b.add("softmax", "input", name="n")))
    spec["nodes"] = spec["nodes"] * 16385
    with pytest.raises(ModelError, match="too many nodes"):
        _native.executor.Model(spec)
