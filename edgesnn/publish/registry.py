"""Sinks by name: one file and one line each, imported on use."""

from __future__ import annotations

from typing import Any

from edgesnn.errors import UsageError
from edgesnn.publish.sinks.base import Sink
from edgesnn.variants import Variants

SINKS = {
    "jsonl": "edgesnn.publish.sinks.jsonl:JsonlSink",
    "mqtt": "edgesnn.publish.sinks.mqtt:MqttSink",
    "terminal": "edgesnn.publish.sinks.terminal:TerminalSink",
}
_VARIANTS = Variants(SINKS, "edgesnn.sinks")


def make_sink(name: str, **options: Any) -> Sink:
    """Return a new sink; `options` are its constructor's. Sinks of other packages come after ours (entry points).

    Raises:
        UsageError: there is no sink of that name.
    """
    kind = _VARIANTS.find(name)
    if kind is None:
        known = ", ".join(sorted(_VARIANTS.names()))
        raise UsageError("no such sink", found=repr(name), expected=f"one of {known}")
    made: Sink = kind(**options)
    return made
