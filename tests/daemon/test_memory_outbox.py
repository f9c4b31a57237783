"""Predictions of `[outbox] durability = "none"`: what memory has room for outlives every sink."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgesnn.daemon.outlet import Outlet
from edgesnn.daemon.reading import read
from edgesnn.daemon.storage import IN_MEMORY, outbox_of
from edgesnn.publish.broker import available
from edgesnn.publish.outbox import Outbox
from edgesnn.publish.sinks.mqtt import MqttSink
from tests.brokers import KillableBroker, Subscriber
from tests.daemon.faulty import serving, text_of, wait_for
from tests.daemon.test_service import RECORDING
from tests.predictions import BOOT, NODE, make_prediction, validated
from tests.small_models import small_document

pytestmark = pytest.mark.skipif("mosquitto" not in available(), reason="mosquitto is not installed")


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KillableBroker]:
    monkeypatch.setattr("edgesnn.publish.sinks.mqtt.PATIENCE_S", 0.5)
    monkeypatch.setattr("edgesnn.mqtt.client.BACK_OFF_S", (0.05, 0.2))
    monkeypatch.setattr("edgesnn.publish.pace.START_WITHIN_S", 0.1)
    with KillableBroker("mosquitto", tmp_path) as running:
        yield running


def outlet_to(broker: KillableBroker, outbox: Outbox) -> Outlet:
    def make() -> MqttSink:
        return MqttSink(
            broker.broker, node=NODE, boot_id=BOOT, protocol="5", transient=False, outbox=outbox, no_subscriber="keep"
        )

    return Outlet(make, node=NODE, boot_id=BOOT, capacity=100, outbox=outbox)


def accounts(outlet: Outlet) -> dict[str, Any]:
    """Return the counters, after what must hold of them at every moment."""
    stats = outlet.stats()
    assert stats["accepted"] == stats["acknowledged"] + sum(stats["dropped"].values()) + stats["pending"]
    return stats


def balanced(outlet: Outlet, accepted: int, found: Callable[[], Any]) -> Callable[[], bool]:
    """Return a condition that looks at the accounts each time: `accepted` are of them, none is dropped."""

    def look() -> bool:
        stats = accounts(outlet)
        assert (stats["accepted"], sum(stats["dropped"].values())) == (accepted, 0)
        return bool(found())

    return look


def put(outlet: Outlet, *windows: int) -> None:
    """Put predictions and wait until the outbox has accepted them."""
    for window in windows:
        outlet.put(make_prediction(window))
    wait_for(lambda: accounts(outlet)["accepted"] == windows[-1] + 1)


def seqs(subscriber: Subscriber) -> list[int]:
    return [validated(message)["seq"] for message in subscriber.of("/prediction")]


def test_a_broker_that_dies_and_then_refuses_the_password_costs_no_prediction(broker):
    with Subscriber(broker.broker) as subscriber:
        outlet = outlet_to(broker, Outbox())
        outlet.start()
        put(outlet, *range(10))
        wait_for(balanced(outlet, 10, lambda: accounts(outlet)["acknowledged"] == 10))
        broker.kill()
        wait_for(lambda: not outlet.connected)
        put(outlet, *range(10, 60))
        broker.password = ("ann", "right")
        broker.start()
        wait_for(balanced(outlet, 60, lambda: "refused" in (outlet.why or "")))
        assert accounts(outlet)["pending"] == 50
        broker.kill()
        broker.password = None
        broker.start()
        subscriber.wait()
        wait_for(balanced(outlet, 60, lambda: accounts(outlet)["acknowledged"] == 60))
        put(outlet, *range(60, 70))
        assert (outlet.close(20), outlet.lost) == (0, 0)
        assert accounts(outlet)["acknowledged"] == 70
        wait_for(lambda: len(subscriber.of("/prediction")) >= 70)
    assert sorted(set(seqs(subscriber))) == list(range(70))


def test_the_next_sink_sends_what_the_one_before_had_on_its_way(broker, monkeypatch):
    handle, failed = MqttSink._handle, []

    def fails(self: MqttSink, event: Any) -> None:
        if len(self._sent) > 4 and not failed:
            failed.append(self)
            raise ZeroDivisionError("in the worker")
        handle(self, event)

    def worse(self: MqttSink, error: Exception) -> None:
        raise error

    monkeypatch.setattr(MqttSink, "_handle", fails)
    monkeypatch.setattr(MqttSink, "_start_over", worse)
    with Subscriber(broker.broker) as subscriber:
        outlet = outlet_to(broker, Outbox())
        outlet.start()
        wait_for(lambda: outlet.connected)
        put(outlet, *range(40))
        wait_for(balanced(outlet, 40, lambda: accounts(outlet)["acknowledged"] == 40))
        put(outlet, *range(40, 45))
        assert (outlet.close(20), outlet.lost) == (0, 0)
        assert (len(failed), outlet.stats()["opened"]) == (1, 2)
        wait_for(lambda: set(seqs(subscriber)) == set(range(45)))


def test_what_waits_at_the_end_is_lost_and_said_so(tmp_path):
    broker = KillableBroker("mosquitto", tmp_path)  # which is never started
    outlet = outlet_to(broker, Outbox(capacity=4))
    outlet.start()
    put(outlet, *range(10))
    assert accounts(outlet)["dropped"]["overwritten"] == 6
    assert (outlet.close(0.1), outlet.lost) == (4, 4)


def test_the_service_accepts_without_a_broker_and_delivers_when_there_is_one(tmp_path):
    small_document().save(tmp_path / "small.safetensors")
    broker = KillableBroker("mosquitto", tmp_path)
    lines = f'source = "replay:{RECORDING}?loop"\nmodel = "{tmp_path}/small.safetensors"\n'
    door = f'[[stream]]\nname = "door"\n{lines}'
    with serving(tmp_path, text_of(door, url=broker.url, more='[outbox]\ndurability = "none"\ndrain = "5s"\n')) as one:
        wait_for(lambda: accounts(one.outlet).get("pending", 0) > 5)
        with broker, Subscriber(broker.broker) as subscriber:
            wait_for(lambda: accounts(one.outlet)["acknowledged"] > 10)
            assert one.stop() == 0
            made = accounts(one.outlet)["accepted"]
            wait_for(lambda: sorted(set(seqs(subscriber))) == list(range(made)))


def test_the_configuration_bounds_it(tmp_path):
    def outbox(lines: str) -> Outbox:
        path = tmp_path / "config.toml"
        door = f'[[stream]]\nname = "door"\nmodel = "gestures"\nsource = "replay:{tmp_path}/none.raw"\n'
        path.write_text(f'[mqtt]\nurl = "mqtt://host"\n[outbox]\ndurability = "none"\n{lines}\n{door}')
        return outbox_of(read(str(path)).config, {})

    assert outbox("")._capacity == IN_MEMORY
    small = outbox('capacity = 2\nmax_age = "50ms"')
    for window in range(3):
        small.put(make_prediction(window))
    assert small.stats()["dropped"]["overwritten"] == 1
    time.sleep(0.06)
    assert small.next_batch(9) == []
    assert small.stats()["dropped"]["expired"] == 2
    assert list(tmp_path.glob("*.sqlite*")) == []
