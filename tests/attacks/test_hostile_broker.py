"""A broker that answers with what no broker sends: the clients' threads go on, and take the next that is one."""

from __future__ import annotations

import logging
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from edgesnn.broker_url import Broker
from edgesnn.daemon.beacon import Beacon
from edgesnn.errors import PublishError
from edgesnn.mqtt import Client, Connected, Lost
from edgesnn.mqtt.link import MOST_BYTES
from edgesnn.tokens.sources.mqtt import MqttLines
from tests.memory import resident_kib

LONGEST_S = 30.0
CONNACK = b"\x20\x03\x00\x00\x00"


def packet(kind: int, body: bytes, says: int | None = None) -> bytes:
    """Return a packet; `says`: the length that it claims."""
    length, head = len(body) if says is None else says, b""
    while True:
        length, digit = divmod(length, 128)
        head += bytes([digit | (0x80 if length else 0)])
        if not length:
            return bytes([kind]) + head + body


def publish(topic: bytes, payload: bytes, says: int | None = None) -> bytes:
    return packet(0x30, struct.pack(">H", len(topic)) + topic + b"\x00" + payload, says)


ATTACKS = {
    "topic that is no text": publish(b"\xff\xfe\xc0", b"x"),
    "topic longer than its packet": packet(0x30, b"\xff\xff" + b"a"),
    "topic with wild cards": publish(b"#/+/\x00", b"x"),
    "empty publish": packet(0x30, b""),
    "properties that end early": packet(0x30, b"\x00\x01a\x7f\x26\xff"),
    "unknown property": packet(0x30, b"\x00\x01a\x02\x7e\x01x"),
    "acknowledgement of nothing": packet(0x40, b"\x00\x07"),
    "cut acknowledgement": packet(0x40, b"\x00"),
    "acknowledgement of quality 2": packet(0x50, b"\x00\x09") + packet(0x70, b"\x00\x09") + packet(0x62, b"\x00\x09"),
    "second connack": CONNACK + CONNACK,
    "connack that refuses after one that took": b"\x20\x03\x00\x87\x00",
    "subscription that nobody asked for": packet(0x90, b"\x00\x01\x00\xff"),
    "authentication": packet(0xF0, b"\x18\x00"),
    "types that a client sends": packet(0x10, b"\x00\x04MQTT\x05") + packet(0x82, b"\x00\x01") + packet(0xC0, b""),
    "type 0": packet(0x00, b"abc"),
    "length of five bytes": b"\x30\xff\xff\xff\xff\x7f",
    "farewell of an unknown reason": packet(0xE0, b"\xfd\x00"),
    "cut farewell": packet(0xE0, b"\x00\x7f"),
    "many answers to pings": packet(0xD0, b"") * 10_000,
    **{f"random bytes {seed}": random.Random(seed).randbytes(400) for seed in range(12)},
}


class Hostile:
    """Takes everybody, sends these bytes behind its answer, and keeps the connection open for a moment."""

    def __init__(self, data: bytes, forever: bool = False) -> None:
        self._data, self._forever = data, forever
        self._server = socket.create_server(("127.0.0.1", 0))
        self.broker = Broker("127.0.0.1", self._server.getsockname()[1])
        self.taken = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.taken += 1
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            with connection:
                connection.recv(4096)
                connection.sendall(CONNACK + self._data)
                while self._forever:
                    connection.sendall(bytes(1 << 20))
                connection.settimeout(0.5)
                while connection.recv(1 << 16):
                    pass
        except OSError:
            return


@pytest.fixture
def hostile() -> Iterator[Callable[..., Hostile]]:
    made: list[Hostile] = []

    def make(data: bytes, forever: bool = False) -> Hostile:
        made.append(Hostile(data, forever))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_no_broker_sends_costs_a_connection_at_most(attack, hostile, monkeypatch):
    monkeypatch.setattr("edgesnn.mqtt.client.BACK_OFF_S", (0.01, 0.05))
    server = hostile(ATTACKS[attack])
    client = Client(server.broker, client_id="x", protocol="5")
    deadline, connected = time.monotonic() + LONGEST_S, 0
    began_s = time.monotonic()
    while (connected < 2 and time.monotonic() < deadline) and time.monotonic() - began_s < 3.0:
        events = client.poll(0.05)
        connected += sum(isinstance(event, Connected) for event in events)
        assert all(not event.final for event in events if isinstance(event, Lost))
    assert connected >= 1
    if client.connected:
        client.publish("a", b"still here")
    client.close()


def test_a_message_without_end_takes_no_memory(hostile, monkeypatch):
    monkeypatch.setattr("edgesnn.mqtt.client.BACK_OFF_S", (0.01, 0.05))
    server = hostile(publish(b"a", b"x" * 100, says=250_000_000), forever=True)
    client = Client(server.broker, client_id="x", protocol="5")
    before, lost = resident_kib(), []
    deadline = time.monotonic() + LONGEST_S
    while len(lost) < 2 and time.monotonic() < deadline:
        lost += [event for event in client.poll(0.05) if isinstance(event, Lost)]
        assert resident_kib() - before < 64 * 1024
    assert all(str(MOST_BYTES) in str(event.error) for event in lost)
    assert len(lost) >= 2
    client.close()


def test_the_node_s_own_topics_and_lines_outlive_it_and_say_it_once(hostile, monkeypatch, caplog):
    monkeypatch.setattr("edgesnn.mqtt.client.BACK_OFF_S", (0.01, 0.05))
    server = hostile(ATTACKS["topic that is no text"])
    beacon = Beacon(server.broker, node="gate-1", boot_id="0" * 16, protocol="5")
    beacon.start()
    lines = MqttLines(f"{server.broker.url}/#")
    deadline = time.monotonic() + LONGEST_S
    while server.taken < 12 and time.monotonic() < deadline:
        beacon.say("health", {}, retain=True)
        assert lines.read(0.05) == []
    assert server.taken >= 12
    assert beacon.alive
    beacon.close()
    lines.close()
    said = [line for line in map(logging.LogRecord.getMessage, caplog.records) if "what cannot be read" in line]
    assert len(said) == 2, said  # each of the two once
    assert "fault of edgesnn" not in caplog.text


def test_lines_of_a_hostile_topic_and_payload_are_lines(hostile):
    payload = b"\x00\x1b[2J\xff\xfe\n" + b"\n" * 50 + "\u202e\u2028".encode() + b'{"a": 1}'
    server = hostile(publish("a/\u202eb/\x1b[2J".encode(), payload))
    lines = MqttLines(f"{server.broker.url}/%23")
    found = []
    deadline = time.monotonic() + LONGEST_S
    while len(found) < 52 and time.monotonic() < deadline:
        try:
            found += lines.read(0.05) or []
        except PublishError:
            break
    assert [line.data for line in found[:2]] == [b"\x00\x1b[2J\xff\xfe", b""]
    assert len(found) >= 52
    lines.close()
