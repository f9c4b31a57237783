"""Writes deploy/observability/dashboard.json, the Grafana dashboard: `python tools/make_dashboard.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parents[1] / "deploy" / "observability" / "dashboard.json"
SOURCE = {"type": "prometheus", "uid": "${source}"}
RATE = "$__rate_interval"  # four times what the data source says of scrapes, or more
BOARD, STREAM = 'instance=~"$board"', 'instance=~"$board", stream=~"$stream"'
PANELS = [
    # title, unit, wide of 24, expressions (query, legend)
    ("Healthy boards", "none", 6, [("sum(edgesnn_healthy)", "healthy"), ("count(edgesnn_healthy)", "all")]),
    ("Broker connected", "bool", 6, [(f"edgesnn_broker_connected{{{BOARD}}}", "{{instance}}")]),
    ("Versions", "none", 6, [("count by (version) (edgesnn_info)", "{{version}}")]),
    ("Streams by state", "none", 6, [(f"sum by (state) (edgesnn_stream_state{{{STREAM}}})", "{{state}}")]),
    ("Decisions", "hertz", 12, [(f"edgesnn_decision_rate_hertz{{{STREAM}}}", "{{instance}} {{stream}}")]),
    (
        "Latency from a window's last event to its decision",
        "s",
        12,
        [(f"edgesnn_latency_seconds{{{STREAM}}}", "{{instance}} {{stream}} p{{quantile}}")],
    ),
    (
        "Labels, none, idle",
        "hertz",
        12,
        [(f"sum by (decision) (rate(edgesnn_decisions_total{{{STREAM}}}[{RATE}]))", "{{decision}}")],
    ),
    (
        "Deadlines missed",
        "hertz",
        12,
        [(f"rate(edgesnn_deadlines_missed_total{{{STREAM}}}[{RATE}])", "{{instance}} {{stream}}")],
    ),
    (
        "Events",
        "hertz",
        12,
        [
            (
                f"sum by (instance, stream) (rate(edgesnn_events_in_total{{{STREAM}}}[{RATE}]))",
                "in {{instance}} {{stream}}",
            ),
            (
                f"sum by (instance, stream, reason) (rate(edgesnn_events_dropped_total{{{STREAM}}}[{RATE}]))",
                "dropped {{reason}} {{instance}} {{stream}}",
            ),
        ],
    ),
    (
        "Lines",
        "hertz",
        12,
        [
            (
                f"sum by (instance, stream) (rate(edgesnn_lines_in_total{{{STREAM}}}[{RATE}]))",
                "in {{instance}} {{stream}}",
            ),
            (
                f"sum by (instance, stream, reason) (rate(edgesnn_lines_dropped_total{{{STREAM}}}[{RATE}]))",
                "dropped {{reason}} {{instance}} {{stream}}",
            ),
        ],
    ),
    (
        "Predictions that wait for the broker",
        "none",
        12,
        [
            (f"edgesnn_outbox_pending{{{BOARD}}}", "{{instance}}"),
            (f"edgesnn_outbox_in_memory{{{BOARD}}}", "{{instance}}, in memory only"),
        ],
    ),
    ("Age of the oldest of them", "s", 12, [(f"edgesnn_outbox_oldest_seconds{{{BOARD}}}", "{{instance}}")]),
    (
        "Predictions dropped",
        "none",
        12,
        [
            (f"increase(edgesnn_outbox_dropped_total{{{BOARD}}}[5m])", "{{instance}} {{reason}}"),
            (f"increase(edgesnn_queue_dropped_total{{{BOARD}}}[5m])", "{{instance}} queue"),
        ],
    ),
    (
        "Restarts of streams",
        "none",
        12,
        [(f"increase(edgesnn_restarts_total{{{STREAM}}}[15m])", "{{instance}} {{stream}}")],
    ),
    (
        "Power",
        "watt",
        12,
        [
            (f"edgesnn_board_input_watts{{{BOARD}}}", "{{instance}}"),
            (f"edgesnn_board_power_watts{{{BOARD}}}", "{{instance}} {{rail}}"),
        ],
    ),
    ("Temperatures", "celsius", 12, [(f"edgesnn_board_temperature_celsius{{{BOARD}}}", "{{instance}} {{zone}}")]),
    (
        "Energy of a decision",
        "none",
        12,
        [(f"1000 * edgesnn_energy_per_decision_joules{{{BOARD}}}", "{{instance}} {{kind}}, mJ")],
    ),
    (
        "Throttling",
        "none",
        12,
        [
            (f"increase(edgesnn_board_throttle_events_total{{{BOARD}}}[5m])", "{{instance}} {{cause}}"),
            (f"edgesnn_board_slowed_steps{{{BOARD}}}", "{{instance}} {{device}}, steps now"),
        ],
    ),
    ("Memory", "bytes", 12, [(f"process_resident_memory_bytes{{{BOARD}}}", "{{instance}}")]),
    (
        "Processor",
        "percentunit",
        12,
        [(f"rate(process_cpu_seconds_total{{{BOARD}}}[{RATE}])", "{{instance}}")],
    ),
]


def dashboard() -> dict[str, Any]:
    """Return the document."""
    panels = []
    x = y = 0
    for number, (title, unit, width, queries) in enumerate(PANELS, 1):
        if x + width > 24:
            x, y = 0, y + 8
        targets = [
            {"refId": chr(ord("A") + i), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
            for i, (expr, legend) in enumerate(queries)
        ]
        panels.append(
            {
                "id": number,
                "type": "stat" if width == 6 else "timeseries",
                "title": title,
                "datasource": SOURCE,
                "gridPos": {"x": x, "y": y, "w": width, "h": 8},
                "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
                "targets": targets,
            }
        )
        x += width
    return {
        "uid": "edgesnn",
        "title": "edgesnn",
        "tags": ["edgesnn"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
                _variable("board", "label_values(edgesnn_info, instance)"),
                _variable("stream", 'label_values(edgesnn_stream_state{instance=~"$board"}, stream)'),
            ]
        },
        "panels": panels,
    }


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "includeAll": True,
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
        "refresh": 2,
        "sort": 1,
    }


if __name__ == "__main__":
    TARGET.write_text(json.dumps(dashboard(), indent=2) + "\n", "utf-8")
