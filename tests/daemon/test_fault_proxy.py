"""The fault proxy does what it says, held by plain sockets and an echo; what it notes of MQTT, by bytes and paho."""

from __future__ import annotations

import contextlib
import random
import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from edgesnn.broker_url import Broker
from edgesnn.mqtt import Acknowledged, Client, Lost
from edgesnn.publish.broker import available, find_mosquitto
from tests.brokers import KillableBroker, Subscriber
from tests.daemon.test_service import wait_for
from tests.fault_proxy import BROKER, CLIENT, DOWN, UP, FaultProxy
from tests.judging import passed_over
from tests.mqtt_wire import Packets, Watch

DATA = random.Random(0).randbytes(200_000)
SHORT_S = 0.3  # nothing came for so long


class Echo(socketserver.BaseRequestHandler):
    ends: list[str]

    def handle(self) -> None:
        try:
            while data := self.request.recv(65536):
                self.request.sendall(data)
            self.ends.append("closed")
        except ConnectionError:
            self.ends.append("reset")


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    Echo.ends = []
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        with FaultProxy(Broker(*server.server_address), watch=False) as running:
            yield running
        server.shutdown()


@contextlib.contextmanager
def connected(proxy: FaultProxy) -> Iterator[socket.socket]:
    with socket.create_connection((proxy.broker.host, proxy.broker.port), timeout=20) as sock:
        yield sock


def echoed(sock: socket.socket, data: bytes) -> bytes:
    """Send beside receiving, and return as much as was sent."""
    sender = threading.Thread(target=sock.sendall, args=(data,), daemon=True)
    sender.start()
    back = bytearray()
    while len(back) < len(data) and (part := sock.recv(65536)):
        back += part
    sender.join()
    return bytes(back)


def silent(sock: socket.socket) -> bool:
    """Whether nothing comes, not even an end."""
    sock.settimeout(SHORT_S)
    try:
        return sock.recv(1) is None
    except TimeoutError:
        return True
    finally:
        sock.settimeout(20)


@pytest.mark.parametrize(
    "faults",
    [{}, {"delay_s": 0.01, "jitter_s": 0.02}, {"slice_bytes": 700}, {"slice_bytes": 3, "jitter_s": 0.001}],
    ids=["none", "jitter", "slices", "both"],
)
def test_every_byte_comes_through_in_order(proxy, faults):
    proxy.set(**faults)
    with connected(proxy) as sock:
        data = DATA if faults.get("slice_bytes") != 3 else DATA[:5000]
        assert echoed(sock, data) == data


def test_a_delay_is_that_long_each_way_and_a_rate_is_kept(proxy):
    with connected(proxy) as sock:
        proxy.set(delay_s=0.1)
        began = time.monotonic()
        assert echoed(sock, b"ping") == b"ping"
        assert time.monotonic() - began >= 0.2
        proxy.set(rate_bytes_s=50_000)
        began = time.monotonic()
        assert echoed(sock, DATA[:20_000]) == DATA[:20_000]
        assert time.monotonic() - began >= 0.3


def test_pieces_are_as_short_as_asked(proxy):
    """The first piece that a reader sees of a long write, which nothing has joined to others yet."""
    proxy.set(slice_bytes=5, rate_bytes_s=2000)
    with connected(proxy) as sock:
        sock.sendall(DATA[:100])
        assert 1 <= len(sock.recv(100)) < 100


@pytest.mark.parametrize("way", [UP, DOWN])
def test_a_hole_lets_nothing_through_and_what_waited_comes_when_it_is_closed(proxy, way):
    with connected(proxy) as sock:
        assert echoed(sock, b"before") == b"before"
        proxy.set(hole=frozenset({way}))
        sock.sendall(b"waits")
        assert silent(sock)
        with connected(proxy) as other:  # it accepts, too
            other.sendall(b"as well")
            assert silent(other)
        proxy.set()
        assert sock.recv(100) == b"waits"


def test_a_hole_takes_no_more_than_its_bound(proxy):
    proxy.set(hole=frozenset({UP}))
    with connected(proxy) as sock:
        sock.settimeout(SHORT_S)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 100_000_000:
                sent += sock.send(DATA)
        assert sent < 20_000_000


@pytest.mark.parametrize("ends", [(), (CLIENT,), (BROKER,)])
def test_a_reset_is_one(proxy, ends):
    with connected(proxy) as sock:
        assert echoed(sock, b"before") == b"before"
        proxy.reset(*ends)
        if ends == (BROKER,):
            assert sock.recv(1) == b""
        else:
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
        wait_for(lambda: Echo.ends)
        assert Echo.ends == ["closed" if ends == (CLIENT,) else "reset"]
        wait_for(lambda: proxy.open == 0)


def test_a_client_that_is_untold_goes_on_as_if_the_server_were_there(proxy):
    with connected(proxy) as sock:
        assert echoed(sock, b"before") == b"before"
        proxy.set(untold=frozenset({CLIENT}))
        proxy.reset(BROKER)
        wait_for(lambda: Echo.ends == ["reset"])
        for _ in range(20):
            sock.sendall(b"into nothing")
        assert silent(sock)
        assert proxy.open == 1
    wait_for(lambda: proxy.open == 0)


def test_a_server_that_is_untold_keeps_the_connection(proxy):
    proxy.set(untold=frozenset({BROKER}))
    with connected(proxy) as sock:
        assert echoed(sock, b"before") == b"before"
    time.sleep(SHORT_S)
    assert Echo.ends == []
    assert proxy.open == 1
    proxy.reset()
    wait_for(lambda: Echo.ends == ["reset"])


def test_refused_is_refused_and_listens_again(proxy):
    with connected(proxy) as sock:
        assert echoed(sock, b"before") == b"before"
        proxy.set(refuse=True)
        with pytest.raises(ConnectionRefusedError), connected(proxy):
            pass
        assert echoed(sock, b"those that are there stay") == b"those that are there stay"
        proxy.set()
        with connected(proxy) as other:
            assert echoed(other, b"back") == b"back"


def test_where_no_server_is_a_connection_ends_at_once():
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = Broker(*server.getsockname())
    with FaultProxy(nobody) as proxy, pytest.raises(ConnectionResetError), connected(proxy) as sock:
        sock.recv(1)  # where the client is slow, its connect meets the reset


def test_packets_in_any_split_are_the_same():
    """Two hand-made packets: PUBACK 5 with reason 0x10, and a PUBLISH of 300 bytes, whose length takes two bytes."""
    data = bytes.fromhex("4003000510") + b"\x32\xac\x02\x00\x01t\x00\x07" + b"x" * 295
    rng = random.Random(1)
    for _ in range(50):
        packets, cuts = Packets(), sorted(rng.sample(range(len(data)), 5))
        found = [p for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) for p in packets.feed(data[a:b])]
        assert found == [(4, 0, b"\x00\x05\x10"), (3, 2, b"\x00\x01t\x00\x07" + b"x" * 295)]


@pytest.mark.parametrize(("version", "properties"), [(5, b"\x02\x01\x01"), (4, b"")])
def test_an_acknowledgement_is_that_of_its_message(version, properties):
    watch = Watch(connection=3, era=2)
    watch.up(b"\x10\x0d\x00\x04MQTT" + bytes([version]) + b"\x02\x00\x0a\x00\x01c")
    for number, text in ((1, b"a"), (2, b"b")):
        body = b"\x00\x03t/x" + bytes([0, number]) + properties + text
        watch.up(b"\x32" + bytes([len(body)]) + body)
    watch.up(b"\x30\x06\x00\x01tqos")  # QoS 0: nobody acknowledges it
    watch.down(b"\x40\x02\x00\x02" + b"\x40\x03\x00\x01\x10" + b"\x40\x02\x00\x09")
    assert [(sent.topic, sent.payload) for sent in watch.sent] == [("t/x", b"a"), ("t/x", b"b")]
    assert [(acked.sent.payload, acked.reason, acked.era) for acked in watch.acked] == [(b"b", 0, 2), (b"a", 16, 2)]


@pytest.mark.parametrize(
    ("kind", "protocol"),
    [(kind, "3.1.1") for kind in available()] + [("mosquitto", "5")] * (find_mosquitto() is not None),
)
def test_what_a_real_broker_acknowledged_is_noted_also_in_slices(kind, protocol, tmp_path):
    with KillableBroker(kind, tmp_path) as broker, FaultProxy(broker.broker) as proxy:
        proxy.set(slice_bytes=3)
        with Subscriber(broker.broker, "heard", v5=protocol == "5"):
            client = Client(proxy.broker, client_id="edgesnn-test", protocol=protocol)
            client.open()
            for number in range(20):
                client.publish("heard" if number % 2 else "unheard", str(number).encode() * 50)
            answers: dict[int, bool] = {}
            while len(answers) < 20:
                for event in client.poll(5.0):
                    assert not isinstance(event, Lost)
                    if isinstance(event, Acknowledged):
                        answers[event.mid] = event.received
            client.close()
        acked = {int(one.sent.payload[: len(one.sent.payload) // 50]): one.reason for one in proxy.acked}
    assert sorted(acked) == list(range(20))
    assert [acked[number] == 0 for number in range(20)] == [answers[number + 1] for number in range(20)]
    assert set(acked.values()) == ({0, 0x10} if protocol == "5" else {0})
    assert [sent.topic for sent in proxy.sent] == ["unheard", "heard"] * 10


@pytest.mark.parametrize(("protocol", "reason"), [("5", 0x88), ("3.1.1", 3)])
def test_a_connack_that_refuses_is_one(protocol, reason):
    with FaultProxy(Broker("127.0.0.1", 1)) as proxy:
        proxy.set(connack=reason)
        client = Client(proxy.broker, client_id="edgesnn-test", protocol=protocol)
        with pytest.raises(Exception, match="refused the connection: found Server unavailable"):
            client.open()
        client.close()


@pytest.mark.parametrize(
    ("acknowledged", "waiting", "found"),
    [
        ("", "", ""),
        ("abcd", "", ""),
        ("abcd", "dx", ""),  # the service died before it had read the last one
        ("abcd", "abcdx", ""),
        ("abcd", "ax", "a"),  # b was marked in its place, and c and d in their own
        ("abcd", "bd", "b"),
    ],
)
def test_the_judge_finds_a_message_that_was_acknowledged_while_another_was_marked(acknowledged, waiting, found):
    ids = {letter: ("door", number) for number, letter in enumerate("abcdx")}
    assert passed_over([ids[one] for one in acknowledged], {ids[one] for one in waiting}) == {ids[one] for one in found}
