"""The operators by name. In-tree only."""

from __future__ import annotations

from importlib import import_module

from edgesnn.graph.operators.base import Operator

OPERATORS = {
    "accumulate": "edgesnn.graph.operators.accumulate:Accumulate",
    "activation": "edgesnn.graph.operators.activation:Activation",
    "add": "edgesnn.graph.operators.add:Add",
    "concat": "edgesnn.graph.operators.concat:Concat",
    "conv1d": "edgesnn.graph.operators.conv1d:Conv1d",
    "conv2d": "edgesnn.graph.operators.conv2d:Conv2d",
    "count": "edgesnn.graph.operators.count:Count",
    "cuba": "edgesnn.graph.operators.cuba:Cuba",
    "delay": "edgesnn.graph.operators.delay:Delay",
    "embedding": "edgesnn.graph.operators.embedding:Embedding",
    "gather": "edgesnn.graph.operators.gather:Gather",
    "layer_norm": "edgesnn.graph.operators.layer_norm:LayerNorm",
    "lif": "edgesnn.graph.operators.lif:Lif",
    "linear": "edgesnn.graph.operators.linear:Linear",
    "max": "edgesnn.graph.operators.max:Max",
    "mean": "edgesnn.graph.operators.mean:Mean",
    "multiply": "edgesnn.graph.operators.multiply:Multiply",
    "point_code": "edgesnn.graph.operators.point_code:PointCode",
    "pool1d": "edgesnn.graph.operators.pool1d:Pool1d",
    "pool2d": "edgesnn.graph.operators.pool2d:Pool2d",
    "reshape": "edgesnn.graph.operators.reshape:Reshape",
    "scale": "edgesnn.graph.operators.scale:Scale",
    "slice": "edgesnn.graph.operators.slice:Slice",
    "softmax": "edgesnn.graph.operators.softmax:Softmax",
    "token_shift": "edgesnn.graph.operators.token_shift:TokenShift",
    "vote": "edgesnn.graph.operators.vote:Vote",
    "wkv": "edgesnn.graph.operators.wkv:Wkv",
}


def find(name: str) -> Operator | None:
    """Return the operator, or None if there is none of that name."""
    target = OPERATORS.get(name)
    if target is None:
        return None
    module, _, attribute = target.partition(":")
    operator: Operator = getattr(import_module(module), attribute)()
    return operator
