"""One stream's state over one model."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError, UsageError
from edgesnn.runtime import snapshot
from edgesnn.runtime.backends.base import Array, Engine

if TYPE_CHECKING:
    from edgesnn.runtime.model import Model

Output = npt.NDArray[Any] | dict[str, npt.NDArray[Any]]


class Session:
    """State of one stream. Make it with `Model.session`. One thread at a time: a second raises UsageError.

    Arguments are checked before anything changes: a refused call leaves the state as it was. Arrays returned are new.

    Attributes:
        model: what it runs.
        recorded: outputs of the nodes named in `record`, of the last call: [...] after `step`, [T, ...] after `run`.
    """

    def __init__(self, model: Model, engine: Engine, record: Sequence[str] = ()) -> None:
        self.model = model
        self.recorded: Mapping[str, Array] = {}
        self._engine = engine
        self._record = tuple(record)
        self._busy = threading.Lock()

    @property
    def state(self) -> Mapping[str, Array]:
        """Writable views of the states by name ("lif1.v"), not to be touched while this session runs."""
        return self._engine.state

    @property
    def spikes(self) -> int:
        """Spikes of the last step or run, all layers together."""
        return self._engine.spikes

    @property
    def synops(self) -> int:
        """Synaptic operations of the last step or run: input spikes times fan-out."""
        return self._engine.synops

    @property
    def step_number(self) -> int:
        """Steps taken since the start of the window (kind points) or the last reset."""
        return self._engine.step_number

    def step(self, x: Any) -> Output:
        """Do one time step.

        Args:
            x: kind points: a `PointWindow`, of which this is the next step (after the last step of a window a new
                window begins, by the reset policy); kind dense: an array of input.shape.

        Returns:
            The graph's output (float32, or int32 for integers); a dict by name where there are several.

        Raises:
            ModelError: x is not what the model takes.
            UsageError: another thread is in this session.
        """
        with self._alone():
            outputs = self._engine.step(self._dense(x, steps=False))
            self.recorded = {name: array[0] for name, array in self._engine.recorded.items()}
            return self._shape({name: array[0] for name, array in outputs.items()})

    def run(self, xs: Any, *, keep: Literal["all", "last", "none"] = "all") -> Output | None:
        """Do many steps in one call: the same result as so many times `step`.

        Args:
            xs: kind points: a `PointWindow`; a new window begins and all its input.steps are done. Kind dense:
                [T, ...].
            keep: "all" returns [T, ...], "last" the last step's output, "none" nothing.

        Raises:
            ModelError: xs is not what the model takes, or "last" of no steps.
            UsageError: another thread is in this session, or keep is none of the three.
        """
        if keep not in ("all", "last", "none"):
            raise UsageError("keep is not known", where="keep", found=repr(keep), expected="all, last or none")
        with self._alone():
            x = self._dense(xs, steps=True)
            if keep == "last" and isinstance(x, np.ndarray) and len(x) == 0:
                raise ModelError("no steps, so no last output", found="an array of 0 steps")
            outputs = self._engine.run(x)
            self.recorded = dict(self._engine.recorded)
            if keep == "none":
                return None
            return self._shape(outputs if keep == "all" else {n: a[-1].copy() for n, a in outputs.items()})

    def reset(self) -> None:
        """Set every state, and the step number, to its initial value."""
        with self._alone():
            self._engine.reset()

    def snapshot(self) -> bytes:
        """Return the state as the bytes of a safetensors file (docs/snapshot.md): portable, with the model's hash."""
        with self._alone():
            arrays = {f"session/{name}": array for name, array in self._engine.state.items()}
            arrays["session/step"] = np.array(self._engine.step_number, dtype=np.int64)
            return snapshot.encode(arrays, self.model.identity, ["session"])

    def restore(self, blob: bytes) -> None:
        """Set the state to a snapshot's.

        Raises:
            ModelError: damaged bytes, another model's, a newer version, an unknown or missing section or tensor;
                nothing changes then.
        """
        with self._alone():
            arrays = snapshot.decode(blob, self.model.identity, ["session"])
            wanted = {f"session/{name}": (a.dtype, a.shape) for name, a in self._engine.state.items()}
            wanted["session/step"] = (np.dtype(np.int64), ())
            snapshot.check_tensors(arrays, wanted)
            step = int(arrays.pop("session/step"))
            if not 0 <= step <= self.model.input.get("steps", step):
                raise ModelError("snapshot's step number is not one", where="session/step", found=str(step))
            for name, array in arrays.items():
                self._engine.state[name.removeprefix("session/")][...] = array
            self._engine.step_number = step

    def clone(self) -> Session:
        """Return a new session of the same model in the same state."""
        twin = self.model.session(record=self._record)
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

    def _shape(self, outputs: Mapping[str, Array]) -> Output:
        """Return one array, or a dict where there are several; bytes become int32."""
        arrays = {n: a.astype(np.int32) if a.dtype == np.uint8 else a for n, a in outputs.items()}
        return arrays if len(arrays) > 1 else next(iter(arrays.values()))

    def _dense(self, x: Any, *, steps: bool) -> Any:
        """Return a checked C-contiguous array for kind dense: uint8 or float32; other kinds pass."""
        section = self.model.input
        if section["kind"] != "dense":
            return x
        array, shape = np.asarray(x), tuple(section["shape"])
        if array.shape[int(steps) :] != shape or array.ndim != len(shape) + int(steps):
            wanted = f"{['', 'T, '][steps]}{', '.join(map(str, shape))}"
            raise ModelError("input has another shape", found=str(list(array.shape)), expected=f"[{wanted}]")
        if section["value"] == "float32":
            if array.dtype.kind not in "fiu":
                raise ModelError("input is not numbers", found=str(array.dtype), expected="float32")
            return np.ascontiguousarray(array, dtype=np.float32)
        if array.dtype.kind not in "iub" or (array.size and not 0 <= array.min() <= array.max() <= section["bound"]):
            raise ModelError("input is not small integers", expected=f"integers from 0 to {section['bound']}")
        return np.ascontiguousarray(array, dtype=np.uint8)
