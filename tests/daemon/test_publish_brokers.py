"""Publishing to real brokers: everything arrives once, in order, valid; losses of the broker lose no prediction."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from edgesnn.broker_url import Broker, parse_broker
from edgesnn.errors import PublishError
from edgesnn.mqtt import Client, Event, Lost
from edgesnn.publish import Publisher
from edgesnn.publish.broker import LocalBroker, available
from edgesnn.publish.sinks.mqtt import MqttSink
from tests.brokers import KillableBroker, Subscriber
from tests.predictions import BOOT, NODE, make_prediction, validated

KINDS = available()
ROOT = Path(__file__).resolve().parents[2]
needs_mosquitto = pytest.mark.skipif("mosquitto" not in KINDS, reason="mosquitto is not installed: no MQTT 5 broker")


def make_sink(broker, **options) -> MqttSink:
    """Return a sink; with a `KillableBroker` it speaks what that broker does: no test waits for a fall-back."""
    if isinstance(broker, KillableBroker):
        options.setdefault("protocol", "auto" if broker.kind == "mosquitto" else "3.1.1")
        broker = broker.broker
    return MqttSink(broker, node=NODE, boot_id=BOOT, **options)


def publisher(sink: MqttSink) -> Publisher:
    return Publisher([sink], node=NODE, boot_id=BOOT)


@pytest.fixture(params=KINDS)
def broker(request, tmp_path):
    with KillableBroker(request.param, tmp_path) as running:
        yield running


def test_at_least_one_broker_is_here_to_test_with():
    assert KINDS


def test_every_prediction_arrives_once_in_order_and_valid(broker):
    v5 = broker.kind == "mosquitto"
    sink = make_sink(broker)
    with Subscriber(broker.broker, v5=v5) as subscriber, publisher(sink) as door:
        sent = [door.write(make_prediction(window)) for window in range(300)]
        door.finish()
        records = [validated(message) for message in subscriber.wait_for(300)]
        assert [record["seq"] for record in records] == list(range(300))
        records = [{**record, "late": False} for record in records]  # on a busy machine some are
        assert records == [json.loads(prediction.to_json()) for prediction in sent]
        assert not any(message.retain for message in subscriber.messages)
    stats = sink.stats()
    assert stats["acknowledged"] == stats["accepted"] == 300
    assert (stats["pending"], stats["protocol"]) == (0, "5" if v5 else "3.1.1")


def test_state_and_events_follow_the_changes_of_the_label(broker):
    labels = ["hand clap", "hand clap", None, "arm roll", "hand clap"]
    with Subscriber(broker.broker, v5=broker.kind == "mosquitto") as subscriber:
        with publisher(make_sink(broker)) as door:
            for window, label in enumerate(labels):
                door.write(make_prediction(window, label))
            door.finish()
        subscriber.wait_for(len(labels))
        states = [validated(message) for message in subscriber.wait_for(4, "/state")]
        events = [validated(message) for message in subscriber.wait_for(5, "/event")]
    assert [(state["label"], state["seq"]) for state in states] == [
        ("hand clap", 0),
        (None, 2),
        ("arm roll", 3),
        ("hand clap", 4),
    ]
    assert [(event["event_type"], event["label"]) for event in events] == [
        ("onset", "hand clap"),
        ("offset", "hand clap"),
        ("onset", "arm roll"),
        ("offset", "arm roll"),
        ("onset", "hand clap"),
    ]


def test_a_replay_shows_its_status_while_it_runs_and_leaves_nothing_retained(broker):
    v5 = broker.kind == "mosquitto"
    with publisher(make_sink(broker)) as door, Subscriber(broker.broker, v5=v5) as subscriber:
        (status,) = subscriber.wait_for(1, "/status")
        assert status.retain
        assert validated(status)["status"] == "online"
        door.write(make_prediction(0))
        door.finish()
        assert validated(subscriber.wait_for(2, "/status")[1])["status"] == "draining"
        door.close()
        *_, stopped, removed = subscriber.wait_for(4, "/status")
        assert validated(stopped)["status"] == "stopped"
        assert removed.payload == b""
    with Subscriber(broker.broker, v5=v5) as subscriber:
        time.sleep(0.3)
        assert subscriber.messages == []


@needs_mosquitto
def test_a_lasting_node_leaves_its_state_and_a_stopped_status(tmp_path):
    with KillableBroker("mosquitto", tmp_path) as broker:
        with publisher(make_sink(broker, transient=False)) as door:
            door.write(make_prediction(0, "arm roll"))
            door.finish()
        with Subscriber(broker.broker) as subscriber:
            (status,) = subscriber.wait_for(1, "/status")
            (state,) = subscriber.wait_for(1, "/state")
        assert validated(status)["status"] == "stopped"
        assert validated(state)["label"] == "arm roll"


@needs_mosquitto
@pytest.mark.parametrize(("transient", "last"), [(True, b""), (False, "offline")])
def test_the_broker_speaks_for_a_node_that_is_killed(tmp_path, transient, last):
    script = (
        "import sys, time; from tests.daemon.test_publish_brokers import *;"
        f"sink = make_sink(parse_broker(sys.argv[1]), transient={transient}); sink.open(); print('up', flush=True);"
        "time.sleep(60)"
    )
    with KillableBroker("mosquitto", tmp_path) as broker, Subscriber(broker.broker) as subscriber:
        process = subprocess.Popen([sys.executable, "-c", script, broker.url], cwd=ROOT, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.kill()
        process.wait()
        process.stdout.close()
        payload = subscriber.wait_for(2, "/status")[1].payload
        assert payload == last or json.loads(payload)["status"] == last


@needs_mosquitto
@pytest.mark.parametrize("outage_s", [0.0, 1.5])
def test_a_broker_that_is_killed_between_two_messages_loses_nothing(tmp_path, outage_s):
    with KillableBroker("mosquitto", tmp_path) as broker:
        sink = make_sink(broker, no_subscriber="keep", policy="overwrite_oldest")
        with publisher(sink) as door:
            with Subscriber(broker.broker) as before:
                for window in range(50):
                    door.write(make_prediction(window))
                door.finish()
                received = {validated(message)["seq"] for message in before.wait_for(50)}
            broker.kill()
            for window in range(50, 120):
                door.write(make_prediction(window))
            time.sleep(outage_s)
            broker.start()
            with Subscriber(broker.broker) as after:
                door.finish(timeout_s=20)
                received |= {validated(message)["seq"] for message in after.wait_for(70)}
        stats = sink.stats()
    assert received == set(range(120))
    assert (stats["acknowledged"], stats["connects"]) == (120, 2)


@needs_mosquitto
def test_what_a_killed_broker_had_not_acknowledged_arrives_after_it_is_back(tmp_path):
    """What a broker acknowledged and then took to its grave no client can save; seq shows that gap."""
    acknowledged: set[int | None] = set()
    with KillableBroker("mosquitto", tmp_path) as broker:
        sink = make_sink(broker, no_subscriber="keep", on_ack=lambda prediction: acknowledged.add(prediction.seq))
        with publisher(sink) as door:
            with Subscriber(broker.broker) as before:
                for window in range(2000):
                    door.write(make_prediction(window))
                before.wait_for(20)
                broker.kill()
                time.sleep(0.2)
                safe = set(acknowledged)
            assert 20 <= len(safe) < 2000, "the broker must die in the middle"
            broker.start()
            with Subscriber(broker.broker) as after:
                door.finish(timeout_s=30)
                needed = set(range(2000)) - safe
                records = [validated(message) for message in after.wait_for(len(needed), timeout_s=20)]
    assert needed <= {record["seq"] for record in records}
    assert any(record["late"] for record in records)


def test_accounts_balance_after_a_broker_was_killed(broker):
    sink = make_sink(broker)
    with publisher(sink) as door:
        for window in range(200):
            door.write(make_prediction(window))
        broker.kill()
        broker.start()
        door.finish(timeout_s=20)
        stats = sink.stats()
    assert stats["accepted"] == stats["acknowledged"] + stats["dropped"]["no_subscriber"] == 200


@needs_mosquitto
def test_what_is_sent_again_says_late_and_sets_no_state(tmp_path):
    with KillableBroker("mosquitto", tmp_path) as broker:
        sink = make_sink(broker, no_subscriber="keep")
        with publisher(sink) as door:
            door.write(make_prediction(0, "arm roll"))
            time.sleep(0.2)  # nobody subscribes: the broker says so, and the sink keeps the prediction
            assert sink.stats()["pending"] == 1
            with Subscriber(broker.broker) as subscriber:
                door.finish(timeout_s=10)
                (message,) = subscriber.wait_for(1)
            assert validated(message)["late"] is True
            assert subscriber.of("/state") == []


@needs_mosquitto
def test_nobody_subscribing_is_counted_not_taken_for_success(tmp_path):
    with KillableBroker("mosquitto", tmp_path) as broker:
        sink = make_sink(broker)
        with publisher(sink) as door:
            door.write(make_prediction(0))
            door.finish()
        assert sink.stats()["dropped"]["no_subscriber"] == 1
        assert sink.stats()["acknowledged"] == 0


def test_a_broker_that_never_comes_back_is_an_honest_count(broker):
    sink = make_sink(broker)
    with publisher(sink) as door:
        broker.kill()
        for window in range(7):
            door.write(make_prediction(window))
        with pytest.raises(PublishError, match="7 of 7 predictions were not delivered"):
            door.finish(timeout_s=1.0)


@needs_mosquitto
def test_a_broker_that_hangs_ends_within_the_limit(tmp_path):
    with KillableBroker("mosquitto", tmp_path) as broker:
        with publisher(make_sink(broker)) as door:
            broker.signal(signal.SIGSTOP)
            door.write(make_prediction(0))
            started = time.monotonic()
            with pytest.raises(PublishError, match="1 of 1 predictions"):
                door.finish(timeout_s=1.0)
            door.close()
            assert time.monotonic() - started < 5.0
        broker.signal(signal.SIGCONT)


@needs_mosquitto
def test_a_full_queue_that_blocks_says_so_in_the_end(tmp_path):
    with KillableBroker("mosquitto", tmp_path) as broker:
        with publisher(make_sink(broker, capacity=5, block_s=0.5)) as door:
            broker.signal(signal.SIGSTOP)
            for window in range(5):
                door.write(make_prediction(window))
            with pytest.raises(PublishError, match="queue of predictions is full: 5 wait for the broker"):
                door.write(make_prediction(5))
        broker.signal(signal.SIGCONT)


@needs_mosquitto
def test_credentials_from_file_and_environment_are_accepted(tmp_path):
    file = tmp_path / "secret"
    file.write_text("open sesame\n")
    with KillableBroker("mosquitto", tmp_path, password=("ann", "open sesame")) as broker:
        url = f"mqtt://ann@127.0.0.1:{broker.broker.port}"
        for options in ({"password_file": str(file)}, {"environment": {"EDGESNN_MQTT_PASSWORD": "open sesame"}}):
            with publisher(make_sink(parse_broker(url, **options))) as door:
                door.write(make_prediction(0))
                door.finish()


@needs_mosquitto
@pytest.mark.parametrize("protocol", ["auto", "5", "3.1.1"])
def test_a_broker_that_wants_a_password_is_one_clear_error(tmp_path, protocol):
    needs_password = KillableBroker("mosquitto", tmp_path, password=("ann", "open sesame"))
    with needs_password as broker, pytest.raises(PublishError, match="refused the connection") as caught:
        make_sink(broker, protocol=protocol).open()
    assert "EDGESNN_MQTT_PASSWORD" in str(caught.value)


def test_a_client_whose_id_another_takes_over_stops_and_says_so():
    """The broker is bytes here: mosquitto 2.0 closes without saying why."""
    accept, taken_over = b"\x20\x03\x00\x00\x00", b"\xe0\x02\x8e\x00"
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = Client(Broker("127.0.0.1", server.getsockname()[1]), client_id="edgesnn-twin")
        threading.Thread(target=_accept_and_send, args=(server, accept + taken_over), daemon=True).start()
        events: list[Event] = []
        while not any(isinstance(event, Lost) for event in events):
            events += client.poll(1.0)
        (lost,) = (event for event in events if isinstance(event, Lost))
        assert lost.final
        assert "another client took over the id edgesnn-twin" in str(lost.error)
        assert client.poll(1.0) == []
        server.settimeout(0.5)
        with pytest.raises(TimeoutError):  # it does not come back
            server.accept()
        client.close()


def _accept_and_send(server: socket.socket, answer: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(1000)
        connection.sendall(answer)


def test_auto_speaks_the_newest_protocol_that_the_broker_does(broker):
    sink = make_sink(broker, protocol="auto")
    with publisher(sink) as door:
        door.write(make_prediction(0))
        door.finish()
    assert sink.stats()["protocol"] == ("5" if broker.kind == "mosquitto" else "3.1.1")


def test_the_protocol_that_is_asked_for_is_used(broker):
    sink = make_sink(broker, protocol="3.1.1")
    with publisher(sink) as door:
        door.write(make_prediction(0))
        door.finish()
    assert sink.stats()["protocol"] == "3.1.1"


@pytest.mark.parametrize("kind", KINDS)
def test_the_local_broker_listens_on_loopback_only_and_ends_with_its_parent(kind):
    script = (
        "import sys, time; from edgesnn.publish.broker import LocalBroker\n"
        "with LocalBroker(sys.argv[1]) as local: print(local.broker.port, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", script, kind], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(process.stdout.readline())
    assert _listeners(port) == {"0100007F"}
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 10
    while _listeners(port):
        assert time.monotonic() < deadline, "the broker outlives its parent"
        time.sleep(0.05)


def _listeners(port: int) -> set[str]:
    """Return the local IPv4 addresses that listen on `port`, as /proc/net/tcp writes them."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    rows += (
        [line.split() for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]]
        if os.path.exists("/proc/net/tcp6")
        else []
    )
    return {row[1].split(":")[0] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == port}


def test_the_local_broker_serves(tmp_path):
    for kind in KINDS:
        with LocalBroker(kind) as local:
            sink = make_sink(local.broker, role="demo")
            with publisher(sink) as door:
                door.write(make_prediction(0))
                door.finish()
