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
FORMS: dict[str, dict[str, str]] = {
    "onnxruntime": {},
    "qdq": {op: f"edgesnn.exporters.onnx.qdq:add_{op}" for op in ("linear", "conv1d", "conv2d", "embedding", "delay")},
}
"""What a form has in place of OPERATORS. "qdq": ONNX's own operators only, integers as QuantizeLinear and
DequantizeLinear, no bytes inside; what TensorRT reads."""


def find(op: str, where: str, form: str = "onnxruntime") -> Add:
    """Return the function that adds an operator in a form.

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
    module, _, attribute = FORMS[form].get(op, OPERATORS[op]).partition(":")
    add: Add = getattr(import_module(module), attribute)
    return add
