"""The events of one stream until the broker has them: in order, sent again while they are young, and counted."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

EXPIRY_S = 10.0
AGAIN_S = 0.5  # after one that was not taken
MOST_WAITING = 200


@dataclass(frozen=True)
class _Event:
    number: int
    payload: bytes
    made_at: float


class StreamEvents:
    """Events leave it when the broker took them, or counted. One thread uses it.

    Args:
        publish: sends a payload that is to expire after so many seconds, and returns the message's id.
        keep: send again what nobody subscribes to, or the broker refuses; else it is counted at once.
        clock: seconds, monotonic; tests replace it.

    Attributes:
        expired: that could not be sent, or were not answered, while they were young.
        not_taken: that nobody subscribed to, or the broker refused, for all that time.
    """

    def __init__(
        self, publish: Callable[[bytes, int], int], *, keep: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.expired = self.not_taken = 0
        self._publish, self._keep, self._clock = publish, keep, clock
        self._made = 0
        self._newest = -1  # of those that the broker took
        self._waiting: deque[_Event] = deque()
        self._sent: dict[int, _Event] = {}
        self._held: list[_Event] = []  # not taken, until all that was sent is answered
        self._asks = False  # the last was not taken: one at a time, to ask whether it is now
        self._again_at = 0.0

    def put(self, payload: bytes) -> None:
        """Let an event wait for `send`; the oldest has to go where very many do."""
        self._waiting.append(_Event(self._made, payload, self._clock()))
        self._made += 1
        if len(self._waiting) > MOST_WAITING:
            self._give_up()

    def send(self, connected: bool) -> None:
        """Drop what is too old, and send what may be sent."""
        now = self._clock()
        while self._waiting and now - self._waiting[0].made_at >= EXPIRY_S:
            self._give_up()
        if not connected or now < self._again_at or self._held or (self._asks and self._sent):
            return
        for _ in range(min(1, len(self._waiting)) if self._asks else len(self._waiting)):
            event = self._waiting[0]
            left_s = math.ceil(EXPIRY_S - (now - event.made_at))
            self._sent[self._publish(event.payload, left_s)] = event
            self._waiting.popleft()

    def answered(self, mid: int, taken: bool) -> bool:
        """Take note of the broker's answer to a message; False where it is none of these."""
        event = self._sent.pop(mid, None)
        if event is None:
            return False
        if taken:
            self._asks, self._newest = False, max(self._newest, event.number)
        elif self._keep:
            self._asks = True
            self._held.append(event)
        else:
            self.not_taken += 1
        if self._held and not self._sent:
            self._return(self._held)
            self._again_at = self._clock() + AGAIN_S
        return True

    def lost(self) -> None:
        """Let what was on its way wait for the next connection."""
        self._return([*self._held, *self._sent.values()])
        self._sent.clear()
        self._asks, self._again_at = False, 0.0

    def end(self) -> None:
        """Count what did not arrive: nothing will be sent any more."""
        asks = self._asks
        self.lost()
        self._asks = asks
        while self._waiting:
            self._give_up()

    def _return(self, events: list[_Event]) -> None:
        """Put events back to the front; what a later one has overtaken would come out of order, and is counted."""
        young = sorted((one for one in events if one.number > self._newest), key=lambda one: one.number)
        if self._held:
            self.not_taken += len(events) - len(young)
        else:
            self.expired += len(events) - len(young)
        self._waiting.extendleft(reversed(young))
        self._held.clear()

    def _give_up(self) -> None:
        self._waiting.popleft()
        if self._asks:
            self.not_taken += 1
        else:
            self.expired += 1
