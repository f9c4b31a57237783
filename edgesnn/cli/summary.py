"""What a demo run showed: figures from the predictions that arrived, and from the model's card."""

from __future__ import annotations

import shlex
import time
from collections import deque
from pathlib import Path
from typing import Any

from edgesnn.cli.console import program, quantity, short_path
from edgesnn.pipeline import Pipeline
from edgesnn.prediction import Prediction
from edgesnn.runtime import Model
from edgesnn.spread import spread
from edgesnn.units import format_duration_us

FULL_SPEED_LIMIT_S = 2.0  # the pass at full speed stops here
KEPT = 10_000  # the latencies are of so many predictions, the last ones: --keep has no end


class Summary:
    """Collects predictions and says what they amount to.

    Args:
        model: the one that decided.
        recording: what it saw.
    """

    def __init__(self, model: Model, recording: Path) -> None:
        self._model = model
        self._recording = recording
        self._count = self._over_mqtt = self._synops = self._counted = 0
        self._totals_us: deque[float] = deque(maxlen=KEPT)
        self._travels_us: deque[float] = deque(maxlen=KEPT)

    def add(self, prediction: Prediction, travel_ms: float | None) -> None:
        """Take one prediction that arrived."""
        self._count += 1
        if prediction.latency_us.total is not None:
            self._totals_us.append(prediction.latency_us.total)
        if prediction.synops is not None:
            self._synops += prediction.synops
            self._counted += 1
        if travel_ms is not None:
            self._over_mqtt += 1
            self._travels_us.append(1e3 * travel_ms)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as data: latencies in microseconds, counts, the card's metrics."""
        events, wall_s = self._full_speed()
        return {
            "schema": "edgesnn.demo/1",
            "predictions": self._count,
            "over_mqtt": self._over_mqtt,
            "decide_us": spread(self._totals_us),
            "arrive_us": spread(self._travels_us),
            "events_per_s": events / wall_s if wall_s > 0 else None,
            "synops_per_window": self._synops / self._counted if self._counted else None,
            "model": {"name": self._model.name, "precision": self._model.precision, "backend": self._model.backend},
            "metrics": (self._model.document.provenance or {}).get("metrics"),
            "next": self.next_commands(),
        }

    def lines(self) -> list[str]:
        """Return the figures as lines, and the commands to try next."""
        facts = self.to_dict()
        model = facts["model"]
        over = f", {facts['over_mqtt']} of them over MQTT" if facts["over_mqtt"] else ""
        lines = ["", f"{facts['predictions']} predictions{over}"]
        lines.append(f"  model     {model['name']}, {model['precision']}, backend {model['backend']}")
        if facts["decide_us"]:
            lines.append(f"  latency   {_words(facts['decide_us'])} from a window's last event to its decision")
        if facts["arrive_us"]:
            lines.append(
                f"            {_words(facts['arrive_us'])} from the decision through the broker to a subscriber"
            )
        if facts["events_per_s"]:
            lines.append(f"  speed     {quantity(facts['events_per_s'])} events/s at full speed, one thread")
        if facts["synops_per_window"]:
            lines.append(f"  work      {quantity(facts['synops_per_window'])} synaptic operations (SOPs) per window")
        lines.append(
            "  simulated the recording and the training data: people drawn by edgesnn's event-camera simulator"
        )
        lines += _card(facts["metrics"])
        return [*lines, "", "next:", *(f"  {command}" for command in facts["next"])]

    def next_commands(self) -> list[str]:
        """Return three commands that run as they stand."""
        edgesnn, recording = program(), shlex.quote(short_path(self._recording))
        return [
            f"{edgesnn} info {recording}",
            f"{edgesnn} replay {recording} -m {self._model.name} --json",
            f"{edgesnn} bench {self._model.name}",
        ]

    def _full_speed(self) -> tuple[int, float]:
        """Play the recording once more as fast as possible; return the events seen and the seconds taken."""
        started = time.monotonic()
        with Pipeline(self._recording, self._model) as pipeline:
            for _prediction in pipeline:
                if time.monotonic() - started > FULL_SPEED_LIMIT_S:
                    break
            return pipeline.counters["processed"], time.monotonic() - started


def _words(found: dict[str, float]) -> str:
    return f"p50 {format_duration_us(found['p50'])}, p99 {format_duration_us(found['p99'])}"


def _card(metrics: dict[str, Any] | None) -> list[str]:
    """Return the figures of the model's card, one line each: what was simulated beside what was real."""
    return [f"  card      {name.replace('_', ' ')}: {_value(value)}" for name, value in (metrics or {}).items()]


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_value(inner)}" for name, inner in value.items())
    return f"{100 * value:.1f} %" if isinstance(value, float) and 0 <= value <= 1 else str(value)
