"""A broker that this board does not trust, or that does not trust it, and two boards of one client id; real mosquitto.

The service runs in the test, so that its patience (30 to 60 s where trying again can hardly help) can be shortened.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgesnn.broker_url import Broker
from edgesnn.daemon.service import Service
from edgesnn.mqtt import Client
from edgesnn.publish.broker import find_mosquitto, free_port, reachable
from tests.brokers import Subscriber
from tests.certificates import Authority
from tests.daemon.faulty import serving, wait_for
from tests.daemon.test_service import RECORDING
from tests.small_models import small_document

pytestmark = pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
HERE = "IP:127.0.0.1"


class Mosquitto:
    """A broker with a plain port for whoever watches, and one for the service with these lines of configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.plain = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *lines: str) -> None:
        self.kill()
        head = ["per_listener_settings true", "log_dest none", "max_queued_messages 0"]
        head += ["user root"] if os.geteuid() == 0 else []
        watched = [f"listener {self.plain} 127.0.0.1", "allow_anonymous true"]
        path = self.folder / "mosquitto.conf"
        path.write_text("\n".join([*head, *watched, f"listener {self.port} 127.0.0.1", *lines]) + "\n")
        self._process = subprocess.Popen([str(find_mosquitto()), "-c", str(path)], stdin=subprocess.DEVNULL)
        wait_for(lambda: all(reachable(Broker("127.0.0.1", port)) is None for port in (self.plain, self.port)))

    def passwords(self, user: str, password: str) -> list[str]:
        tool = next(p for p in Path(str(find_mosquitto())).parents[1].glob("*bin/mosquitto_passwd"))
        subprocess.run([tool, "-b", "-c", self.folder / "passwords", user, password], check=True)
        return ["allow_anonymous false", f"password_file {self.folder / 'passwords'}"]

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def mosquitto(tmp_path) -> Iterator[Mosquitto]:
    (tmp_path / "broker").mkdir()
    broker = Mosquitto(tmp_path / "broker")
    yield broker
    broker.kill()


@pytest.fixture
def door(tmp_path) -> str:
    small_document().save(tmp_path / "small.safetensors")
    source, model = f"replay:{RECORDING}?loop", tmp_path / "small.safetensors"
    return f'[http]\nport = 0\n[[stream]]\nname = "door"\nsource = "{source}"\nmodel = "{model}"\n'


@pytest.fixture
def attempts(monkeypatch) -> Counter[str]:
    """Short patience, and how often each client tried to connect."""
    monkeypatch.setattr("edgesnn.publish.sinks.mqtt.PATIENCE_S", 2.0)
    monkeypatch.setattr("edgesnn.daemon.beacon.PATIENCE_S", 2.0)
    counts: Counter[str] = Counter()
    connect = Client._connect

    def counted(client: Client) -> None:
        counts[client._client_id] += 1
        connect(client)

    monkeypatch.setattr(Client, "_connect", counted)
    return counts


@pytest.fixture(scope="module")
def authorities(tmp_path_factory) -> tuple[Authority, Authority]:
    folder = tmp_path_factory.mktemp("authorities")
    return Authority(folder, "ours"), Authority(folder, "theirs")


def tls(pair: tuple[Path, Path]) -> list[str]:
    return ["allow_anonymous true", f"certfile {pair[0]}", f"keyfile {pair[1]}"]


def seqs(subscriber: Subscriber) -> list[int]:
    return [json.loads(message.payload)["seq"] for message in subscriber.of("/door/prediction")]


def text_of(mosquitto: Mosquitto, scheme: str, more: str, door: str, node: str = "gate-1") -> str:
    head = f'[node]\nname = "{node}"\n[mqtt]\nurl = "{scheme}127.0.0.1:{mosquitto.port}"\n{more}'
    return head + '[outbox]\ndrain = "1ms"\n' + door


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname != "INFO"]


def ticked(service: Service, found: Any) -> Any:
    def look() -> Any:
        service.tick()
        return found()

    return wait_for(look, lambda: service._health())


CASES = ["expired", "another host", "another authority", "password"]
WORDS = {
    "expired": "certificate has expired",
    "another host": "IP address mismatch",
    "another authority": "unable to get local issuer certificate",
    "password": "Not authorized",
    "id": "does another client have the id same-",
}


@pytest.mark.parametrize("case", ["expired", *(pytest.param(case, marks=pytest.mark.full) for case in CASES[1:])])
def test_who_is_not_trusted_is_said_once_tried_seldom_and_taken_once_he_is(
    case, mosquitto, door, authorities, attempts, tmp_path, caplog
):
    ours, theirs = authorities
    caplog.set_level("INFO")
    right = tls(ours.sign("right", HERE))
    wrong = {
        "expired": lambda: tls(ours.sign("expired", HERE, -1)),
        "another host": lambda: tls(ours.sign("host", "IP:127.0.0.9")),
        "another authority": lambda: tls(theirs.sign("right", HERE)),
        "password": lambda: mosquitto.passwords("ann", "another"),
    }[case]()
    more = "" if case == "password" else f'ca_file = "{ours.file}"\n'
    scheme = "mqtt://ann@" if case == "password" else "mqtts://"
    mosquitto.start(*wrong)
    text = text_of(mosquitto, scheme, more, door)
    with serving(tmp_path, text, EDGESNN_MQTT_PASSWORD="hunter2") as service:
        ticked(service, lambda: WORDS[case] in (service._health()["broker"]["why"] or ""))
        began_s, before = time.monotonic(), sum(attempts.values())
        ticked(service, lambda: time.monotonic() - began_s > 2.0)
        assert service._health()["reasons"] == ["no broker"]
        assert sum(attempts.values()) - before <= 2 * 5, attempts
        assert service.outlet.stats()["pending"] > 5
        assert all(runner.restarts == 0 for runner in service.runners)
        mosquitto.start(*(mosquitto.passwords("ann", "hunter2") if case == "password" else right))
        with Subscriber(Broker("127.0.0.1", mosquitto.plain)) as subscriber:
            ticked(service, lambda: service._health()["health"] == "ok")
            ticked(service, lambda: len(seqs(subscriber)) > 20)
            assert sorted(set(seqs(subscriber))) == list(range(max(seqs(subscriber)) + 1)), "a gap"
    said = warned(caplog)
    assert sum(WORDS[case] in line for line in said) == 1, said
    assert sum(line == "degraded: no broker" for line in said) == 1, said
    assert not any("hunter2" in line or "fault of edgesnn" in line for line in said)


@pytest.mark.full
def test_two_of_one_client_id_say_so_stop_fighting_and_go_on_when_one_has_gone(
    mosquitto, door, attempts, tmp_path, monkeypatch, caplog
):
    for module in ("edgesnn.publish.sinks.mqtt", "edgesnn.daemon.beacon"):
        monkeypatch.setattr(f"{module}.make_client_id", lambda node, role: f"same-{role}")
    monkeypatch.setattr("edgesnn.mqtt.client.REST_S", (2.0, 8.0))
    mosquitto.start("allow_anonymous true")
    folders = [tmp_path / "one", tmp_path / "other"]
    texts = [text_of(mosquitto, "mqtt://", "", door, f"gate-{number}") for number in (1, 2)]
    for folder in folders:
        folder.mkdir()
    with Subscriber(Broker("127.0.0.1", mosquitto.plain)) as subscriber:
        with serving(folders[0], texts[0]) as one:
            ticked(one, lambda: one._health()["health"] == "ok")
            with serving(folders[1], texts[1]) as other:
                ticked(one, lambda: any(WORDS["id"] in line for line in warned(caplog)))
                began_s, before = time.monotonic(), sum(attempts.values())
                ticked(one, lambda: time.monotonic() - began_s > 6.0)
                assert sum(attempts.values()) - before <= 16, attempts  # 4 clients; without an end each did 20 and more
            ticked(one, lambda: one._health()["health"] == "ok")
            count = len(subscriber.of("gate-1/door/prediction"))
            ticked(one, lambda: len(subscriber.of("gate-1/door/prediction")) > count + 5)
            assert other._health()["health"]
        found = {json.loads(message.payload)["seq"] for message in subscriber.of("gate-1/door/prediction")}
        assert sorted(found) == list(range(len(found))), "a gap"
    said = [line for line in warned(caplog) if WORDS["id"] in line]
    assert 1 <= len(said) <= 2, said  # of each of the two services
