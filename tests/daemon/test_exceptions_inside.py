"""An exception in every callback: nothing dies silently, the rest goes on, and what failed comes back by itself."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import urllib.error
import urllib.request
from typing import Any

import pytest

from edgesnn.broker_url import Broker
from edgesnn.daemon import logs
from edgesnn.daemon import service as service_module
from edgesnn.daemon import signals as signals_module
from edgesnn.daemon.beacon import Beacon
from edgesnn.daemon.runner import Runner
from edgesnn.mqtt import Client
from edgesnn.publish.broker import available
from edgesnn.publish.outbox_durable import DurableOutbox
from edgesnn.publish.publisher import Publisher
from edgesnn.publish.sinks.mqtt import MqttSink
from tests.brokers import KillableBroker, Subscriber
from tests.daemon.faulty import Odd, identity, install, runner_of, serving, text_of, wait_for
from tests.predictions import make_prediction
from tests.small_models import small_document


@pytest.fixture
def streams(tmp_path, monkeypatch) -> str:
    """Two streams of the odd source, begun again without delay."""
    install(monkeypatch, odd=Odd)
    monkeypatch.setattr(Odd, "faults", {})
    defaults = dict(Runner.__init__.__kwdefaults__, back_off_s=(0.01, 60.0))
    monkeypatch.setattr(Runner.__init__, "__kwdefaults__", defaults)
    model = tmp_path / "small.safetensors"
    small_document(min_events=1).save(model)
    return f'[[stream]]\nname = "door"\nsource = "odd:a"\nmodel = "{model}"\n'


def page(service: Any, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{service.pages.port}{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def errors_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    ("what", "error"),
    [(what, ZeroDivisionError("of a package")) for what in ("receive", "connected", "counters", "close")]
    + [(what, SystemExit(3)) for what in ("receive", "close")],
)
def test_a_source_of_another_package_that_raises_is_a_stream_that_fails_and_comes_back(
    what, error, streams, tmp_path, monkeypatch, caplog
):
    with serving(tmp_path, text_of(streams)) as service:
        door = runner_of(service, "door")
        wait_for(lambda: sum(door.decisions.values()) > 2, door.why)
        Odd.faults = {what: error}
        if what == "close":
            Odd.faults["receive"] = ValueError("so that it is closed")
        wait_for(lambda: (service.tick(), page(service, "/metrics"), door.restarts > 1)[2], door.state)
        assert identity(door.counters) == ""
        Odd.faults = {}
        before = sum(door.decisions.values())
        wait_for(lambda: sum(door.decisions.values()) > before + 2, door.why)
        assert door.state == "live"
        assert door.alive
        assert page(service, "/healthz")[0] == 200
        assert service._faults == {}
    assert errors_in(caplog) == ["stream door failed: this is a fault of edgesnn: please report it"], "not once"


def test_a_source_that_cannot_be_opened_is_tried_again(streams, tmp_path, caplog):
    Odd.faults = {"open": OSError(24, "Too many open files")}
    with serving(tmp_path, text_of(streams)) as service:
        door = runner_of(service, "door")
        wait_for(lambda: door.restarts > 2)
        assert "Too many open files" in door.why
        Odd.faults = {}
        wait_for(lambda: door.state == "live" and sum(door.decisions.values()) > 2, door.why)


def test_what_fails_in_a_tick_is_said_once_ends_nothing_and_health_still_comes(streams, tmp_path, monkeypatch, caplog):
    def fail(*_: Any) -> Any:
        raise KeyError("of stats")

    with serving(tmp_path, text_of(streams)) as service:
        monkeypatch.setattr(service_module.facts, "stats", fail)
        service._stats_due_s = 0.0
        for _ in range(5):
            service.tick()
        assert service._told["health"] in ("ok", "degraded")
        assert page(service, "/metrics")[0] == 500
        assert page(service, "/healthz")[0] == 200
        monkeypatch.undo()
        service.tick()
        assert service._faults == {}
    assert [line for line in errors_in(caplog) if line.startswith("stats failed")] == [
        "stats failed: this is a fault of edgesnn: please report it"
    ]


def test_a_reload_that_fails_keeps_what_runs(streams, tmp_path, monkeypatch, caplog):
    with serving(tmp_path, text_of(streams)) as service:
        door = runner_of(service, "door")
        monkeypatch.setattr(service_module, "changes", lambda *_: 1 / 0)
        service.reload()
        assert service.reloads == {"done": 0, "refused": 1}
        before = sum(door.decisions.values())
        wait_for(lambda: sum(door.decisions.values()) > before + 2, door.why)
    assert any("config.toml: the reload failed" in line for line in errors_in(caplog))


def test_a_thread_that_dies_is_in_health_and_keeps_the_watchdog_from_being_fed(streams, tmp_path, monkeypatch):
    fed: list[int] = []
    with serving(tmp_path, text_of(streams)) as service:
        monkeypatch.setattr(service.notifier, "alive", lambda: fed.append(1))
        service.tick()
        assert fed == [1]
        service.beacon._closing.set()
        service.beacon._client.wake()
        wait_for(lambda: not service.beacon.alive)
        service.tick()
        assert fed == [1]
        status, text = page(service, "/healthz")
        assert (status, json.loads(text)["stalled"]) == (503, ["node"])
        assert "node makes no progress" in json.loads(text)["reasons"]


def test_a_thread_that_ends_by_an_error_is_one_line_of_the_log(capsys):
    before = logging.getLogger().handlers[:], threading.excepthook, sys.unraisablehook
    try:
        logs.set_up(logs.Log(), {})
        logs.catch_what_threads_raise()
        for error in (ValueError("a\nb"), SystemExit(1)):

            def fail(error: BaseException = error) -> None:
                raise error

            thread = threading.Thread(target=fail, name="edgesnn-x")
            thread.start()
            thread.join()
    finally:
        logging.getLogger().handlers[:], threading.excepthook, sys.unraisablehook = before
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("edgesnn: error: thread edgesnn-x ended: this is a fault") for line in lines)


def test_a_thousand_signals_are_one_of_each_kind_and_the_one_that_ends_comes_first():
    with signals_module.Signals(signal.SIGTERM, signal.SIGHUP) as signals:
        for _ in range(1000):
            os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.wait(5.0) == signal.SIGTERM
        assert signals.wait(0.0) is None


def subscribed(broker: KillableBroker) -> Subscriber:
    return Subscriber(broker.broker, v5=broker.kind == "mosquitto")


class Failing:
    """Raises at every so-many-th event that paho's callbacks note, as long as there are failures left."""

    def __init__(self, every: int, failures: int) -> None:
        self.every, self.left, self.seen = every, failures, 0
        self.note = Client._note

    def __call__(self, client: Client, event: Any) -> None:
        self.seen += 1
        if self.left and self.seen % self.every == 0:
            self.left -= 1
            raise ZeroDivisionError(f"in a callback, at {type(event).__name__}")
        self.note(client, event)


@pytest.mark.parametrize("kind", available())
@pytest.mark.parametrize("every", [1, 2, 7])
def test_callbacks_of_paho_that_raise_cost_a_connection_and_no_prediction(kind, every, tmp_path, monkeypatch):
    monkeypatch.setattr("edgesnn.mqtt.client.BACK_OFF_S", (0.02, 0.1))
    with KillableBroker(kind, tmp_path) as broker, subscribed(broker) as subscriber:
        failing = Failing(every, 4)
        monkeypatch.setattr(Client, "_note", lambda client, event: failing(client, event))
        protocol = "5" if kind == "mosquitto" else "3.1.1"
        outbox = DurableOutbox(tmp_path / "outbox.sqlite")
        options: dict[str, Any] = {"node": "gate-1", "boot_id": "0" * 16}
        sink = MqttSink(
            broker.broker, **options, protocol=protocol, transient=False, outbox=outbox, no_subscriber="keep"
        )
        with Publisher([sink], **options) as publisher:
            for number in range(40):
                publisher.write(make_prediction(number))
            publisher.finish(30.0)
            assert sink.alive
        assert failing.left == 0
        seqs = {json.loads(message.payload)["seq"] for message in subscriber.wait_for(40)}
        assert seqs == set(range(40))


def test_the_node_s_own_topics_outlive_an_exception_and_say_it_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("edgesnn.mqtt.client.BACK_OFF_S", (0.02, 0.1))
    with KillableBroker(available()[0], tmp_path) as broker, subscribed(broker) as subscriber:
        beacon = Beacon(Broker("127.0.0.1", broker.broker.port), node="gate-1", boot_id="0" * 16, protocol="auto")
        failing = [True]
        turn = Beacon._turn

        def broken(self: Beacon, wait_s: float) -> None:
            if failing[0]:
                raise KeyError("of a turn")
            turn(self, wait_s)

        monkeypatch.setattr(Beacon, "_turn", broken)
        beacon.start()
        wait_for(lambda: "own topics fail" in caplog.text)
        beacon.say("health", {"health": "ok"}, retain=True)
        failing[0] = False
        subscriber.wait_for(1, "/health")
        assert beacon.alive
        beacon.close()
    assert sum("own topics fail" in line for line in errors_in(caplog)) == 1
