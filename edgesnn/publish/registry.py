"""Sinks by name: one file and one line each, imported on use."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from edgesnn.errors import UsageError
from edgesnn.publish.sinks.base import Sink

SINKS = {
    "jsonl": "edgesnn.publish.sinks.jsonl:JsonlSink",
    "mqtt": "edgesnn.publish.sinks.mqtt:MqttSink",
    "terminal": "edgesnn.publish.sinks.terminal:TerminalSink",
}
ENTRY_POINTS = "edgesnn.sinks"


def make_sink(name: str, **options: Any) -> Sink:
    """Return a new sink; `options` are its constructor's. Sinks of other packages come after ours (entry points).

    Raises:
        UsageError: there is no sink of that name.
    """
    if name in SINKS:
        module, _, attribute = SINKS[name].partition(":")
        sink: Sink = getattr(import_module(module), attribute)(**options)
        return sink
    others = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name not in others:
        known = ", ".join(sorted({*SINKS, *others}))
        raise UsageError("no such sink", found=repr(name), expected=f"one of {known}")
    made: Sink = others[name].load()(**options)
    return made
