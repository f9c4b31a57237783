"""The publishing room without a broker: names, URLs, payloads, the publisher, the sinks."""

from __future__ import annotations

import io
import json

import jsonschema
import pytest

from edgesnn.broker_url import Broker, parse_broker
from edgesnn.errors import ConfigError, PublishError, UsageError
from edgesnn.mqtt import make_client_id
from edgesnn.publish import Publisher, new_boot_id
from edgesnn.publish import broker as local_broker
from edgesnn.publish.publisher import replay_node, utc_now
from edgesnn.publish.registry import SINKS, make_sink
from edgesnn.publish.sinks.jsonl import JsonlSink
from edgesnn.publish.sinks.terminal import TerminalSink
from edgesnn.publish.topics import changes, check_level, event_payload, state_payload, status_payload, stream_topic
from edgesnn.schemas import load_schema
from tests.predictions import BOOT, NODE, make_prediction


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("mqtt://gate.local", Broker("gate.local", 1883)),
        ("mqtt://127.0.0.1:1884/", Broker("127.0.0.1", 1884)),
        ("mqtts://ann@gate.local", Broker("gate.local", 8883, tls=True, user="ann", password="p")),
        ("mqtt://a%40b@gate.local", Broker("gate.local", 1883, user="a@b", password="p")),
        ("mqtt://[::1]:1885", Broker("::1", 1885)),
    ],
)
def test_a_broker_url_is_understood(url, broker):
    assert parse_broker(url, environment={"EDGESNN_MQTT_PASSWORD": "p"}) == broker


@pytest.mark.parametrize(
    "url",
    [
        "gate.local",
        "http://gate",
        "mqtt://",
        "mqtt://gate:0",
        "mqtt://gate:99999",
        "mqtt://gate:x",
        "mqtt://gate/topic",
        "mqtt://gate?x=1",
        "",
    ],
)
def test_a_wrong_url_is_refused_and_the_form_is_named(url):
    with pytest.raises(UsageError, match=r"not a broker URL.*mqtt://\[user@\]host"):
        parse_broker(url, environment={})


def test_a_password_in_a_url_is_refused_and_the_ways_are_named_without_repeating_it():
    with pytest.raises(UsageError) as caught:
        parse_broker("mqtt://ann:hunter2@gate", environment={})
    text = str(caught.value)
    assert "EDGESNN_MQTT_PASSWORD" in text
    assert "--mqtt-password-file" in text
    assert "hunter2" not in text


def test_the_password_comes_from_a_file_before_the_environment(tmp_path):
    file = tmp_path / "secret"
    file.write_text(" with spaces \n")
    broker = parse_broker("mqtt://ann@gate", password_file=str(file), environment={"EDGESNN_MQTT_PASSWORD": "other"})
    assert broker.password == " with spaces "
    assert "spaces" not in repr(broker)
    assert "ann" not in broker.url


def test_files_that_are_not_there_are_named(tmp_path):
    for option in ("password_file", "ca_file"):
        with pytest.raises(ConfigError, match="nowhere"):
            parse_broker("mqtts://ann@gate", **{option: str(tmp_path / "nowhere")}, environment={})


def test_a_password_without_a_user_is_refused(tmp_path):
    file = tmp_path / "secret"
    file.write_text("x")
    with pytest.raises(UsageError, match="without a user"):
        parse_broker("mqtt://gate", password_file=str(file), environment={})


@pytest.mark.parametrize("name", ["", "a/b", "a+", "#", "nul\0", "tab\t", "line\n", "\x1b[31m", "\ud800", "x" * 201])
def test_names_that_cannot_be_a_topic_level_are_refused(name):
    with pytest.raises(ConfigError, match="not a usable stream name"):
        check_level(name, "stream")


@pytest.mark.parametrize("name", ["gate-1", "Tür", "with space", "手", "$odd", "x" * 200])
def test_other_names_are_accepted(name):
    assert check_level(name, "stream") == name


def test_topics_and_ids():
    assert stream_topic("gate", "main", "prediction") == "edgesnn/gate/main/prediction"
    assert make_client_id("gate", "demo").startswith("edgesnn-gate-demo-")
    assert make_client_id("gate", "demo") != make_client_id("gate", "demo")
    assert check_level(replay_node(), "node").endswith("-replay")
    assert len(new_boot_id()) == 16


def test_the_small_payloads_validate():
    prediction = make_prediction(3).numbered(node=NODE, boot_id=BOOT, seq=1, ts=utc_now())
    idle = make_prediction(3, None).numbered(node=NODE, boot_id=BOOT, seq=1, ts=utc_now())
    payloads = [("state-1", state_payload(prediction)), ("state-1", state_payload(idle))]
    payloads += [("event-1", event_payload(prediction, kind, "a", 0)) for kind in ("onset", "offset")]
    for status in ("online", "draining", "stopped", "offline"):
        payloads.append(("status-1", status_payload(NODE, BOOT, status, utc_now())))
    for schema, payload in payloads:
        jsonschema.validate(json.loads(payload), load_schema(schema))


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (None, None, []),
        (None, "a", [("onset", "a", 1)]),
        ("a", "a", []),
        ("a", None, [("offset", "a", 1)]),
        ("a", "bb", [("offset", "a", 1), ("onset", "bb", 2)]),
    ],
)
def test_onset_and_offset(before, now, expected):
    assert changes(make_prediction(0, before), make_prediction(1, now)) == expected
    if before is None:
        assert changes(None, make_prediction(1, now)) == expected


def test_all_sinks_get_the_same_numbered_record():
    texts = [io.StringIO(), io.StringIO()]
    with Publisher([JsonlSink(text) for text in texts], node=NODE) as door:
        for window in range(3):
            door.write(make_prediction(window, stream="a"))
        door.write(make_prediction(0, stream="b"))
        door.finish()
    assert texts[0].getvalue() == texts[1].getvalue()
    records = [json.loads(line) for line in texts[0].getvalue().splitlines()]
    for record in records:
        jsonschema.validate(record, load_schema("prediction-1"))
    assert [(record["stream"], record["seq"]) for record in records] == [("a", 0), ("a", 1), ("a", 2), ("b", 0)]
    assert len({record["boot_id"] for record in records}) == 1


class Probe:
    def __init__(self, fails: bool = False, left: int = 0) -> None:
        self.fails, self.left, self.closed = fails, left, 0

    def open(self) -> None:
        if self.fails:
            raise PublishError("no")

    def write(self, prediction) -> None: ...

    def drain(self, timeout_s: float) -> int:
        return self.left

    def close(self) -> None:
        self.closed += 1

    def stats(self):
        return {}


def test_a_sink_that_does_not_open_closes_those_that_did():
    first, second = Probe(), Probe(fails=True)
    with pytest.raises(PublishError):
        Publisher([first, second], node=NODE).__enter__()
    assert (first.closed, second.closed) == (1, 0)


def test_what_is_not_delivered_is_said_with_its_number():
    with Publisher([Probe(left=2)], node=NODE) as door:
        for window in range(3):
            door.write(make_prediction(window))
        with pytest.raises(PublishError, match="2 of 3 predictions were not delivered"):
            door.finish(timeout_s=0.1)


def test_the_terminal_line_shows_the_decision_and_nothing_that_steers_the_terminal():
    text = io.StringIO()
    sink = TerminalSink(text)
    sink.write(make_prediction(0, "arm roll"))
    sink.write(make_prediction(1, None))
    sink.write(make_prediction(2, "red\x1b[31m"))
    lines = text.getvalue().splitlines()
    assert "arm roll" in lines[0]
    assert "50 %" in lines[0]
    assert "(none)" in lines[1]
    assert "\x1b" not in lines[2]


@pytest.mark.parametrize("name", SINKS)
def test_each_sink_of_the_registry_keeps_the_contract(name):
    options = {"mqtt": {"broker": Broker("127.0.0.1", 1), "node": NODE, "boot_id": BOOT}}.get(name, {})
    sink = make_sink(name, **options)
    for method in ("open", "write", "drain", "close", "stats"):
        assert callable(getattr(sink, method))
    assert isinstance(sink.stats(), dict)
    sink.close()
    sink.close()


def test_an_unknown_sink_lists_the_known_ones():
    with pytest.raises(UsageError, match="jsonl, mqtt, terminal"):
        make_sink("pigeon")


def test_no_broker_to_start_is_said_with_the_remedy(monkeypatch):
    monkeypatch.setattr(local_broker, "available", lambda: [])
    with pytest.raises(PublishError, match="apt install mosquitto"):
        local_broker.LocalBroker()
