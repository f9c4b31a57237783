"""State and events of the streams, published where decision or label changes; the events' way: `stream_events.py`."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Literal

from edgesnn.mqtt import Client
from edgesnn.prediction import Prediction
from edgesnn.publish import topics
from edgesnn.publish.sinks.stream_events import StreamEvents


class Changes:
    """Publishes what a prediction changes. One thread uses it, save `forget` and `remember`, which any may call.

    Args:
        client: the sink's connection.
        node: of the topics.
        qos: of both.
        retain: leave each stream's state at the broker.
        keep: send events again that nobody subscribes to, or the broker refuses.
    """

    def __init__(self, client: Client, node: str, qos: Literal[0, 1], *, retain: bool, keep: bool) -> None:
        self._client, self._node, self._qos, self._retain, self._keep = client, node, qos, retain, keep
        self._missed = 0  # onsets and offsets that only late predictions show
        self._events: dict[str, StreamEvents] = {}
        self._newest: dict[str, int] = {}  # the seq up to which each stream's predictions were seen
        self._states: dict[str, Prediction] = {}
        self._late: dict[str, Prediction] = {}  # the last one that came too late, where no other came since
        self._gone: set[str] = set()  # streams that are no more
        self._to_clear: deque[str] = deque()
        self._clearing: dict[int, str] = {}

    def follow(self, prediction: Prediction) -> None:
        """Publish the state and the events of a prediction that is in time."""
        stream = prediction.stream
        self._is_new(prediction)
        before, late = self._states.get(stream), self._late.pop(stream, None)
        if before is not None and (before.decision, before.label) == (prediction.decision, prediction.label):
            self._missed += 0 if late is None else len(topics.changes(late, prediction))
            return
        self._states[stream] = prediction
        self._send_state(prediction)
        events = self._events.get(stream)
        if events is None:
            events = self._events[stream] = StreamEvents(partial(self._send_event, stream), keep=self._keep)
        for event_type, label, class_index in topics.changes(before, prediction):
            events.put(topics.event_payload(prediction, event_type, label, class_index))
        events.send(self._client.connected)

    def expire(self, prediction: Prediction) -> None:
        """Count the events of a prediction that comes too late to set a state or to make them.

        Of one that is sent again they are on their way, or counted.
        """
        if not self._is_new(prediction):
            return
        before = self._late.get(prediction.stream) or self._states.get(prediction.stream)
        self._missed += len(topics.changes(before, prediction))
        self._late[prediction.stream] = prediction

    def greet(self) -> None:
        """Publish every state again: the connection is new."""
        for prediction in self._states.values():
            self._send_state(prediction)

    def forget(self, stream: str) -> None:
        """Take the retained state of a stream that is no more from the broker, at the next `turn`."""
        self._gone.add(stream)
        self._to_clear.append(stream)

    def remember(self, stream: str) -> None:
        """Let a forgotten stream have a state again."""
        self._gone.discard(stream)

    def turn(self) -> None:
        """Send the events that wait, and remove the states of forgotten streams, if the broker is there."""
        for events in self._events.values():
            events.send(self._client.connected)
        while self._to_clear and self._client.connected and self._retain:
            stream = self._to_clear.popleft()
            if stream in self._gone:
                topic = topics.stream_topic(self._node, stream, "state")
                self._clearing[self._client.publish(topic, b"", retain=True)] = stream

    def answered(self, mid: int, taken: bool) -> None:
        """Take note of the broker's answer to a message; `taken`: somebody gets it."""
        self._clearing.pop(mid, None)
        any(events.answered(mid, taken) for events in self._events.values())

    def lost(self) -> None:
        """Send again what may not have arrived: the connection is lost."""
        for events in self._events.values():
            events.lost()
        self._to_clear.extend(self._clearing.values())
        self._clearing.clear()

    def end(self) -> None:
        """Count the events that did not arrive: nothing will be sent any more."""
        for events in self._events.values():
            events.end()

    def stats(self) -> dict[str, int]:
        """Return the counters `events_expired` and `events_not_taken`. Any thread."""
        lines = list(self._events.values())
        expired = self._missed + sum(one.expired for one in lines)
        return {"events_expired": expired, "events_not_taken": sum(one.not_taken for one in lines)}

    def _is_new(self, prediction: Prediction) -> bool:
        """Say whether it is newer than all that were seen of its stream, and take note of it."""
        seq, newest = prediction.seq or 0, self._newest.get(prediction.stream, -1)
        self._newest[prediction.stream] = max(seq, newest)
        return seq > newest

    def _send_event(self, stream: str, payload: bytes, expiry_s: int) -> int:
        topic = topics.stream_topic(self._node, stream, "event")
        return self._client.publish(topic, payload, qos=self._qos, expiry_s=expiry_s)

    def _send_state(self, prediction: Prediction) -> None:
        if prediction.stream not in self._gone:
            topic = topics.stream_topic(self._node, prediction.stream, "state")
            self._client.publish(topic, topics.state_payload(prediction), qos=self._qos, retain=self._retain)
