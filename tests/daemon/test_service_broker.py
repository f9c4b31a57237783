"""What the service says to a broker besides predictions, and what `edgesnn run --check` says of one."""

from __future__ import annotations

import os
import re
import signal
from typing import Any

import pytest

from edgesnn.cli.main import main
from edgesnn.daemon.template import template
from edgesnn.publish.broker import available, find_mosquitto, free_port
from tests.brokers import KillableBroker, Subscriber
from tests.daemon.test_service import RECORDING, configuration, one_broker, pending, run, stream, subscribed, wait_for
from tests.predictions import validated

__all__ = ["one_broker", "run"]  # fixtures


def last(subscriber: Subscriber, suffix: str) -> dict[str, Any]:
    return validated(subscriber.wait_for(1, suffix)[-1])


def test_who_comes_later_is_told_status_health_configuration_and_state(one_broker, run):
    with subscribed(one_broker) as early:
        daemon = run(configuration(one_broker, stream("door", f"replay:{RECORDING}?loop")))
        wait_for(lambda: any(validated(m)["label"] for m in early.of("/state")), what=daemon.log)
        wait_for(lambda: any(validated(m)["health"] == "ok" for m in early.of("/health")), what=daemon.log)
        with subscribed(one_broker) as late:
            for suffix in ("/gate-1/status", "/gate-1/health", "/gate-1/config", "/door/state"):
                assert late.wait_for(1, suffix)[0].retain, suffix
            assert last(late, "/status")["status"] == "online"
        assert daemon.end() == 0
        assert [validated(message)["status"] for message in early.of("/status")][-1] == "stopped"


def test_stats_come_after_ten_seconds_and_at_the_end(one_broker, run):
    with subscribed(one_broker) as subscriber:
        daemon = run(configuration(one_broker, stream("door", f"replay:{RECORDING}?loop")))
        first = validated(subscriber.wait_for(1, "/stats", 40)[0])
        subscriber.wait_for(len(subscriber.of("/prediction")) + 1)
        assert daemon.end() == 0
        second = validated(subscriber.wait_for(2, "/stats")[-1])
    assert not any(message.retain for message in subscriber.of("/stats"))
    assert first["uptime_s"] == pytest.approx(10, abs=2)
    counts = [sum(one["streams"]["door"]["decisions"].values()) for one in (first, second)]
    assert counts[1] > counts[0] > 0


def test_the_broker_says_offline_for_a_service_that_was_killed(one_broker, run):
    with subscribed(one_broker) as subscriber:
        daemon = run(configuration(one_broker, stream("door", f"replay:{RECORDING}?loop")))
        subscriber.wait_for(2)
        daemon.tell(signal.SIGKILL)
        wait_for(lambda: last(subscriber, "/status")["status"] == "offline")


@pytest.mark.parametrize("kind", available())
def test_the_default_configuration_is_right_where_a_broker_listens(kind, tmp_path, capsys):
    with KillableBroker(kind, tmp_path) as broker:
        path = tmp_path / "config.toml"
        text = template().replace("mqtt://127.0.0.1:1883", broker.url)
        path.write_text(text if kind == "mosquitto" else text.replace('#protocol = "auto"', 'protocol = "3.1.1"'))
        assert main(["run", "-c", str(path), "--check"]) == 0
        assert re.fullmatch(rf"{path}: ok: node .+, 1 streams\n", capsys.readouterr().out)


@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed: no broker that asks for a password")
def test_a_broker_that_refuses_is_named_with_the_line_and_without_the_password(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("EDGESNN_MQTT_PASSWORD", "hunter2")
    with KillableBroker("mosquitto", tmp_path, ("ann", "right")) as broker:
        path = tmp_path / "config.toml"
        path.write_text(template().replace("mqtt://127.0.0.1:1883", broker.url.replace("mqtt://", "mqtt://ann@")))
        assert main(["run", "-c", str(path), "--check"]) == 6
        said = capsys.readouterr().err
        assert re.search(r"config\.toml: line \d+: mqtt\.url: .*refused the connection: found Not authorized", said)
        assert "hunter2" not in said
        monkeypatch.setenv("EDGESNN_MQTT_PASSWORD", "right")
        assert main(["run", "-c", str(path), "--check"]) == 0


@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed: no broker that asks for a password")
def test_a_service_with_a_wrong_password_goes_on_and_says_why(tmp_path, run):
    with KillableBroker("mosquitto", tmp_path, ("ann", "right")) as broker:
        port = free_port()
        text = configuration(broker, stream("door", f"replay:{RECORDING}?loop"), more=f"[http]\nport = {port}\n")
        daemon = run(text.replace("mqtt://", "mqtt://ann@"), {"EDGESNN_MQTT_PASSWORD": "hunter2"})
        wait_for(lambda: "refused the connection" in daemon.log, what=daemon.log)
        wait_for(lambda: pending(port) > 2, what=daemon.log)
        assert daemon.process.poll() is None
        assert daemon.end() == 0, daemon.log
        assert "hunter2" not in daemon.log
        assert re.search(r"\d+ predictions were not delivered; they wait in ", daemon.log)


def test_a_disk_that_takes_nothing_and_a_damaged_outbox_are_said_once(one_broker, run, tmp_path):
    (tmp_path / "file").write_text("no folder")
    door = stream("door", f"replay:{RECORDING}?loop")
    text = configuration(one_broker, door)
    with subscribed(one_broker) as subscriber:
        daemon = run(text.replace("[outbox]", f'[outbox]\nfile = "{tmp_path / "file" / "outbox.sqlite"}"'))
        subscriber.wait_for(3)
        wait_for(lambda: last(subscriber, "/health")["health"] == "degraded", what=daemon.log)
        assert [reason.split(":")[0] for reason in last(subscriber, "/health")["reasons"]] == ["outbox"]
        assert daemon.end() == 0
        assert daemon.log.count("degraded: outbox: ") == 1
    (tmp_path / "edgesnn").mkdir()
    (tmp_path / "edgesnn" / "outbox-gate-1.sqlite").write_bytes(os.urandom(20_000))
    with subscribed(one_broker) as subscriber:
        daemon = run(text)
        subscriber.wait_for(3)
        assert daemon.end() == 0
        assert daemon.log.count("a new file was begun") == 1, daemon.log
