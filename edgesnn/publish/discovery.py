"""What Home Assistant is told about a node and its streams (docs/home-assistant.md): discovery documents of MQTT.

The node and each of its streams have a retained document of their own, all of one device, so that a stream that is no
more is taken away by an empty message, whoever restarted meanwhile. Values come from topics that are there anyway.
Fields as Home Assistant's pages "MQTT", "MQTT Sensor", "MQTT Binary sensor" and "MQTT Event" name them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from edgesnn.errors import ConfigError
from edgesnn.publish.topics import ROOT, status_topic, stream_topic
from edgesnn.version import __version__

MOST_LETTERS = 200
MOST_OPTIONS = 100
"""A model of more labels has a label sensor without the list of them."""
EXPIRE_S = 35
"""What comes with `stats`, every 10 s, is unavailable after so long."""
THERE = ("starting", "waiting", "live", "idle", "ended")
"""States of a stream whose last decision still holds; of the others its entities are unavailable."""
_LEVEL = re.compile(r"(?!.*-[0-9a-f]{8}$)[A-Za-z0-9_-]{1,64}")  # none that could be another name with its digest

Document = dict[str, Any]


def check_prefix(prefix: str) -> str:
    """Return `prefix` if discovery topics can begin with it, else raise `ConfigError`.

    >>> check_prefix("homeassistant")
    'homeassistant'
    """
    return _check_topic(prefix, "a discovery prefix", "the prefix that Home Assistant has, such as homeassistant")


def check_birth_topic(topic: str) -> str:
    """Return `topic` if Home Assistant can say there that it is born, else raise `ConfigError`.

    >>> check_birth_topic("homeassistant/status")
    'homeassistant/status'
    """
    return _check_topic(topic, "a birth topic", "the topic that Home Assistant has, such as homeassistant/status")


def _check_topic(text: str, what: str, expected: str) -> str:
    whole = 0 < len(text) <= MOST_LETTERS and not set(text) & set("+#")
    if whole and text.isprintable() and not text.startswith("$") and "" not in text.split("/"):
        return text
    expected += ", not with $ first, which is the broker's own" if text.startswith("$") else ""
    expected += f": levels of printable characters, none empty, without + and #, {MOST_LETTERS} at most"
    raise ConfigError(f"not {what}", found=repr(text[:MOST_LETTERS]), expected=expected)


def discovery_topic(prefix: str, node: str, stream: str | None = None) -> str:
    """Return where the document of a node, or of one of its streams, is retained."""
    name = f"edgesnn-{_word(node)}" + ("" if stream is None else f"/{_word(stream)}")
    return f"{prefix}/device/{name}/config"


def node_document(node: str, *, power: bool = False, temperature: bool = False) -> Document:
    """Return the document of the node itself: whether it is well, its memory, how much waits for the broker; the power
    of its board and the temperature of its hottest zone, where it tells them."""
    health, stats = _topic(node, "health"), _topic(node, "stats")
    problem = {
        "p": "binary_sensor",
        "name": "problem",
        "device_class": "problem",
        "state_topic": health,
        "value_template": "{{ 'OFF' if value_json.health == 'ok' else 'ON' }}",
        "json_attributes_topic": health,
        "json_attributes_template": "{{ {'reasons': value_json.reasons} | tojson }}",
    }
    memory = {
        "p": "sensor",
        "name": "memory",
        "device_class": "data_size",
        "unit_of_measurement": "MB",
        "suggested_display_precision": 0,
        **_measured(stats, "value_json.resident_bytes / 1000000 if value_json.resident_bytes is not none else none"),
    }
    waiting = {
        "p": "sensor",
        "name": "predictions waiting",
        **_measured(stats, "value_json.outbox.pending | default(0)"),
    }
    parts = {"problem": problem, "memory": memory, "waiting": waiting}
    if power:
        parts["power"] = {
            "p": "sensor",
            "name": "power",
            "device_class": "power",
            "unit_of_measurement": "W",
            "suggested_display_precision": 1,
            **_measured(stats, "value_json.board.total_w if value_json.board else none"),
        }
    if temperature:
        zones = "value_json.board.temperature_c"
        parts["temperature"] = {
            "p": "sensor",
            "name": "temperature",
            "device_class": "temperature",
            "unit_of_measurement": "\u00b0C",
            "suggested_display_precision": 0,
            **_measured(stats, f"{zones}.values() | max if value_json.board and {zones} else none"),
        }
    for part in parts.values():
        part["entity_category"] = "diagnostic"
    return _document(node, None, parts, [_node_there(node)])


def stream_document(node: str, stream: str, labels: Sequence[str]) -> Document:
    """Return the document of a stream: label, confidence, rate, latency, and an event entity.

    `labels`: those that the model can decide on; none where they are not known.
    """
    state, stats, name = stream_topic(node, stream, "state"), _topic(node, "stats"), _jinja(stream)
    label: Document = {
        "p": "sensor",
        "name": f"{stream} label",
        "state_topic": state,
        "value_template": "{{ value_json.label if value_json.decision == 'label' else value_json.decision }}",
        "json_attributes_topic": state,
    }
    if 0 < len(labels) <= MOST_OPTIONS:
        label |= {"device_class": "enum", "options": list(dict.fromkeys([*labels, "none", "idle"]))}
    confidence = {
        "p": "sensor",
        "name": f"{stream} confidence",
        "unit_of_measurement": "%",
        "state_class": "measurement",
        "suggested_display_precision": 0,
        "state_topic": state,
        "value_template": "{{ 100 * value_json.confidence if value_json.confidence is not none else none }}",
    }
    one = f"value_json.streams[{name}]"
    rate = {
        "p": "sensor",
        "name": f"{stream} rate",
        "device_class": "frequency",
        "unit_of_measurement": "Hz",
        "suggested_display_precision": 1,
        **_measured(stats, f"{one}.rate_hz"),
    }
    latency = {
        "p": "sensor",
        "name": f"{stream} latency",
        "device_class": "duration",
        "unit_of_measurement": "ms",
        "suggested_display_precision": 2,
        **_measured(stats, f"{one}.latency_ms.p99 if {one}.latency_ms else none"),
    }
    event = {
        "p": "event",
        "name": f"{stream} event",
        "event_types": ["onset", "offset"],
        "state_topic": stream_topic(node, stream, "event"),
    }
    alive = {
        "topic": _topic(node, "health"),
        "value_template": f"{{{{ 'online' if {one}.state in {list(THERE)} else 'offline' }}}}",
    }
    parts = {"label": label, "confidence": confidence, "rate": rate, "latency": latency, "event": event}
    return _document(node, stream, parts, [_node_there(node), alive])


def encode(document: Mapping[str, Any]) -> bytes:
    """Return the payload."""
    return json.dumps(document, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode()


def _document(node: str, stream: str | None, parts: Mapping[str, Document], there: list[Document]) -> Document:
    identity = f"edgesnn-{_word(node)}"
    prefix = identity if stream is None else f"{identity}.{_word(stream)}"
    return {
        "dev": {"ids": [identity], "name": node, "mf": "edgesnn", "mdl": "edgesnn", "sw": __version__},
        "o": {"name": "edgesnn", "sw": __version__},
        "cmps": {f"{prefix}.{name}": {**part, "unique_id": f"{prefix}.{name}"} for name, part in parts.items()},
        "availability": there,
        "availability_mode": "all",
        "qos": 1,
    }


def _node_there(node: str) -> Document:
    template = "{{ 'online' if value_json.status in ['online', 'draining'] else 'offline' }}"
    return {"topic": status_topic(node), "value_template": template}


def _measured(topic: str, value: str) -> Document:
    return {
        "state_topic": topic,
        "state_class": "measurement",
        "expire_after": EXPIRE_S,
        "value_template": f"{{{{ {value} }}}}",
    }


def _topic(node: str, kind: str) -> str:
    return f"{ROOT}/{node}/{kind}"


def _word(name: str) -> str:
    """Return a name of letters, digits, - and _; of two names never the same, but for digests of 32 bits that agree.

    >>> _word("gate-1"), _word("gate 1"), _word("gate_1-76ffb8c9")
    ('gate-1', 'gate_1-76ffb8c9', 'gate_1-76ffb8c9-f49222dd')
    """
    if _LEVEL.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:40] + "-" + digest


def _jinja(text: str) -> str:
    """Return a text as a literal of a template; nothing in it ends the literal or the expression."""
    return '"' + "".join(letter if letter.isalnum() and letter.isascii() else _escaped(letter) for letter in text) + '"'


def _escaped(letter: str) -> str:
    code = ord(letter)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
