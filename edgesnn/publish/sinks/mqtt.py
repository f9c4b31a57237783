"""Predictions to a broker: an outbox filled by the predicting thread and emptied by a thread of this sink.

Topics and payloads: `docs/mqtt.md`. The predicting thread only puts into the outbox; the connection, its losses and
its acknowledgements are the worker's.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from edgesnn.broker_url import Broker
from edgesnn.errors import PublishError
from edgesnn.mqtt import IN_FLIGHT, Acknowledged, Client, Connected, Event, Lost, Refused, Will, make_client_id
from edgesnn.prediction import Prediction
from edgesnn.publish import topics
from edgesnn.publish.outbox import Item, Outbox, Policy
from edgesnn.publish.pace import Pace
from edgesnn.publish.publisher import utc_now
from edgesnn.publish.sinks.changes import Changes
from edgesnn.spread import spread

NOT_TAKEN_BACK_OFF_S = (0.5, 30.0)
PATIENCE_S = 60.0
PACE_PAUSE_S = 0.02
GOODBYE_S = 1.0


class MqttSink:
    """Publishes predictions, a stream's state and its events.

    Args:
        broker: from `edgesnn.broker_url.parse_broker`.
        node, boot_id: as the `Publisher` numbers with.
        role: the middle part of the client id ("replay", "demo").
        client_id: instead of a random one; no other client may have it.
        protocol: "auto", "5" or "3.1.1".
        qos: 1, or 0: of predictions, states and events. What QoS 0 gave to the socket counts as acknowledged.
        transient: leave no retained message behind when this process goes (replay, demo).
        policy, capacity, block_s: see `Outbox`.
        outbox: where predictions wait, instead of one of the three above that ends with the sink. The sink is patient
            then: it opens without a broker and never gives up, whatever the broker answers. `close` closes the outbox
            too, `leave` leaves it to another sink.
        drain_hz: how quickly the backlog of an outage shrinks then, in predictions per second.
        no_subscriber: what to do with a prediction that the broker says nobody subscribes to (MQTT 5): "drop" counts
            it, "keep" holds it and tries again later; an event for 10 s.
        on_ack: called in the worker's thread with each prediction that the broker acknowledged; must not raise.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        node: str,
        boot_id: str,
        role: str = "replay",
        client_id: str | None = None,
        protocol: str = "auto",
        qos: Literal[0, 1] = 1,
        transient: bool = True,
        policy: Policy = "block",
        capacity: int = 10_000,
        block_s: float = 30.0,
        outbox: Outbox | None = None,
        drain_hz: float = 500.0,
        no_subscriber: Literal["keep", "drop"] = "drop",
        on_ack: Callable[[Prediction], None] | None = None,
    ) -> None:
        self.where = broker.url
        self.why: str | None = None
        self.since: str | None = None  # when the broker took us
        self.last_error: str | None = None  # that a connection ended with
        self._node, self._boot_id = topics.check_level(node, "node"), boot_id
        self._transient, self._keep, self._on_ack = transient, no_subscriber == "keep", on_ack
        self._qos = qos
        self._patient = outbox is not None
        self._outbox = outbox or Outbox(policy=policy, capacity=capacity, block_s=block_s)
        self._pace = Pace(drain_hz, IN_FLIGHT) if self._patient else None
        farewell = b"" if transient else self._status("offline")
        self._client = Client(
            broker,
            client_id=client_id or make_client_id(node, role),
            protocol=protocol,
            will=Will(topics.status_topic(node), farewell),
            patience_s=PATIENCE_S if self._patient else None,
        )
        self._sent: dict[int, Item] = {}
        self._arrived: list[int] = []  # acknowledged, not yet told to the outbox
        self._changes = Changes(self._client, node, qos, retain=not transient, keep=self._keep)
        self._checked: set[str] = set()
        self._not_taken: list[int] = []
        self._resume_at = 0.0
        self._held_up = False
        self._not_taken_delay_s = NOT_TAKEN_BACK_OFF_S[0]
        self._ack_us: deque[float] = deque(maxlen=2_000)
        self._connects = self._losses = 0
        self._failure: PublishError | None = None
        self._closing = threading.Event()
        self._draining = threading.Event()
        self._status_said = ""
        self._worker: threading.Thread | None = None

    def open(self) -> None:
        """Connect; raises `PublishError` when the broker cannot be reached or refuses, unless it is patient."""
        if not self._patient:
            self._connect()
        self._worker = threading.Thread(target=self._work, name="edgesnn-mqtt", daemon=True)
        self._worker.start()

    @property
    def alive(self) -> bool:
        """Whether its thread is there."""
        return self._worker is not None and self._worker.is_alive()

    def _connect(self) -> None:
        try:
            self._client.open()
        except PublishError:
            self._client.close()
            self._outbox.close()
            raise
        self._greet()

    @property
    def connected(self) -> bool:
        """Whether the broker has us now."""
        return self._client.connected

    def next_seq(self, stream: str) -> int:
        """Return the seq that the stream's next prediction is to have: an outbox in a file remembers."""
        return self._outbox.next_seq(stream)

    def write(self, prediction: Prediction) -> None:
        """Put a numbered prediction into the outbox; raises `PublishError` as `Outbox.put` does."""
        self._raise_failure()
        self._check_names(prediction)
        try:
            self._outbox.put(prediction)
        except PublishError as error:
            self._raise_failure()
            raise PublishError(error.what, where=self.where, hint=self.why or error.hint) from None
        self._client.wake()

    def write_many(self, predictions: Sequence[Prediction]) -> int:
        """Put several into the outbox, a file's in one transaction; return how many it refused, which it counts."""
        self._raise_failure()
        for prediction in predictions:
            self._check_names(prediction)
        refused = self._outbox.put_many(predictions).count(None)
        self._client.wake()
        return refused

    def forget(self, stream: str) -> None:
        """Take the retained state of a stream that is no more from the broker, now or when it is there. Any thread."""
        self._changes.forget(stream)
        self._client.wake()

    def remember(self, stream: str) -> None:
        """Let a forgotten stream have a state again. Any thread."""
        self._changes.remember(stream)

    def drain(self, timeout_s: float) -> int:
        """Wait until everything is acknowledged, at most `timeout_s`; return how many predictions are not."""
        deadline = time.monotonic() + timeout_s
        self._draining.set()
        self._client.wake()
        while self._failure is None and self._worker is not None and self._worker.is_alive():
            left = self._outbox.wait_empty(min(0.2, max(0.0, deadline - time.monotonic())))
            if not left or time.monotonic() >= deadline:
                return left
        self._raise_failure()
        return self._outbox.wait_empty(0.0)

    def close(self, timeout_s: float = 10.0) -> None:
        """Leave and close the outbox; what is not delivered by now is lost, or stays in the file. Twice is once."""
        self.leave(timeout_s)
        self._outbox.close()

    def leave(self, timeout_s: float = 10.0) -> None:
        """Say goodbye; another sink may go on with the outbox that this one was given. Twice is once.

        A worker that takes longer, since its disk hangs, is left behind.
        """
        self._closing.set()
        self._client.wake()
        if self._worker is not None:
            self._worker.join(timeout_s)
            self._worker = None

    def oldest_s(self) -> float:
        """Return for how long the oldest prediction has waited for its acknowledgement; 0 where none does."""
        return self._outbox.oldest_s()

    def stats(self) -> dict[str, Any]:
        """Return the outbox's counters, the connection's, and the time from acceptance to acknowledgement.

        `events_expired`, `events_not_taken`: onsets and offsets that came too late, or nobody wanted.
        """
        waits: Mapping[str, float | None] = spread(self._ack_us) or {"p50": None, "p99": None}
        return {
            **self._outbox.stats(),
            "connects": self._connects,
            "losses": self._losses,
            **self._changes.stats(),
            "protocol": self._client.protocol,
            "ack_p50_us": waits["p50"],
            "ack_p99_us": waits["p99"],
        }

    # --- the worker's thread -------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            self._outbox.rewind()  # what a sink before this one had on its way
            while not self._closing.is_set():
                try:
                    self._turn()
                except Exception as error:
                    if not self._patient:
                        raise
                    self._start_over(error)
            self._leave()
        except PublishError as error:
            self._failure = error
        except Exception as error:  # the thread must not die silently: the next write or drain raises this
            self._failure = PublishError("publishing stopped", where=self.where, found=repr(error))
        finally:
            if not self._patient:
                self._outbox.close()  # nobody need wait for room
            self._changes.end()
            self._client.close(GOODBYE_S)

    def _turn(self) -> None:
        try:
            for event in self._client.poll(self._pause_s()):
                self._handle(event)
        finally:
            if self._arrived:
                arrived, self._arrived = self._arrived, []
                self._outbox.ack(arrived)
        self._say_status()
        self._send()
        self._changes.turn()

    def _start_over(self, error: Exception) -> None:
        """Make a new connection after what should not happen; the client's back-off keeps that from being often."""
        kind = "publishing failed"
        known = error if isinstance(error, PublishError) else PublishError(kind, where=self.where, found=repr(error))
        self._client.abandon(known)

    def _pause_s(self) -> float:
        if self._held_up:
            return PACE_PAUSE_S
        return max(0.0, min(0.5, self._resume_at - time.monotonic())) if self._resume_at else 0.5

    def _handle(self, event: Event) -> None:
        if isinstance(event, Acknowledged):
            self._acknowledged(event)
        elif isinstance(event, Refused):
            self._refused(event)
        elif isinstance(event, Connected):
            self._greet()
        elif isinstance(event, Lost):
            self._losses += self.since is not None
            self.since, self.last_error = None, str(event.error)
            self._changes.lost()
            self._sent.clear()
            self._not_taken.clear()
            self._rewind()
            self.why = str(event.error)
            if event.final:
                raise event.error

    def _acknowledged(self, event: Acknowledged) -> None:
        self._changes.answered(event.mid, event.received)
        item = self._sent.pop(event.mid, None)
        if item is None:
            return
        if event.received or not self._keep:
            self._settle(item, event.received)
        else:
            self._not_taken.append(item.id)
            self.why = "nobody subscribes to the predictions"
        if self._not_taken and not self._sent:
            self._hold_back()

    def _refused(self, event: Refused) -> None:
        self._changes.answered(event.mid, taken=False)
        item = self._sent.pop(event.mid, None)
        if item is None:
            return  # a status, state or event: the predictions may be taken all the same
        if event.final and not self._patient:
            raise event.error
        self._not_taken.append(item.id)
        self.why = str(event.error)
        if self._not_taken and not self._sent:
            self._hold_back()

    def _settle(self, item: Item, received: bool) -> None:
        if not received:
            self._outbox.drop([item.id], "no_subscriber")
            return
        self._not_taken_delay_s, self.why = NOT_TAKEN_BACK_OFF_S[0], None
        self._ack_us.append((self._outbox.clock() - item.accepted_at) * 1e6)
        if self._on_ack is not None:
            self._on_ack(item.prediction)
        self._arrived.append(item.id)

    def _hold_back(self) -> None:
        """Some were not taken and all that was in flight is answered: go back to the oldest and wait."""
        self._not_taken.clear()
        self._rewind()
        self._resume_at = time.monotonic() + self._not_taken_delay_s
        self._not_taken_delay_s = min(2 * self._not_taken_delay_s, NOT_TAKEN_BACK_OFF_S[1])

    def _rewind(self) -> None:
        arrived, self._arrived = self._arrived, []
        self._outbox.ack(arrived)
        self._outbox.rewind()

    def _send(self) -> None:
        self._held_up = False
        if not self._client.connected or self._not_taken or time.monotonic() < self._resume_at:
            return
        self._resume_at = 0.0
        for item in self._next_batch(self._client.window - len(self._sent)):
            prediction = item.prediction
            topic = topics.stream_topic(self._node, prediction.stream, "prediction")
            self._sent[self._client.publish(topic, item.payload(), qos=self._qos)] = item
            if not prediction.late:
                self._changes.follow(prediction)
            else:
                self._changes.expire(prediction)

    def _next_batch(self, n: int) -> list[Item]:
        if self._pace is None:
            return self._outbox.next_batch(n)
        allowed = self._pace.allowed(*self._outbox.totals())
        self._held_up = allowed < n
        batch = self._outbox.next_batch(min(n, allowed))
        self._pace.spend(len(batch))
        return batch

    def _greet(self) -> None:
        self._connects += 1
        self.since = utc_now()
        if self._pace is not None:
            self._pace.begin()
        self.why = None
        self._status_said = ""
        self._say_status()
        self._changes.greet()

    def _say_status(self) -> None:
        """Publish the retained status where it has changed: `draining` once no more is to come."""
        status = "draining" if self._draining.is_set() else "online"
        if status == self._status_said or not self._client.connected:
            return
        self._status_said = status
        self._client.publish(topics.status_topic(self._node), self._status(status), retain=True)

    def _leave(self) -> None:
        """Publish the last status; a transient node then removes its retained status."""
        if not self._client.connected:
            return
        topic = topics.status_topic(self._node)
        last = self._client.publish(topic, self._status("stopped"), retain=not self._transient)
        if self._transient:
            last = self._client.publish(topic, b"", retain=True)
        deadline, answered = time.monotonic() + GOODBYE_S, False
        while self._client.connected and not answered and time.monotonic() < deadline:
            for event in self._client.poll(deadline - time.monotonic()):
                if isinstance(event, Acknowledged):
                    self._acknowledged(event)
                elif isinstance(event, Refused):
                    self._changes.answered(event.mid, taken=False)
                answered |= getattr(event, "mid", None) == last
        self._outbox.ack(self._arrived)

    # --- helpers -------------------------------------------------------------------------------------------------

    def _status(self, status: str) -> bytes:
        notes = {"note": self._outbox.note, "last_error": self.last_error}
        return topics.status_payload(self._node, self._boot_id, status, utc_now(), **notes)

    def _check_names(self, prediction: Prediction) -> None:
        for what, name in (("stream", prediction.stream), ("label", prediction.label)):
            if name is not None and name not in self._checked:
                self._checked.add(topics.check_level(name, what))

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._worker is None:
            raise PublishError("the sink is not open", where=self.where)
