"""What flows between nodes and what a node keeps: types of values and states, tensors, nodes.

A value is small non-negative integers ("int", one byte each, with a bound known before anything runs), signed sums
("int32", bounded too) or float32; only the graph's input may be an encoded window of points ("window") or a token id
("token"). Images are [C, H, W], sequences [C, L]; everything else has its channels on the last axis.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError

MAX_ELEMENTS = 1 << 28
"""No value or state may be larger: a wrong file must not take all the memory."""

MAX_AXES = 8
"""No value has more axes; the line of a delay has one more."""

MAX_NODES = 1 << 14
"""No graph has more nodes."""

MAX_INPUTS = 8
"""No node has more inputs."""

MAX_STEPS = 1 << 53
"""Steps that a session or a counter of them may have taken: every such number is a float64."""

MAX_STATE_BYTES = 1 << 33
"""All states of a session together are at most 8 GiB."""

INT32_MAX = (1 << 31) - 1
BYTE_MAX = 255

Kind = Literal["window", "token", "int", "int32", "float32"]
Dtype = Literal["float32", "int64", "int32", "uint8"]
Policy = Literal["window", "line", "tokens", "never"]

_DTYPES: dict[str, str] = {"int": "uint8", "int32": "int32", "float32": "float32", "token": "int64"}


@dataclass(frozen=True)
class ValueType:
    """The type of a value: for "window" the shape is (groups, neighbours), for "token" it is ()."""

    kind: Kind
    shape: tuple[int, ...]
    bound: int = 0
    """Largest absolute value of an "int" (at most 255) or "int32" (at most 2^31 - 1); last id of a "token"; else 0."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy type of its elements; a window has none."""
        return np.dtype(_DTYPES[self.kind])

    @property
    def rows(self) -> int:
        """Product of all axes but the last."""
        return prod(self.shape[:-1])

    @property
    def elements(self) -> int:
        """Product of all axes."""
        return prod(self.shape)

    def __str__(self) -> str:
        shape = "x".join(map(str, self.shape))
        return f"{self.kind}[{shape}]" + (f" up to {self.bound}" if self.kind in ("int", "int32") else "")


@dataclass(frozen=True)
class StateType:
    """A typed, named, fixed-shape tensor that a session keeps between steps.

    Attributes:
        name: `<node>.<what>`, for example "lif1.v".
        kind: "membrane", "current", "line", "accumulator" or "counter".
        shape: logical shape.
        dtype: "float32", "int64", "int32" or "uint8".
        initial: value of every element after a reset.
        reset: "window" (at the start of each window), "line" (of text), "tokens" (after so many) or "never" (only by
            `Session.reset`).
        tokens: of policy "tokens": after how many.
        idle_ms: whatever the policy, also after so many milliseconds without input; None: not.
        limits: smallest and largest element that a snapshot may hold; None where any value is harmless. A rule of the
            operator, not a field of the file.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    dtype: Dtype
    initial: float = 0.0
    reset: Policy = "never"
    limits: tuple[int, int] | None = field(default=None, compare=False)
    tokens: int | None = None
    idle_ms: int | None = None

    @property
    def nbytes(self) -> int:
        """Size of the tensor."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, eq=False)
class Tensor:
    """A constant of the model: its stored bytes and its plain shape.

    Attributes:
        data: as stored (a kernel layout, padded); read-only, often mapped from the file.
        shape: the plain shape, [N, K] for the weight of a `linear`.
        layout: one of `edgesnn.graph.layout.LAYOUTS`.
        sha256: hex digest of the stored bytes.
    """

    data: npt.NDArray[Any]
    shape: tuple[int, ...]
    layout: str
    sha256: str

    @property
    def number(self) -> str:
        """Type of a plain element: "float32", "int32", "uint8", "int8" or "int4"."""
        return "int4" if self.layout in ("im4", "om16x8") else str(self.data.dtype)

    @property
    def bits(self) -> int:
        """Bits of a plain element."""
        return 4 if self.number == "int4" else self.data.dtype.itemsize * 8

    def __str__(self) -> str:
        return f"{self.number} {list(self.shape)}"


@dataclass(frozen=True)
class Node:
    """One operator of the graph. `tensors` maps the operator's word ("weight") to a tensor name ("fc1.weight")."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NodeView:
    """A node with the types of its inputs, its tensors and its file: what an operator's rules look at."""

    node: Node
    inputs: tuple[ValueType, ...]
    tensors: Mapping[str, Tensor]
    where: str

    def attribute(self, name: str) -> Any:
        """Return the attribute; its presence and type were checked before."""
        return self.node.attributes[name]

    def error(
        self, what: str, *, found: object = None, expected: object = None, tensor: str | None = None
    ) -> ModelError:
        """Return a ModelError that names this node, and one of its tensors if it is about that."""
        where = f"{self.where}, node {self.node.name!r}" + (f", tensor {self.node.tensors[tensor]!r}" if tensor else "")
        return ModelError(
            what,
            where=where,
            found=None if found is None else str(found),
            expected=None if expected is None else str(expected),
        )

    def roles(self, required: Iterable[str], optional: Iterable[str] = ()) -> None:
        """Check that the node has all required tensors, and besides them only optional ones."""
        wanted, allowed = set(required), set(optional)
        if wanted - self.tensors.keys() or self.tensors.keys() - wanted - allowed:
            expected = [*sorted(wanted), *(f"{name} (optional)" for name in sorted(allowed))]
            raise self.error(
                "node has other tensors", found=sorted(self.tensors), expected=", ".join(expected) or "none"
            )

    def axis(self, value: ValueType) -> int:
        """Return attribute `axis` (negative), checked against the rank of a value."""
        axis: int = self.attribute("axis")
        if -axis > len(value.shape):
            raise self.error("axis is none of the value's", found=f"axis {axis} of {value}")
        return axis

    def parameters(self, name: str, value: ValueType, axis: int) -> None:
        """Check a parameter vector: float32 of one element, of the channel axis, or of all elements of `value`."""
        self.vector(name, (1, value.shape[axis], value.elements))

    def vector(self, name: str, lengths: tuple[int, ...], number: str = "float32") -> None:
        """Check that tensor `name` is a vector of one of `lengths`."""
        tensor = self.tensors[name]
        if tensor.number != number or tensor.shape not in [(n,) for n in lengths]:
            wanted = " or ".join(f"{number} [{n}]" for n in dict.fromkeys(lengths))
            raise self.error("tensor has another shape or type", tensor=name, found=tensor, expected=wanted)
