"""What an operator of the reference backend looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.graph import Document, NodeView
from edgesnn.graph.layout import unpack

Array = npt.NDArray[Any]

OPERATORS = {
    "add": "edgesnn.runtime.backends.reference.add:Add",
    "lif": "edgesnn.runtime.backends.reference.lif:Lif",
    "linear": "edgesnn.runtime.backends.reference.linear:Linear",
    "max": "edgesnn.runtime.backends.reference.max:Max",
    "point_code": "edgesnn.runtime.backends.reference.point_code:PointCode",
    "vote": "edgesnn.runtime.backends.reference.vote:Vote",
}


class ReferenceOperator:
    """One node's work. Holds constants only: shared by all sessions of a model.

    Args:
        view: the node, its input types and its tensors.
        document: the whole model (some operators look at its `input`).
    """

    def __init__(self, view: NodeView, document: Document) -> None:
        self.view = view
        self.document = document

    def constant(self, role: str) -> Array:
        """Return a tensor in its plain form."""
        tensor = self.view.tensors[role]
        return unpack(tensor.layout, tensor.shape, tensor.data)

    def step(self, inputs: Sequence[Any], states: Mapping[str, Array], step: int) -> tuple[Array, ...]:
        """Return the outputs of one step; `states` (by suffix) are changed in place.

        Args:
            inputs: uint8 or float32 arrays, or the window.
            states: the node's states.
            step: number of this step in its window, or since the last reset.
        """
        raise NotImplementedError


def make(view: NodeView, document: Document) -> ReferenceOperator:
    """Return the reference operator of a node."""
    module, _, attribute = OPERATORS[view.node.op].partition(":")
    operator: ReferenceOperator = getattr(import_module(module), attribute)(view, document)
    return operator


def float32(value: Any) -> Array:
    """Return a float32 array of anything."""
    return np.asarray(value, dtype=np.float32)
