"""A broker that means harm: packets without end, packets that are none, floods. The client neither grows nor dies."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn.broker_url import Broker, parse_broker
from edgesnn.mqtt import Client, Connected, Lost, link, sockets
from tests.memory import measured

TAKEN = {"5": b"\x20\x03\x00\x00\x00", "3.1.1": b"\x20\x02\x00\x00"}  # CONNACK
HUGE = b"\x30\xff\xff\xff\x7f"  # the head of a PUBLISH of 268,435,455 bytes
PINGRESP = b"\xd0\x00"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
Script = Callable[[socket.socket], None]


@contextlib.contextmanager
def hostile(script: Script, room: int | None = None) -> Iterator[Broker]:
    """Do the same to everyone who connects; `room`: bytes that wait to be read."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        if room is not None:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        threading.Thread(target=_serve, args=(server, script), daemon=True).start()
        try:
            yield Broker("127.0.0.1", server.getsockname()[1])
        finally:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)


def _serve(server: socket.socket, script: Script) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                script(connection)


def takes(then: Script, version: str = "5") -> Script:
    def script(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(TAKEN[version])
        then(connection)

    return script


def sends(data: bytes) -> Script:
    def script(connection: socket.socket) -> None:
        connection.sendall(data)
        with contextlib.suppress(OSError):
            while connection.recv(4096):
                pass

    return script


def floods(data: bytes) -> Script:
    """Send the same for ever, and read nothing."""

    def script(connection: socket.socket) -> None:
        while True:
            connection.sendall(data)

    return script


def why(broker: Broker, version: str = "5", limit_s: float = 30.0) -> str:
    """Return what the first connection was lost for."""
    client = Client(broker, client_id="c", protocol=version)
    try:
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            for event in client.poll(0.1):
                if isinstance(event, Lost):
                    return str(event.error)
        raise AssertionError("the connection was kept")
    finally:
        client.close(0.1)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_packet_of_256_mib_is_refused_by_its_head(version):
    with hostile(takes(sends(HUGE + bytes(100)), version)) as broker:
        assert "268435455 bytes, more than 65536" in why(broker, version)


_DRIBBLE = """
import threading, time
from tests.attacks.test_hostile_brokers import HUGE, floods, hostile, sends, takes, why

def warm(): pass
def work():
    def dribble(connection):
        connection.sendall(HUGE)
        for _ in range(64):
            connection.sendall(bytes(1 << 20))
    with hostile(takes(dribble)) as broker:
        return why(broker)
"""


def test_what_follows_that_head_takes_no_memory():
    said, grown_kib = measured(_DRIBBLE)
    assert "268435455 bytes" in said
    assert grown_kib < 20_000


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"\x34\x07\x00\x01a\x00\x01\x00x", "QoS 2"),
        (b"\x36\x07\x00\x01a\x00\x01\x00x", "QoS 2"),
        (b"\x32\x07\x00\x02\xff\xfe\x00\x01\x00", "no MQTT"),  # a topic that is not UTF-8
        (b"\x32\x03\x00\xff\x00", ""),  # a topic longer than its packet
        (b"\x62\x00", ""),
    ],
)
def test_a_packet_that_may_not_be_ends_the_connection(version, data, word):
    with hostile(takes(sends(data), version)) as broker:
        assert word in why(broker, version)


def test_a_broker_that_takes_us_again_and_again_is_left():
    with hostile(takes(sends(TAKEN["5"] * 3))) as broker:
        assert "second CONNACK" in why(broker)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_broker_that_sends_messages_and_reads_no_answers_is_left(version, monkeypatch):
    def dial(broker: Broker) -> socket.socket:
        sock = sockets.dial(broker)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # the system's takes a million answers
        return sock

    monkeypatch.setattr(link, "dial", dial)
    message = b"\x32\x07\x00\x01a\x00\x01\x00x" if version == "5" else b"\x32\x06\x00\x01a\x00\x01x"
    with hostile(takes(floods(message * 1000), version), room=4096) as broker:
        assert "answers it does not read" in why(broker, version)


def test_a_packet_that_never_ends_is_given_up():
    """One byte a while, so that the connection never seems dead."""

    def dribble(connection: socket.socket) -> None:
        connection.sendall(b"\x30\xff\x7f")
        while True:
            connection.sendall(b"x")
            time.sleep(0.2)

    with hostile(takes(dribble)) as broker:
        client = Client(broker, client_id="c", protocol="5", keepalive_s=1)
        deadline = time.monotonic() + 20
        lost: list[Lost] = []
        while not lost and time.monotonic() < deadline:
            lost = [event for event in client.poll(0.1) if isinstance(event, Lost)]
        client.close(0.1)
    assert "does not end" in str(lost[0].error)


def assert_taken_and_lost(client: Client) -> None:
    """Hold that a client connects, loses the connection and raises nothing."""
    events: list[object] = []
    deadline = time.monotonic() + 20
    while not any(isinstance(event, Lost) for event in events):
        assert time.monotonic() < deadline
        events += client.poll(0.05)
    client.close(0.1)
    assert isinstance(events[0], Connected)


@settings(max_examples=150)
@given(st.binary(min_size=1, max_size=200), st.sampled_from(["5", "3.1.1"]))
def test_no_bytes_make_the_client_raise(data, version):
    def script(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(TAKEN[version] + data)

    with hostile(script) as broker:
        assert_taken_and_lost(Client(broker, client_id="c", protocol=version))


# --- websockets -----------------------------------------------------------------------------------------------------


def upgraded(then: Script) -> Script:
    """Take the websocket, then do the rest."""

    def script(connection: socket.socket) -> None:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += connection.recv(4096)
        key = next(
            line.split(b": ")[1] for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
        )
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        connection.sendall(head + b"Sec-WebSocket-Accept: " + accept + b"\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n")
        then(connection)

    return script


def websocket(broker: Broker) -> Broker:
    return parse_broker(f"ws://127.0.0.1:{broker.port}/mqtt", environment={})


def frame(data: bytes, first: int = 0x82) -> bytes:
    return bytes([first, len(data)]) + data


@pytest.mark.parametrize(
    ("script", "word"),
    [
        (sends(b"HTTP/1.1 404 Not Found\r\n\r\n"), "404"),
        (sends(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), "not for MQTT"),
        (sends(b"HTTP/1.1 101 ok\r\nSec-WebSocket-Accept: x\r\n\r\n"), "not for MQTT"),
        (floods(b"x" * 1000), "16384"),
        (floods(b"X-More: 1\r\n"), "16384"),
        (sends(b"\xff\x00\r\n\r\n"), "no websocket"),
        (lambda connection: None, ""),
        (upgraded(sends(frame(b"text", 0x81))), "not binary"),
        (upgraded(sends(b"\x82\x85\x00\x00\x00\x00" + TAKEN["5"])), "masked"),
        (upgraded(sends(b"\x89\x7e\x00\xff" + bytes(255))), "control frame of 255"),
        (upgraded(sends(frame(b"", 0x88))), "closed"),
    ],
)
def test_a_server_that_plays_false_with_websockets(script, word):
    with hostile(script) as broker:
        assert word in why(websocket(broker))


def test_a_handshake_that_is_dribbled_ends_in_time(monkeypatch):
    monkeypatch.setattr(link, "TIMEOUT_S", 1.0)

    def dribble(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"x")
            time.sleep(0.1)

    with hostile(dribble) as broker:
        began = time.monotonic()
        assert re.search("in time|timed out", why(websocket(broker)))
        assert time.monotonic() - began < 10


_ENDLESS = """
from tests.attacks.test_hostile_brokers import PINGRESP, TAKEN, hostile, upgraded, websocket
from edgesnn.mqtt import Client, Connected

def warm(): pass
def work():
    sent = []
    def endless(connection):
        connection.sendall(b"\\x82\\x7f" + (1 << 40).to_bytes(8, "big") + TAKEN["5"])
        for _ in range(40):
            connection.sendall(PINGRESP * (1 << 19))
            sent.append(1)
    with hostile(upgraded(endless)) as broker:
        client = Client(websocket(broker), client_id="c", protocol="5")
        events = []
        for _ in range(20_000):
            events += client.poll(0.1)
        client.close(0.1)
        return [type(events[0]).__name__, len(events)]
"""


def test_a_frame_without_end_takes_no_memory():
    """paho's own websocket keeps a frame until its last byte has come; each packet in it is a whole one."""
    (first, events), grown_kib = measured(_ENDLESS)
    assert (first, events) == ("Connected", 1)
    assert grown_kib < 8_000


@settings(max_examples=100)
@given(
    st.lists(st.binary(max_size=40), max_size=8),
    st.lists(st.sampled_from([0x80, 0x82, 0x02, 0x00, 0x89, 0x8A]), max_size=8),
)
def test_no_frames_make_the_client_raise(pieces, kinds):
    frames = b"".join(frame(data, kind) for data, kind in zip(pieces, kinds, strict=False))

    def script(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(frame(TAKEN["5"]) + frames)

    with hostile(upgraded(script)) as broker:
        assert_taken_and_lost(Client(websocket(broker), client_id="c", protocol="5"))
