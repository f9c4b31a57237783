"""Looks at the board's sensors in a thread of its own, and tells what a decision costs (docs/telemetry.md)."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from edgesnn.board import Board, Reading
from edgesnn.daemon.runner import Runner
from edgesnn.daemon.schema import Telemetry as Section

SPAN_S = 10.0
FIRST_S = 5.0  # the service begins without sensors that take longer
NOWHERE = Path("/dev/null")  # a sysfs without anything
OLD_S = 5.0  # a reading older than this and three periods is told no more: a sensor hangs
T = TypeVar("T")
_log = logging.getLogger("edgesnn.daemon")


@dataclass(frozen=True)
class Work:
    """What the streams have done since the start: decisions with a window, and their estimated energy in uJ."""

    decisions: int
    energy_uj: float


class Telemetry:
    """The board's readings of the last seconds. Any thread may ask; `start` begins, a process's end ends it.

    Args:
        section: the configuration's.
        runners: returns the streams; called in this one's thread.
        clock: seconds, monotonic; tests replace it.
    """

    def __init__(
        self, section: Section, runners: Callable[[], Sequence[Runner]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._section, self._runners, self._clock = section, runners, clock
        self._period_s = section.period / 1e6
        self._lock = threading.Lock()
        self._looks: deque[tuple[Reading, Work]] = deque()
        self._closing = threading.Event()
        self._failed = ""
        self._thread = threading.Thread(target=self._run, name="edgesnn-board", daemon=True)
        self._told: set[str] = set()
        self._said: set[str] = set()
        self._answer = _within(FIRST_S, self._begin)
        nothing = Board(NOWHERE), Reading(clock())
        self._board, found = self._answer if isinstance(self._answer, tuple) else nothing
        self._first = found
        self.has_power = bool(self._board.whole)
        self.has_temperature = bool(found.temperature_c)
        self.has_anything = bool(self._board.rails or found.temperature_c or found.throttle_events or found.slowed_by)

    def start(self) -> None:
        """Begin, where the board has anything to look at."""
        if self._answer is None:
            _log.error("the board's sensors do not answer: nothing is told of it (docs/telemetry.md)")
            return
        if isinstance(self._answer, Exception):
            self._say_fault(self._answer)
            return
        there = self._board.rails
        missing = [name for name in self._section.rails or () if name not in there]
        if missing:
            named = ", ".join(missing), ", ".join(there) or "none"
            _log.warning("telemetry.rails: no rail %s on this board (there are: %s)", *named)
        self._say_once(self._first)
        if self.has_anything:
            self._thread.start()

    def close(self) -> None:
        """Let the thread end; a sensor that hangs is left behind."""
        self._closing.set()

    def begin_anew(self) -> None:
        """Forget what was: other streams are counted from now on."""
        with self._lock:
            self._looks.clear()

    def facts(self) -> dict[str, Any] | None:
        """Return the last reading in the words of `stats`, with what a decision cost; None: the board tells nothing,
        or its sensors hang."""
        with self._lock:
            looks = list(self._looks)
        if not self.has_anything or not looks or self._clock() - looks[-1][0].at_s > OLD_S + 3 * self._period_s:
            return None
        (first, before), (last, after) = looks[0], looks[-1]
        decisions = after.decisions - before.decisions
        known = all(reading.total_j is not None for reading, _ in looks)
        energy_uj = {
            "measured": self._measured_uj(first, last, decisions) if known else None,
            "estimated": round((after.energy_uj - before.energy_uj) / decisions, 3) if decisions else None,
        }
        return {**last.rounded(), "idle_w": self._section.idle_power, "energy_uj_per_decision": energy_uj}

    def _measured_uj(self, first: Reading, last: Reading, decisions: int) -> float | None:
        """Return what the board took above its idle power, by the decisions made meanwhile."""
        idle_w, span_s = self._section.idle_power, last.at_s - first.at_s
        if idle_w is None or not decisions or first.total_j is None or last.total_j is None:
            return None
        return round((last.total_j - first.total_j - idle_w * span_s) / decisions * 1e6, 3)

    def _begin(self) -> tuple[Board, Reading]:
        board = Board(Path(self._section.sysfs), whole=self._section.rails or (), clock=self._clock)
        return board, board.look()

    def _run(self) -> None:
        while not self._closing.wait(self._period_s):
            try:
                self._look()
                self._failed = ""
            except Exception as error:
                self._say_fault(error)

    def _say_fault(self, error: Exception) -> None:
        """Log it, the same one again and again once."""
        if repr(error) != self._failed:
            self._failed = repr(error)
            _log.error("the board's sensors: this is a fault of edgesnn: please report it", exc_info=error)

    def _look(self) -> None:
        reading = self._board.look()
        self._say_once(reading)
        with self._lock:  # work as well: other streams may not come between it and `begin_anew`
            self._looks.append((reading, _work(self._runners())))
            while len(self._looks) > 2 and self._looks[1][0].at_s <= reading.at_s - SPAN_S:
                self._looks.popleft()

    def _say_once(self, reading: Reading) -> None:
        """Log what tells nothing, each once in this process's life."""
        lines = {
            f"rail {name}": f"rail {name} has no power: {why} (docs/telemetry.md)"
            for name, why in self._board.silent.items()
        }
        sources = _sources(reading)
        lines |= {
            source: f"{source} tells nothing any more (docs/telemetry.md)" for source in sorted(self._told - sources)
        }
        self._told |= sources
        for source, line in lines.items():
            if source not in self._said:
                self._said.add(source)
                _log.warning("%s", line)


def _within(seconds: float, ask: Callable[[], T]) -> T | Exception | None:
    """Return what `ask` returns or raises, called in a thread of its own; None: it takes longer, and is left behind."""
    answer: queue.SimpleQueue[T | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            answer.put(ask())
        except Exception as error:
            answer.put(error)

    threading.Thread(target=run, name="edgesnn-board-first", daemon=True).start()
    try:
        return answer.get(timeout=seconds)
    except queue.Empty:
        return None


def _sources(reading: Reading) -> set[str]:
    """Return what told something, but the rails."""
    kinds: dict[str, Mapping[str, float]] = {
        "thermal zone": reading.temperature_c,
        "throttle counter": reading.throttle_events,
        "cooling device": reading.slowed_by,
    }
    return {f"{kind} {name}" for kind, values in kinds.items() for name in values}


def _work(runners: Sequence[Runner]) -> Work:
    decisions = sum(one.decisions["label"] + one.decisions["none"] for one in runners)
    return Work(decisions, sum(one.energy_uj for one in runners))
