"""What an operator says about itself: attributes, tensors, shape rule, states, work."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, ClassVar, NamedTuple

import numpy.typing as npt

from edgesnn.graph.values import Dtype, NodeView, StateType, ValueType

_ITEM_BYTES = {"float32": 4, "int64": 8, "int32": 4, "uint8": 1}


class State(NamedTuple):
    """A state as an operator declares it; see `StateType`, whose name is `<node>.<suffix>`."""

    suffix: str
    kind: str
    shape: tuple[int, ...]
    dtype: Dtype
    initial: float = 0.0
    limits: tuple[int, int] | None = None


class Operator(ABC):
    """Base of `edgesnn/graph/operators/<name>.py`. Instances hold nothing; one per operator lives in the registry.

    Attributes:
        attributes: name to (default, what is allowed): values, a range, or a type (bool, int, float, or list for a list
            of integers); a default of None must be given.
        arity: number of inputs; None for two or more.
        results: suffixes of the outputs' default names; "" is the node's own name.
        spiking: whether its (first) output, where it is integer, counts as spikes.
        matrix: whether tensor "weight" is a matrix that the input is multiplied with.
        delayed: whether its input may be made by a later node (`delay` only).
    """

    attributes: ClassVar[Mapping[str, tuple[Any, Any]]] = {}
    arity: ClassVar[int | None] = 1
    results: ClassVar[tuple[str, ...]] = ("",)
    spiking: ClassVar[bool] = False
    matrix: ClassVar[bool] = False
    delayed: ClassVar[bool] = False

    @abstractmethod
    def infer(self, view: NodeView) -> tuple[ValueType, ...]:
        """Return the outputs' types.

        Raises:
            ModelError: inputs, attributes or tensors that do not fit; it names node, found and expected.
        """

    def layout(self, role: str, number: str, rank: int, attributes: Mapping[str, Any]) -> str:
        """Return the layout in which the builder stores a tensor."""
        return "vector" if rank == 1 else "im"

    def states(self, view: NodeView) -> tuple[State, ...]:
        """Return the node's states."""
        return ()

    def synops(self, view: NodeView, inputs: Sequence[npt.NDArray[Any]]) -> int:
        """Return the synaptic operations of one step: each input spike times its real fan-out."""
        return 0

    def macs(self, view: NodeView) -> int:
        """Return the multiply-adds of one step with graded (float32) input."""
        return 0

    def weight_bytes(self, view: NodeView, steps: int, synops: int) -> int:
        """Return the bytes of weights that so many steps with so many synaptic operations read, without padding."""
        return 0

    def bit_budget(self, view: NodeView) -> int:
        """Return weight bits times spike bits of one step (docs/operators.md, "Work"); 0 without a matrix."""
        return 0

    def state_bytes(self, view: NodeView) -> int:
        """Return the bytes of states that one step reads or writes."""
        return sum(prod(state.shape) * _ITEM_BYTES[state.dtype] for state in self.states(view))


def state_types(operator: Operator, view: NodeView, reset: str) -> tuple[StateType, ...]:
    """Return the states of a node, named `<node>.<suffix>`."""
    return tuple(
        StateType(f"{view.node.name}.{s.suffix}", s.kind, s.shape, s.dtype, s.initial, reset, s.limits)  # type: ignore[arg-type]
        for s in operator.states(view)
    )
