"""What an operator of the reference backend looks like."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.graph import Document, NodeView
from edgesnn.graph.layout import unpack

Array = npt.NDArray[Any]

OPERATORS = {
    "accumulate": "edgesnn.runtime.backends.reference.accumulate:Accumulate",
    "activation": "edgesnn.runtime.backends.reference.activation:Activation",
    "add": "edgesnn.runtime.backends.reference.add:Add",
    "concat": "edgesnn.runtime.backends.reference.concat:Concat",
    "conv1d": "edgesnn.runtime.backends.reference.conv1d:Conv1d",
    "conv2d": "edgesnn.runtime.backends.reference.conv2d:Conv2d",
    "count": "edgesnn.runtime.backends.reference.count:Count",
    "cuba": "edgesnn.runtime.backends.reference.cuba:Cuba",
    "delay": "edgesnn.runtime.backends.reference.delay:Delay",
    "embedding": "edgesnn.runtime.backends.reference.embedding:Embedding",
    "gather": "edgesnn.runtime.backends.reference.gather:Gather",
    "layer_norm": "edgesnn.runtime.backends.reference.layer_norm:LayerNorm",
    "lif": "edgesnn.runtime.backends.reference.lif:Lif",
    "linear": "edgesnn.runtime.backends.reference.linear:Linear",
    "max": "edgesnn.runtime.backends.reference.max:Max",
    "mean": "edgesnn.runtime.backends.reference.mean:Mean",
    "multiply": "edgesnn.runtime.backends.reference.multiply:Multiply",
    "point_code": "edgesnn.runtime.backends.reference.point_code:PointCode",
    "pool1d": "edgesnn.runtime.backends.reference.pool1d:Pool1d",
    "pool2d": "edgesnn.runtime.backends.reference.pool2d:Pool2d",
    "reshape": "edgesnn.runtime.backends.reference.reshape:Reshape",
    "scale": "edgesnn.runtime.backends.reference.scale:Scale",
    "slice": "edgesnn.runtime.backends.reference.slice:Slice",
    "softmax": "edgesnn.runtime.backends.reference.softmax:Softmax",
    "token_shift": "edgesnn.runtime.backends.reference.token_shift:TokenShift",
    "vote": "edgesnn.runtime.backends.reference.vote:Vote",
    "wkv": "edgesnn.runtime.backends.reference.wkv:Wkv",
}


class ReferenceOperator(ABC):
    """One node's work. Holds constants only: shared by all sessions of a model.

    Args:
        view: the node, its input types and its tensors.
        document: the whole model (some operators look at its `input`).
    """

    def __init__(self, view: NodeView, document: Document) -> None:
        self.view = view
        self.document = document
        self._constants = {role: unpack(t.layout, t.shape, t.data) for role, t in view.tensors.items()}

    def constant(self, role: str) -> Array:
        """Return a tensor in its plain form."""
        return self._constants[role]

    def parameter(self, role: str) -> Array | None:
        """Return a parameter vector so that it broadcasts over the first input, or None where the node has none."""
        if role not in self._constants:
            return None
        vector, shape, axis = self._constants[role], self.view.inputs[0].shape, self.view.attribute("axis")
        if vector.size == 1:
            return vector
        if vector.size == shape[axis]:
            return np.asarray(vector.reshape((-1,) + (1,) * (-axis - 1)))
        return np.asarray(vector.reshape(shape))

    @abstractmethod
    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """Return the outputs of one step; `states` (by suffix) are changed in place.

        Args:
            inputs: uint8, int32 or float32 arrays, the window, or the token; None where a later node makes it.
            states: the node's states.
            step: number of this step in its window, or since the last reset.
        """

    def finish(self, inputs: Sequence[Any], states: Mapping[str, Array]) -> None:  # noqa: B027 (most take nothing in)
        """Take in what later nodes made; called when all nodes have done the step."""


def make(view: NodeView, document: Document) -> ReferenceOperator:
    """Return the reference operator of a node."""
    module, _, attribute = OPERATORS[view.node.op].partition(":")
    operator: ReferenceOperator = getattr(import_module(module), attribute)(view, document)
    return operator


def float32(value: Any) -> Array:
    """Return a float32 array of anything."""
    return np.asarray(value, dtype=np.float32)


def larger(a: Any, b: Any) -> Array:
    """Return max(a, b): a where a > b, else b."""
    return np.asarray(np.where(a > b, a, b))


def smaller(a: Any, b: Any) -> Array:
    """Return min(a, b): a where a < b, else b."""
    return np.asarray(np.where(a < b, a, b))
