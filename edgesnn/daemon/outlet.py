"""From the streams to the broker: predictions are numbered at once, and go into the MQTT sink in a thread of its own.

A stream never waits here. The sink is opened, and opened again, with back-off: a service starts without its broker.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

from edgesnn.daemon.deadline import Deadline
from edgesnn.daemon.lag import Lag
from edgesnn.errors import PublishError
from edgesnn.prediction import Prediction
from edgesnn.publish import Publisher
from edgesnn.publish.outbox import Outbox
from edgesnn.publish.sinks.mqtt import MqttSink

BACK_OFF_S = (0.5, 30.0)
CONNECT_S = 6.0  # an attempt takes 5 s at most
LEAVE_S = 10.0  # at the end
MOST_AT_ONCE = 256  # into a file they go in one transaction
_log = logging.getLogger("edgesnn.daemon")


class _Queue:
    """What the publisher writes into; `dropped` counts the oldest that had no room."""

    def __init__(self, capacity: int, outbox: Outbox) -> None:
        self.changed = threading.Condition()
        self.dropped = 0
        self._waiting: deque[Prediction] = deque()
        self._capacity = capacity
        self._outbox = None if outbox.degraded is None else outbox
        self._first = {stream: outbox.next_seq(stream) for stream in outbox.streams}
        self._gone = self._begun_at = 0  # how many have left it

    def __len__(self) -> int:
        return len(self._waiting)

    def write(self, prediction: Prediction) -> None:
        with self.changed:
            if len(self._waiting) == self._capacity:
                self._waiting.popleft()
                self._gone += 1
                self.dropped += 1
            self._waiting.append(prediction)
            self.changed.notify()

    def batch(self, n: int, wait_s: float) -> list[Prediction]:
        """Return the oldest without taking them; none where none came for so long."""
        with self.changed:
            self.changed.wait_for(lambda: self._waiting, wait_s)
            self._begun_at = self._gone
            return list(islice(self._waiting, n))

    def taken(self, n: int) -> None:
        """Take the first `n` of the last batch; those that had to go meanwhile were not lost."""
        with self.changed:
            early = min(n, self._gone - self._begun_at)
            self.dropped -= early
            for _ in range(n - early):
                self._waiting.popleft()
            self._gone += n - early

    def next_seq(self, stream: str) -> int:
        """Return where the outbox left off: asked before anybody predicts, since it may wait for its disk; a file that
        could not be read then is asked now."""
        return self._first.get(stream, 0) if self._outbox is None else self._outbox.next_seq(stream)

    def open(self) -> None: ...
    def close(self) -> None: ...
    def drain(self, timeout_s: float) -> int:
        return len(self._waiting)

    def stats(self) -> dict[str, Any]:
        return {"waiting": len(self._waiting), "dropped": self.dropped}


class Outlet:
    """Numbers and publishes.

    Args:
        make_sink: returns a new sink, not opened, with this outbox.
        outbox: where predictions wait for their acknowledgement; it outlives its sinks, and is closed at the end.
        node, boot_id: as `Publisher` takes them.
        capacity: predictions that may wait for a sink to be open; then the oldest goes, counted.

    Attributes:
        lost: of those that `close` could not deliver, how many are in no file.
        held_up: why predictions wait longer and longer though the broker is there; None: they do not.
        beat_s: when its thread was alive last (monotonic).
    """

    def __init__(
        self, make_sink: Callable[[], MqttSink], *, node: str, boot_id: str, capacity: int, outbox: Outbox
    ) -> None:
        self.opened = self.lost = 0
        self.held_up: str | None = None
        self._why: str | None = None
        self._said = ""
        self.beat_s = time.monotonic()
        self._make_sink = make_sink
        self._outbox = outbox
        self._queue = _Queue(capacity, outbox)
        self._publisher = Publisher([self._queue], node=node, boot_id=boot_id)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._sink: MqttSink | None = None
        self._lag = Lag()
        self._gone: set[str] = set()
        self._thread = threading.Thread(target=self._work, name="edgesnn-outlet", daemon=True)

    def start(self) -> None:
        """Begin to publish."""
        self._thread.start()

    def put(self, prediction: Prediction) -> Prediction:
        """Number a prediction and let it wait for the broker. Any thread; never blocks for long."""
        with self._lock:
            return self._publisher.write(prediction)

    @property
    def over(self) -> bool:
        """Whether it was told to end."""
        return self._closing.is_set()

    @property
    def alive(self) -> bool:
        """Whether its thread is there."""
        return self._thread.is_alive()

    @property
    def connected(self) -> bool:
        """Whether the broker has the sink; it comes back by itself after a loss."""
        sink = self._sink
        return sink is not None and sink.connected

    @property
    def why(self) -> str | None:
        """What keeps predictions from the broker, as far as it is known."""
        return self._why or (None if self._sink is None else self._sink.why)

    @property
    def since(self) -> str | None:
        """When the broker took the sink (UTC); None: it has not got it."""
        return None if self._sink is None else self._sink.since

    @property
    def last_error(self) -> str | None:
        """What the last connection, or attempt at one, ended with."""
        return self._why or (None if self._sink is None else self._sink.last_error)

    def forget(self, stream: str) -> None:
        """Take away the retained state of a stream that is no more."""
        self._gone.add(stream)
        if self._sink is not None:
            self._sink.forget(stream)

    def remember(self, stream: str) -> None:
        """Let a stream have a state again."""
        self._gone.discard(stream)
        if self._sink is not None:
            self._sink.remember(stream)

    def look(self) -> None:
        """See whether the broker keeps up; to be called every second or so, by one thread."""
        sink = self._sink
        oldest_s = 0.0 if sink is None else sink.oldest_s()
        if not self._lag.look(time.monotonic(), self.connected, oldest_s):
            self.held_up = None
        elif self.why is not None or self.held_up is None:
            self.held_up = self.why or "the broker acknowledges too few"

    @property
    def degraded(self) -> str | None:
        """Why the outbox's file takes nothing; None where it does, or there is none."""
        return self._outbox.degraded

    def stats(self) -> dict[str, Any]:
        """Return the outbox's counters, those of the open sink, and what waits or went before them."""
        sink = self._sink
        return {**(self._outbox if sink is None else sink).stats(), "queue": self._queue.stats(), "opened": self.opened}

    def close(self, timeout_s: float, leave_s: float = LEAVE_S) -> int:
        """Deliver what is here, at most for `timeout_s`, and leave, `leave_s` later where something hangs; return
        how many predictions were not delivered."""
        deadline_s, end = time.monotonic() + timeout_s, Deadline(timeout_s + leave_s)
        while len(self._queue) and time.monotonic() < deadline_s:
            time.sleep(0.01)
        self._closing.set()
        with self._queue.changed:
            self._queue.changed.notify()
        self._thread.join(end.left(max(0.0, deadline_s - time.monotonic()) + CONNECT_S))
        waiting = len(self._queue)
        if self._sink is not None:
            self._drain(self._sink, max(0.0, deadline_s - time.monotonic()))
            self._sink.leave(end.left())
        pending = int(self._outbox.stats()["pending"])
        self._outbox.close()  # a file takes what it can of what is in memory only
        self.lost = waiting + int(self._outbox.stats().get("in_memory", pending))
        return waiting + pending

    def _drain(self, sink: MqttSink, timeout_s: float) -> None:
        try:
            sink.drain(timeout_s)
        except PublishError as error:
            _log.error("%s", error)

    def _work(self) -> None:
        delay_s = BACK_OFF_S[0]
        while not self._closing.is_set():
            self.beat_s = time.monotonic()
            if self._turn():
                delay_s = BACK_OFF_S[0]
                continue
            self._pause(delay_s * random.uniform(0.5, 1.0))
            delay_s = min(2 * delay_s, BACK_OFF_S[1])

    def _turn(self) -> bool:
        """Bring what waits a step further; False where it failed."""
        try:
            return self._write() if self._sink is not None else self._open()
        except Exception as error:  # this thread must not die: nothing would be published, and nobody would know
            self._why = repr(error)
            if self._why != self._said:
                self._said = self._why
                _log.exception("publishing failed: this is a fault of edgesnn: please report it; trying again")
            return False

    def _pause(self, wait_s: float) -> None:
        until_s = time.monotonic() + wait_s
        while not self._closing.wait(min(1.0, max(0.0, until_s - time.monotonic()))) and time.monotonic() < until_s:
            self.beat_s = time.monotonic()

    def _open(self) -> bool:
        sink = self._make_sink()
        sink.open()
        self._sink, self._why = sink, None
        for stream in tuple(self._gone):
            sink.forget(stream)
        self.opened += 1
        _log.debug("%s: the sink is open", sink.where)
        return True

    def _write(self) -> bool:
        """Hand what waits to the sink; False where the sink failed."""
        batch = self._queue.batch(MOST_AT_ONCE, 0.5)
        sink = self._sink
        if sink is None or (not batch and sink.alive):
            return True
        try:
            sink.write_many(batch)  # of none: says why the sink's thread has ended
        except PublishError as error:
            self._lost(error)
            self._sink = None
            sink.leave()
            return False
        self._queue.taken(len(batch))
        self._said = ""
        return True

    def _lost(self, error: PublishError) -> None:
        self._why = str(error)
        if self._why != self._said:
            self._said = self._why
            _log.warning("%s; trying again", error)
