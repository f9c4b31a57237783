"""docs/operating.md names every state, reason, metric, counter and message that the service has."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

import edgesnn
from edgesnn.broker_url import Broker
from edgesnn.daemon import facts
from edgesnn.daemon.commands import desk
from edgesnn.daemon.gate import Gate
from edgesnn.daemon.metrics import Page
from edgesnn.pipeline import Ring
from edgesnn.publish.outbox_durable import DurableOutbox
from edgesnn.publish.sinks.mqtt import MqttSink
from edgesnn.schemas import load_schema

PACKAGE = Path(edgesnn.__file__).parent
PAGE = (PACKAGE.parent / "docs" / "operating.md").read_text("utf-8")
RECORDING = PACKAGE.parent / "recordings" / "hand_clap.raw"
OWN_METRIC = ("pending", "events_in", "processed", "decisions.label", "decisions.none", "decisions.idle")
SOURCES = (
    "udp://127.0.0.1:0?format=evt3&sensor=128x128",
    "tcp://127.0.0.1:0?listen&format=evt3&sensor=128x128",
    "tcp://127.0.0.1:9?format=evt3&sensor=128x128",
    f"replay:{RECORDING}?loop",
)
LOGS = (
    "daemon/**/*.py",
    *(f"events/sources/{name}.py" for name in ("live", "streams", "devices")),
    "tokens/sources/*.py",
)
WARNING = ("info", "warning", "error", "exception")


def named(names: Any, where: str = PAGE) -> None:
    missing = [name for name in names if f"`{name}`" not in where]
    assert not missing, missing


def section(title: str) -> str:
    return PAGE.split(f"# {title}")[1].split("\n#")[0]


def test_every_state_and_reason():
    stream = load_schema("health-1")["properties"]["streams"]["additionalProperties"]["properties"]
    named(stream["state"]["enum"], section("States of a stream"))
    named(load_schema("status-1")["properties"]["status"]["enum"], section("Status of the node"))
    health = section("Health")
    named(load_schema("health-1")["properties"]["health"]["enum"], health)
    named([f"stream NAME: {state}" for state in facts.TROUBLES], health)
    source = ast.parse(Path(facts.__file__).read_text("utf-8"))
    function = next(node for node in source.body if isinstance(node, ast.FunctionDef) and node.name == "health")
    words = {str(node.value).strip(": ") for node in ast.walk(function) if isinstance(node, ast.Constant)}
    for reason in ("makes no progress", "no broker", "outbox", "predictions wait", "commands"):
        assert reason in words, "the code says it in other words"
        assert reason in health


def test_every_metric():
    outbox: dict[str, Any] = {"queue": {"waiting": 0, "dropped": 0}}
    health = {"health": "ok", "broker": {"connected": True, "since": None}}
    text = Page(lambda: (health, {"streams": {}, "outbox": outbox})).text().decode()
    metrics = re.findall(r"^# TYPE (edgesnn_\w+) ", text, re.MULTILINE)
    assert len(metrics) > 15
    named(metrics, section("Metrics"))


def test_an_outbox_s_file_that_cannot_be_read_has_no_size_and_the_page_is_made():
    outbox: dict[str, Any] = {"queue": {"waiting": 0, "dropped": 0}, "size_bytes": None, "in_memory": 3}
    health = {"health": "degraded", "broker": {"connected": False, "since": None}}
    text = Page(lambda: (health, {"streams": {}, "outbox": outbox})).text().decode()
    assert "edgesnn_outbox_in_memory 3.0" in text
    assert "\nedgesnn_outbox_size_bytes" not in text
    named(Gate("window", None).held_back, section("Metrics"))
    named(["received", *desk.OUTCOMES, *desk.IGNORED, "unanswered"], section("Metrics"))


def test_every_counter_of_the_outbox(tmp_path):
    sink = MqttSink(
        Broker("127.0.0.1", 1), node="n", boot_id="0" * 16, outbox=DurableOutbox(tmp_path / "outbox.sqlite")
    )
    stats = sink.stats()
    sink.close()
    counters = section("Counters of the outbox")
    named(stats["dropped"], counters)
    named([name for name, value in stats.items() if type(value) is int and name != "pending"], counters)
    named(load_schema("stats-1")["properties"]["outbox"]["required"][1:], counters)


def test_every_counter_of_a_stream(tmp_path):
    with edgesnn.Pipeline(str(RECORDING), "gestures", threaded=Ring("block", 1 << 20, 4)) as pipeline:
        counters = set(pipeline.counters)
    (tmp_path / "app.log").write_text("ROMEO:\n")
    with edgesnn.TokenStream(str(tmp_path / "app.log"), "shakespeare") as lines:
        counters |= set(lines.counters)
    counters -= set(OWN_METRIC)
    named(counters, section("Counters of a stream"))
    named(["dropped.restarted", "dropped.stopped"])


@pytest.mark.parametrize("address", SOURCES)
def test_every_counter_of_a_live_source(address):
    with edgesnn.open(address) as source:
        names = set(source.counters)
    text = section("Counters of a stream")
    missing = [name for name in names if f"`source.{name}`" not in text and f"`decoder.{name}`" not in text]
    assert not missing


def said() -> list[str]:
    """Return the formats of all log records of level info and above."""
    formats = []
    for path in sorted(path for pattern in LOGS for path in PACKAGE.glob(pattern)):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in [f"_log.{level}" for level in WARNING]:
                assert isinstance(node.args[0], ast.Constant), f"{path.name}:{node.lineno}"
                formats.append(str(node.args[0].value))
    return formats


@pytest.mark.parametrize("text", sorted(set(said())))
def test_every_message(text):
    pattern = "[^`]+".join(re.escape(part) for part in re.split("%[sd]", text))
    assert re.search(f"`{pattern}`", section("Log"))


def test_every_error_of_the_broker():
    files = (*PACKAGE.glob("mqtt/*.py"), PACKAGE / "publish" / "sinks" / "mqtt.py")
    source = "".join(path.read_text("utf-8") for path in files)
    errors = set(re.findall(r'_error\(f?"([^"{]+?) ?[{"]', source)) | set(re.findall(r'self\.why = "([^"]+)"', source))
    assert len(errors) > 7
    named(errors - {"not connected"}, section("Errors of the broker"))
