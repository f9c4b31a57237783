"""A random graph under construction; tests/graph_nodes.py adds its nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgesnn.errors import ModelError
from edgesnn.graph import Builder, NodeView, ValueType
from edgesnn.graph.analysis import input_type
from edgesnn.graph.fields import fill_input
from edgesnn.graph.operators.registry import find

MOST = 3000  # elements of a value: the reference is slow


@dataclass
class Growing:
    """A graph under construction: the values so far, by name."""

    rng: np.random.Generator
    builder: Builder
    exact: bool
    section: Mapping[str, Any] = field(default_factory=dict)
    values: dict[str, ValueType] = field(default_factory=dict)
    count: int = 0

    def begin(self, section: Mapping[str, Any]) -> None:
        self.section = fill_input(section)
        value = input_type(self.section)
        if value.kind not in ("window", "token"):
            self.values["input"] = value

    def pick(self, *kinds: str, rank: int | None = None, shape: tuple[int, ...] | None = None) -> str | None:
        names = [
            name
            for name, value in self.values.items()
            if value.kind in kinds
            and (rank is None or len(value.shape) == rank)
            and (shape is None or value.shape == shape)
        ]
        return str(self.rng.choice(names)) if names else None

    def one_of(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def add(
        self,
        op: str,
        inputs: str | Sequence[str],
        attributes: Mapping[str, Any] | None = None,
        tensors: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> str | None:
        """Add a node; one that the rules refuse (a sum past its type, a value too large) is taken back."""
        self.count += 1
        name = name or f"{op}{self.count}"
        before = dict(self.builder._tensors)
        self.builder.add(op, inputs, name=name, attributes=attributes, tensors=tensors)
        node, operator = self.builder._nodes[-1], find(op)
        assert operator is not None
        types = tuple(self.values.get(n) or input_type(self.section) for n in node.inputs)
        view = NodeView(node, types, {r: self.builder._tensors[t] for r, t in node.tensors.items()}, "model")
        try:
            made = dict(zip(node.outputs, operator.infer(view), strict=True))
        except ModelError as error:
            if not any(words in str(error) for words in ("may not fit", "larger than the input", "too large")):
                raise
            made = {}
        if not made or any(value.elements > MOST for value in made.values()):
            self.builder._nodes.pop()
            self.builder._tensors = before
            return None
        self.values.update(made)
        return name

    def vector(self, size: int, low: float = -1.5, high: float = 1.5) -> Any:
        if self.exact:
            return self.rng.integers(int(np.floor(low)), int(np.ceil(high)) + 1, size).astype(np.float32)
        return self.rng.uniform(low, high, size).astype(np.float32)

    def parameter(self, value: ValueType, axis: int, low: float, high: float) -> Any:
        """Return a parameter vector: of one element, of the channel axis, or of all elements."""
        return self.vector(int(self.one_of(1, value.shape[axis], value.elements)), low, high)

    def axis(self, value: ValueType) -> int:
        return -int(self.rng.integers(1, min(3, len(value.shape)) + 1))

    def always(self) -> str:
        """Add something to any input."""
        name = self.add("count", "input") if self.values["input"].kind == "int" else self.add("accumulate", "input")
        assert name is not None
        return name
