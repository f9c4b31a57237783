"""What a run of a pipeline amounted to: decisions, latencies, speed, counters."""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Mapping
from typing import Any

from edgesnn.prediction import Prediction
from edgesnn.spread import spread
from edgesnn.units import format_duration_us


class Report:
    """Collects predictions as they come; eight bytes and a label each."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._decisions: Counter[str] = Counter()
        self._total_us = array("d")
        self._infer_us = array("d")

    def add(self, prediction: Prediction) -> None:
        """Take the next prediction."""
        self._decisions[prediction.label or f"({prediction.decision})"] += 1
        if prediction.latency_us.total is not None:
            self._total_us.append(prediction.latency_us.total)
        if prediction.latency_us.infer is not None and prediction.decision != "idle":
            self._infer_us.append(prediction.latency_us.infer)

    @property
    def windows(self) -> int:
        """How many decisions there were."""
        return sum(self._decisions.values())

    def to_dict(self, counters: Mapping[str, int]) -> dict[str, Any]:
        """Return the figures as data; latencies in microseconds.

        Args:
            counters: the pipeline's, at the end.
        """
        wall_s = time.monotonic() - self._started
        return {
            "windows": self.windows,
            "decisions": dict(self._decisions.most_common()),
            "total_us": spread(self._total_us),
            "infer_us": spread(self._infer_us),
            "wall_s": wall_s,
            "events": counters["events_in"],
            "events_per_s": counters["events_in"] / wall_s if wall_s > 0 else None,
            "counters": dict(counters),
        }

    def lines(self, counters: Mapping[str, int], delivery: Mapping[str, Any] | None = None) -> list[str]:
        """Return the figures as lines for a person.

        Args:
            counters: the pipeline's, at the end.
            delivery: the MQTT sink's `stats()`, if there was one.
        """
        facts = self.to_dict(counters)
        decided = ", ".join(f"{label} {count}" for label, count in facts["decisions"].items())
        lines = [f"{facts['windows']} windows" + (f": {decided}" if decided else "")]
        if facts["total_us"]:
            lines.append(f"latency: {_words(facts['total_us'])} from the packet that closed a window to its decision")
        if facts["infer_us"]:
            lines.append(f"encode and inference: {_words(facts['infer_us'])}")
        lines.append(f"{facts['events']} events in {facts['wall_s']:.2f} s: {facts['events_per_s'] or 0:,.0f} events/s")
        dropped = {
            n: c for n, c in counters.items() if c and n.startswith(("dropped.", "decoder.", "time_", "windows_"))
        }
        identity = f"processed {counters['processed']}, pending {counters['pending']}"
        lines.append("counters: " + ", ".join([identity, *(f"{name} {count}" for name, count in dropped.items())]))
        if delivery is not None:
            lines.append("mqtt: " + ", ".join(_figures(delivery)))
        return lines


class TokenReport(Report):
    """The same of a `TokenStream`: lines and tokens."""

    def lines(self, counters: Mapping[str, int], delivery: Mapping[str, Any] | None = None) -> list[str]:
        """Return the figures as lines for a person: see `Report.lines`."""
        decided = ", ".join(f"{label} {count}" for label, count in self._decisions.most_common())
        lines = [f"{self.windows} lines" + (f": {decided}" if decided else "")]
        if latency := spread(self._total_us):
            lines.append(f"latency: {_words(latency)} from a line's arrival to its decision")
        wall_s = time.monotonic() - self._started
        rate = counters["tokens"] / wall_s if wall_s > 0 else 0
        lines.append(f"{counters['tokens']} tokens in {wall_s:.2f} s: {rate:,.0f} tokens/s")
        counted = ", ".join(f"{name} {count}" for name, count in counters.items() if count)
        lines.append(f"counters: {counted or 'all zero'}")
        if delivery is not None:
            lines.append("mqtt: " + ", ".join(_figures(delivery)))
        return lines


def _words(figures: Mapping[str, float]) -> str:
    return f"p50 {format_duration_us(figures['p50'])}, p99 {format_duration_us(figures['p99'])}"


def _figures(counts: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return "name value" of everything that has a value; names of an inner mapping after its own and a dot."""
    lines: list[str] = []
    for name, value in counts.items():
        if isinstance(value, Mapping):
            lines += _figures(value, f"{prefix}{name}.")
        elif value is not None:
            lines.append(f"{prefix}{name} {_number(value)}")
    return lines


def _number(value: Any) -> str:
    return f"{value:.0f}" if isinstance(value, float) else str(value)
