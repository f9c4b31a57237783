"""Sums of whole numbers in ONNX files are exact past 2^24, where float32 no longer holds every whole number.

The oracle of integer sums is numpy's int64; that of rounded input is the reference backend.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed (extra onnx)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra onnx)")

from edgesnn.exporters.onnx import model as exporter
from edgesnn.exporters.onnx.registry import FORMS
from edgesnn.graph import Builder, Int4
from edgesnn.runtime import Model
from tests.one_operator import counts, document
from tests.unit.test_export_onnx import stepped

FULL_BYTE = 255


def answer(made: Any, x: Any, form: str) -> Any:
    """Return one step's output, node by node as the file is written."""
    return stepped(exporter.step_model(made, form=form), made, [x], plain=True)[0]["output/op"]


def products(made: Any, op: str) -> int:
    return sum(node.op_type == op for node in exporter.step_model(made, form="qdq").graph.node)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("output", ["int32", "float32"])
def test_a_sum_past_two_to_the_24_has_its_last_bit(form, output):
    """An odd sum of 26 million, which float32 would round whatever its order."""
    rng = np.random.default_rng(7)
    weight = rng.integers(100, 128, (3, 1024)).astype(np.int8)
    x = rng.integers(200, 256, 1024).astype(np.uint8)
    expected = weight.astype(np.int64) @ x.astype(np.int64)
    assert (expected > 1 << 24).all()
    tensors: dict[str, Any] = {"weight": weight}
    if output == "float32":
        tensors |= {"scale": np.full(3, 0.5, np.float32), "bias": np.ones(3, np.float32)}
        expected = expected.astype(np.float32) * np.float32(0.5) + np.float32(1)
    made = document("linear", counts([1024], FULL_BYTE), {"activations": "int", "output": output}, tensors)
    np.testing.assert_array_equal(answer(made, x, form), expected)


@pytest.mark.parametrize(("last", "parts"), [(7, 1), (8, 2)])
def test_a_sum_is_cut_where_its_weights_can_reach_two_to_the_24(last, parts):
    """518 * 127 + 7 = 65,793, and 65,793 * 255 = 2^24 - 1; the other output is far from it."""
    weight = np.full((2, 519), 127, np.int8)
    weight[:, -1] = last
    weight[0, ::2] *= -1  # the sum of |w| counts: float32 may add the negative ones last
    weight[1] = 1
    made = document("linear", counts([519], FULL_BYTE), {"activations": "int", "output": "int32"}, {"weight": weight})
    assert products(made, "MatMul") == parts
    x = np.full(519, FULL_BYTE, np.uint8)
    np.testing.assert_array_equal(answer(made, x, "qdq"), weight.astype(np.int64) @ x)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("op", ["conv1d", "conv2d"])
def test_convolutions_past_two_to_the_24_are_exact(form, op):
    rng = np.random.default_rng(3)
    kernel, axes = ([170], [171]) if op == "conv1d" else ([13, 13], [14, 13])
    weight = rng.integers(100, 128, (4, 4, *kernel)).astype(np.int8)
    x = rng.integers(200, 256, (8, *axes)).astype(np.uint8)
    side = {name: [value] * len(kernel) for name, value in (("stride", 1), ("padding", 0), ("dilation", 1))}
    how = {"activations": "int", "output": "int32", "groups": 2, **side}
    made = document(op, counts([8, *axes], FULL_BYTE), how, {"weight": weight})
    first = x[(slice(None), slice(0, kernel[0]))].astype(np.int64)
    second = x[(slice(None), slice(1, kernel[0] + 1))].astype(np.int64)
    expected = [
        [(weight[n].astype(np.int64) * at[4 * (n // 2) : 4 * (n // 2) + 4]).sum() for at in (first, second)]
        for n in range(4)
    ]
    assert np.min(expected) > 1 << 24
    assert form != "qdq" or products(made, "Conv") > 1
    np.testing.assert_array_equal(answer(made, x, form).reshape(4, 2), expected)


def reference(made: Any, x: Any) -> Any:
    return np.asarray(Model(made, backend="reference").session().step(x))


def graded(weight: Any, **more: Any) -> Any:
    outputs, inputs = more["shape"]
    tensors = {"weight": weight, "scale": np.linspace(0.1, 0.7, outputs), "bias": np.ones(outputs)}
    attributes = {"activations": "int8", "group": more.get("group", 0)}
    if "multiplier" in more:
        tensors["multiplier"] = more["multiplier"]
    return document("linear", [inputs], attributes, tensors)


@pytest.mark.parametrize("form", FORMS)
def test_int8_weights_of_rounded_input_are_the_references_past_two_to_the_24(form):
    rng = np.random.default_rng(1)
    made = graded(rng.integers(110, 128, (5, 2000)).astype(np.int8), shape=(5, 2000))
    assert products(made, "MatMul") > 1
    x = rng.uniform(0.8, 1, 2000).astype(np.float32)
    np.testing.assert_array_equal(answer(made, x, form), reference(made, x))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("inputs", "group"), [(96, 32), (256, 128), (200, 64), (1024, 32)])
@pytest.mark.parametrize("least", [1, 250])
def test_int4_weights_of_rounded_input_are_the_references(form, inputs, group, least):
    """Whole groups and others; multipliers so large that a part is smaller than a group of 128, and small ones."""
    rng = np.random.default_rng(inputs)
    low, high = (-8, -6) if least > 1 else (-8, 8)
    weight = rng.integers(low, high, (5, inputs)).astype(np.int8)
    multiplier = rng.integers(least, 256, (5, -(-inputs // group))).astype(np.uint8)
    made = graded(Int4(weight), shape=(5, inputs), group=group, multiplier=multiplier)
    x = rng.uniform(0.5, 1, inputs).astype(np.float32) * rng.choice([-1, 1, 1], inputs).astype(np.float32)
    np.testing.assert_array_equal(answer(made, x, form), reference(made, x))
    for silent in (np.zeros(inputs, np.float32), np.full(inputs, 1e-38, np.float32)):
        np.testing.assert_array_equal(answer(made, silent, form), reference(made, silent))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("factors", [[10], [-10, 1], [0], [0, 10, -10], [0] * 64])
def test_infinities_are_rounded_as_the_largest_number_and_what_is_none_as_the_least(form, bits, factors):
    """What a graph computes may pass all numbers: 3e38 times ten is infinite, and that times 0 is none."""
    rng = np.random.default_rng(len(factors))
    weight = rng.integers(-8, 8, (5, 64)).astype(np.int8)
    tensors = {"weight": Int4(weight) if bits == 4 else weight, "scale": np.linspace(0.1, 0.7, 5), "bias": np.ones(5)}
    if bits == 4:
        tensors["multiplier"] = rng.integers(1, 256, (5, 2)).astype(np.uint8)
    places = rng.permutation(64)[: len(factors)]
    scales = np.ones((3, 64), np.float32)
    scales[0, places], scales[1, places], scales[2, places] = 3e38, [factor or 10 for factor in factors], factors
    builder = Builder(input={"kind": "dense", "shape": [64]})
    x = "input"
    for i, scale in enumerate(scales):
        x = builder.add("scale", x, name=f"scale{i}", tensors={"scale": scale, "bias": np.zeros(64)})
    last = builder.add(
        "linear", x, name="op", attributes={"activations": "int8", "group": 32 * (bits == 4)}, tensors=tensors
    )
    made = builder.document(outputs=last)
    values = np.full(64, 0.5, np.float32)
    values[places] = 1
    with np.errstate(all="ignore"):
        expected = reference(made, values)
    np.testing.assert_array_equal(answer(made, values, form), expected)
