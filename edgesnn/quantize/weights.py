"""Weights to int8 or int4, round to nearest (docs/arithmetic.md, sections 3 and 4).

* Integer input, and every convolution of int8: one step q per output channel, w' = rint(w / q), half to even; the new
  scale is scale * q, in float64, rounded to float32.
* float32 input: int8 likewise; int4 in groups of inputs, each with an 8-bit multiplier m of the channel's step q:
  w' = rint(w / (m * q)).
* Tables of embeddings: int8, one step per row; int4 in groups of columns.

Biases, thresholds and decays stay float32. A channel of zeros keeps its scale. With a `Calibration` the range of each
channel, or of each group, may be clipped: `rounding`.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from edgesnn.errors import UsageError
from edgesnn.graph import FORMAT_VERSION, Document, Node, NodeView, Tensor
from edgesnn.graph.layout import GROUPS, weight_layout
from edgesnn.graph.operators.matrix import LARGEST, MAX_GROUPED_INPUTS
from edgesnn.graph.tensors import free_name, store
from edgesnn.graph.values import INT32_MAX
from edgesnn.quantize.moments import Floats
from edgesnn.quantize.rounding import Int8, quantize_groups, quantize_rows

if TYPE_CHECKING:
    from edgesnn.quantize.calibrate import Calibration

MATRICES = ("linear", "conv1d", "conv2d")
Weights = Literal["int8", "int4"]


def quantize(
    document: Document,
    weights: Weights = "int8",
    *,
    group: int = 32,
    activations: Literal["int8", "float32"] = "int8",
    calibration: Calibration | None = None,
) -> Document:
    """Return a new document whose float32 matrices and tables are integer; the given one is not changed.

    Args:
        document: any model; what is integer already is kept.
        weights: "int8" or "int4".
        group: inputs, or columns of a table, that share a multiplier: 32, 64 or 128; int4 with float32 input only.
        activations: what a quantised `linear` does with float32 input: round it to int8, or not.
        calibration: of the same document: what its matrices see, for the ranges of their weights.

    Returns:
        The document, with `provenance["quantized"]` saying from which model and how. A matrix whose sums might not fit
        32 bits stays as it was, or becomes int8 where int4 was asked for; one whose scale would pass float32 stays.

    Raises:
        UsageError: weights, group or activations is none of these; a calibration of another document.
    """
    for name, value, choices in (
        ("weights", weights, ("int8", "int4")),
        ("group", group, GROUPS),
        ("activations", activations, ("int8", "float32")),
    ):
        if value not in choices:
            raise UsageError(f"no such {name}", where="quantize", found=repr(value), expected=str(choices))
    if calibration is not None and calibration.identity != document.identity:
        found, expected = calibration.identity, document.identity
        raise UsageError("calibration is of another model", where="quantize", found=found, expected=expected)
    work = _Quantizer(document, weights, group, activations, calibration)
    nodes = tuple(work.node(view) for _, view in document.analysis.operators)
    used = {name for node in nodes for name in node.tensors.values()}
    how: dict[str, Any] = {"from": document.identity, "weights": weights}
    if calibration is not None:
        how["calibrated"] = [dict(entry) for entry in calibration.recordings]
    return dataclasses.replace(
        document,
        nodes=nodes,
        tensors={name: tensor for name, tensor in work.tensors.items() if name in used},
        provenance={**document.provenance, "quantized": how},
        format_version=FORMAT_VERSION,
    )


class _Quantizer:
    """Nodes with integer weights, and the tensors that they use. A tensor that several nodes share gets a copy each."""

    def __init__(
        self, document: Document, weights: Weights, group: int, activations: str, calibration: Calibration | None
    ) -> None:
        self.tensors: dict[str, Tensor] = dict(document.tensors)
        self._document = document
        self._weights = weights
        self._group = group
        self._activations = activations
        self._moments = {} if calibration is None else calibration.moments
        self._uses = Counter(name for node in document.nodes for name in node.tensors.values())

    def node(self, view: NodeView) -> Node:
        node = view.node
        if "weight" not in node.tensors or view.tensors["weight"].number != "float32":
            return node
        if node.op == "embedding":
            return self._table(node)
        return self._matrix(view) if node.op in MATRICES else node

    def _table(self, node: Node) -> Node:
        plain = self._plain(node, "weight")
        if self._weights == "int8":
            table, step = quantize_rows(plain)
            return self._with(node, {}, weight=store(table, "rows"), scale=_vector(step))
        table, multiplier, step = quantize_groups(plain, self._group)
        roles = {"weight": store(table, "om16x8", self._group), "multiplier": store(multiplier, "im")}
        return self._with(node, {}, **roles, scale=_vector(step))

    def _matrix(self, view: NodeView) -> Node:
        node, weight = view.node, view.tensors["weight"]
        inputs, graded = prod(weight.shape[1:]), view.inputs[0].kind == "float32"
        quantised = graded and node.op == "linear" and self._activations == "int8"
        activations = "int" if not graded else "int8" if quantised else "float32"
        number = self._weights
        if number == "int4" and quantised and inputs > MAX_GROUPED_INPUTS:
            number = "int8"
        largest = 127 if quantised else view.inputs[0].bound
        if activations != "float32" and LARGEST[number] * inputs * largest > INT32_MAX:
            return node
        matrix = self._plain(node, "weight").reshape(weight.shape[0], -1)
        attributes = {"activations": activations, "group": self._group if graded and number == "int4" else 0}
        roles: dict[str, Tensor] = {}
        if attributes["group"]:
            integers, multiplier, step = self._by_groups(node, matrix)
            roles["multiplier"] = store(multiplier, "im")
        else:
            integers, step = self._by_rows(node, matrix, number)
        roles["weight"] = store(integers.reshape(weight.shape), weight_layout(number, activations), self._group)
        roles["scale"] = _vector(self._plain(node, "scale").astype(np.float64) * step)
        if not np.isfinite(roles["scale"].data).all():
            return node
        return self._with(node, attributes, **roles)

    def _by_rows(self, node: Node, matrix: npt.NDArray[Any], number: str) -> tuple[Int8, Floats]:
        """Quantise the rows of each group of a convolution's channels by what these see."""
        seen = self._moments.get(node.name, [None])
        made = [quantize_rows(part, number, m) for part, m in zip(np.split(matrix, len(seen)), seen, strict=True)]
        return np.concatenate([q for q, _ in made]), np.concatenate([step for _, step in made])

    def _by_groups(self, node: Node, matrix: npt.NDArray[Any]) -> tuple[Int8, npt.NDArray[np.uint8], Floats]:
        seen = self._moments.get(node.name, [None])
        made = [
            quantize_groups(part, self._group, m) for part, m in zip(np.split(matrix, len(seen)), seen, strict=True)
        ]
        integers, multiplier, step = (np.concatenate(parts) for parts in zip(*made, strict=True))
        return integers, multiplier, step

    def _plain(self, node: Node, role: str) -> npt.NDArray[Any]:
        return self._document.unpack(node.tensors[role])

    def _with(self, node: Node, attributes: dict[str, Any], **roles: Tensor) -> Node:
        names = dict(node.tensors)
        for role, tensor in roles.items():
            old = names.get(role)
            if old is None or self._uses[old] > 1:
                names[role] = free_name(f"{node.name}.{role}", self.tensors)
            self.tensors[names[role]] = tensor
        return dataclasses.replace(node, attributes={**node.attributes, **attributes}, tensors=names)


def _vector(values: npt.NDArray[np.float64]) -> Tensor:
    with np.errstate(over="ignore"):  # what becomes infinite is not used
        return store(values.astype(np.float32), "vector")
