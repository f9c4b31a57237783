"""One line for a person per prediction."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from edgesnn.prediction import Prediction
from edgesnn.units import format_duration_us


def format_line(prediction: Prediction) -> str:
    """Return the line that shows a prediction: time in the recording, decision, confidence, events, latency."""
    at_s = prediction.sensor.t1_us / 1e6
    label = prediction.label if prediction.label is not None else f"({prediction.decision})"
    confidence = f"{100 * prediction.confidence:3.0f} %" if prediction.confidence is not None else "  -  "
    total_us = prediction.latency_us.total
    latency = format_duration_us(total_us) if total_us is not None else "-"
    printable = "".join(letter if letter.isprintable() else "?" for letter in label)
    return f"{at_s:8.2f} s  {printable:<28} {confidence}  {prediction.sensor.events:>7} events  {latency:>8}"


class TerminalSink:
    """Writes `format_line` of each prediction.

    Args:
        stream: where to; None is standard output. The caller owns and closes it.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._written = 0

    def open(self) -> None:
        """Nothing to get ready."""

    def write(self, prediction: Prediction) -> None:
        """Write one line and flush it."""
        self._stream.write(format_line(prediction) + "\n")
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
