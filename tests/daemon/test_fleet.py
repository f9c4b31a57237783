"""`edgesnn fleet` beside services that run, were ended and were killed, at a real broker."""

from __future__ import annotations

import json
import signal

import pytest
from paho.mqtt import publish

from edgesnn.cli.main import main
from edgesnn.publish.broker import free_port
from tests.daemon.test_service import RECORDING, broker, configuration, run, stream, subscribed

__all__ = ["broker", "run"]  # fixtures


def test_who_is_there_and_how_they_are(broker, run, capsys):
    with subscribed(broker) as subscriber:
        daemon = run(configuration(broker, stream("door", f"replay:{RECORDING}?loop")))
        subscriber.wait_for(1)
        place = {"hostname": broker.broker.host, "port": broker.broker.port, "retain": True, "qos": 1}
        publish.single("edgesnn/stranger/status", b"\xff{", **place)
        evil = {"schema": "edgesnn.status/1", "node": "evil", "status": "online", "version": "\x1b[2J"}
        publish.single("edgesnn/evil/status", json.dumps(evil), **place)

        def ask(*flags: str) -> str:
            protocol = "auto" if broker.kind == "mosquitto" else "3.1.1"
            assert main(["fleet", "--mqtt", broker.url, "--mqtt-protocol", protocol, *flags]) == 0
            return capsys.readouterr().out

        found = {one["name"]: one for one in json.loads(ask("--json"))["nodes"]}
        assert found["gate-1"]["status"] == "online"
        assert found["gate-1"]["streams"]["door"]["state"] == "live"
        assert found["gate-1"]["streams"]["door"]["precision"] == "int8"
        assert len(found["gate-1"]["streams"]["door"]["sha256"]) == 64
        assert found["stranger"]["unreadable"] == ["status"]
        text = ask()
        assert "\x1b" not in text
        assert "gate-1  online" in text
        assert "    door  live  gestures" in text
        assert "3 nodes: 2 online, 1 unknown; versions" in text
        assert "gate-1" not in ask("--unwell")
        daemon.end(signal.SIGKILL)
        subscriber.wait_for(2, "/status", 40)  # the will
        assert "gate-1  offline" in ask("--unwell")


def test_no_broker_is_one_clear_line(capsys):
    assert main(["fleet", "--mqtt", f"mqtt://127.0.0.1:{free_port()}"]) == 6
    assert "Connection refused" in capsys.readouterr().err


@pytest.mark.parametrize(("flags", "words"), [([], "no broker"), (["--mqtt", "mqtt://h", "--wait", "0"], "--wait")])
def test_wrong_flags(flags, words, capsys):
    assert main(["fleet", *flags]) == 2
    assert words in capsys.readouterr().err
