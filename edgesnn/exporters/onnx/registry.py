"""Which function adds which operator to an ONNX graph; `point_code` stays outside, as windows do."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from edgesnn.errors import BackendError

if TYPE_CHECKING:
    from edgesnn.exporters.onnx.graph import NodeGraph

Add = Callable[["NodeGraph"], None]

OUTSIDE = ("point_code",)
"""Operators whose outputs are inputs of the ONNX graph: they take windows of events, which no other engine knows."""

_MODULES = {
    "matrices": ("linear", "conv1d", "conv2d"),
    "neurons": ("lif", "cuba"),
    "time": ("delay", "token_shift", "wkv"),
    "shapes": ("pool1d", "pool2d", "max", "mean", "reshape", "concat", "slice", "gather"),
    "elementwise": ("add", "multiply", "scale", "activation", "softmax", "layer_norm", "embedding"),
    "readouts": ("vote", "count", "accumulate"),
}
OPERATORS = {op: f"edgesnn.exporters.onnx.{module}:add_{op}" for module, ops in _MODULES.items() for op in ops}


def find(op: str, where: str) -> Add:
    """Return the function that adds an operator.

    Raises:
        BackendError: it has no form in ONNX.
    """
    if op not in OPERATORS:
        raise BackendError(
            "operator has no form in ONNX",
            where=where,
            found=repr(op),
            expected=", ".join(OPERATORS),
            hint="run the model on backend 'native'",
        )
    module, _, attribute = OPERATORS[op].partition(":")
    add: Add = getattr(import_module(module), attribute)
    return add
