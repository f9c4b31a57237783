"""The run behind `edgesnn demo`: predict in one thread, subscribe as an independent client in this one."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from edgesnn.broker_url import Broker
from edgesnn.cli.summary import Summary
from edgesnn.errors import PublishError
from edgesnn.mqtt import Client, Connected, Lost, Message, Subscribed, make_client_id
from edgesnn.pipeline import Pipeline
from edgesnn.prediction import Prediction
from edgesnn.publish import Publisher, new_boot_id
from edgesnn.publish.broker import HINT, LocalBroker, available
from edgesnn.publish.publisher import replay_node
from edgesnn.publish.sinks.base import Sink
from edgesnn.publish.sinks.mqtt import MqttSink
from edgesnn.publish.topics import stream_topic
from edgesnn.runtime import load
from edgesnn.runtime.model import ZOO

RECORDING = ZOO / "demo.raw"
MODEL = "gestures"
SPEED = 2.0
ARRIVAL_S = 5.0  # the longest wait for what was published and has not arrived


@dataclass(frozen=True)
class Arrival:
    """One prediction as it arrived: the payload, the record in it, and its way through the broker in ms."""

    record: dict[str, Any]
    prediction: Prediction
    travel_ms: float | None


class Show:
    """One run of the demo.

    Args:
        stack: closes what this opens (broker, connections).
        broker: the one that the user named; None looks for one to start here.
        protocol: "auto", "5" or "3.1.1", for a broker that the user named.
        keep: play the recording again and again until KeyboardInterrupt.
    """

    def __init__(self, stack: ExitStack, broker: Broker | None, protocol: str, keep: bool) -> None:
        self._stack = stack
        self._keep = keep
        self._node, self._boot_id = replay_node(), new_boot_id()
        self._local = LocalBroker() if broker is None and available() else None
        if self._local is not None:
            stack.enter_context(self._local)
            broker, protocol = self._local.broker, self._local.protocol
        self._broker, self._protocol = broker, protocol
        self._model = load(MODEL)
        self._summary = Summary(self._model, RECORDING)
        self._stop = threading.Event()
        self._worker: threading.Thread | None = None
        self._failure: list[BaseException] = []
        self._published = 0

    def introduction(self) -> list[str]:
        """Return the lines that say where the predictions go."""
        if self._broker is None:
            return [f"no broker: the demo predicts without publishing ({HINT})", ""]
        whose = f"{self._local.kind} on this machine" if self._local is not None else "your broker"
        topic = stream_topic(self._node, "main", "prediction")
        lines = [f"broker: {whose}, {self._broker.url}; topic {topic}"]
        if self._keep:
            sub = f"mosquitto_sub -h {self._broker.host} -p {self._broker.port} -t 'edgesnn/#' -v"
            lines.append(f"going on until Ctrl-C; listen in another shell with: {sub}")
        return [*lines, ""]

    def arrivals(self) -> Iterator[Arrival]:
        """Yield each prediction as it arrives; with `keep` without end: KeyboardInterrupt ends it, then call `stop`."""
        source = self._directly() if self._broker is None else self._over_mqtt(self._broker)
        for arrival in source:
            self._summary.add(arrival.prediction, arrival.travel_ms)
            yield arrival

    def stop(self) -> None:
        """Stop predicting and wait until the publishing thread has said goodbye; twice is once."""
        self._stop.set()
        if self._worker is not None:
            self._worker.join(10.0)

    def summary(self) -> dict[str, Any]:
        """Return what the run showed, as data."""
        return self._summary.to_dict()

    def conclusion(self) -> list[str]:
        """Return what the run showed, and what to try next, as lines."""
        return self._summary.lines()

    # --- without a broker ----------------------------------------------------------------------------------------

    def _directly(self) -> Iterator[Arrival]:
        publisher = Publisher([], node=self._node, boot_id=self._boot_id)
        for prediction in self._predictions():
            numbered = publisher.write(prediction)
            yield Arrival(numbered.to_dict(), numbered, None)

    # --- through a broker ----------------------------------------------------------------------------------------

    def _over_mqtt(self, broker: Broker) -> Iterator[Arrival]:
        client = Client(broker, client_id=make_client_id(self._node, "show"), protocol=self._protocol)
        self._stack.callback(client.close)
        client.open()
        _subscribe(client, self._topic())
        worker = threading.Thread(target=self._publish, args=(broker, client.wake), name="edgesnn-demo", daemon=True)
        worker.start()
        self._worker = worker
        self._stack.callback(self.stop)
        yield from self._listen(client, worker)
        if self._failure:
            raise self._failure[0]

    def _listen(self, client: Client, worker: threading.Thread) -> Iterator[Arrival]:
        arrived, deadline = 0, None
        while not self._failure:
            if not worker.is_alive():
                deadline = deadline or time.monotonic() + ARRIVAL_S
                if arrived >= self._published:
                    return
                if time.monotonic() > deadline:
                    raise PublishError(f"{self._published - arrived} of {self._published} predictions did not arrive")
            for arrival in self._receive(client):
                arrived += 1
                yield arrival

    def _receive(self, client: Client) -> Iterator[Arrival]:
        for event in client.poll(0.2):
            if isinstance(event, Message):
                record = self._own(event.payload)
                if record is not None:
                    prediction = Prediction.from_dict(record)
                    decided_us = prediction.t_mono_us
                    travel_ms = None if decided_us is None else time.monotonic() * 1e3 - decided_us / 1e3
                    yield Arrival(record, prediction, travel_ms)
            elif isinstance(event, Connected):
                client.subscribe(self._topic())
            elif isinstance(event, Lost) and event.final:
                raise event.error

    def _own(self, payload: bytes) -> dict[str, Any] | None:
        """Return the record that this run published; anybody may publish under our topic on a broker of the user's."""
        try:
            record = json.loads(payload)
        except (ValueError, RecursionError):
            return None
        return record if isinstance(record, dict) and record.get("boot_id") == self._boot_id else None

    def _topic(self) -> str:
        return stream_topic(self._node, "+", "prediction")

    # --- the predicting thread -----------------------------------------------------------------------------------

    def _publish(self, broker: Broker, done: Any) -> None:
        try:
            sink: Sink = MqttSink(broker, node=self._node, boot_id=self._boot_id, role="demo", protocol=self._protocol)
            with Publisher([sink], node=self._node, boot_id=self._boot_id) as publisher:
                for prediction in self._predictions():
                    publisher.write(prediction)
                    self._published += 1
                publisher.finish()
        except BaseException as error:  # raised again by the thread that shows
            self._failure.append(error)
        finally:
            done()

    def _predictions(self) -> Iterator[Prediction]:
        while True:
            with Pipeline(RECORDING, self._model, speed=f"{SPEED:g}x") as pipeline:
                for prediction in pipeline:
                    if self._stop.is_set():
                        return
                    yield prediction
            if not self._keep or self._stop.is_set():
                return


def _subscribe(client: Client, topic: str) -> None:
    client.subscribe(topic)
    deadline = time.monotonic() + ARRIVAL_S
    while time.monotonic() < deadline:
        for event in client.poll(deadline - time.monotonic()):
            if isinstance(event, Subscribed):
                return
            if isinstance(event, Lost):
                raise event.error
    raise PublishError("the broker does not answer a subscription", where=client.broker.url)
