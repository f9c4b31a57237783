"""What is published where, and the payloads other than the prediction (`docs/mqtt.md` is the normative page)."""

from __future__ import annotations

import json
from typing import Any

from edgesnn.errors import ConfigError
from edgesnn.prediction import Prediction
from edgesnn.version import __version__

ROOT = "edgesnn"
_FORBIDDEN = "/+#"
_LONGEST = 200


def check_level(name: str, what: str) -> str:
    """Return `name` if it can be one level of a topic, else raise `ConfigError`; `what` says whose name it is.

    >>> check_level("gate-1", "node")
    'gate-1'
    """
    bad = [letter for letter in name if letter in _FORBIDDEN or not letter.isprintable()]
    if name and not bad and len(name) <= _LONGEST:
        return name
    found = f"{bad[0]!r} in {name[:_LONGEST]!r}" if bad else f"{len(name)} characters"
    expected = f"1 to {_LONGEST} printable characters other than {' '.join(_FORBIDDEN)}"
    raise ConfigError(f"not a usable {what} name", where=what, found=found, expected=expected)


def status_topic(node: str) -> str:
    """Return the topic of the retained status."""
    return f"{ROOT}/{node}/status"


def stream_topic(node: str, stream: str, kind: str) -> str:
    """Return a stream's topic; `kind` is prediction, state or event."""
    return f"{ROOT}/{node}/{stream}/{kind}"


def command_topic(node: str, verb: str) -> str:
    """Return the topic of a command to a node."""
    return f"{ROOT}/{node}/cmd/{verb}"


def status_payload(
    node: str, boot_id: str, status: str, ts: str, note: str | None = None, last_error: str | None = None
) -> bytes:
    """Return the payload that says whether the node is there.

    `note`: what its owner should know. `last_error`: what a connection before this one ended with.
    """
    record = {
        "schema": "edgesnn.status/1",
        "node": node,
        "boot_id": boot_id,
        "version": __version__,
        "status": status,
        "ts": ts,
    }
    notes = {"note": note, "last_error": last_error}
    return _encode(record | {name: text for name, text in notes.items() if text is not None})


def state_payload(prediction: Prediction) -> bytes:
    """Return a stream's last decision."""
    record = {"schema": "edgesnn.state/1", **_identity(prediction)}
    record |= {
        "decision": prediction.decision,
        "label": prediction.label,
        "class": prediction.class_index,
        "confidence": prediction.confidence,
    }
    return _encode(record)


def event_payload(prediction: Prediction, event_type: str, label: str, class_index: int) -> bytes:
    """Return the payload for the onset or offset of a label, decided by `prediction`."""
    record = {"schema": "edgesnn.event/1", **_identity(prediction)}
    t_us = None if prediction.sensor is None else prediction.sensor.t1_us
    record |= {"event_type": event_type, "label": label, "class": class_index, "t_us": t_us}
    return _encode(record)


def changes(before: Prediction | None, now: Prediction) -> list[tuple[str, str, int]]:
    """Return what began and ended between two decisions: (event type, label, class), ends first."""
    old = (before.label, before.class_index) if before is not None else (None, None)
    new = (now.label, now.class_index)
    if old == new:
        return []
    ended = [("offset", old[0], old[1])] if old[0] is not None and old[1] is not None else []
    begun = [("onset", new[0], new[1])] if new[0] is not None and new[1] is not None else []
    return ended + begun


def _identity(prediction: Prediction) -> dict[str, Any]:
    return {
        "node": prediction.node,
        "stream": prediction.stream,
        "boot_id": prediction.boot_id,
        "seq": prediction.seq,
        "ts": prediction.ts,
    }


def _encode(record: dict[str, Any]) -> bytes:
    return json.dumps(record, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode()
