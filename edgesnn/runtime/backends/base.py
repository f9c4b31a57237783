"""What a backend is: a factory of engines. An engine is one stream's state and the work of a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from edgesnn.graph import Document, StateType
from edgesnn.runtime.inputs import Active

Array = npt.NDArray[Any]
Keep = Literal["all", "last", "none"]
QuickStep = Callable[[Any, Any, Any], Array | None]
QuickRun = Callable[[Any, Any, Keep], tuple[int, Array | None] | None]
COUNTS = ("spikes", "synops", "macs")
"""Columns of `Engine.counts`."""


@dataclass(frozen=True)
class Options:
    """What a session asks of its engine.

    Attributes:
        record: nodes whose outputs of the last call are kept.
        threads: how many may share the rows of large layers; the bits do not depend on it.
        account: whether to count; else all counts are zero.
    """

    record: tuple[str, ...] = ()
    threads: int = 1
    account: bool = True


class Engine(Protocol):
    """One session's worth of work. `edgesnn.runtime.Session` holds the lock: an engine sees one call at a time.

    Inputs come checked, as `edgesnn.runtime.inputs` returns them: an array uint8 or float32 [T, *shape], an `Active`
    of T steps, tokens int64 [T], or a list of T times the same window. No call fails after it has changed anything.

    Attributes:
        state: named arrays of logical shape, views of the engine's memory.
        step_number: steps taken since the last reset or the start of the window.
        recorded: outputs of the recorded nodes of the last call, [T, ...]; uint8, int32 or float32.
        quick_step: a way for one step of unchecked arguments (x, active, out) where nothing is recorded and there is
            one output, or None: it returns the output (int32 for integers; `out` where it is given), or None and has
            done nothing where an argument needs a conversion that it does not know, or an error.
        quick_run: the same for `run` of (xs, active, keep): steps and output, or None and has done nothing.
    """

    state: Mapping[str, Array]
    step_number: int
    recorded: Mapping[str, Array]
    quick_step: QuickStep | None
    quick_run: QuickRun | None

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Counts of the last call, [nodes, 3], in the graph's order: see COUNTS and docs/operators.md."""

    def step(self, x: Any) -> Mapping[str, Array]:
        """Do one step (kind points: the window's next) and return each output as [1, ...]."""

    def run(self, x: Any, keep: Keep) -> Mapping[str, Array]:
        """Do all steps (kind points: a new window) and return each output as [T, ...], [1, ...] or not at all.

        Where nothing is recorded, what only outputs need that are not kept is not computed and counts nothing.
        """

    def reset(self) -> None:
        """Set every state to its initial value."""

    def new_window(self) -> None:
        """Set the states of policy "window" to their initial values, and the step number to 0; where there are states
        and none is of that policy, the stream goes on (kind points: but for the step number)."""


class Backend(Protocol):
    """A way to run a document."""

    def available(self) -> str | None:
        """Return None if this backend can run here, else the reason why not."""

    def prepare(self, document: Document) -> Any:
        """Return what all sessions of a model share; immutable.

        Raises:
            BackendError: the document holds what this backend cannot run.
        """

    def engine(self, prepared: Any, options: Options) -> Engine:
        """Return a new engine with its states at their initial values."""

    def step_many(self, engines: Sequence[Engine], x: Any) -> Mapping[str, Array]:
        """Do one step of each engine, all different, of one `prepared`; row s of x is the input of engine s.

        Returns:
            Each output as [sessions, ...]; the same bits as one `step` each. Nothing is recorded.
        """

    def quick_many(self, engines: Sequence[Engine], active: Any) -> Mapping[str, Array] | None:
        """Do `step_many` of unchecked lists of active inputs, one an engine.

        Returns:
            As `step_many`, or None and has done nothing where they need a conversion or an error.
        """


def state_array(state: StateType) -> Array:
    """Return a new state at its initial value."""
    return np.full(state.shape, state.initial, dtype=np.dtype(state.dtype))


def step_each(engines: Sequence[Engine], x: Any) -> Mapping[str, Array]:
    """Do `Backend.step_many` one engine after the other."""
    rows = [engine.step(row(x, s)) for s, engine in enumerate(engines)]
    for engine in engines:
        engine.recorded = {}
    return {name: np.concatenate([made[name] for made in rows]) for name in rows[0]}


def row(x: Any, index: int) -> Any:
    """Return the input of one step out of a checked input of many."""
    if not isinstance(x, Active):
        return x[index : index + 1]
    begin, end = (int(offset) for offset in x.offsets[index : index + 2])
    return Active(x.indices[begin:end], np.array([0, end - begin], dtype=np.int64))
