"""One line for a person per prediction."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from edgesnn.prediction import Prediction
from edgesnn.units import format_duration_us


def format_line(prediction: Prediction) -> str:
    """Return the line that shows a prediction: time in the recording, decision, confidence, events, latency."""
    if prediction.sensor is None:
        return _format_tokens(prediction)
    at_s = prediction.sensor.t1_us / 1e6
    label = prediction.label if prediction.label is not None else f"({prediction.decision})"
    confidence = f"{100 * prediction.confidence:3.0f} %" if prediction.confidence is not None else "  -  "
    total_us = prediction.latency_us.total
    latency = format_duration_us(total_us) if total_us is not None else "-"
    return f"{at_s:8.2f} s  {_printable(label):<28} {confidence}  {prediction.sensor.events:>7} events  {latency:>8}"


def _format_tokens(prediction: Prediction) -> str:
    """Return the line of a decision about tokens: number, decision, bits per token, tokens, latency, what surprised."""
    tokens = prediction.tokens
    assert tokens is not None
    label = _printable(prediction.label or f"({prediction.decision})")
    bits = f"{tokens.bits_per_token:6.2f}" if tokens.bits_per_token is not None else "   -  "
    total_us = prediction.latency_us.total
    latency = format_duration_us(total_us) if total_us is not None else "-"
    key = f"  {_printable(tokens.key)}" if tokens.key is not None else ""
    words = " ".join(_printable(span.text) for span in tokens.spans if span.text)
    line = f"line {prediction.window:>8}  {label:<12} {bits} bits/token {tokens.count:>6} tokens  {latency:>8}{key}"
    return f"{line}  {words}" if words else line


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


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
