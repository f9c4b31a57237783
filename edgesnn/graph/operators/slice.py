"""slice: the elements `start` to `stop` (not included) of an axis."""

from __future__ import annotations

from typing import ClassVar

from edgesnn.graph.operators.base import Operator
from edgesnn.graph.values import MAX_ELEMENTS, NodeView, ValueType

_INDEX = range(MAX_ELEMENTS + 1)


class Slice(Operator):
    """One axis becomes stop - start long."""

    attributes: ClassVar = {"axis": (-1, range(-8, 0)), "start": (0, _INDEX), "stop": (None, _INDEX)}

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """See `Operator.infer`."""
        (x,) = view.inputs
        view.roles(())
        if x.kind in ("window", "token"):
            raise view.error("input has no axes", found=x)
        axis = view.axis(x) + len(x.shape)
        start, stop = view.attribute("start"), view.attribute("stop")
        if not start < stop <= x.shape[axis]:
            expected = f"start < stop <= {x.shape[axis]}"
            raise view.error("slice is not within the axis", found=f"{start} to {stop}", expected=expected)
        return (ValueType(x.kind, (*x.shape[:axis], stop - start, *x.shape[axis + 1 :]), x.bound),)
