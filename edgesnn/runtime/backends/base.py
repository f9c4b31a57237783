"""What a backend is: a factory of engines. An engine is one stream's state and the work of a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgesnn.graph import Document, StateType

Array = npt.NDArray[Any]


class Engine(Protocol):
    """One session's worth of work. `edgesnn.runtime.Session` holds the lock: an engine sees one call at a time.

    Attributes:
        state: named arrays of logical shape, views of the engine's memory.
        step_number: steps taken since the last reset or the start of the window.
        recorded: outputs of the recorded nodes of the last call, [T, ...].
    """

    state: Mapping[str, Array]
    step_number: int
    recorded: Mapping[str, Array]

    @property
    def spikes(self) -> int:
        """Spikes of the last step or run."""

    @property
    def synops(self) -> int:
        """Synaptic operations of the last step or run."""

    def step(self, x: Any) -> Mapping[str, Array]:
        """Do one step and return each output as [1, ...]."""

    def run(self, x: Any) -> Mapping[str, Array]:
        """Do all steps of a window, or T steps of [T, ...], and return each output as [T, ...]."""

    def reset(self) -> None:
        """Set every state to its initial value."""


class Backend(Protocol):
    """A way to run a document."""

    def available(self) -> str | None:
        """Return None if this backend can run here, else the reason why not."""

    def prepare(self, document: Document) -> Any:
        """Return what all sessions of a model share; immutable."""

    def engine(self, prepared: Any, record: Sequence[str]) -> Engine:
        """Return a new engine with its states at their initial values, recording the named nodes' outputs."""


def state_array(state: StateType) -> Array:
    """Return a new state at its initial value."""
    return np.full(state.shape, state.initial, dtype=np.dtype(state.dtype))
