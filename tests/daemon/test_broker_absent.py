"""A broker that is not there for a day, by simulated clocks: memory and disk are bounded, attempts are few, and what
the limits left is delivered when it comes.
"""

from __future__ import annotations

import os
import socket
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgesnn import mqtt
from edgesnn.broker_url import Broker
from edgesnn.mqtt import Client, Lost
from edgesnn.publish.broker import available
from edgesnn.publish.outbox_durable import DurableOutbox
from edgesnn.publish.sinks.mqtt import MqttSink
from tests.brokers import KillableBroker, Subscriber
from tests.memory import measured
from tests.predictions import BOOT, NODE, validated

DAY_S = 86_400
KEPT_S = 6 * 3600  # of `max_age`, so that it and the size are reached

STRETCH_S = 150  # at 200 a second a file of 8 MB is full after half of it, and turns over twice in it

DAY = """
import sqlite3
from edgesnn.publish.outbox_durable import DurableOutbox
from tests.daemon.test_broker_absent import KEPT_S, STRETCH_S
from tests.predictions import BOOT, NODE, make_prediction
now = [1000.0]
one = make_prediction(0)
def number(prediction, seq):
    return prediction.numbered(node=NODE, boot_id=BOOT, seq=seq, ts="2026-01-01T00:00:00.000Z")
def put(path, rate_hz, limit, seconds):
    outbox = DurableOutbox(path, max_bytes=int(limit), max_age_s=KEPT_S, number=number, clock=lambda: now[0])
    for _ in range(int(seconds * float(rate_hz) / 256)):
        outbox.put_many([one] * 256)
        now[0] += 256 / float(rate_hz)
    stats = outbox.stats()
    outbox.close()
    return stats
def pass_over(path, rate_hz, seconds):  # numbers and clocks as so many more puts into a full file would leave them
    count = int(seconds * float(rate_hz) / 256) * 256
    db = sqlite3.connect(path)
    with db:
        db.execute("UPDATE prediction SET id = -id - ?, clock_s = clock_s + ?", (count, count / float(rate_hz)))
        db.execute("UPDATE prediction SET id = -id")
        db.execute("UPDATE stream SET next_seq = next_seq + ?", (count,))
        db.execute("UPDATE account SET count = count + ? WHERE name IN ('accepted', 'overwritten')", (count,))
    db.execute("VACUUM")  # what the changes above have grown it by
    db.close()
    now[0] += count / float(rate_hz)
def warm(path, rate_hz, limit): put(path, rate_hz, limit, STRETCH_S if float(rate_hz) > 100 else 86400 / 20)
def work(path, rate_hz, limit):
    if float(rate_hz) < 100:
        return put(path, rate_hz, limit, 86400 * 19 / 20)
    put(path, rate_hz, limit, STRETCH_S)
    pass_over(path, rate_hz, 86400 - 3 * STRETCH_S)
    return put(path, rate_hz, limit, STRETCH_S)
"""


@pytest.mark.parametrize(
    ("rate_hz", "limit"),
    [
        pytest.param(0.1, 300_000, id="by size"),
        pytest.param(0.05, 4_000_000, id="by age"),
        pytest.param(200, 8_000_000, id="200 a second", marks=[pytest.mark.full, pytest.mark.timeout(3600)]),
        pytest.param(20, 64_000_000, id="20 a second", marks=[pytest.mark.full, pytest.mark.timeout(3600)]),
    ],
)
def test_a_day_of_predictions_takes_no_more_than_its_bounds(tmp_path, rate_hz, limit):
    """At 200 a second its first five minutes, in most of which the file is full, and its last two and a half: between
    them each put overwrites one, and only the numbers change. Making all 17 million takes longer than a test may.
    """
    path = tmp_path / "outbox.db"
    stats, grown_kib = measured(DAY, path, str(rate_hz), str(limit), timeout=3600)
    parts = (1 / 20, 19 / 20) if rate_hz < 100 else [s / DAY_S for s in (*[STRETCH_S] * 3, DAY_S - 3 * STRETCH_S)]
    made = sum(int(part * DAY_S * rate_hz / 256) * 256 for part in parts)
    assert stats["accepted"] == made
    assert stats["acknowledged"] == 0
    assert made == stats["pending"] + stats["dropped"]["overwritten"] + stats["dropped"]["expired"]
    assert stats["degraded"] is None
    assert stats["oldest_s"] <= KEPT_S + 256 / rate_hz
    assert grown_kib < 4096
    files = [Path(f"{path}{suffix}") for suffix in ("", "-wal", "-shm")]
    assert sum(file.stat().st_size for file in files if file.exists()) <= limit + 5_000_000
    if rate_hz == 0.05:
        assert stats["dropped"]["expired"] > 2000 > 0 == stats["dropped"]["overwritten"]
    else:
        assert stats["dropped"]["overwritten"] > 0
        deliver(path, made, stats["pending"], tmp_path)


def deliver(path: Path, made: int, pending: int, folder: Path) -> None:
    """Hold that the newest of them, and nothing else, arrive late and in order when there is a broker."""
    kind = available()[0]
    v5 = kind == "mosquitto"
    with (
        KillableBroker(kind, folder) as broker,
        Subscriber(broker.broker, v5=v5, keepalive_s=600) as subscriber,  # a new session of a busy one would lack some
    ):
        options = {"transient": False, "drain_hz": 50_000, "protocol": "auto" if kind == "mosquitto" else "3.1.1"}
        sink = MqttSink(
            broker.broker, node=NODE, boot_id=BOOT, outbox=DurableOutbox(path, clock=lambda: 1000.0), **options
        )
        sink.open()
        assert sink.drain(600) == 0
        records = [validated(message) for message in subscriber.wait_for(pending, timeout_s=60)]
        sink.close()
    assert [record["seq"] for record in records] == list(range(made - pending, made))
    assert all(record["late"] for record in records)


@pytest.mark.parametrize("protocol", ["auto", "3.1.1"])
def test_a_day_of_attempts_is_a_few_thousand_with_half_the_longest_wait_between_them(monkeypatch, protocol):
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    for module in (mqtt.client, mqtt.link):
        monkeypatch.setattr(module, "time", clock)
    nobody = socket.socket()  # bound, but it never listens: nobody else can be there
    nobody.bind(("127.0.0.1", 0))
    client = Client(Broker("127.0.0.1", nobody.getsockname()[1]), client_id="edgesnn-test", protocol=protocol)
    times, errors = [], set()
    for _ in range(DAY_S):
        for event in client.poll(0.0):
            assert isinstance(event, Lost)
            assert not event.final
            times.append(now[0])
            errors.add(str(event.error))
        now[0] += 1.0
    before = len(os.listdir("/proc/self/fd"))
    client.poll(0.0)
    assert len(os.listdir("/proc/self/fd")) <= before
    assert len(errors) == 1
    assert DAY_S / 31 < len(times) < DAY_S / 15 + 10
    assert min(b - a for a, b in pairwise(times[10:])) >= 15.0
    client.close()
    nobody.close()
