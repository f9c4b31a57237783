"""One JSON record a line, as the schema says, on a text stream."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from edgesnn.prediction import Prediction


class JsonlSink:
    """Writes each prediction as one line of JSON and flushes it.

    Args:
        stream: where to; None is standard output. The caller owns and closes it.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._written = 0

    def open(self) -> None:
        """Nothing to get ready."""

    def write(self, prediction: Prediction) -> None:
        """Write one line."""
        self._stream.write(prediction.to_json() + "\n")
        self._stream.flush()
        self._written += 1

    def drain(self, timeout_s: float) -> int:
        """Return 0: lines are written at once."""
        return 0

    def close(self) -> None:
        """Leave the stream open: it is the caller's."""

    def stats(self) -> dict[str, Any]:
        """Return {"written": lines}."""
        return {"written": self._written}
