"""A session of any backend as the native chain's model: one call a window."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.encode.points import PointWindow
from edgesnn.runtime import snapshot
from edgesnn.runtime.model import Model

_SECTION = "session"
_PREFIX = f"{_SECTION}/"


def chain_model(model: Model) -> Any:
    """Return what the native chain runs: the executor's own model, or a `SessionModel` for another backend."""
    if model.backend == "native":
        _, native = model.prepared
        return native
    return SessionModel(model)


class SessionModel:
    """What `native/bindings/python_window_model.hpp` calls, in the chain's thread, with the GIL.

    Args:
        model: kind points, with a readout.
    """

    def __init__(self, model: Model) -> None:
        assert model.readout is not None
        self._model = model
        self._node = str(model.readout["node"])
        self._session = model.session()

    def infer(
        self,
        number: int,
        coordinates: npt.NDArray[np.int32],
        centroids: npt.NDArray[np.int32],
        members: npt.NDArray[np.int32],
        sd: float,
    ) -> tuple[npt.NDArray[Any], int, int, int]:
        """Run all steps over one window; return (scores, spikes, synaptic operations, multiply-adds)."""
        output = self._session.run(PointWindow(number, coordinates, centroids, members, sd), keep="last")
        scores = output[self._node] if isinstance(output, dict) else output
        assert scores is not None
        return scores, self._session.spikes, self._session.synops, self._session.macs

    def save(self) -> dict[str, npt.NDArray[Any]]:
        """Return the session's state, name -> array, without the section's name."""
        arrays = snapshot.decode(self._session.snapshot(), self._model.identity, [_SECTION])
        return {name.removeprefix(_PREFIX): array for name, array in arrays.items()}

    def load(self, state: dict[str, npt.NDArray[Any]]) -> None:
        """Set the session's state; raises ModelError and changes nothing where it is another model's."""
        arrays = {_PREFIX + name: array for name, array in state.items()}
        self._session.restore(snapshot.encode(arrays, self._model.identity, [_SECTION]))
