"""point_code: from an encoded window to what a time step sees (docs/arithmetic.md, 8 and 9)."""

from __future__ import annotations

from typing import ClassVar

from edgesnn.graph.operators.base import Operator
from edgesnn.graph.values import NodeView, ValueType


class PointCode(Operator):
    """window -> members [G, K, F] and centroids [G, 3]; F is 6, or 7 with polarity.

    coding "rate": int, one random bit an element and step; "direct": float32, the same values at every step.
    """

    attributes: ClassVar = {
        "coding": ("rate", ("rate", "direct")),
        "features": ("unsigned", ("unsigned", "signed")),
        "polarity": (False, bool),
    }
    results = (".local", ".centre")

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        (window,) = view.inputs
        view.roles(())
        if window.kind != "window":
            raise view.error("input is not a window of points", found=window, expected="window")
        rate = view.attribute("coding") == "rate"
        if rate and view.attribute("features") == "signed":
            raise view.error("a rate has no sign", found="features 'signed'", expected="'unsigned' with coding 'rate'")
        groups, neighbours = window.shape
        width = 7 if view.attribute("polarity") else 6
        shapes = ((groups, neighbours, width), (groups, 3))
        return tuple(ValueType("int", s, 1) if rate else ValueType("float32", s) for s in shapes)
