"""examples/publish.py: a lasting node's status and state stay at the broker; the broker speaks for it when it dies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgesnn.publish.broker import available
from tests.brokers import KillableBroker, Subscriber
from tests.predictions import validated

ROOT = Path(__file__).resolve().parents[2]
RECORDING = ROOT / "recordings" / "air_drums.raw"

pytestmark = pytest.mark.skipif("mosquitto" not in available(), reason="mosquitto is not installed: no MQTT 5 broker")


def start(url: str, speed: str) -> subprocess.Popen[str]:
    command = [sys.executable, "examples/publish.py", str(RECORDING), url, "--node", "gate", "--speed", speed]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def test_what_it_leaves_is_its_last_state_and_that_it_stopped(tmp_path):
    with KillableBroker("mosquitto", tmp_path) as broker:
        with Subscriber(broker.broker) as subscriber:
            printed = start(broker.url, "max").communicate(timeout=60)[0].splitlines()
            predictions = [validated(message) for message in subscriber.wait_for(len(printed))]
        with Subscriber(broker.broker) as later:
            (status,) = later.wait_for(1, "/status")
            (state,) = later.wait_for(1, "/state")
    assert len(printed) >= 2
    assert status.retain
    assert state.retain
    assert validated(status)["status"] == "stopped"
    assert validated(state)["decision"] == predictions[-1]["decision"]


def test_the_broker_says_offline_when_it_is_killed(tmp_path):
    with KillableBroker("mosquitto", tmp_path) as broker, Subscriber(broker.broker) as subscriber:
        process = start(broker.url, "0.1x")
        assert process.stdout is not None
        subscriber.wait_for(1, "/status")
        process.kill()
        process.wait()
        process.stdout.close()
        assert [validated(message)["status"] for message in subscriber.wait_for(2, "/status")] == ["online", "offline"]
