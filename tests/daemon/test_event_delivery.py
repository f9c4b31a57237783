"""Events where the connection is lost, nobody subscribes, or the broker refuses them: they arrive or are counted."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edgesnn.publish import Publisher
from edgesnn.publish.broker import available
from edgesnn.publish.outbox import Outbox
from edgesnn.publish.outbox_durable import DurableOutbox
from edgesnn.publish.sinks.mqtt import MqttSink
from tests.brokers import KillableBroker, Subscriber
from tests.daemon.faulty import wait_for
from tests.predictions import BOOT, NODE, make_prediction, validated

pytestmark = pytest.mark.skipif("mosquitto" not in available(), reason="mosquitto is not installed")


class Scene(NamedTuple):
    """A broker, who listens, and a sink."""

    broker: KillableBroker
    subscriber: Subscriber
    sink: MqttSink
    door: Publisher

    def put(self, window: int, label: str) -> None:
        self.door.write(make_prediction(window, label))

    def begin(self) -> None:
        """Publish label a; return when everything of it is acknowledged."""
        self.put(0, "a")
        self.subscriber.wait_for(1, "/event")
        wait_for(lambda: not self.sink._sent and not any(one._sent for one in self.sink._changes._events.values()))

    def lose(self, *labels: str) -> None:
        """Let a broker that is stopped have predictions of these labels, and die."""
        self.broker.signal(signal.SIGSTOP)
        for window, label in enumerate(labels, 1):
            self.put(window, label)
        wait_for(lambda: len(self.sink._sent) == len(labels))
        self.broker.kill()

    @property
    def events(self) -> list[tuple[str, str, int]]:
        records = [validated(message) for message in self.subscriber.of("/event")]
        return [(record["event_type"], record["label"], record["seq"]) for record in records]

    @property
    def counts(self) -> tuple[int, int]:
        stats = self.sink.stats()
        return stats["events_expired"], stats["events_not_taken"]


@contextmanager
def scene(
    folder: Path, outbox: Outbox, *, keep: Any = "keep", access: str = "", topic: str = "edgesnn/#"
) -> Iterator[Scene]:
    options: dict[str, Any] = {"node": NODE, "boot_id": BOOT}
    with KillableBroker("mosquitto", folder, access=access) as broker, Subscriber(broker.broker, topic) as subscriber:
        more: dict[str, Any] = {"protocol": "5", "transient": False, "outbox": outbox, "no_subscriber": keep}
        sink = MqttSink(broker.broker, **options, **more)
        with Publisher([sink], **options) as door:
            yield Scene(broker, subscriber, sink, door)


@pytest.mark.parametrize("durable", [False, True])
def test_events_on_their_way_when_the_broker_dies_arrive_from_the_next_in_order(tmp_path, durable):
    with scene(tmp_path, DurableOutbox(tmp_path / "outbox.db") if durable else Outbox()) as one:
        one.begin()
        one.lose("b", "c")
        one.broker.start()
        one.subscriber.wait_for(5, "/event")
        one.door.finish(20)
        late = {m["seq"]: m["late"] for m in map(validated, one.subscriber.wait_for(3))}
        again = [("offset", "a", 1), ("onset", "b", 1), ("offset", "b", 2), ("onset", "c", 2)]
        assert one.events == [("onset", "a", 0), *again]
        assert late == {0: False, 1: True, 2: True}
        assert one.counts == (0, 0)


def test_events_of_an_outage_that_outlasts_them_are_counted_once(tmp_path, monkeypatch):
    monkeypatch.setattr("edgesnn.publish.sinks.stream_events.EXPIRY_S", 0.05)
    with scene(tmp_path, DurableOutbox(tmp_path / "outbox.db")) as one:
        one.begin()
        one.lose("b", "c")
        wait_for(lambda: one.counts == (4, 0), lambda: one.counts)
        one.broker.start()
        one.subscriber.wait()
        one.door.finish(20)
        one.subscriber.wait_for(3)
        assert (one.events, one.counts) == ([("onset", "a", 0)], (4, 0))


def test_an_event_that_nobody_subscribes_to_waits_for_somebody(tmp_path):
    with scene(tmp_path, Outbox(), topic="edgesnn/+/+/prediction") as one:
        one.put(0, "a")
        wait_for(lambda: any(line._asks for line in one.sink._changes._events.values()))
        with Subscriber(one.broker.broker, "edgesnn/+/+/event") as somebody:
            one.put(1, "b")
            somebody.wait_for(3, "/event")
            assert one._replace(subscriber=somebody).events == [
                ("onset", "a", 0),
                ("offset", "a", 1),
                ("onset", "b", 1),
            ]
            assert one.counts == (0, 0)


@pytest.mark.parametrize(("keep", "refused"), [("keep", False), ("drop", False), ("keep", True), ("drop", True)])
def test_an_event_that_is_not_taken_is_counted(tmp_path, monkeypatch, keep, refused):
    monkeypatch.setattr("edgesnn.publish.sinks.stream_events.EXPIRY_S", 0.3)
    refuse, answers = MqttSink._refused, []

    def noted(sink: MqttSink, event: Any) -> None:
        answers.append(event)
        refuse(sink, event)

    monkeypatch.setattr(MqttSink, "_refused", noted)
    access = "topic readwrite edgesnn/#\ntopic deny edgesnn/+/+/event\n" if refused else ""
    with scene(tmp_path, Outbox(), keep=keep, access=access, topic="edgesnn/+/+/prediction") as one:
        one.put(0, "a")
        one.subscriber.wait_for(1)
        wait_for(lambda: one.counts == (0, 1), lambda: one.counts)
        assert one.sink.why is None
        assert bool(answers) is refused


def test_what_is_still_on_its_way_at_the_end_is_counted(tmp_path):
    with scene(tmp_path, Outbox()) as one:
        one.begin()
        one.lose("b")
    assert one.counts == (2, 0)


def test_events_that_only_late_predictions_show_are_counted_where_the_label_comes_back(tmp_path):
    now = [0.0]
    with scene(tmp_path, Outbox(clock=lambda: now[0])) as one:
        one.begin()
        one.broker.kill()
        wait_for(lambda: not one.sink.connected)
        one.put(1, "b")
        now[0] = 60.0
        one.put(2, "a")
        one.broker.start()
        one.subscriber.wait()
        one.door.finish(20)
        one.subscriber.wait_for(3)
        assert (one.events, one.counts) == ([("onset", "a", 0)], (4, 0))
