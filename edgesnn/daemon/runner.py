"""One stream of the service: its thread, its state, and what happens when it fails."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from edgesnn.daemon.checkpoints import Checkpoints, refuse
from edgesnn.daemon.feeds import Feed, lasting, threshold_of
from edgesnn.daemon.flight import FlightRecorder
from edgesnn.daemon.gate import Gate
from edgesnn.daemon.lately import Lately
from edgesnn.daemon.schema import Stream
from edgesnn.errors import ConfigError, EdgeSnnError
from edgesnn.prediction import Prediction
from edgesnn.runtime import Model

BACK_OFF_S = (1.0, 60.0)
JOIN_S = 5.0
_log = logging.getLogger("edgesnn.daemon")


class Runner:
    """Runs a stream until it ends or is stopped; begins it again, with jittered back-off, where it fails.

    Any thread may read its attributes.

    Args:
        stream: what the configuration says.
        model: its model, which other streams may share.
        put: takes what is published.
        checkpoints: of its state; None: it begins anew at every start.
        flight: keeps what it took in lately; None: nobody does.
        begin: called first in its thread.
        back_off_s: the first wait after a failure, and the longest.

    An error is logged once, until it is another or the stream has run for longer than the longest wait.

    Attributes:
        restarts: how often it was begun again.
        resets: how often its model's states were.
        decisions: predictions made so far, by decision.
        energy_uj: their energy, as estimated.
        lately: how often, and how quickly, it decided in the last ten seconds.
        why: the error that it waits after, or ended with.
        beat_s: when its thread last came round (monotonic).
    """

    def __init__(
        self,
        stream: Stream,
        model: Model,
        put: Callable[[Prediction], Any],
        *,
        checkpoints: Checkpoints | None = None,
        flight: FlightRecorder | None = None,
        begin: Callable[[], None] = lambda: None,
        back_off_s: tuple[float, float] = BACK_OFF_S,
    ) -> None:
        self.stream = stream
        self.model = model
        self.gate = Gate(stream.publish, stream.rate_limit, stream.min_confidence)
        self.restarts = self.resets = 0
        self.decisions = {"label": 0, "none": 0, "idle": 0}
        self.deadlines_missed = 0
        self.energy_uj = 0.0
        self.lately = Lately()
        self.why: str | None = None
        self._said = ""  # the error that the log has
        self.last: Prediction | None = None
        self.beat_s = time.monotonic()
        self.checkpoints, self.flight = checkpoints, flight
        self._put, self._begin = put, begin
        self._back_off_s = back_off_s
        self._past: dict[str, int] = {}  # counters of feeds before this one
        self._state = "starting"
        self._feed: Feed | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._asked: list[tuple[str, Future[Any]]] = []
        self._closed = False  # nobody takes what is asked for any more
        self._thread = threading.Thread(target=self._run, name=f"edgesnn-{stream.name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end after the prediction that it is at; `join` waits."""
        self._stop.set()

    def reset(self) -> Future[int]:
        """Ask it to set its model's states as at the start, after the prediction that it is at; the future gives the
        number of the first window, or line, after that. One that is cancelled before its turn is not done."""
        return self._ask("reset")

    def save(self) -> Future[Path] | None:
        """Ask it for a checkpoint, after the prediction that it is at; the future gives its path, as `reset`. None: it
        has none."""
        return None if self.checkpoints is None else self._ask("save")

    def join(self, timeout_s: float = JOIN_S) -> bool:
        """Wait until it has ended; False where something holds it."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def change(self, stream: Stream) -> None:
        """Take the keys of another configuration that need no gap: `reloading.AT_ONCE`."""
        self.stream = stream
        self.gate.set(stream.publish, stream.rate_limit, stream.min_confidence)
        if self.flight is not None:
            self.flight.stream = stream

    @property
    def state(self) -> str:
        """starting, waiting, live, idle, dead, restarting, failed, ended or stopped (docs/daemon.md)."""
        feed = self._feed
        return feed.state if self._state == "running" and feed is not None else self._state

    @property
    def over(self) -> bool:
        """Whether it will not predict any more by itself."""
        return self._state in ("ended", "failed", "stopped")

    @property
    def alive(self) -> bool:
        """Whether its thread is there, or has ended as it should."""
        return self.over or self._thread.is_alive() or not self._thread.ident

    @property
    def counters(self) -> dict[str, int]:
        """The counters of its pipeline and source, over all restarts."""
        with self._lock:
            return dict(self._past) if self._feed is None else _sum(self._past, self._feed.counters)

    def _run(self) -> None:
        try:
            self._begin()
            self._repeat()
        except BaseException as error:  # no thread ends silently, whatever a source of another package raises
            self._fault(error)
            self._state = "failed"
        with self._lock:
            self._closed = True
            asked, self._asked = self._asked, []
        refuse((one for _, one in asked if one.set_running_or_notify_cancel()), self._is_over())

    def _ask(self, what: str) -> Future[Any]:
        future: Future[Any] = Future()
        with self._lock:
            if not self._closed:
                self._asked.append((what, future))
                return future
        refuse([future], self._is_over())
        return future

    def _is_over(self) -> EdgeSnnError:
        return ConfigError("the stream is over", where=self.stream.name)

    def _repeat(self) -> None:
        delay_s, most_s = self._back_off_s
        while not self._stop.is_set():
            began_s = time.monotonic()
            if self._once():
                break
            if not lasting(self.stream, self.model):
                self._state = "failed"
                return
            if time.monotonic() - began_s > most_s:
                delay_s, self._said = self._back_off_s[0], ""
            self._state = "restarting"
            self._pause(delay_s * random.uniform(0.5, 1.0))
            delay_s = min(2 * delay_s, most_s)
            self.restarts += 1
        self._state = "stopped" if self._stop.is_set() else "ended"

    def _once(self) -> bool:
        """Run the source to its end; False where it failed."""
        self._state = "starting"
        self.beat_s = time.monotonic()
        try:
            feed = Feed(self.stream, self.model, threshold_of(self.stream, self.model))
            self._feed = feed
            if self.checkpoints is not None:
                self.checkpoints.restore(feed)
            if self.flight is not None:
                self.flight.begin(feed)
            self._state = "running"
            self.why = None
            self._follow(feed)
            self._keep(feed)
            return True
        except EdgeSnnError as error:
            if self._is_new(str(error)):
                _log.error("stream %s: %s", self.stream.name, error)
        except BaseException as error:
            self._fault(error)
        finally:
            self._leave()
        return False

    def _fault(self, error: BaseException) -> None:
        if self._is_new(repr(error)):
            _log.exception("stream %s failed: this is a fault of edgesnn: please report it", self.stream.name)

    def _is_new(self, why: str) -> bool:
        """Note an error; False where the log has it already, since the stream has not run for long."""
        before, self.why, self._said = self._said, why, why
        return why != before

    def _follow(self, feed: Feed) -> None:
        while not self._stop.is_set():
            prediction = feed.next()
            self.beat_s = time.monotonic()
            self._obey(feed)
            if self.checkpoints is not None:
                self.checkpoints.look()
            if prediction is not None:
                self._take(prediction)
                if self.checkpoints is not None and self.checkpoints.due:
                    self.checkpoints.take(feed)
            elif feed.ended:
                return
            if self.flight is not None:
                self.flight.turn()

    def _obey(self, feed: Feed) -> None:
        """Do what was asked for from outside, between two predictions."""
        if not self._asked:
            return
        with self._lock:
            found, self._asked = self._asked, []
        asked = [one for one in found if one[1].set_running_or_notify_cancel()]
        resets, saves = ([one for what, one in asked if what == wanted] for wanted in ("reset", "save"))
        if resets:
            self._reset(feed, resets)
        if asked and self.checkpoints is not None:  # after a reset too: else a restart would bring the states back
            self.checkpoints.take(feed, saves)

    def _reset(self, feed: Feed, asked: Sequence[Future[int]]) -> None:
        try:
            feed.reset()
            self.resets += 1
            if self.flight is not None:
                self.flight.begin(feed)  # a bundle from before it would not give the predictions after it
        except EdgeSnnError as error:
            refuse(asked, error)
            raise
        for one in asked:
            one.set_result(feed.next_window)

    def _keep(self, feed: Feed) -> None:
        """Make the last checkpoint; of a source that has ended there is none."""
        if self.checkpoints is None:
            return
        if self._stop.is_set():
            self.checkpoints.keep(feed)
        else:
            self.checkpoints.forget()

    def _take(self, prediction: Prediction) -> None:
        self.decisions[prediction.decision] += 1
        self.deadlines_missed += bool(prediction.deadline_missed)
        self.energy_uj += prediction.energy_uj_estimate or 0.0
        self.lately.note(prediction.latency_us.total)
        self.last = prediction
        published = self._put(prediction) if self.gate.passes(prediction) else None
        if self.flight is not None:
            self.flight.saw(prediction, published)

    def _leave(self) -> None:
        feed = self._feed
        if feed is None:
            return
        if self.flight is not None:
            self._end_flight(self.flight)
        try:
            feed.close()
        except BaseException:
            _log.exception("stream %s: its source did not close", self.stream.name)
        with self._lock:
            self._past = _sum(self._past, feed.counters)
            left, self._past["pending"] = self._past["pending"], 0
            self._past.pop("sessions", None)
            if left:
                reason = "dropped.stopped" if self._stop.is_set() else "dropped.restarted"
                self._past[reason] = self._past.get(reason, 0) + left
            self._feed = None

    def _end_flight(self, flight: FlightRecorder) -> None:
        try:
            if self.why is not None:
                flight.end("crash", self.why)
            else:
                flight.end("stop" if self._stop.is_set() else "end")
        except Exception:
            _log.exception("stream %s: no bundle: this is a fault of edgesnn: please report it", self.stream.name)

    def _pause(self, wait_s: float) -> None:
        until_s = time.monotonic() + wait_s
        while not self._stop.wait(min(1.0, max(0.0, until_s - time.monotonic()))) and time.monotonic() < until_s:
            self.beat_s = time.monotonic()


def _sum(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}
