"""A node's fields as the numbers that they stand for: 0-d or (1,) arrays, one or two numbers, "same" padding."""

from __future__ import annotations

import numpy as np

from edgesnn.errors import ModelError
from edgesnn.importers.neuron import Float64, Shape
from edgesnn.importers.nir.reader import NirNode


class Fields:
    """One node's fields.

    Args:
        name: the node's name.
        node: type and fields.
        where: the file, for errors.
    """

    def __init__(self, name: str, node: NirNode, where: str) -> None:
        self.name = name
        self.type = node.type
        self.where = f"{where}, node {name!r}"
        self._fields = node.fields

    def error(
        self, what: str, *, found: object = None, expected: str | None = None, hint: str | None = None
    ) -> ModelError:
        """Return a ModelError about this node."""
        shown = None if found is None else str(found)[:120]
        return ModelError(what, where=self.where, found=shown, expected=expected, hint=hint)

    def has(self, name: str) -> bool:
        """Say whether the field is there and not empty."""
        value = self._fields.get(name)
        return isinstance(value, str) or (value is not None and value.size > 0)

    def array(self, name: str) -> Float64:
        """Return a numeric field as float64, finite."""
        value = self._fields.get(name)
        if value is None or isinstance(value, str) or value.dtype.kind not in "fiub":
            found = ", ".join(sorted(self._fields)) or "no fields"
            raise self.error(f"{self.type} has no numbers {name!r}", found=found)
        array = value.astype(np.float64)
        if not np.isfinite(array).all():
            raise self.error(f"{name} has values that are not numbers", found="NaN or infinity")
        return array

    def numbers(self) -> dict[str, Float64]:
        """Return all numeric fields."""
        kinds = {name: value for name, value in self._fields.items() if not isinstance(value, str) and value.size}
        return {name: self.array(name) for name, value in kinds.items() if value.dtype.kind in "fiub"}

    def integers(self, name: str, count: int, default: int | None = None) -> list[int]:
        """Return a field of one or `count` integers as `count` integers."""
        if default is not None and not self.has(name):
            return [default] * count
        values = self.array(name).ravel()
        if values.size not in (1, count) or (values != np.rint(values)).any() or abs(values).max() > 1 << 20:
            raise self.error(f"{name} is wrong", found=values.tolist(), expected=f"{count} integers")
        return [int(v) for v in np.broadcast_to(values, count)]

    def padding(self, kernel: list[int], stride: list[int], dilation: list[int]) -> list[int]:
        """Return the padding of a convolution; "valid" and "same" too, where it is the same on both sides."""
        value = self._fields.get("padding")
        if not isinstance(value, str):
            return self.integers("padding", len(kernel), default=0)
        if value == "valid":
            return [0] * len(kernel)
        whole = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        if value != "same" or any(w % 2 for w in whole) or set(stride) != {1}:
            expected = "numbers, 'valid', or 'same' with stride 1 and an odd kernel"
            raise self.error("padding is not one that both sides share", found=value, expected=expected)
        return [w // 2 for w in whole]


def spread(array: Float64, shape: Shape, fields: Fields, name: str) -> Float64:
    """Return a layer's constant for every element of `shape`.

    0-d and (1,) arrays stand for all; leading axes of 1 (a batch) are dropped; one number per channel of an image is
    spread over its rows and columns.
    """
    squeezed = array
    while squeezed.ndim > len(shape) and squeezed.shape[0] == 1:
        squeezed = squeezed[0]
    if squeezed.ndim == 1 and len(shape) > 1 and squeezed.size == shape[0] > 1:
        squeezed = squeezed.reshape(-1, *([1] * (len(shape) - 1)))
    try:
        return np.broadcast_to(squeezed, shape)
    except ValueError:
        raise fields.error(f"{name} does not fit", found=list(array.shape), expected=f"one, or {list(shape)}") from None
