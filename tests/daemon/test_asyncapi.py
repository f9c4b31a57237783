"""`edgesnn/schemas/asyncapi.json` against the schemas, the topics in the code, docs/mqtt.md, and a running service."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema

import edgesnn
from edgesnn.daemon.commands.desk import ANSWER_S
from edgesnn.daemon.commands.parsing import VERBS
from edgesnn.publish import topics
from edgesnn.publish.sinks.stream_events import EXPIRY_S
from edgesnn.schemas import NAMES
from tests.daemon.test_service import RECORDING, configuration, one_broker, run, stream, subscribed, wait_for
from tests.daemon.test_service_commands import Asker, listening

__all__ = ["one_broker", "run"]  # fixtures

PACKAGE = Path(edgesnn.__file__).parent
FOLDER = PACKAGE / "schemas"
DOCUMENT: dict[str, Any] = json.loads((FOLDER / "asyncapi.json").read_text("utf-8"))
CHANNELS: dict[str, Any] = DOCUMENT["channels"]
SAID = {kind for kind in CHANNELS if DOCUMENT["operations"][kind]["action"] == "send"}
ASKED = {"command", "response"}
KEPT = {kind for kind in CHANNELS if DOCUMENT["operations"][kind]["bindings"]["mqtt"]["retain"]}
SUFFIXES = ("/prediction", "/state", "/event", "/status", "/health", "/config", "/cmd/ping", "/cmd/ping/response")


def at(reference: dict[str, str]) -> Any:
    """Return what a reference within the document names."""
    found: Any = DOCUMENT
    for part in reference["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found


def references(node: Any) -> Iterator[dict[str, str]]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def schema_file(kind: str) -> str:
    """Return the file of the payload on a channel's topic, as its message names it."""
    (message,) = CHANNELS[kind]["messages"].values()
    return str(at(message)["payload"]["schema"]["$ref"])


def channel_of(topic: str) -> str:
    """Return the one channel whose address a topic fits."""
    found = [
        kind
        for kind, channel in CHANNELS.items()
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/+#]+", channel["address"]), topic)
    ]
    assert len(found) == 1, f"{topic}: {found}"
    return found[0]


def published() -> dict[str, set[str]]:
    """Return from the code: kind of each topic that it publishes -> how it is retained ("?": another line says it)."""
    found: dict[str, set[str]] = {}
    for path in [*PACKAGE.glob("publish/**/*.py"), *PACKAGE.glob("daemon/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            words = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            if node.func.attr in ("say", "stream_topic"):
                assert words, f"{path.name}:{node.lineno}: which topic is this?"
                keep = [word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)]
                found.setdefault(str(words[0]), set()).update(map(str, keep or ["?"]))
            elif node.func.attr == "status_topic":
                found.setdefault("status", set()).add("?")
            elif node.func.attr == "publish" and path.name == "desk.py":
                found.setdefault("response", set()).update(["?"])
    return found


def test_every_reference_leads_somewhere_and_every_schema_is_used():
    files = {schema_file(kind) for kind in CHANNELS}
    assert files == {f"{name}.json" for name in NAMES}
    for reference in references(DOCUMENT):
        if reference["$ref"] not in files:
            assert at(reference)
    for kind, operation in DOCUMENT["operations"].items():
        assert at(operation["channel"]) is CHANNELS[kind]
        assert operation["action"] == ("receive" if kind == "command" else "send")
        schema = json.loads((FOLDER / schema_file(kind)).read_text("utf-8"))
        assert schema["properties"]["schema"]["const"] == f"edgesnn.{kind}/1"
        parameters = set(re.findall(r"\{(\w+)\}", CHANNELS[kind]["address"]))
        assert set(CHANNELS[kind]["parameters"]) == parameters
        assert parameters <= set(schema["required"]) or kind == "command"
    assert DOCUMENT["operations"]["command"]["reply"]["channel"]["$ref"] == "#/channels/response"
    assert DOCUMENT["components"]["parameters"]["verb"]["enum"] == list(VERBS)


def test_its_channels_are_the_topics_that_the_code_publishes():
    code = published()
    assert set(code) == SAID
    for kind, keep in code.items():
        if keep != {"?"}:
            assert keep == {str(kind in KEPT)}, kind
    streams = {kind for kind, channel in CHANNELS.items() if "{stream}" in channel["address"]}
    assert streams == {"prediction", "state", "event"}
    for kind in streams:
        assert CHANNELS[kind]["address"] == topics.stream_topic("{node}", "{stream}", kind)
    assert CHANNELS["command"]["address"] == topics.command_topic("{node}", "{verb}")
    assert CHANNELS["response"]["address"] == CHANNELS["command"]["address"] + "/response"
    for kind in set(CHANNELS) - streams - ASKED:
        assert CHANNELS[kind]["address"] == topics.status_topic("{node}").replace("status", kind)
    expiry = {
        kind: operation["bindings"]["mqtt"].get("messageExpiryInterval")
        for kind, operation in DOCUMENT["operations"].items()
    }
    assert {kind: seconds for kind, seconds in expiry.items() if seconds is not None} == {
        "event": EXPIRY_S,
        "response": ANSWER_S,
    }


def test_it_says_what_the_page_says():
    page = (PACKAGE.parent / "docs" / "mqtt.md").read_text("utf-8")
    rows = re.findall(r"^\| `(edgesnn/\S+)` \| (\d) \| (no|yes|by a lasting node) \| `(\S+)` \|", page, re.MULTILINE)
    said = {
        topic.replace("<", "{").replace(">", "}"): (int(qos), keep != "no", name) for topic, qos, keep, name in rows
    }
    bindings = {kind: operation["bindings"]["mqtt"] for kind, operation in DOCUMENT["operations"].items()}
    assert said == {
        channel["address"]: (bindings[kind]["qos"], bindings[kind]["retain"], schema_file(kind).removesuffix(".json"))
        for kind, channel in CHANNELS.items()
    }


def test_a_running_service_publishes_what_it_says_and_nothing_else(one_broker, run):
    every = "[commands]\nenabled = true\n[http]\nenabled = false\n"
    with subscribed(one_broker) as early, Asker(one_broker, v5=one_broker.kind == "mosquitto") as asker:
        daemon = run(configuration(one_broker, stream("door", f"replay:{RECORDING}?loop"), more=every))
        listening(asker)
        wait_for(lambda: all(map(early.of, SUFFIXES)), what=daemon.log)
        with subscribed(one_broker) as late:
            wait_for(lambda: {channel_of(m.topic) for m in late.messages if m.retain} == KEPT, what=daemon.log)
        assert daemon.end() == 0, daemon.log
        early.wait_for(1, "/stats")
    seen: dict[str, list[Any]] = {}
    for message in early.messages:
        seen.setdefault(channel_of(message.topic), []).append(message)
    assert set(seen) == set(CHANNELS)
    for kind, messages in seen.items():
        validator = jsonschema.Draft202012Validator(json.loads((FOLDER / schema_file(kind)).read_text("utf-8")))
        binding = DOCUMENT["operations"][kind]["bindings"]["mqtt"]
        for message in messages:
            record = json.loads(message.payload)
            validator.validate(record)
            levels = {"node": "gate-1", "stream": record.get("stream"), "verb": record.get("verb", "ping")}
            assert message.topic == CHANNELS[kind]["address"].format(**levels)
            assert record.get("node", "gate-1") == "gate-1"
            assert message.qos == binding["qos"]
            left_s = getattr(message.properties, "MessageExpiryInterval", None)
            if one_broker.kind == "mosquitto":
                assert (left_s is None) == ("messageExpiryInterval" not in binding), kind
