"""What an MQTT 5 broker asks for in its CONNACK: so many messages in flight, and so short a silence."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator

import paho.mqtt.client as paho
import pytest

from edgesnn.broker_url import Broker
from edgesnn.errors import PublishError
from edgesnn.mqtt import IN_FLIGHT, Acknowledged, Client, Connected, Event, Lost
from edgesnn.mqtt.client import MOST_BRIEF
from edgesnn.publish.outbox import Outbox
from edgesnn.publish.sinks.mqtt import MqttSink
from tests.mqtt_wire import CONNECT, PUBLISH, Packets
from tests.predictions import BOOT, make_prediction

PINGREQ, PINGRESP = b"\xc0\x00", b"\xd0\x00"
TOO_MANY = b"\xe0\x01\x93"  # DISCONNECT: Receive Maximum exceeded
QUIET_S = 0.01  # after so long a client has sent what it will
LIMIT_S = 20.0
SERVER_KEEP_ALIVE, RECEIVE_MAXIMUM = 0x13, 0x21  # MQTT 5, section 2.2.2.2


def connack(**properties: int | None) -> bytes:
    """Return a CONNACK that takes the client; of `receive_maximum` and `keep_alive` those that are given."""
    numbers = {"receive_maximum": RECEIVE_MAXIMUM, "keep_alive": SERVER_KEEP_ALIVE}
    body = b"".join(struct.pack(">BH", numbers[name], value) for name, value in properties.items() if value is not None)
    return bytes([0x20, 3 + len(body), 0, 0, len(body)]) + body


class Strict:
    """A broker that acknowledges only once the client has fallen silent, and throws out who exceeds its maximum.

    Args:
        maxima: the Receive Maximum of each connection, None: says none; the last one is for all that follow.
        last: of a connection but the last, this many messages are acknowledged at least; then it closes.

    Attributes:
        most: how many were unanswered at most, by connection.
        payloads: what was published, by connection.
    """

    def __init__(self, maxima: list[int | None], last: int = 0) -> None:
        self.most: list[int] = []
        self.payloads: list[list[bytes]] = []
        self._maxima, self._last = maxima, last
        self._server = socket.create_server(("127.0.0.1", 0))
        self.broker = Broker("127.0.0.1", self._server.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _ = self._server.accept()
                with link, contextlib.suppress(OSError):
                    self._talk(link)

    def _talk(self, link: socket.socket) -> None:
        number = len(self.most)
        maximum, final = self._maxima[min(number, len(self._maxima) - 1)], number >= len(self._maxima) - 1
        self.most.append(0)
        self.payloads.append([])
        open_ids: list[bytes] = []
        answered = 0
        for kind, flags, body in packets(link):
            if kind == CONNECT:
                link.sendall(connack(receive_maximum=maximum))
            elif kind == PUBLISH and flags & 6:
                at = 2 + int.from_bytes(body[:2], "big")
                open_ids.append(body[at : at + 2])
                self.payloads[number].append(body[at + 3 + body[at + 2] :])
                self.most[number] = max(self.most[number], len(open_ids))
                if maximum is not None and len(open_ids) > maximum:
                    link.sendall(TOO_MANY)
                    return
            elif kind == QUIET and open_ids:
                if not final and answered >= self._last:
                    return
                answered += len(open_ids)
                link.sendall(b"".join(b"\x40\x02" + name for name in open_ids))
                open_ids.clear()


QUIET = -1


def packets(link: socket.socket) -> Iterator[tuple[int, int, bytes]]:
    """Give the client's packets until it goes, and a `QUIET` where none comes."""
    cut = Packets()
    link.settimeout(QUIET_S)
    while True:
        try:
            data = link.recv(65536)
        except TimeoutError:
            yield QUIET, 0, b""
            continue
        if not data:
            return
        yield from cut.feed(data)


@contextlib.contextmanager
def strict(*maxima: int | None, last: int = 0) -> Iterator[Strict]:
    server = Strict(list(maxima), last)
    try:
        yield server
    finally:
        server.close()


def polled(client: Client, timeout_s: float = 0.05) -> Iterator[Event]:
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        yield from client.poll(timeout_s)
    raise AssertionError(f"nothing more in {LIMIT_S:g} s")


# --- Receive Maximum ------------------------------------------------------------------------------------------------

WINDOWS = [(1, 1), (10, 10), (20, 20), (65535, IN_FLIGHT), (None, IN_FLIGHT)]


@pytest.mark.parametrize(("maximum", "window"), WINDOWS)
def test_as_many_are_in_flight_as_the_broker_takes_and_no_more_than_twenty(maximum, window):
    with strict(maximum) as server:
        client = Client(server.broker, client_id="a", protocol="5")
        client.open()
        waiting = {client.publish("t", b"x") for _ in range(50)}
        for event in polled(client):
            assert isinstance(event, Acknowledged), event
            waiting.discard(event.mid)
            if not waiting:
                break
        assert client.window == window
        client.close()
    assert server.most == [window]


def test_each_connection_has_the_maximum_that_its_broker_said():
    with strict(3, 7, None, last=30) as server:
        client = Client(server.broker, client_id="a", protocol="5")
        acknowledged = 0
        for event in polled(client):
            if isinstance(event, Connected):
                for _ in range(50):
                    client.publish("t", b"x")
            acknowledged += isinstance(event, Acknowledged) and len(server.most) == 3
            if acknowledged == 50:
                break
        client.close()
    assert server.most == [3, 7, IN_FLIGHT]


@pytest.mark.parametrize("maximum", [1, 10])
def test_every_prediction_arrives_over_one_connection_to_a_broker_that_takes_few_at_once(maximum):
    with strict(maximum) as server:
        sink = MqttSink(server.broker, node="n", boot_id=BOOT)
        sink.open()
        for window in range(60):
            sink.write(numbered(window))
        assert sink.drain(LIMIT_S) == 0
        sink.close()
    assert server.most == [maximum]
    assert [record["seq"] for record in predictions(server.payloads[0])] == list(range(60))


def test_what_the_broker_had_no_room_for_was_not_sent_and_is_not_late():
    with strict(2, 2, last=6) as server:
        sink = MqttSink(server.broker, node="n", boot_id=BOOT)
        sink.open()
        for window in range(30):
            sink.write(numbered(window))
        assert sink.drain(LIMIT_S) == 0
        sink.close()
    late = {record["seq"] for record in predictions(server.payloads[1]) if record["late"]}
    assert len(server.payloads) == 2
    assert 0 < len(late) <= 2


def numbered(window: int):
    prediction = make_prediction(window)
    return prediction.numbered(node="n", boot_id=BOOT, seq=window, ts="2026-01-01T00:00:00.000Z")


def predictions(payloads: list[bytes]) -> list[dict[str, object]]:
    records = [json.loads(payload) for payload in payloads if payload]
    return [record for record in records if record["schema"] == "edgesnn.prediction/1"]


def test_what_is_acknowledged_while_the_sink_leaves_is_settled(monkeypatch):
    monkeypatch.setattr(f"{__name__}.QUIET_S", 0.4)
    outbox = Outbox()
    with strict(None) as server:
        sink = MqttSink(server.broker, node="n", boot_id=BOOT, outbox=outbox)
        sink.open()
        for window in range(3):
            sink.write(numbered(window))
        deadline = time.monotonic() + LIMIT_S
        while not server.payloads or len(predictions(server.payloads[0])) < 3:
            assert time.monotonic() < deadline, server.payloads
            time.sleep(0.01)
        sink.leave()
    assert (outbox.stats()["acknowledged"], outbox.stats()["pending"]) == (3, 0)


def test_nothing_is_sent_before_the_broker_has_said_how_much_it_takes():
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = Client(Broker("127.0.0.1", server.getsockname()[1]), client_id="a", protocol="5")
        client.poll(0.0)
        link, _ = server.accept()
        with link, pytest.raises(PublishError, match="not connected"):
            client.publish("t", b"x")
        client.close(0.1)


def test_a_broker_that_takes_nothing_at_all_is_not_taken_for_one():
    """Section 3.2.2.3.3: 0 is a protocol error."""
    with strict(0) as server:
        client = Client(server.broker, client_id="a", protocol="5")
        with pytest.raises(PublishError, match="the broker refused the connection"):
            client.open()
        client.close()


def test_a_broker_that_closes_with_a_reason_is_not_said_to_have_two_of_one_id(monkeypatch):
    monkeypatch.setattr("edgesnn.mqtt.client.BACK_OFF_S", (0.01, 0.2))
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = Client(Broker("127.0.0.1", server.getsockname()[1]), client_id="a", protocol="5")
        client._delay_s = 0.01
        lost: deque[str] = deque()
        while len(lost) <= MOST_BRIEF:
            client.poll(0.0)
            link, _ = server.accept()
            with link:
                link.recv(4096)
                link.sendall(connack())
                lasts_s = time.monotonic() + client._delay_s + 0.02
                while time.monotonic() < lasts_s:
                    client.poll(0.01)
                link.sendall(TOO_MANY)
                lost.append(next(str(event.error) for event in polled(client) if isinstance(event, Lost)))
            time.sleep(client._attempt_at - time.monotonic() + 0.01)
        client.close()
    assert all("the connection to the broker was lost: found Receive maximum exceeded" in line for line in lost), lost
    assert client._delay_s == 0.2, "and it is asked more and more seldom"


def test_two_of_one_id_are_not_seen_in_an_end_with_a_reason_behind_those_without(monkeypatch):
    monkeypatch.setattr("edgesnn.mqtt.client.BACK_OFF_S", (0.01, 0.01))
    monkeypatch.setattr("edgesnn.mqtt.client.REST_S", (0.01, 0.01))
    said = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = Client(Broker("127.0.0.1", server.getsockname()[1]), client_id="a", protocol="5")
        client._delay_s = 0.01
        for tail in (*[b""] * MOST_BRIEF, TOO_MANY):
            client.poll(0.0)
            link, _ = server.accept()
            with link:
                link.recv(4096)
                link.sendall(connack() + tail)
            said.append(next(str(event.error) for event in polled(client) if isinstance(event, Lost)))
            time.sleep(0.02)
        client.close()
    assert "lost again and again" in said[-2]
    assert "lost again and again" not in said[-1]
    assert "Receive maximum exceeded" in said[-1]


# --- Server Keep Alive ----------------------------------------------------------------------------------------------


class Clock:
    """paho's."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(paho, "time_func", clock)
    return clock


@contextlib.contextmanager
def taken(keep_alive: int | None, ours_s: int = 1000) -> Iterator[tuple[Client, socket.socket]]:
    """Give a client whom a broker took, and the broker's end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = Client(Broker("127.0.0.1", server.getsockname()[1]), client_id="a", protocol="5", keepalive_s=ours_s)
        client.poll(0.0)
        link, _ = server.accept()
        with link:
            link.settimeout(LIMIT_S)
            assert link.recv(4096)[0] >> 4 == CONNECT
            link.sendall(connack(keep_alive=keep_alive))
            assert isinstance(next(polled(client)), Connected)
            yield client, link
        client.close(0.1)


def pinged(client: Client, link: socket.socket) -> bool:
    """Say whether the client, given time, sends a ping."""
    assert client.poll(0.0) == []
    client.poll(0.0)
    return bool(select.select([link], [], [], 0.0)[0]) and link.recv(4096) == PINGREQ


KEEP_ALIVES = [(None, 1000), (0, 1000), (65535, 1000), (1000, 1000), (400, 400)]


@pytest.mark.parametrize(("keep_alive", "interval_s"), KEEP_ALIVES)
def test_pings_come_in_the_shorter_of_the_two_intervals_and_their_silence_ends_it(keep_alive, interval_s, clock):
    with taken(keep_alive) as (client, link):
        for _ in range(2):
            clock.ahead_s += interval_s - 50
            assert not pinged(client, link)
            clock.ahead_s += 50
            assert pinged(client, link)
            link.sendall(PINGRESP)
            select.select([client._link.socket()], [], [], LIMIT_S)
            assert client.poll(0.0) == []
        clock.ahead_s += interval_s
        assert pinged(client, link)
        clock.ahead_s += interval_s
        (lost,) = client.poll(0.0)
        assert "Keep alive timeout" in str(lost.error)
        assert client._brief == 0, "a silent broker is no second client of our id"


def test_a_poll_returns_soon_enough_for_the_pings_of_a_short_server_keep_alive(monkeypatch):
    """A server waits for 1.5 times its Keep Alive."""
    waits_ms: list[float] = []

    class Poll:
        def register(self, *_: object) -> None: ...

        def poll(self, timeout_ms: float) -> list[tuple[int, int]]:
            waits_ms.append(timeout_ms)
            return []

    with taken(1) as (client, _), monkeypatch.context() as patch:
        patch.setattr(select, "poll", Poll)
        client.poll(10.0)
    assert 0 < waits_ms[0] <= 500


@pytest.mark.full
@pytest.mark.parametrize("keep_alive", [0, 3600])
def test_a_silent_broker_is_noticed_however_long_it_lets_us_wait(keep_alive):
    """By the real clock."""
    with taken(keep_alive, ours_s=1) as (client, _):
        lost = next(event for event in polled(client) if isinstance(event, Lost))
    assert "Keep alive timeout" in str(lost.error)
