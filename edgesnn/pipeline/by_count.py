"""Windows by count of events, where the caller asks for them instead of the model file's windows by time."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.encode.points import PointEncoding
from edgesnn.errors import ModelError, UsageError
from edgesnn.runtime.windows import Encoding

MOST = 1 << 22
"""Events that may wait for their window (docs/pipeline.md, "Windows")."""

SECTION = "window/by_count"
"""Where a snapshot says so."""


@dataclass(frozen=True)
class ByCount:
    """Window k holds the events [k*hop, k*hop + events) of the stream."""

    events: int
    hop: int

    def save(self) -> npt.NDArray[np.int64]:
        """Return what a snapshot holds."""
        return np.array([self.events, self.hop], dtype=np.int64)


def by_count(events: Any, hop: Any, encoding: Encoding) -> ByCount | None:
    """Return the windows that `window_events` and `hop_events` ask for; None: by time.

    Raises:
        UsageError: no integers, out of range, a hop without a window, windows that are all idle, or a model whose
            steps are bins of time.
    """
    if events is None:
        if hop is not None:
            raise UsageError("a hop by count needs a window by count", where="hop_events", found=repr(hop))
        return None
    if not isinstance(encoding, PointEncoding):
        hint = "its windows are so many steps of time"
        raise UsageError("a model of time steps takes no windows by count", where="window_events", hint=hint)
    windows = ByCount(_size(events, "window_events"), _size(events if hop is None else hop, "hop_events"))
    if windows.events < encoding.min_events:
        expected = f"at least the model's min_events, {encoding.min_events}"
        raise UsageError("every window would be idle", where="window_events", found=repr(events), expected=expected)
    return windows


def check_saved(saved: npt.NDArray[Any] | None, windows: ByCount | None) -> None:
    """Raise ModelError where a snapshot is of a pipeline with other windows."""
    found = None if saved is None else saved.tolist()
    expected = None if windows is None else windows.save().tolist()
    if found != expected:
        raise ModelError(
            "snapshot is of other windows",
            where=SECTION,
            found="by time" if found is None else str(found),
            expected="by time" if expected is None else str(expected),
        )


def _size(value: Any, name: str) -> int:
    try:
        size = operator.index(value)
    except TypeError:
        size = 0
    if not 1 <= size <= MOST:
        raise UsageError("not a number of events", where=name, found=repr(value), expected=f"1 to {MOST}")
    return size
