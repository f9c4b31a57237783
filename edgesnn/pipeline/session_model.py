"""A session of any backend as the native chain's model: one call a window."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.encode.points import PointWindow
from edgesnn.encode.spikes import SpikeWindow
from edgesnn.runtime import snapshot
from edgesnn.runtime.decide import Readout
from edgesnn.runtime.model import Model
from edgesnn.runtime.windows import run_window

_SECTION = "session"
_PREFIX = f"{_SECTION}/"


def chain_model(model: Model, readout: Readout) -> Any:
    """Return what the native chain runs: the executor's own model, or a `SessionModel` for another backend."""
    if model.backend == "native":
        _, native = model.prepared
        return native
    return SessionModel(model, readout)


class SessionModel:
    """What `native/bindings/python_window_model.hpp` calls, in the chain's thread, with the GIL.

    Args:
        model: kind points or spikes, with a readout.
        readout: says when a window stops early.
    """

    def __init__(self, model: Model, readout: Readout) -> None:
        self._model = model
        self._readout = readout
        self._window = PointWindow if model.input["kind"] == "points" else SpikeWindow
        self._session = model.session()

    def infer(self, fields: tuple[Any, ...]) -> tuple[npt.NDArray[np.float32], int, int, int, int]:
        """Run a window's steps; return (scores, steps, spikes, synaptic operations, multiply-adds).

        Args:
            fields: of a `PointWindow` or a `SpikeWindow`, whichever the model takes, in their order.
        """
        made = run_window(self._session, self._window(*fields), self._readout)
        return made.scores, made.steps, made.spikes, made.synops, made.macs

    def save(self) -> dict[str, npt.NDArray[Any]]:
        """Return the session's state, name -> array, without the section's name."""
        arrays = snapshot.decode(self._session.snapshot(), self._model.identity, [_SECTION])
        return {name.removeprefix(_PREFIX): array for name, array in arrays.items()}

    def load(self, state: dict[str, npt.NDArray[Any]]) -> None:
        """Set the session's state; raises ModelError and changes nothing where it is another model's."""
        arrays = {_PREFIX + name: array for name, array in state.items()}
        self._session.restore(snapshot.encode(arrays, self._model.identity, [_SECTION]))

    def reset(self) -> None:
        """Set every state as at the start."""
        self._session.reset()
