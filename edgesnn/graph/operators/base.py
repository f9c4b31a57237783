"""What an operator says about itself: attributes, tensors, shape rule, states, synaptic operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from edgesnn.graph.values import NodeView, StateType, ValueType


class Operator:
    """Base of `edgesnn/graph/operators/<name>.py`. Instances hold nothing; one per operator lives in the registry.

    Attributes:
        attributes: name to (default, allowed values) or (default, type); a default of None must be given.
        tensors: the names of the operator's constants.
        arity: number of inputs.
        results: suffixes of the outputs' default names; "" is the node's own name.
        spiking: whether its (first) output counts as spikes.
    """

    attributes: ClassVar[Mapping[str, tuple[Any, Any]]] = {}
    tensors: ClassVar[tuple[str, ...]] = ()
    arity: ClassVar[int] = 1
    results: ClassVar[tuple[str, ...]] = ("",)
    spiking: ClassVar[bool] = False

    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """Return the outputs' types.

        Raises:
            ModelError: inputs, attributes or tensors that do not fit; it names node, found and expected.
        """
        raise NotImplementedError

    def states(self, view: NodeView) -> tuple[tuple[str, str, tuple[int, ...], str], ...]:
        """Return (suffix, kind, shape, dtype) of each state."""
        return ()

    def synops(self, view: NodeView, sums: Sequence[int]) -> int:
        """Return the synaptic operations of one step, from the sum of each integer input's values."""
        return 0


def state_types(operator: Operator, view: NodeView, reset: str) -> tuple[StateType, ...]:
    """Return the states of a node, named `<node>.<suffix>`."""
    return tuple(
        StateType(f"{view.node.name}.{suffix}", kind, shape, dtype, 0, reset)  # type: ignore[arg-type]
        for suffix, kind, shape, dtype in operator.states(view)
    )
