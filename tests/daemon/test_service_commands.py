"""Commands to a running service over a real broker, by both versions of MQTT: answered once, off unless allowed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edgesnn.publish.broker import available, find_mosquitto, free_port
from edgesnn.recorder.bundle import read
from tests.brokers import KillableBroker
from tests.daemon.test_service import RECORDING, ROOT, configuration, one_broker, run, stream, subscribed, wait_for
from tests.predictions import validated

__all__ = ["one_broker", "run"]  # fixtures
DOOR = stream("door", f"replay:{RECORDING}?loop")
needs_mosquitto = pytest.mark.skipif("mosquitto" not in available(), reason="mosquitto is not installed")


def allowing(*verbs: str) -> str:
    return f"[http]\nenabled = false\n[commands]\nenabled = true\nallow = {json.dumps(verbs)}\n"


class Asker:
    """Publishes commands, with paho's own loop and none of our code, and collects the answers."""

    def __init__(self, broker: KillableBroker, *, v5: bool, user: str | None = None) -> None:
        self.answers: list[paho.MQTTMessage] = []
        self._v5 = v5
        self._ready = threading.Event()
        version = paho.MQTTv5 if v5 else paho.MQTTv311
        self._client = paho.Client(CallbackAPIVersion.VERSION2, f"asker-{id(self)}", protocol=version)
        if user is not None:
            self._client.username_pw_set(user, "p")
        topics = [("edgesnn/+/cmd/+/response", 1), ("answers/#", 1)]
        self._client.on_connect = lambda client, *_: client.subscribe(topics)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _client, _user, message: self.answers.append(message)
        self._client.connect(broker.broker.host, broker.broker.port, 30)

    def __enter__(self) -> Asker:
        self._client.loop_start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def ask(self, verb: str, name: str, *, life_s: float = 60, times: int = 1, **options: Any) -> None:
        retain, topic, correlation = (options.pop(key, None) for key in ("retain", "response_topic", "correlation"))
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + life_s))
        record = {"schema": "edgesnn.command/1", "id": name, "expires": expires, **options}
        properties = None
        if topic is not None:
            properties = Properties(PacketTypes.PUBLISH)
            properties.ResponseTopic, properties.CorrelationData = topic, correlation
        for _ in range(times):
            self.send(f"edgesnn/gate-1/cmd/{verb}", json.dumps(record).encode(), bool(retain), properties)

    def send(self, topic: str, payload: bytes, retain: bool = False, properties: Any = None, qos: int = 1) -> None:
        self._client.publish(topic, payload, qos, retain, properties)

    def answered(self, name: str, timeout_s: float = 60) -> dict[str, Any]:
        """Return the one answer to a command."""
        return wait_for(lambda: self.to(name), timeout_s)[0]

    def to(self, name: str) -> list[dict[str, Any]]:
        return [record for record in map(validated, list(self.answers)) if record["id"] == name]


def held_back(port: int) -> int:
    return metric(port, r'held_back_total\{reason="paused",stream="door"\}')


def waiting(port: int) -> int:
    """Return how many predictions are on their way to the broker."""
    return metric(port, "queue_waiting") + metric(port, "outbox_pending")


def metric(port: int, name: str) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        found = re.search(rf"^edgesnn_{name} (\d+)", answer.read().decode(), re.MULTILINE)
    return int(found[1]) if found else 0


def listening(asker: Asker) -> None:
    """Wait until the service takes commands: the first ones may come before it has subscribed."""
    names = (f"hello-{number}" for number in range(1000))

    def hear() -> bool:
        asker.ask("ping", next(names))
        time.sleep(0.2)
        return bool(asker.answers)

    wait_for(hear, 120)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_the_verbs(tmp_path, run, version):
    kind = available()[0]
    if kind != "mosquitto" and version == "5":
        pytest.skip("mosquitto is not installed: no MQTT 5 broker")
    with KillableBroker(kind, tmp_path) as broker, subscribed(broker) as subscriber:
        port = free_port()
        more = allowing("ping", "pause", "resume", "set").replace("enabled = false", f"port = {port}", 1)
        text = configuration(broker, DOOR, more=more)
        daemon = run(re.sub(r'protocol = "\S+"', f'protocol = "{version}"', text))
        with Asker(broker, v5=version == "5") as asker:
            listening(asker)
            asker.ask("ping", "p1")
            pong = asker.answered("p1")
            assert (pong["outcome"], pong["verb"], pong["node"]) == ("done", "ping", "gate-1")
            assert pong["result"]["uptime_s"] > 0

            asker.ask("pause", "p2", args={"stream": "door"})
            assert asker.answered("p2")["result"] == {"streams": ["door"]}
            wait_for(lambda: validated(subscriber.of("/health")[-1])["streams"]["door"]["paused"], what=daemon.log)
            wait_for(lambda: held_back(port) >= 3 and waiting(port) == 0, what=daemon.log)
            before, held = len(subscriber.of("/prediction")), held_back(port)
            wait_for(lambda: held_back(port) >= held + 3, what=daemon.log)
            assert len(subscriber.of("/prediction")) == before
            asker.ask("resume", "p3")
            assert asker.answered("p3")["outcome"] == "done"
            subscriber.wait_for(before + 3, timeout_s=30)
            seqs = [validated(message)["seq"] for message in subscriber.of("/prediction")]
            assert seqs == list(range(len(seqs))), "what is held back is no gap"

            asker.ask("set", "p4", args={"stream": "door", "values": {"rate_limit": "1Hz"}})
            assert asker.answered("p4")["result"] == {"set": {"stream door: rate_limit": "1Hz"}}
            wait_for(lambda: validated(subscriber.of("/config")[-1]).get("set") == {"stream door: rate_limit": "1Hz"})
            asker.ask("set", "p5", args={"values": {"log.level": "debug"}})
            assert asker.answered("p5")["outcome"] == "done"
            asker.ask("reset", "p6")
            assert asker.answered("p6")["outcome"] == "not_allowed"
        assert daemon.end() == 0, daemon.log
        assert "command pause (p2): done" in daemon.log
        stats = validated(subscriber.wait_for(1, "/stats")[-1])
    assert stats["commands"]["not_allowed"] == 1
    assert stats["streams"]["door"]["held_back"]["paused"] >= 6


@pytest.mark.full
def test_what_is_answered_as_done_is_done(one_broker, run):
    """The window from which the states are new; the files, which are there; labels that are not sure, held back."""
    door = stream("door", f"replay:{RECORDING}?loop&speed=4x", "checkpoint = true")
    more = allowing("ping", "reset", "snapshot", "set") + "[recorder]\nenabled = true\n"
    with subscribed(one_broker) as subscriber:
        daemon = run(configuration(one_broker, door, more=more))
        with Asker(one_broker, v5=one_broker.kind == "mosquitto") as asker:
            listening(asker)
            seen = validated(subscriber.wait_for(3, timeout_s=60)[-1])["window"]
            asker.ask("reset", "r")
            answer = asker.answered("r")
            assert (answer["outcome"], list(answer["result"])) == ("done", ["windows"]), answer
            assert answer["result"]["windows"]["door"] > seen
            wait_for(
                lambda: validated(subscriber.of("/prediction")[-1])["window"] >= answer["result"]["windows"]["door"]
            )
            asker.ask("snapshot", "s", args={"stream": "door"})
            answer = asker.answered("s")
            assert answer["outcome"] == "done", answer
            files = {name: Path(path["door"]) for name, path in answer["result"].items()}
            assert files["checkpoints"].is_file()
            assert read(files["bundles"]).about["trigger"] == "command"
            asker.ask("set", "m", args={"stream": "door", "values": {"min_confidence": 1.0}})
            assert asker.answered("m")["outcome"] == "done"
            time.sleep(1.0)
        assert daemon.end() == 0, daemon.log
        held = validated(subscriber.wait_for(1, "/stats")[-1])["streams"]["door"]["held_back"]
    assert held["low_confidence"] >= 1


def test_a_command_is_done_and_answered_once_and_one_that_is_none_is_counted(one_broker, run):
    port = free_port()
    with subscribed(one_broker) as subscriber:
        more = f"[http]\nport = {port}\n" + allowing("ping", "pause").removeprefix("[http]\nenabled = false\n")
        daemon = run(configuration(one_broker, DOOR, more=more))
        with Asker(one_broker, v5=one_broker.kind == "mosquitto") as asker:
            listening(asker)
            asker.ask("ping", "twice", times=5)
            asker.ask("ping", "old", life_s=-1)
            asker.ask("ping", "far", life_s=4000)
            asker.ask("ping", "odd", args={"x": 1})
            asker.send("edgesnn/gate-1/cmd/ping", b"\xff{")
            asker.send("edgesnn/gate-1/cmd/reboot", b"{}")
            asker.ask("ping", "last")
            assert asker.answered("last")["outcome"] == "done"
            found = {name: [a["outcome"] for a in asker.to(name)] for name in ("twice", "old", "far", "odd")}
            assert found == {"twice": ["done"], "old": ["expired"], "far": ["malformed"], "odd": ["malformed"]}

            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                text = answer.read().decode()
            counts = dict(re.findall(r'^edgesnn_commands_total\{what="(\w+)"\} (\d+)', text, re.MULTILINE))
            assert (counts["duplicate"], counts["expired"], counts["malformed"]) == ("4", "1", "4")
            total = sum(int(count) for what, count in counts.items() if what not in ("received", "unanswered"))
            assert int(counts["received"]) == total

            asker.ask("pause", "kept", retain=True)  # who comes back is given it again, and again does not do it
        assert daemon.end() == 0, daemon.log
        daemon = run(configuration(one_broker, DOOR, more=more))
        wait_for(lambda: "a retained one is not done" in daemon.log, what=daemon.log)
        before = len(subscriber.of("/prediction"))
        subscriber.wait_for(before + 2, timeout_s=30)
        assert daemon.end() == 0, daemon.log
        stats = validated(subscriber.wait_for(2, "/stats")[-1])
    assert stats["commands"]["retained"] >= 1
    assert stats["streams"]["door"]["held_back"]["paused"] == 0


@needs_mosquitto
def test_of_mqtt_5_the_answer_goes_where_it_is_wanted_with_its_correlation(tmp_path, run):
    with KillableBroker("mosquitto", tmp_path) as broker:
        daemon = run(configuration(broker, DOOR, more=allowing("ping")))
        with Asker(broker, v5=True) as asker:
            listening(asker)
            asker.ask("ping", "a", response_topic="answers/7/response", correlation=b"\x00\x07")
            asker.answered("a")
            (message,) = [m for m in asker.answers if validated(m)["id"] == "a"]
            assert (message.topic, message.properties.CorrelationData) == ("answers/7/response", b"\x00\x07")
            asker.ask("ping", "b", response_topic="edgesnn/gate-1/door/prediction", correlation=b"8")
            asker.answered("b")
            (message,) = [m for m in asker.answers if validated(m)["id"] == "b"]
            assert message.topic == "edgesnn/gate-1/cmd/ping/response"
        assert daemon.end() == 0, daemon.log


def test_without_commands_in_the_configuration_nobody_is_heard(one_broker, run):
    with subscribed(one_broker) as subscriber, Asker(one_broker, v5=one_broker.kind == "mosquitto") as asker:
        daemon = run(configuration(one_broker, DOOR))
        subscriber.wait_for(2, timeout_s=30)
        asker.ask("ping", "a")
        subscriber.wait_for(len(subscriber.of("/prediction")) + 3, timeout_s=30)
        assert daemon.end() == 0, daemon.log
        assert asker.answers == []
        assert "commands" not in validated(subscriber.wait_for(1, "/stats")[-1])


@pytest.mark.full
def test_a_flood_of_commands_delays_no_prediction_and_is_counted(one_broker, run):
    """As quickly as one client can send; the predictions keep their pace, and the next command is answered."""
    with subscribed(one_broker) as subscriber:
        daemon = run(configuration(one_broker, DOOR, more=allowing("ping")))
        with Asker(one_broker, v5=one_broker.kind == "mosquitto") as asker:
            listening(asker)
            subscriber.wait_for(2, timeout_s=30)
            for number in range(3000):
                asker.ask("ping", f"f{number}") if number % 2 else asker.send("edgesnn/gate-1/cmd/ping", b"{")
            before = len(subscriber.of("/prediction"))
            subscriber.wait_for(before + 5, timeout_s=30)
            assert answered_at_last(asker, lambda n: f"after-{n}")
        assert daemon.end() == 0, daemon.log
        commands = validated(subscriber.wait_for(1, "/stats")[-1])["commands"]
    assert commands["flooded"] > 1000
    assert "fault of edgesnn" not in daemon.log


def answered_at_last(asker: Asker, name: Callable[[int], str]) -> bool:
    for number in range(100):
        asker.ask("ping", name(number))
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            if asker.to(name(number)):
                return True
            time.sleep(0.05)
    return False


@needs_mosquitto
def test_with_the_example_of_access_control_the_operator_alone_is_heard(tmp_path, run):
    access = (ROOT / "deploy" / "examples" / "mosquitto.acl").read_text()
    with KillableBroker("mosquitto", tmp_path, password=("gate-1", "p"), access=access) as broker:
        for user in ("viewer", "operator"):
            subprocess.run([passwords_tool(), "-b", tmp_path / "passwords", user, "p"], check=True)
        broker.signal(signal.SIGHUP)  # it reads its files again
        text = configuration(broker, DOOR, more=allowing("ping")).replace("mqtt://", "mqtt://gate-1@")
        daemon = run(text, {"EDGESNN_MQTT_PASSWORD": "p"})
        with Asker(broker, v5=True, user="operator") as operator, Asker(broker, v5=True, user="viewer") as viewer:
            listening(operator)
            viewer.ask("ping", "v")
            operator.ask("ping", "o")
            assert operator.answered("o")["outcome"] == "done"
            wait_for(lambda: viewer.to("o"))
            assert viewer.to("v") == operator.to("v") == []
            operator.ask("ping", "r", response_topic="answers/o", correlation=b"7")  # where boards may not write
            assert operator.answered("r")["outcome"] == "done"
            assert [one.topic for one in operator.answers if b'"r"' in one.payload] == [
                "edgesnn/gate-1/cmd/ping/response"
            ]
        assert daemon.end() == 0, daemon.log


def passwords_tool() -> Path:
    mosquitto = Path(find_mosquitto() or "")
    return next(p for p in (mosquitto.parent, mosquitto.parent.parent / "bin") if (p / "mosquitto_passwd").exists()) / (
        "mosquitto_passwd"
    )
