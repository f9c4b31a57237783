"""The brokers of deploy/examples as they are there: certificates and access, a bridge, an outage above it."""

from __future__ import annotations

import json
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edgesnn.broker_url import Broker
from edgesnn.publish.broker import find_mosquitto, free_port, reachable
from tests.certificates import Authority
from tests.daemon.test_service import RECORDING, run, stream, wait_for
from tests.predictions import validated

__all__ = ["run"]  # a fixture
EXAMPLES = Path(__file__).resolve().parents[2] / "deploy" / "examples"
pytestmark = pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")


class Site:
    """An authority, and the files of the examples with other paths and ports."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.authority = folder, Authority(folder, "ours")
        self.port, self.local = free_port(), free_port()
        names = ("broker", "gate-1", "viewer", "operator", "homeassistant")
        self.files = {name: self.authority.sign(name) for name in names}

    def place(self, name: str, store: str) -> Path:
        """Write an example with the paths, addresses and ports of this test; nothing else of it changes."""
        text = (EXAMPLES / name).read_text()
        access = self.folder / "acl"
        access.write_text((EXAMPLES / "mosquitto.acl").read_text())
        (self.folder / store).mkdir(exist_ok=True)
        changes = {
            "/etc/mosquitto/certs/ca.pem": str(self.authority.file),
            "/etc/mosquitto/acl": str(access),
            "/var/lib/mosquitto/": f"{self.folder / store}/",
            "listener 8883": f"listener {self.port} 127.0.0.1",
            "listener 1883 127.0.0.1": f"listener {self.local} 127.0.0.1",
            "listener 1883\n": f"listener {self.local} 127.0.0.1\n",
            "/mosquitto/data/": f"{self.folder / store}/",
            "broker.example.org:8883": f"127.0.0.1:{self.port}",
        }
        for owner, (certificate, key) in self.files.items():
            changes[f"/etc/mosquitto/certs/{owner}.crt"] = str(certificate)
            changes[f"/etc/mosquitto/certs/{owner}.key"] = str(key)
        for before, after in changes.items():
            text = text.replace(before, after)
        assert "/etc/" not in text.split("\n\n", 1)[1]
        path = self.folder / f"{store}.conf"
        # as root mosquitto would become a user who may not read these files
        path.write_text(text + "user root\n")
        return path

    @contextmanager
    def broker(self, path: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
        mosquitto = find_mosquitto()
        assert mosquitto is not None
        process = subprocess.Popen([mosquitto, "-c", str(path)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        try:
            deadline_s = time.monotonic() + 10
            while reachable(Broker("127.0.0.1", port)) is not None:
                assert process.poll() is None, process.stderr and process.stderr.read()
                assert time.monotonic() < deadline_s
                time.sleep(0.02)
            yield process
        finally:
            process.terminate()
            process.wait(10)

    @contextmanager
    def client(self, name: str, *topics: str) -> Iterator[tuple[paho.Client, list[paho.MQTTMessage]]]:
        """Connect with a certificate of that name; yield the client and what it hears at the topics."""
        heard: list[paho.MQTTMessage] = []
        ready: list[Any] = []
        client = paho.Client(CallbackAPIVersion.VERSION2, f"{name}-test", protocol=paho.MQTTv5)
        certificate, key = self.files[name]
        client.tls_set(str(self.authority.file), str(certificate), str(key), cert_reqs=ssl.CERT_REQUIRED)
        client.on_message = lambda _client, _data, message: heard.append(message)
        client.on_subscribe = lambda *_: ready.append(True)
        client.on_connect = lambda one, *_: one.subscribe([(topic, 1) for topic in topics or ("none",)])
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        try:
            wait_for(lambda: ready, 10)
            yield client, heard
        finally:
            client.disconnect()
            client.loop_stop()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def of(heard: list[paho.MQTTMessage], end: str) -> list[paho.MQTTMessage]:
    return [message for message in list(heard) if message.topic.endswith(end)]


def configuration(url: str, *lines: str) -> str:
    head = ['[node]\nname = "gate-1"', f'[mqtt]\nurl = "{url}"', *lines, "[http]\nenabled = false"]
    return (
        "\n".join(head)
        + '\n[commands]\nenabled = true\nallow = ["ping"]\n'
        + stream("door", f"replay:{RECORDING}?loop")
    )


def pings(client: paho.Client, heard: list[paho.MQTTMessage]) -> Callable[[], bool]:
    """Ask, and return what says whether there was an answer."""
    client.publish("edgesnn/gate-1/cmd/ping", '{"id": "p"}', 1)
    return lambda: bool(of(heard, "/cmd/ping/response"))


DOCUMENTS = ("homeassistant/device/edgesnn-gate-1/config", "homeassistant/device/edgesnn-gate-1/door/config")


def documents(heard: list[paho.MQTTMessage]) -> Counter[str]:
    """Return how often each of Home Assistant's discovery topics came with a document."""
    return Counter(message.topic for message in list(heard) if json.loads(message.payload)["cmps"])


def test_boards_with_certificates(site, run):
    certificate, key = site.files["gate-1"]
    files = (f'ca_file = "{site.authority.file}"', f'cert_file = "{certificate}"', f'key_file = "{key}"')
    with (
        site.broker(site.place("mosquitto-tls.conf", "upper"), site.port),
        site.client("viewer", "edgesnn/#") as (viewer, seen),
        site.client("operator", "edgesnn/+/cmd/+/response") as (operator, answers),
    ):
        daemon = run(configuration(f"mqtts://127.0.0.1:{site.port}", *files))
        wait_for(lambda: len(of(seen, "/door/prediction")) > 3, what=daemon.log)
        wait_for(pings(operator, answers), what=daemon.log)
        # who looks on may not speak in a board's name: nothing of it arrives
        viewer.publish("edgesnn/gate-1/door/prediction", "forged", 1)
        before = len(of(seen, "/door/prediction"))
        wait_for(lambda: len(of(seen, "/door/prediction")) > before + 3, what=daemon.log)
        assert daemon.end() == 0, daemon.log
        assert b"forged" not in [message.payload for message in seen]
        for message in of(seen, "/door/prediction"):
            validated(message)


def test_the_broker_of_the_composition_keeps_what_waits_over_a_restart(site):
    """For a consumer that is away, and what is retained: the volume is there for that."""
    path = site.place("../container/mosquitto.conf", "volume")

    def consumer() -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2, "consumer", protocol=paho.MQTTv311, clean_session=False)
        client.connect("127.0.0.1", site.local)
        return client

    with site.broker(path, site.local):
        away = consumer()
        away.loop_start()
        held: list[Any] = []
        away.on_subscribe = lambda *_: held.append(True)
        away.subscribe("edgesnn/#", 1)
        wait_for(lambda: held, 10)
        away.disconnect()
        away.loop_stop()
        board = paho.Client(CallbackAPIVersion.VERSION2, "board")
        board.connect("127.0.0.1", site.local)
        board.loop_start()
        for name in ("status", "gate/prediction"):
            board.publish(f"edgesnn/gate-1/{name}", name, 1, retain=name == "status").wait_for_publish(10)
        board.disconnect()
        board.loop_stop()
    with site.broker(path, site.local):
        heard: list[str] = []
        back = consumer()
        back.on_message = lambda _client, _data, message: heard.append(message.payload.decode())
        back.loop_start()
        wait_for(lambda: len(heard) == 2, 10)
        back.disconnect()
        back.loop_stop()
    assert heard == ["status", "gate/prediction"]


def test_a_bridge_and_an_outage_above_it(site, run):
    upper = site.place("mosquitto-tls.conf", "upper")
    with site.broker(site.place("mosquitto-bridge.conf", "lower"), site.local):
        with (
            site.broker(upper, site.port) as process,
            site.client("viewer", "edgesnn/#") as (_, seen),
            site.client("operator", "edgesnn/+/cmd/+/response") as (operator, answers),
            site.client("homeassistant", "homeassistant/device/#") as (home, known),
        ):
            lines = 'no_subscriber = "drop"', "[home_assistant]\nenabled = true"
            daemon = run(configuration(f"mqtt://127.0.0.1:{site.local}", *lines))
            wait_for(lambda: len(of(seen, "/door/prediction")) > 3, what=daemon.log)
            wait_for(pings(operator, answers), what=daemon.log)
            assert len(of(answers, "/cmd/ping/response")) == 1
            assert len(of(seen, "/cmd/ping")) == 1  # the operator's own: it went down and did not come back
            wait_for(lambda: documents(known) >= Counter(DOCUMENTS), what=daemon.log)
            again = documents(known) + Counter(DOCUMENTS)
            home.publish("homeassistant/status", "online", 1)
            wait_for(lambda: documents(known) >= again, what=daemon.log)
            process.kill()
            process.wait()
        time.sleep(2.0)
        with site.broker(upper, site.port), site.client("viewer", "edgesnn/#") as (_, later):
            wait_for(lambda: len(of(later, "/door/prediction")) > 30, what=daemon.log)
            assert validated(of(later, "/status")[0])["status"] == "online"  # retained there, as here
            assert daemon.end() == 0, daemon.log
        numbers = [validated(message)["seq"] for message in of(later, "/door/prediction")]
        assert sorted(set(numbers)) == list(range(min(numbers), max(numbers) + 1)), "the bridge lost some"
        # what was decided during the outage came after it
        assert min(numbers) <= max(validated(message)["seq"] for message in of(seen, "/door/prediction")) + 20
