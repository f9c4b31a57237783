"""Parameter vectors that the native executor does not spread: that would take much more memory than their tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest

from edgesnn.graph import Builder, Document
from edgesnn.runtime import Model

Vector = Callable[[int], npt.NDArray[np.float32]]

ALL_FLAGS = {"current": "new", "reset": "value", "refractory": 2}
# shape, axis, length of the vectors: more than 16 MiB and four times the tensors when they are spread
FORMS = [
    ([2**22 + 1040], -1, 1),
    ([3, 1300, 1101], -3, 3),
    ([60, 17, 4200], -2, 17),
    ([2**20, 1], -1, 2**20),
]


def vectors(seed: int) -> Vector:
    rng = np.random.default_rng(seed)
    return lambda length: rng.uniform(0.25, 1.5, length).astype(np.float32)


def same_everywhere(document: Document, shape: Sequence[int], steps: int = 2) -> None:
    xs = np.random.default_rng(7).uniform(-1, 3, (steps, *shape)).astype(np.float32)
    native, reference = (Model(document, backend=name).session() for name in ("native", "reference"))
    for x in xs:
        assert np.array_equal(native.step(x), reference.step(x))
    for name, state in reference.state.items():
        assert np.array_equal(native.state[name], state), name


@pytest.mark.parametrize(("shape", "axis", "length"), FORMS)
@pytest.mark.parametrize("every", [False, True], ids=["plain", "every flag"])
def test_neurons(shape: list[int], axis: int, length: int, every: bool) -> None:
    some = vectors(1)
    roles = ["alpha", "v_th", *(["beta", "v_reset", "gain", "leak", "v_min"] if every else [])]
    b = Builder(input={"kind": "dense", "shape": shape})
    attributes = {"axis": axis, **(ALL_FLAGS if every else {})}
    b.add("lif", "input", name="lif", attributes=attributes, tensors={role: some(length) for role in roles})
    same_everywhere(b.document(outputs="lif"), shape)


@pytest.mark.parametrize(("shape", "axis", "length"), FORMS)
def test_scales_and_leaky_sums(shape: list[int], axis: int, length: int) -> None:
    some = vectors(2)
    b = Builder(input={"kind": "dense", "shape": shape})
    b.add("scale", "input", name="s", attributes={"axis": axis}, tensors={"scale": some(length), "bias": some(length)})
    attributes = {"mode": "leaky", "axis": axis}
    b.add("accumulate", "s", name="sum", attributes=attributes, tensors={"alpha": some(length)})
    same_everywhere(b.document(outputs="sum"), shape)


@pytest.mark.parametrize(("axis", "length"), [(-3, 1), (-2, 1024), (-1, 400), (-1, 1024 * 400)])
def test_neurons_of_images_that_lie_channels_last(axis: int, length: int) -> None:
    some = vectors(3)
    shape = [1, 1024, 400]
    b = Builder(input={"kind": "dense", "shape": shape})
    weight = {"weight": np.float32([[[[0.75]]]]), "scale": np.ones(1, "f4"), "bias": np.zeros(1, "f4")}
    b.add("conv2d", "input", name="conv", attributes={"activations": "float32"}, tensors=weight)
    roles = {role: some(length) for role in ("alpha", "v_th")}
    b.add("lif", "conv", name="lif", attributes={"axis": axis}, tensors=roles)
    same_everywhere(b.document(outputs="lif"), shape)
