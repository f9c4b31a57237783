"""A sink with an outbox in a file and real brokers: processes and brokers die, nothing that was accepted is lost."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from edgesnn.publish import Publisher
from edgesnn.publish.broker import available
from edgesnn.publish.outbox_durable import DurableOutbox
from edgesnn.publish.sinks import mqtt
from edgesnn.publish.sinks.mqtt import MqttSink
from tests.brokers import KillableBroker, Subscriber
from tests.daemon.faulty import wait_for
from tests.predictions import BOOT, NODE, make_prediction, validated

ROOT = Path(__file__).resolve().parents[2]
SEEDS = [0, 1, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(2, 20))]
IN_FLIGHT = 20
KILLS = 3
needs_mosquitto = pytest.mark.skipif("mosquitto" not in available(), reason="mosquitto is not installed")

# Publishes at about 200/s and says "put SEQ" when it has been accepted and "ack SEQ" when the broker has it.
CHILD = """
import os, sys, time
from edgesnn.broker_url import parse_broker
from edgesnn.publish import Publisher, new_boot_id
from edgesnn.publish.outbox_durable import DurableOutbox
from edgesnn.publish.registry import make_sink
from tests.predictions import NODE, make_prediction
boot = new_boot_id()
options = dict(broker=parse_broker(sys.argv[1]), node=NODE, boot_id=boot, transient=False, no_subscriber="keep")
say = lambda word, prediction: os.write(1, f"{word} {prediction.seq}\\n".encode())
outbox = DurableOutbox(sys.argv[2])
sink = make_sink("mqtt", outbox=outbox, drain_hz=2000, on_ack=lambda prediction: say("ack", prediction), **options)
with Publisher([sink], node=NODE, boot_id=boot) as door:
    while True:
        say("put", door.write(make_prediction(0)))
        time.sleep(0.004)
"""


def make_sink(broker: KillableBroker, path: Path, **options) -> MqttSink:
    options = {"no_subscriber": "keep", "transient": False, "protocol": "5", **options}
    return MqttSink(broker.broker, node=NODE, boot_id=BOOT, outbox=DurableOutbox(path), **options)


def why_not(sink: MqttSink) -> str:
    """Return why the sink delivers nothing, once it knows."""
    deadline = time.monotonic() + 10
    while sink.why is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return sink.why


def publisher(sink: MqttSink) -> Publisher:
    return Publisher([sink], node=NODE, boot_id=BOOT)


@needs_mosquitto
def test_it_begins_without_a_broker_and_delivers_when_there_is_one(tmp_path):
    broker = KillableBroker("mosquitto", tmp_path)
    sink = make_sink(broker, tmp_path / "outbox.db")
    with publisher(sink) as door:
        for window in range(50):
            door.write(make_prediction(window))
        assert "cannot reach the broker" in why_not(sink)
        with broker, Subscriber(broker.broker) as subscriber:
            door.finish(timeout_s=20)
            assert [validated(message)["seq"] for message in subscriber.wait_for(50)][:50] == list(range(50))


@needs_mosquitto
def test_numbers_go_on_in_the_next_process_and_what_was_left_comes_first_and_late(tmp_path):
    path = tmp_path / "outbox.db"
    broker = KillableBroker("mosquitto", tmp_path)
    with publisher(make_sink(broker, path)) as door:
        assert [door.write(make_prediction(window)).seq for window in range(3)] == [0, 1, 2]
    with broker, Subscriber(broker.broker) as subscriber:
        with publisher(make_sink(broker, path)) as door:
            assert door.write(make_prediction(3)).seq == 3
            door.finish(timeout_s=20)
        records = [validated(message) for message in subscriber.wait_for(4)]
        assert [(record["seq"], record["late"]) for record in records] == [
            (0, True),
            (1, True),
            (2, True),
            (3, False),
        ]
        assert [validated(message)["seq"] for message in subscriber.of("/state")] == [3]
        assert len(subscriber.of("/event")) == 1


@needs_mosquitto
def test_events_of_an_outage_are_counted_not_published(tmp_path):
    path = tmp_path / "outbox.db"
    broker = KillableBroker("mosquitto", tmp_path)
    with publisher(make_sink(broker, path)) as door:
        for window, label in enumerate(["arm roll", "arm roll", None, "hand clap"]):
            door.write(make_prediction(window, label))
    with broker, Subscriber(broker.broker) as subscriber:
        sink = make_sink(broker, path)
        with publisher(sink) as door:
            door.finish(timeout_s=20)
            assert sink.stats()["events_expired"] == 3
            subscriber.wait_for(4)
        assert subscriber.of("/event") == subscriber.of("/state") == []


@needs_mosquitto
def test_a_broker_that_hangs_keeps_nobody_waiting_and_costs_nothing(tmp_path):
    with KillableBroker("mosquitto", tmp_path) as broker, Subscriber(broker.broker) as subscriber:
        sink = make_sink(broker, tmp_path / "outbox.db", drain_hz=5000)
        with publisher(sink) as door:
            door.write(make_prediction(0))
            subscriber.wait_for(1)
            broker.signal(signal.SIGSTOP)
            began = time.thread_time()
            for window in range(1, 2000):
                door.write(make_prediction(window))
            assert time.thread_time() - began < 2.0
            assert sink.stats()["pending"] == 1999
            broker.signal(signal.SIGCONT)
            door.finish(timeout_s=30)
            assert {validated(message)["seq"] for message in subscriber.wait_for(2000)} == set(range(2000))


@needs_mosquitto
def test_an_outbox_that_was_replaced_is_told_in_the_status(tmp_path):
    path = tmp_path / "outbox.db"
    path.write_bytes(b"garbage" * 1000)
    broker = KillableBroker("mosquitto", tmp_path)
    with broker, Subscriber(broker.broker) as subscriber, publisher(make_sink(broker, path)):
        status = validated(subscriber.wait_for(1, "/status")[0])
    assert "set aside as outbox.db.aside-" in status["note"]


@needs_mosquitto
def test_a_wrong_password_is_tried_again_in_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(mqtt, "PATIENCE_S", 0.5)
    with KillableBroker("mosquitto", tmp_path, password=("ann", "right")) as broker:
        sink = make_sink(broker, tmp_path / "outbox.db")
        with publisher(sink) as door:
            for window in range(5):
                door.write(make_prediction(window))
            assert "refused the connection" in why_not(sink)
            broker.kill()
            broker.password = None
            broker.start()
            with Subscriber(broker.broker) as subscriber:
                door.finish(timeout_s=20)
                assert len(subscriber.wait_for(5)) >= 5


@needs_mosquitto
def test_what_should_not_happen_makes_a_new_connection(tmp_path, monkeypatch):
    handle, raised = MqttSink._handle, []

    def fails_twice(self, event):
        if isinstance(event, mqtt.Acknowledged) and len(raised) < 2:
            raised.append(event)
            raise RuntimeError("a bug")
        handle(self, event)

    monkeypatch.setattr(MqttSink, "_handle", fails_twice)
    with KillableBroker("mosquitto", tmp_path) as broker, Subscriber(broker.broker) as subscriber:
        sink = make_sink(broker, tmp_path / "outbox.db")
        with publisher(sink) as door:
            for window in range(30):
                door.write(make_prediction(window))
            door.finish(timeout_s=20)
            wait_for(lambda: seqs(subscriber) == set(range(30)), lambda: seqs(subscriber))  # some came twice
            assert sink.stats()["connects"] == 3


@needs_mosquitto
@pytest.mark.parametrize("seed", SEEDS)
def test_neither_killed_processes_nor_killed_brokers_lose_what_was_accepted(tmp_path, seed):
    rng = random.Random(seed)
    accepted: set[int] = set()
    doubtful: set[int] = set()  # acknowledged by a broker that died before the subscriber had it
    with KillableBroker("mosquitto", tmp_path) as broker, Subscriber(broker.broker) as subscriber:
        kills = [rng.choice(["process", "broker", "both"]) for _ in range(KILLS)]
        for kill in kills:
            log = tmp_path / "log"
            with log.open("wb") as out, running(command(broker, tmp_path), out) as child:
                wait_for_puts(log, rng.randint(20, 120), child)
                if kill != "process":
                    broker.kill()
                    time.sleep(0.3)  # so that what it had sent to either is there
                    doubtful |= said(log, "ack") - seqs(subscriber)
                if kill == "broker":
                    time.sleep(rng.uniform(0.0, 0.5))
                    broker.start()
                    wait_for_puts(log, len(said(log, "put")) + rng.randint(20, 120), child)
            accepted |= said(log, "put")
            if broker.process is None:
                broker.start()
        with publisher(make_sink(broker, tmp_path / "outbox.db", drain_hz=2000)) as door:
            door.finish(timeout_s=30)
        wait_for(
            lambda: accepted - seqs(subscriber) <= doubtful, lambda: f"lost: {accepted - seqs(subscriber) - doubtful}"
        )
        records = [validated(message) for message in subscriber.of("/prediction")]
    prompt = [record["seq"] for record in records if not record["late"]]
    assert prompt == sorted(prompt)
    assert len(records) - len({record["seq"] for record in records}) <= IN_FLIGHT * 2 * KILLS


def seqs(subscriber: Subscriber) -> set[int]:
    return {validated(message)["seq"] for message in subscriber.of("/prediction")}


def said(log: Path, word: str) -> set[int]:
    lines = [line.split() for line in log.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    return {int(seq) for kind, seq in lines if kind == word.encode()}


def command(broker: KillableBroker, folder: Path) -> list[str]:
    return [sys.executable, "-c", CHILD, broker.url, str(folder / "outbox.db")]


@contextmanager
def running(words: list[str], out: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that goes on until it is killed: at the end, also where the test has failed."""
    with subprocess.Popen(words, cwd=ROOT, stdout=out) as child:
        try:
            yield child
        finally:
            child.kill()


def wait_for_puts(log: Path, count: int, child: subprocess.Popen[bytes]) -> None:
    wait_for(lambda: child.poll() is not None or len(said(log, "put")) >= count, lambda: said(log, "put"))
    assert child.poll() is None
