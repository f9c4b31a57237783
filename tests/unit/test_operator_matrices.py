"""linear and convolutions: against torch by tolerance, integers exactly, and the counts of their work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgesnn.errors import ModelError
from edgesnn.graph import Int4
from tests.one_operator import counts, document, once, session

RNG = np.random.default_rng(11)
GEOMETRY = [
    {"stride": [1], "padding": [0], "dilation": [1]},
    {"stride": [2], "padding": [1], "dilation": [1]},
    {"stride": [1], "padding": [3], "dilation": [2]},
    {"stride": [3], "padding": [2], "dilation": [1]},
]


def weight(kind: str, *shape: int) -> Any:
    if kind == "float32":
        return RNG.normal(0, 1, shape).astype(np.float32)
    limit = 127 if kind == "int8" else 7
    values = RNG.integers(-limit, limit + 1, shape).astype(np.int8)
    return Int4(values) if kind == "int4" else values


def plain(w: Any) -> np.ndarray[Any, Any]:
    return w.values if isinstance(w, Int4) else w


def affine(outputs: int) -> dict[str, Any]:
    return {
        "scale": RNG.uniform(0.5, 2, outputs).astype(np.float32),
        "bias": RNG.normal(0, 1, outputs).astype(np.float32),
    }


@pytest.mark.parametrize("kind", ["float32", "int8", "int4"])
def test_linear_of_counts_is_the_matrix_product(kind: str) -> None:
    w, rest = weight(kind, 33, 21), affine(33)
    x = RNG.integers(0, 6, (4, 21))
    y = once(x, document("linear", counts([4, 21], 5), {"activations": "int"}, {"weight": w, **rest}))
    exact = x @ plain(w).T.astype(np.float64) * rest["scale"] + rest["bias"]
    np.testing.assert_allclose(y, exact, rtol=2e-6, atol=1e-5)


def test_linear_of_floats_and_the_conformance_mode() -> None:
    rest, x = affine(17), RNG.normal(0, 1, 70).astype(np.float32)
    for kind in ("float32", "int8"):
        w = weight(kind, 17, 70)
        y = once(x, document("linear", [70], {"activations": "float32"}, {"weight": w, **rest}))
        np.testing.assert_allclose(y, x @ plain(w).T.astype(np.float64) * rest["scale"] + rest["bias"], rtol=1e-4)


@pytest.mark.parametrize("group", [32, 64, 128])
@pytest.mark.parametrize("activations", ["float32", "int8"])
def test_int4_groups_have_their_multipliers(group: int, activations: str) -> None:
    w, rest, inputs = weight("int4", 19, 150), affine(19), 150
    m = RNG.integers(1, 256, (19, -(-inputs // group))).astype(np.uint8)
    x = RNG.normal(0, 1, inputs).astype(np.float32)
    tensors = {"weight": w, "multiplier": m, **rest}
    y = once(x, document("linear", [inputs], {"activations": activations, "group": group}, tensors))
    full = plain(w) * np.repeat(m, group, axis=1)[:, :inputs].astype(np.float64)
    if activations == "int8":
        a = np.abs(x).max()
        x = (np.rint(x * (np.float32(127) / a)) * (a / np.float32(127))).astype(np.float32)
    np.testing.assert_allclose(y, x @ full.T * rest["scale"] + rest["bias"], rtol=1e-3, atol=1e-2)


def test_int8_activations_are_quantised_vector_by_vector() -> None:
    w, rest = weight("int8", 5, 9), affine(5)
    x = np.array([[0.0] * 9, [1e-31] * 9, [1, -2, 3, -4, 5, -6, 7, -8, 127 / 16], [np.float32(1e33)] * 9], np.float32)
    made = document("linear", [4, 9], {"activations": "int8"}, {"weight": w, **rest})
    y = once(x, made)
    np.testing.assert_array_equal(y[0], rest["bias"])
    np.testing.assert_array_equal(y[1], rest["bias"])
    q = np.rint(x[2] * (np.float32(127) / np.float32(8))).astype(np.int64)
    acc = (plain(w).astype(np.int64) @ q).astype(np.float32)
    np.testing.assert_array_equal(y[2], acc * rest["scale"] * (np.float32(8) / np.float32(127)) + rest["bias"])
    assert np.isfinite(y[3]).all()


def test_a_bare_sum_is_an_int32_with_a_bound() -> None:
    w = np.full((2, 3), -127, np.int8)
    made = document("linear", counts([3], 4), {"activations": "int", "output": "int32"}, {"weight": w})
    assert made.analysis.values["op"].bound == 127 * 3 * 4
    y = once([4, 4, 4], made)
    assert y.dtype == np.int32
    assert y.tolist() == [-1524, -1524]


@pytest.mark.parametrize("geometry", GEOMETRY)
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("kind", ["float32", "int8", "int4"])
def test_convolutions_are_those_of_torch(kind: str, axes: int, groups: int, geometry: dict[str, list[int]]) -> None:
    torch = pytest.importorskip("torch")
    shape = (4, 9) if axes == 1 else (4, 9, 7)
    w, rest = weight(kind, 8, 4 // groups, *(3, 2)[:axes]), affine(8)
    attributes = {"activations": "int", "groups": groups, **{k: v * axes for k, v in geometry.items()}}
    x = RNG.integers(0, 4, shape)
    y = once(x, document(f"conv{axes}d", counts(shape, 3), attributes, {"weight": w, **rest}))
    convolve = {1: torch.nn.functional.conv1d, 2: torch.nn.functional.conv2d}[axes]
    options = {k: tuple(v * axes) for k, v in geometry.items()}
    theirs = convolve(
        torch.from_numpy(x[None].astype(np.float64)),
        torch.from_numpy(plain(w).astype(np.float64)),
        groups=groups,
        **options,
    )
    wide = (-1,) + (1,) * axes
    expected = theirs[0].numpy() * rest["scale"].reshape(wide) + rest["bias"].reshape(wide)
    np.testing.assert_allclose(y, expected, rtol=2e-6, atol=1e-5)


def test_convolutions_of_floats_in_every_precision() -> None:
    torch = pytest.importorskip("torch")
    x = RNG.normal(0, 1, (3, 6, 5)).astype(np.float32)
    for kind in ("float32", "int8", "int4"):
        w, rest, grouped = weight(kind, 4, 3, 3, 3), affine(4), kind == "int4"
        m = RNG.integers(1, 9, (4, 1)).astype(np.uint8)
        attributes = {"activations": "float32", "padding": [1, 1], "group": 32 * grouped}
        tensors = {"weight": w, **rest, **({"multiplier": m} if grouped else {})}
        y = once(x, document("conv2d", [3, 6, 5], attributes, tensors))
        full = plain(w).astype(np.float64) * (m[:, :, None, None] if grouped else 1)
        theirs = torch.nn.functional.conv2d(torch.from_numpy(x[None]).double(), torch.from_numpy(full), padding=1)
        expected = theirs[0].numpy() * rest["scale"][:, None, None] + rest["bias"][:, None, None]
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("geometry", GEOMETRY)
@pytest.mark.parametrize("groups", [1, 2])
def test_synaptic_operations_of_a_convolution_are_the_contributions_that_exist(
    groups: int, geometry: dict[str, list[int]]
) -> None:
    """With weights of one the sum of all outputs counts them."""
    attributes = {"activations": "int", "output": "int32", "groups": groups, **{k: v * 2 for k, v in geometry.items()}}
    w = np.ones((4, 2 // groups, 3, 3), np.int8)
    made = document("conv2d", counts([2, 8, 7], 3), attributes, {"weight": w})
    stream = session(made)
    y = np.asarray(stream.step(RNG.integers(0, 4, (2, 8, 7))))
    assert stream.synops == y.sum() > 0


def test_a_cold_start_leaves_out_the_first_step() -> None:
    attributes = {"activations": "int", "cold_start": "skip"}
    tensors = {"weight": np.ones((2, 2), np.int8), "scale": np.ones(2, np.float32), "bias": np.ones(2, np.float32)}
    stream = session(document("linear", counts([2]), attributes, tensors))
    assert np.asarray(stream.run([[1, 1]] * 3)).tolist() == [[0, 0], [3, 3], [3, 3]]
    assert stream.synops == 2 * 4
    stream.reset()
    assert np.asarray(stream.step([1, 1])).tolist() == [0, 0]


WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "float weights to quantised input": ({"activations": "int8"}, {}, "quantised activations are not integer"),
    "bare sum of floats": ({"activations": "float32", "output": "int32"}, {}, "output is no integer sum"),
    "groups of float weights": ({"activations": "float32", "group": 32}, {}, "attribute 'group' is wrong"),
    "no bias": ({"activations": "float32"}, {"bias": None}, "node has other tensors"),
    "multiplier of float weights": (
        {"activations": "float32"},
        {"multiplier": np.ones((2, 1), np.uint8)},
        "node has other tensors",
    ),
    "int4 without a group": (
        {"activations": "int8"},
        {"weight": Int4(np.ones((2, 3), np.int8)), "multiplier": np.ones((2, 1), np.uint8)},
        "attribute 'group' is wrong",
    ),
    "multiplier of zero": (
        {"activations": "int8", "group": 32},
        {"weight": Int4(np.ones((2, 3), np.int8)), "multiplier": np.zeros((2, 1), np.uint8)},
        "multiplier is out of range",
    ),
    "multiplier of other groups": (
        {"activations": "int8", "group": 32},
        {"weight": Int4(np.ones((2, 3), np.int8)), "multiplier": np.ones((2, 2), np.uint8)},
        "found uint8 .2, 2., expected uint8 .2, 1.",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_matrix_that_does_not_fit_is_refused(name: str) -> None:
    attributes, changes, message = WRONG[name]
    tensors = {"weight": np.ones((2, 3), np.float32), "scale": np.ones(2), "bias": np.ones(2), **changes}
    with pytest.raises(ModelError, match=message):
        document("linear", [3], attributes, {k: v for k, v in tensors.items() if v is not None})


def test_sums_that_may_not_fit_are_refused_at_load() -> None:
    tensors = {"weight": np.zeros((1, 66312), np.int8), "scale": np.ones(1), "bias": np.ones(1)}
    with pytest.raises(ModelError, match="sums may not fit 32 bits"):
        document("linear", counts([66312], 255), {"activations": "int"}, tensors)
    wide = {"weight": Int4(np.zeros((1, 8193), np.int8)), "multiplier": np.ones((1, 65), np.uint8)}
    with pytest.raises(ModelError, match="found 8193 inputs, expected 8192"):
        document("linear", [8193], {"activations": "int8", "group": 128}, {**tensors, **wide})
