"""The nodes of a broker, from what they retain there: status and health (`docs/mqtt.md`)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgesnn.broker_url import Broker
from edgesnn.errors import PublishError
from edgesnn.mqtt import Client, Lost, Message, Refused, Subscribed, make_client_id
from edgesnn.publish.topics import ROOT

KINDS = ("status", "health")
MOST_NODES = 10_000
QUIET_S = 0.5
"""A broker that has sent nothing for so long has sent what it retains."""
_LONGEST = 200


@dataclass
class Node:
    """What a node says of itself. A text is None where it said none, or no text.

    Attributes:
        status: online, draining, stopped, offline; "unknown" without a status that can be read.
        ts: when it said its status (UTC); of offline: when it had come.
        health: ok, degraded; None: it is not online, or says none (a program that is no service).
        reasons: why it is degraded.
        streams: by name {"state", "model", "sha256", "precision", "backend", "why"}.
        unreadable: kinds whose payload is no record.
    """

    name: str
    status: str = "unknown"
    version: str | None = None
    boot_id: str | None = None
    ts: str | None = None
    note: str | None = None
    health: str | None = None
    reasons: list[str] = field(default_factory=list)
    streams: dict[str, dict[str, str | None]] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether it is online, and has nothing to complain of."""
        return self.status == "online" and self.health in (None, "ok")


def fleet(broker: Broker, *, protocol: str = "auto", wait_s: float = 5.0) -> list[Node]:
    """Ask a broker which nodes there are; by name.

    Args:
        wait_s: at most so long from the subscription on.

    Raises:
        PublishError: the broker does not answer, refuses us, or refuses the subscription.
    """
    client = Client(broker, client_id=make_client_id("fleet", "list"), protocol=protocol)
    try:
        client.open()
        return nodes(_retained(client, [f"{ROOT}/+/{kind}" for kind in KINDS], wait_s))
    finally:
        client.close()


def nodes(messages: Iterable[tuple[str, bytes]]) -> list[Node]:
    """Return the nodes that these messages, (topic, payload), are of; of a topic the last one counts."""
    payloads = dict(messages)
    found: dict[str, Node] = {}
    for topic, payload in payloads.items():
        _, name, kind = topic.split("/")
        if payload:
            _fill(found.setdefault(name, Node(name)), kind, payload)
    for node in found.values():
        if node.status != "online":  # health stays after a service that has died
            node.health, node.reasons, node.streams = None, [], {}
    return [found[name] for name in sorted(found)]


def _retained(client: Client, topics: list[str], wait_s: float) -> list[tuple[str, bytes]]:
    """Subscribe, and return what comes until nothing has for `QUIET_S`."""
    until_s = time.monotonic() + wait_s
    waits = {client.subscribe(topic) for topic in topics}
    messages: dict[str, bytes] = {}
    quiet_s = time.monotonic() + QUIET_S
    while time.monotonic() < until_s and (waits or time.monotonic() < quiet_s):
        for event in client.poll(max(0.0, min(until_s, quiet_s) - time.monotonic()) if not waits else 0.1):
            if isinstance(event, (Lost, Refused)):
                raise event.error
            if isinstance(event, Subscribed):
                waits.discard(event.mid)
            elif isinstance(event, Message) and _ours(event.topic) and len(messages) < 2 * MOST_NODES:
                messages[event.topic] = event.payload
            quiet_s = time.monotonic() + QUIET_S
    if waits:
        found = f"nothing in {wait_s:g} s"
        raise PublishError("no answer to the subscription", where=client.broker.url, found=found)
    return list(messages.items())


def _ours(topic: str) -> bool:
    levels = topic.split("/")
    return len(levels) == 3 and levels[0] == ROOT and levels[2] in KINDS


def _fill(node: Node, kind: str, payload: bytes) -> None:
    try:
        record = json.loads(payload)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or record.get("schema") != f"edgesnn.{kind}/1" or record.get("node") != node.name:
        node.unreadable.append(kind)
        return
    if kind == "status":
        node.status = _text(record, "status") or "unknown"
        node.version, node.boot_id = _text(record, "version"), _text(record, "boot_id")
        node.ts, node.note = _text(record, "ts"), _text(record, "note")
        return
    node.health = _text(record, "health")
    reasons, streams = record.get("reasons"), record.get("streams")
    if isinstance(reasons, list):
        node.reasons = [reason[:_LONGEST] for reason in reasons[:MOST_NODES] if isinstance(reason, str)]
    if isinstance(streams, dict):
        node.streams = {name: _stream(one) for name, one in streams.items() if isinstance(one, dict)}


def _stream(record: Mapping[str, Any]) -> dict[str, str | None]:
    model = record.get("model")
    facts = model if isinstance(model, dict) else {}
    about = {name: _text(facts, name) for name in ("sha256", "precision", "backend")}
    return {"state": _text(record, "state"), "model": _text(facts, "name"), **about, "why": _text(record, "why")}


def _text(record: Mapping[str, Any], name: str) -> str | None:
    value = record.get(name)
    return value[:_LONGEST] if isinstance(value, str) else None
