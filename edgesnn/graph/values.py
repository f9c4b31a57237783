"""What flows between nodes and what a node keeps: types of values and states, tensors, nodes.

A value is one of three: the encoded window (kind "window", only as the graph's input), small non-negative integers
(kind "int", one byte each, with a bound known before anything runs) or float32. Its last axis is the channel; the axes
before it are rows, which every operator but `max` and `vote` treats alike and independently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError

MAX_ELEMENTS = 1 << 28
"""No value or state may be larger: a wrong file must not take all the memory."""

Kind = Literal["window", "int", "float32"]


@dataclass(frozen=True)
class ValueType:
    """The type of a value: for "window" the shape is (groups, neighbours)."""

    kind: Kind
    shape: tuple[int, ...]
    bound: int = 0
    """Largest value that an "int" can take, at most 255; 0 for the other kinds."""

    @property
    def rows(self) -> int:
        """Product of all axes but the last."""
        return prod(self.shape[:-1])

    def __str__(self) -> str:
        shape = "x".join(map(str, self.shape))
        return f"{self.kind}[{shape}]" + (f" up to {self.bound}" if self.kind == "int" else "")


@dataclass(frozen=True)
class StateType:
    """A typed, named, fixed-shape tensor that a session keeps between steps.

    Attributes:
        name: `<node>.<what>`, for example "lif1.v".
        kind: "membrane", "accumulator" or "counter".
        shape: logical shape.
        dtype: "float32" or "int64".
        initial: value of every element after a reset.
        reset: "window" (at the start of each window) or "never" (only by `Session.reset`).
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    dtype: Literal["float32", "int64"]
    initial: float
    reset: Literal["window", "never"]


@dataclass(frozen=True, eq=False)
class Tensor:
    """A constant of the model: its stored bytes and its plain shape.

    Attributes:
        data: as stored (a kernel layout, padded); read-only, often mapped from the file.
        shape: the plain shape, [N, K] for a weight.
        layout: "im" or "vector" (`edgesnn.graph.layout`).
        sha256: hex digest of the stored bytes.
    """

    data: npt.NDArray[Any]
    shape: tuple[int, ...]
    layout: str
    sha256: str


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

    def vector(self, name: str, lengths: tuple[int, ...]) -> None:
        """Check that tensor `name` is a float32 vector of one of `lengths`."""
        tensor = self.tensors[name]
        wanted = " or ".join(f"float32 [{n}]" for n in lengths)
        found = f"{tensor.data.dtype} {list(tensor.shape)}"
        if tensor.data.dtype != np.float32 or tensor.shape not in [(n,) for n in lengths]:
            raise self.error("tensor has another shape or type", tensor=name, found=found, expected=wanted)
