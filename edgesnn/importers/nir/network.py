"""The graph under construction: what each node takes, sums of several sources, delays at cuts, conversions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgesnn.errors import UsageError
from edgesnn.graph import Builder
from edgesnn.importers.neuron import Shape, channel_axis
from edgesnn.importers.nir.cells import Context, bound_of
from edgesnn.importers.nir.fields import Fields

VECTORS = ("alpha", "beta", "v_th", "v_reset", "gain", "leak", "v_min")
"""Tensors of `lif` that `--set` may name; a number stands for all neurons."""
_LARGEST = float(np.finfo(np.float32).max)


class Network:
    """Adds nodes to a builder; remembers which values are small integers.

    Args:
        builder: what the nodes are added to.
        context: what was found out about the file.
    """

    def __init__(self, builder: Builder, context: Context) -> None:
        self.context = context
        self._builder = builder
        self._values = {context.graph.input: "input"}
        self._bounds = {"input": context.input_bound}
        self._shapes = {"input": context.shapes[context.graph.input]}
        self._set: set[tuple[str, str]] = set()
        self._later: list[tuple[str, list[str]]] = []
        self._cut = frozenset(context.plan.cut)

    def build(self, layers: Mapping[str, Callable[[Network, Fields], str]]) -> list[str]:
        """Add all nodes and return the names of the graph's outputs.

        Raises:
            UsageError: `--set` names a layer that there is not.
        """
        graph = self.context.graph
        for name in self.context.plan.order:
            fields = self.context.fields(name)
            self._values[name] = layers[fields.type](self, fields)
        for made, values in self._later:
            self._sum(values, made)
        outputs = list(dict.fromkeys(self.source(name) for name in graph.outputs))
        for layer, flags in self.context.options.flags.items():
            for flag in flags:
                if (layer, flag) not in self._set:
                    expected = ", ".join(graph.nodes)
                    raise UsageError("no such layer", where=f"--set {layer}.{flag}", found=layer, expected=expected)
        return outputs

    def add(
        self,
        op: str,
        inputs: str | list[str],
        name: str,
        shape: Shape,
        *,
        bound: int = 0,
        attributes: Mapping[str, Any] | None = None,
        tensors: Mapping[str, Any] | None = None,
    ) -> str:
        """Add a node, with what `--set` says of it, and return its value's name."""
        attributes, tensors = dict(attributes or {}), dict(tensors or {})
        for flag, value in self.context.options.flags.get(name, {}).items():
            self._set.add((name, flag))
            if flag in VECTORS and op == "lif":
                if type(value) not in (int, float) or not abs(value) <= _LARGEST:
                    raise UsageError("not a number", where=f"--set {name}.{flag}", found=repr(value))
                tensors[flag] = np.array([value], dtype=np.float32)
            else:
                attributes[flag] = value
        made: str = self._builder.add(op, inputs, name=name, attributes=attributes, tensors=tensors)
        self._bounds[made] = bound
        self._shapes[made] = shape
        return made

    def bound(self, value: str) -> int:
        """Return the largest value of a small integer; 0 for float32."""
        return self._bounds[value]

    def source(self, name: str) -> str:
        """Return the value that a node or an Output takes: that of its source, or the sum of several."""
        values = [self._from(a, name) for a in self.context.graph.sources(name)]
        return values[0] if len(values) == 1 else self._sum(values, f"{name}.sum")

    def source_ahead(self, name: str) -> str:
        """Return the same for a node whose sources may be made later (a delay)."""
        sources = ["input" if a == self.context.graph.input else a for a in self.context.graph.sources(name)]
        if len(sources) > 1:
            self._later.append((f"{name}.sum", sources))
            return f"{name}.sum"
        return sources[0]

    def as_float(self, value: str) -> str:
        """Return a value as float32: itself, or small integers converted."""
        if not self._bounds[value]:
            return value
        made = f"{value}.float"
        if made in self._bounds:
            return made
        shape = self._shapes[value]
        tensors = {"scale": np.ones(1, np.float32), "bias": np.zeros(1, np.float32)}
        return self.add("scale", value, made, shape, attributes={"axis": channel_axis(shape)}, tensors=tensors)

    def _sum(self, values: list[str], name: str) -> str:
        total = self.as_float(values[0])
        for number, value in enumerate(values[1:], 1):
            made = name if number == len(values) - 1 else f"{name}{number}"
            total = self.add("add", [total, self.as_float(value)], made, self._shapes[total])
        return total

    def _from(self, source: str, target: str) -> str:
        """Return a source's value, of the step before where the edge is cut."""
        if (source, target) not in self._cut:
            return self._values[source]
        made = f"{source}.delay"
        if made not in self._bounds:
            shape, bound = self.context.shapes[source], bound_of(self.context, source)
            attributes = {"steps": 1, "shape": list(shape), "value": "int" if bound else "float32", "bound": bound}
            self.add("delay", source, made, shape, bound=bound, attributes=attributes)
        return made
