"""JSON Schemas (draft 2020-12) of the payloads that edgesnn prints and publishes, one file a payload and version.

`prediction-1`, `status-1`, `state-1`, `event-1`, and of the service `health-1`, `stats-1`, `config-1`, `command-1`
(what it may be asked) and `response-1`; `docs/mqtt.md` says on which topic each one travels, and `asyncapi.json`
(AsyncAPI 3) the same for programs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAMES = (
    *("prediction-1", "status-1", "state-1", "event-1", "health-1", "stats-1", "config-1"),
    *("command-1", "response-1"),
)


def load_schema(name: str) -> dict[str, Any]:
    """Return the schema `name` (one of `NAMES`) as a new dictionary.

    >>> load_schema("prediction-1")["properties"]["schema"]["const"]
    'edgesnn.prediction/1'
    """
    schema: dict[str, Any] = json.loads((Path(__file__).parent / f"{name}.json").read_text("utf-8"))
    return schema
