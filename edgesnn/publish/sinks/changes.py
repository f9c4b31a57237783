"""State and events of the streams, published where decision or label changes."""

from __future__ import annotations

from collections import deque
from typing import Literal

from edgesnn.mqtt import Client
from edgesnn.prediction import Prediction
from edgesnn.publish import topics

EVENT_EXPIRY_S = 10


class Changes:
    """Publishes what a prediction changes. One thread uses it, save `forget` and `remember`, which any may call.

    Args:
        client: the sink's connection.
        node: of the topics.
        qos: of both.
        retain: leave each stream's state at the broker.

    Attributes:
        expired: onsets and offsets that only predictions show that went out late.
    """

    def __init__(self, client: Client, node: str, qos: Literal[0, 1], *, retain: bool) -> None:
        self.expired = 0
        self._client, self._node, self._qos, self._retain = client, node, qos, retain
        self._states: dict[str, Prediction] = {}
        self._late: dict[str, Prediction] = {}  # the last one that came too late, where no other came since
        self._gone: set[str] = set()  # streams that are no more
        self._to_clear: deque[str] = deque()
        self._clearing: dict[int, str] = {}

    def follow(self, prediction: Prediction) -> None:
        """Publish the state and the events of a prediction that is in time."""
        before = self._states.get(prediction.stream)
        if before is not None and (before.decision, before.label) == (prediction.decision, prediction.label):
            return
        self._states[prediction.stream] = prediction
        self._late.pop(prediction.stream, None)
        self._send_state(prediction)
        for event_type, label, class_index in topics.changes(before, prediction):
            topic = topics.stream_topic(self._node, prediction.stream, "event")
            payload = topics.event_payload(prediction, event_type, label, class_index)
            self._client.publish(topic, payload, qos=self._qos, expiry_s=EVENT_EXPIRY_S)

    def expire(self, prediction: Prediction) -> None:
        """Count the events of a prediction that comes too late to set a state or to make them."""
        before = self._late.get(prediction.stream) or self._states.get(prediction.stream)
        self.expired += len(topics.changes(before, prediction))
        self._late[prediction.stream] = prediction

    def greet(self) -> None:
        """Publish every state again: the connection is new."""
        for prediction in self._states.values():
            self._send_state(prediction)

    def forget(self, stream: str) -> None:
        """Take the retained state of a stream that is no more from the broker, at the next `clear`."""
        self._gone.add(stream)
        self._to_clear.append(stream)

    def remember(self, stream: str) -> None:
        """Let a forgotten stream have a state again."""
        self._gone.discard(stream)

    def clear(self) -> None:
        """Remove the states of forgotten streams, if the broker is there."""
        while self._to_clear and self._client.connected and self._retain:
            stream = self._to_clear.popleft()
            if stream in self._gone:
                topic = topics.stream_topic(self._node, stream, "state")
                self._clearing[self._client.publish(topic, b"", retain=True)] = stream

    def answered(self, mid: int) -> None:
        """Take note of the broker's answer to a message."""
        self._clearing.pop(mid, None)

    def lost(self) -> None:
        """Remove again what may not have been removed: the connection is lost."""
        self._to_clear.extend(self._clearing.values())
        self._clearing.clear()

    def _send_state(self, prediction: Prediction) -> None:
        if prediction.stream not in self._gone:
            topic = topics.stream_topic(self._node, prediction.stream, "state")
            self._client.publish(topic, topics.state_payload(prediction), qos=self._qos, retain=self._retain)
