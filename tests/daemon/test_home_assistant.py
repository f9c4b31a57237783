"""What Home Assistant sees of a running service: discovery, values by its templates, its birth, streams that go."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jinja2.sandbox
import pytest
from paho.mqtt import publish, subscribe

from edgesnn.daemon import home
from edgesnn.daemon.home import APART_S, SPREAD_S, Home
from edgesnn.daemon.schema import HomeAssistant
from tests.brokers import KillableBroker, Subscriber
from tests.daemon.test_service import RECORDING, ROOT, configuration, one_broker, run, stream, subscribed, wait_for
from tests.daemon.test_service_commands import needs_mosquitto, passwords_tool

__all__ = ["one_broker", "run"]  # fixtures
HOME = "[http]\nenabled = false\n[home_assistant]\nenabled = true\n"


def listener(broker: KillableBroker) -> Subscriber:
    return Subscriber(broker.broker, "homeassistant/#", v5=broker.kind == "mosquitto")


def documents(subscriber: Subscriber) -> dict[str, Any]:
    """Return the last document of each topic, None of one that was taken away."""
    found = {m.topic: json.loads(m.payload) if m.payload else None for m in list(subscriber.of("/config"))}
    return {topic.removeprefix("homeassistant/device/edgesnn-gate-1"): what for topic, what in found.items()}


def be_born(broker: KillableBroker) -> None:
    publish.single("homeassistant/status", "online", 1, hostname=broker.broker.host, port=broker.broker.port)


def value(part: dict[str, Any], messages: Subscriber) -> str:
    """Return what a template makes of the last message at its topic."""
    found = [m for m in list(messages.messages) if m.topic == part.get("state_topic", part.get("topic"))]
    template = jinja2.sandbox.ImmutableSandboxedEnvironment().from_string(part["value_template"])
    return str(template.render(value_json=json.loads(found[-1].payload)))


def test_it_knows_node_and_streams_by_itself(one_broker, run, tmp_path):
    door, yard = (stream(name, f"replay:{RECORDING}?loop") for name in ("door", "y'd"))
    with subscribed(one_broker) as published, listener(one_broker) as told:
        daemon = run(configuration(one_broker, door, yard, more=HOME))
        wait_for(lambda: len(documents(told)) == 3, what=daemon.log)
        door_topic, node_topic = "/door/config", "/config"
        other = next(topic for topic in documents(told) if topic not in (door_topic, node_topic))
        for document in documents(told).values():
            assert document["dev"]["ids"] == ["edgesnn-gate-1"]
        published.wait_for(1, "/stats")
        published.wait_for(1, "/door/event")
        for topic, name in ((door_topic, "door"), (other, "y'd")):
            document = documents(told)[topic]
            parts = {key.rsplit(".", 1)[1]: part for key, part in document["cmps"].items()}
            state = json.loads(published.of(f"/{name}/state")[-1].payload)
            assert value(parts["label"], published) in {state["label"] or state["decision"], *parts["label"]["options"]}
            assert 0 < float(value(parts["rate"], published)) < 1000
            assert 0 < float(value(parts["latency"], published)) < 10000
            assert [value(there, published) for there in document["availability"]] == ["online", "online"]
            event = json.loads(next(m.payload for m in published.messages if m.topic == parts["event"]["state_topic"]))
            assert event["event_type"] in parts["event"]["event_types"]
        node = {key.rsplit(".", 1)[1]: part for key, part in documents(told)[node_topic]["cmps"].items()}
        assert value(node["problem"], published) in ("ON", "OFF")
        assert 10 < float(value(node["memory"], published)) < 1000
        assert int(value(node["waiting"], published)) >= 0

        before = len(told.of("/config"))
        be_born(one_broker)
        wait_for(lambda: len(told.of("/config")) == before + 3, what=daemon.log)

        (tmp_path / "config.toml").write_text(configuration(one_broker, door, more=HOME))
        daemon.tell(signal.SIGHUP)
        wait_for(lambda: documents(told)[other] is None, what=daemon.log)
        assert daemon.end() == 0, daemon.log
    with listener(one_broker) as late:
        assert set(documents_soon(late, 2)) == {door_topic, node_topic}


def documents_soon(subscriber: Subscriber, count: int) -> dict[str, Any]:
    wait_for(lambda: len(documents(subscriber)) >= count)
    return documents(subscriber)


def test_a_stream_that_went_while_the_service_was_down(one_broker, run):
    door, yard = (stream(name, f"replay:{RECORDING}?loop") for name in ("door", "yard"))
    with subscribed(one_broker) as published, listener(one_broker) as told:
        daemon = run(configuration(one_broker, door, yard, more=HOME))
        wait_for(lambda: len(documents(told)) == 3, what=daemon.log)
        for name in ("door", "yard"):
            published.wait_for(1, f"/{name}/prediction")
        assert daemon.end() == 0, daemon.log
        daemon = run(configuration(one_broker, door, more=HOME))
        wait_for(lambda: documents(told)["/yard/config"] is None, what=daemon.log)
        assert daemon.end() == 0, daemon.log


@needs_mosquitto
def test_with_the_example_of_access_control(run, tmp_path):
    access = (ROOT / "deploy" / "examples" / "mosquitto.acl").read_text()
    with KillableBroker("mosquitto", tmp_path, password=("gate-1", "p"), access=access) as broker:
        subprocess.run([passwords_tool(), "-b", tmp_path / "passwords", "homeassistant", "p"], check=True)
        broker.signal(signal.SIGHUP)  # it reads its files again
        text = configuration(broker, stream("door", f"replay:{RECORDING}?loop"), more=HOME)
        daemon = run(text.replace("mqtt://", "mqtt://gate-1@"), {"EDGESNN_MQTT_PASSWORD": "p"})
        user = {"username": "homeassistant", "password": "p"}
        place = {"hostname": broker.broker.host, "port": broker.broker.port, "auth": user}
        topics = [f"homeassistant/device/edgesnn-gate-1/{name}" for name in ("config", "door/config")]
        found = subscribe.simple(topics, msg_count=2, **place)
        assert sorted(message.topic for message in found) == topics
        with ThreadPoolExecutor() as thread:
            again = thread.submit(subscribe.simple, topics, msg_count=4, **place)  # what is retained, and the answer
            time.sleep(1.0)
            publish.single("homeassistant/status", "online", 1, **place)
            assert sorted(message.payload for message in again.result(30)) == sorted(2 * [m.payload for m in found])
        assert daemon.end() == 0, daemon.log
    assert "refused" not in daemon.log


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Board:
    """Takes what a beacon is given."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def listen(self, topic: str, heard: Any) -> None:
        assert topic == "homeassistant/status"
        self.born = heard

    def send(self, topic: str, payload: bytes, *, retain: bool) -> None:
        assert retain
        self.sent.append(topic)


def test_births_are_answered_at_other_moments_and_a_flood_of_them_once(monkeypatch):
    clock, board = Clock(), Board()
    monkeypatch.setattr(home.random, "uniform", lambda low, high: high)
    one = Home(HomeAssistant(), "gate", board, clock=clock)  # type: ignore[arg-type]
    one.tell([])
    one.tell([])  # nothing has changed
    assert len(board.sent) == 1
    board.born(b"offline")
    one.turn()
    assert len(board.sent) == 1
    answered = []
    for _ in range(600):  # a minute of births
        board.born(b"online")
        one.turn()
        clock.now_s += 0.1
        answered.append(len(board.sent))
    assert answered[int(SPREAD_S * 10) - 1] == 1
    assert 3 <= len(board.sent) <= 2 + 60 / APART_S
    clock.now_s += APART_S + SPREAD_S
    one.turn()
    count = len(board.sent)
    clock.now_s += 100
    one.turn()
    assert len(board.sent) == count


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('prefix = "home+"', "home_assistant.prefix"),
        ('prefix = ""', "home_assistant.prefix"),
        ("prefix = 3", "home_assistant.prefix"),
        ('birth_topic = "#"', "home_assistant.birth_topic"),
    ],
)
def test_odd_prefixes_are_one_clear_line(one_broker, run, line, key):
    daemon = run(configuration(one_broker, stream("door", f"replay:{RECORDING}?loop"), more=f"{HOME}{line}\n"))
    assert daemon.process.wait(60) == 5
    errors = [text for text in daemon.log.splitlines() if "error" in text]
    assert len(errors) == 1, daemon.log
    assert f"config.toml: line 12: {key}: not a" in errors[0]
