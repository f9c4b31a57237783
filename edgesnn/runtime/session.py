"""One stream's state over one model."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError, UsageError
from edgesnn.graph.operators.base import Operator
from edgesnn.graph.values import MAX_STEPS, NodeView, ValueType
from edgesnn.runtime import snapshot
from edgesnn.runtime.backends.base import Array, Engine, Keep, Options
from edgesnn.runtime.energy import energy_uj

if TYPE_CHECKING:
    from edgesnn.runtime.model import Model

Output = npt.NDArray[Any] | dict[str, npt.NDArray[Any]]


class Layer(NamedTuple):
    """What one node did in the last call.

    Attributes:
        node: its name.
        op: its operator.
        spikes: sum of its spikes; one of value n counts n.
        synops: input spikes times the outputs that each reaches.
        macs: multiply-adds with graded input.
        bytes: of weights and states that were touched: a weight each synaptic operation (at most all of them each
            step), all weights of graded input, each state once a step.
        bits: the bit budget: steps times weight bits times spike bits, 0 without a matrix.
    """

    node: str
    op: str
    spikes: int
    synops: int
    macs: int
    bytes: int
    bits: int

    @property
    def energy_uj(self) -> float:
        """Estimated energy in microjoule (`edgesnn.runtime.energy`)."""
        return energy_uj(self.synops, self.macs)


class Session:
    """State of one stream. Make it with `Model.session`. One thread at a time: a second raises UsageError.

    Arguments are checked before anything changes: a refused call leaves the state as it was. Arrays returned are new.
    What another thread reads of counts and states meanwhile may be of a call that has not ended.

    Attributes:
        model: what it runs.
        recorded: outputs of the nodes named in `record`, of the last call: [...] after `step`, [T, ...] after `run`.
    """

    def __init__(self, model: Model, engine: Engine, options: Options) -> None:
        self.model = model
        self.recorded: Mapping[str, Array] = {}
        self._engine = engine
        self._quick_step, self._quick_run = engine.quick_step, engine.quick_run
        self._options = options
        self._busy = threading.Lock()
        self._steps = 0  # of the last call

    @property
    def state(self) -> Mapping[str, Array]:
        """Writable views of the states by name ("lif1.v"), not to be touched while this session runs."""
        return self._engine.state

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Counts of the last call by node, in the graph's order; zeros without `account`, but for the bit budget."""
        work = zip(self.model.document.analysis.operators, self._engine.counts.tolist(), strict=True)
        return tuple(
            Layer(
                view.node.name,
                view.node.op,
                *(spikes, synops, macs),
                self._bytes(rules, view, synops),
                self._steps * rules.bit_budget(view),
            )
            for (rules, view), (spikes, synops, macs) in work
        )

    @property
    def spikes(self) -> int:
        """Spikes of the last call, all layers together."""
        return self._total(0)

    @property
    def synops(self) -> int:
        """Synaptic operations of the last call: input spikes times their real fan-out."""
        return self._total(1)

    @property
    def macs(self) -> int:
        """Multiply-adds with graded input of the last call."""
        return self._total(2)

    @property
    def bytes_touched(self) -> int:
        """Bytes of weights and states that the last call touched."""
        return sum(layer.bytes for layer in self.layers)

    @property
    def energy_uj(self) -> float:
        """Estimated energy of the last call in microjoule (`edgesnn.runtime.energy`)."""
        return energy_uj(self.synops, self.macs)

    @property
    def bit_budget(self) -> Mapping[str, int]:
        """Steps of the last call times weight bits times spike bits, of each node with a matrix (docs/operators.md)."""
        operators = self.model.document.analysis.operators
        return {view.node.name: self._steps * rules.bit_budget(view) for rules, view in operators if rules.matrix}

    @property
    def step_number(self) -> int:
        """Steps taken since the start of the window (kind points) or the last reset."""
        return self._engine.step_number

    def step(self, x: Any = None, *, active: Any = None, out: Any = None) -> Output:
        """Do one time step.

        Args:
            x: kind dense or spikes: an array of input.shape; kind tokens: an integer; kind points: a `PointWindow`, of
                which this is the next step (after the last step of a window a new window begins, by the reset policy).
            active: kind spikes, instead of x: the indices of this step's spikes, ascending (`runtime.inputs.Active`).
            out: array (a dict by name where there are several outputs) that the output is written into.

        Returns:
            The graph's output (float32, or int32 for integers); a dict by name where there are several. `out` if given.

        Raises:
            ModelError: x or active is not what the model takes.
            UsageError: another thread is in this session; both x and active, or neither; out is not like the output.
        """
        if self._quick_step is not None and self._busy.acquire(blocking=False):
            try:
                made = self._quick_step(x, active, out)
            finally:
                self._busy.release()
            if made is not None:
                self._steps = 1
                return made
        with self._alone():
            checked = self.model.inputs.step(x, active)
            self._check_out(out)
            outputs = self._engine.step(checked)
            self._record_step()
            self._steps = 1
            return self._shape({name: array[0] for name, array in outputs.items()}, out)

    def run(self, xs: Any = None, *, active: Any = None, keep: Keep = "all") -> Output | None:
        """Do many steps in one call: the same result as so many times `step`.

        Args:
            xs: kind dense or spikes: [T, ...]; kind tokens: integers [T]; kind points: a `PointWindow`: a new window
                begins and all its input.steps are done.
            active: kind spikes, instead of xs: (indices, offsets [T + 1]).
            keep: "all" returns [T, ...], "last" the last step's output, "none" nothing. Where nothing is recorded,
                nodes on which no state depends (the head of a token model) run, and count, only for what is kept.

        Raises:
            ModelError: xs or active is not what the model takes, or "last" of no steps.
            UsageError: another thread is in this session; both xs and active, or neither; keep is none of the three.
        """
        if keep not in ("all", "last", "none"):
            raise UsageError("keep is not known", where="keep", found=repr(keep), expected="all, last or none")
        if self._quick_run is not None and self._busy.acquire(blocking=False):
            try:
                quick = self._quick_run(xs, active, keep)
            finally:
                self._busy.release()
            if quick is not None:
                self._steps, output = quick
                return output
        with self._alone():
            checked = self.model.inputs.run(xs, active)
            if keep == "last" and len(checked) == 0:
                raise ModelError("no steps, so no last output", found="an array of 0 steps")
            outputs = self._engine.run(checked, keep)
            self.recorded = dict(self._engine.recorded)
            self._steps = len(checked)
            if keep == "none":
                return None
            return self._shape(outputs if keep == "all" else {n: a[0] for n, a in outputs.items()})

    def reset(self) -> None:
        """Set every state, and the step number, to its initial value."""
        with self._alone():
            self._engine.reset()

    def new_window(self) -> None:
        """Begin a new window: states that the model resets by windows go back to their initial values, and the step
        number to 0. A model that has states and none of that policy goes on where it is (kind points: from step 0).
        """
        with self._alone():
            self._engine.new_window()

    def snapshot(self) -> bytes:
        """Return the state as the bytes of a safetensors file (docs/snapshot.md): portable, with the model's hash."""
        with self._alone():
            arrays = {f"session/{name}": array for name, array in self._engine.state.items()}
            arrays["session/step"] = np.array(self._engine.step_number, dtype=np.int64)
            return snapshot.encode(arrays, self.model.identity, ["session"])

    def restore(self, blob: bytes) -> None:
        """Set the state to a snapshot's.

        Raises:
            ModelError: no bytes or damaged ones, another model's, a newer version, a section or tensor too few or many;
                nothing changes then.
        """
        with self._alone():
            arrays = snapshot.decode(blob, self.model.identity, ["session"])
            wanted = {f"session/{name}": (a.dtype, a.shape) for name, a in self._engine.state.items()}
            wanted["session/step"] = (np.dtype(np.int64), ())
            snapshot.check_tensors(arrays, wanted)
            step = int(arrays.pop("session/step"))
            if not 0 <= step <= self.model.input.get("steps", MAX_STEPS):
                expected = f"0 to {self.model.input.get('steps', MAX_STEPS)}"
                raise ModelError(
                    "snapshot's step number is not one", where="session/step", found=str(step), expected=expected
                )
            self._check_limits(arrays)
            for name, array in arrays.items():
                self._engine.state[name.removeprefix("session/")][...] = array
            self._engine.step_number = step

    def clone(self) -> Session:
        """Return a new session of the same model in the same state."""
        options = self._options
        twin = self.model.session(record=options.record, threads=options.threads, account=options.account)
        with self._alone():
            for name, array in self._engine.state.items():
                twin._engine.state[name][...] = array
            twin._engine.step_number = self._engine.step_number
        return twin

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._busy.acquire(blocking=False):
            raise UsageError("this session is used by another thread", hint="make one session a stream")
        try:
            yield
        finally:
            self._busy.release()

    def _bytes(self, rules: Operator, view: NodeView, synops: int) -> int:
        if not self._options.account:
            return 0
        return rules.weight_bytes(view, self._steps, synops) + self._steps * rules.state_bytes(view)

    def _total(self, column: int) -> int:
        return int(self._engine.counts[:, column].sum())

    def _record_step(self) -> None:
        self.recorded = {name: array[0] for name, array in self._engine.recorded.items()}

    def _check_limits(self, arrays: Mapping[str, Array]) -> None:
        """Refuse elements of a snapshot that could lead out of a line or past a bound."""
        for state in self.model.document.analysis.states("never"):
            array = arrays[f"session/{state.name}"]
            if state.limits and not state.limits[0] <= array.min() <= array.max() <= state.limits[1]:
                found, expected = f"{array.min()} to {array.max()}", f"{state.limits[0]} to {state.limits[1]}"
                raise ModelError("snapshot's state is out of range", where=state.name, found=found, expected=expected)

    def _check_out(self, out: Any) -> None:
        if out is None:
            return
        types = self.model.outputs
        arrays = out if len(types) > 1 else {name: out for name in types}
        if not isinstance(arrays, Mapping) or arrays.keys() != types.keys():
            raise UsageError("out is not one array an output", where="out", expected=", ".join(types))
        for name, value in types.items():
            array, dtype = arrays[name], _dtype(value)
            fits = isinstance(array, np.ndarray) and (array.shape, array.dtype) == (value.shape, dtype)
            if not fits or not array.flags.writeable:
                expected = f"a writable {dtype} array {list(value.shape)}"
                raise UsageError(f"out does not fit output {name!r}", where="out", expected=expected)

    def _shape(self, outputs: Mapping[str, Array], out: Any = None) -> Output:
        """Return one array, or a dict where there are several; bytes become int32. They are written into `out`."""
        if out is None:
            arrays = {n: a.astype(np.int32) if a.dtype == np.uint8 else a for n, a in outputs.items()}
            return arrays if len(arrays) > 1 else next(iter(arrays.values()))
        for name, array in outputs.items():
            (out[name] if len(outputs) > 1 else out)[...] = array
        filled: Output = out
        return filled


def step_many(model: Model, sessions: Sequence[Session], xs: Any, active: Any) -> Output:
    """Do one step of each session: see `Model.step_many`."""
    sessions = list(sessions) if isinstance(sessions, Iterable) else [sessions]
    if not sessions or len(set(map(id, sessions))) != len(sessions):
        raise UsageError("sessions are none, or one stands twice", found=f"{len(sessions)} sessions")
    for session in sessions:
        if not isinstance(session, Session):
            found = type(session).__name__
            raise UsageError("not a session", where="sessions", found=found, expected="a list of sessions")
        if session.model is not model:
            raise UsageError("session is another model's", found=repr(session.model), expected=repr(model))
    taken: list[Session] = []
    try:
        for session in sessions:
            if not session._busy.acquire(blocking=False):
                raise UsageError("a session is used by another thread", hint="make one session a stream")
            taken.append(session)
        engines = [session._engine for session in sessions]
        outputs = model.quick_many(engines, active) if xs is None else None
        if outputs is None:
            outputs = model.step_engines(engines, model.inputs.many(xs, active, len(sessions)))
        for session in sessions:
            session.recorded = {}
            session._steps = 1
        return sessions[0]._shape(outputs)
    finally:
        for session in taken:
            session._busy.release()


def _dtype(value: ValueType) -> np.dtype[Any]:
    return np.dtype(np.float32 if value.kind == "float32" else np.int32)
