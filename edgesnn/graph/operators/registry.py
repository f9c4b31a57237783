"""The operators by name. In-tree only."""

from __future__ import annotations

from importlib import import_module

from edgesnn.graph.operators.base import Operator

OPERATORS = {
    "add": "edgesnn.graph.operators.add:Add",
    "lif": "edgesnn.graph.operators.lif:Lif",
    "linear": "edgesnn.graph.operators.linear:Linear",
    "max": "edgesnn.graph.operators.max:Max",
    "point_code": "edgesnn.graph.operators.point_code:PointCode",
    "vote": "edgesnn.graph.operators.vote:Vote",
}


def find(name: str) -> Operator | None:
    """Return the operator, or None if there is none of that name."""
    target = OPERATORS.get(name)
    if target is None:
        return None
    module, _, attribute = target.partition(":")
    operator: Operator = getattr(import_module(module), attribute)()
    return operator
