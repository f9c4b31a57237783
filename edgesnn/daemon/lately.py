"""How often a stream decided lately, and how long its decisions took."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from edgesnn.spread import spread

SPAN_S = 10.0
MOST = 4096
"""So many decisions are looked back at; of a quicker stream they are of less than `SPAN_S`."""


class Lately:
    """The decisions of the last ten seconds. One thread notes, any thread reads.

    Args:
        clock: seconds, monotonic; tests replace it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since_s = clock()
        self._lock = threading.Lock()
        self._notes: deque[tuple[float, float | None]] = deque(maxlen=MOST)

    def note(self, latency_us: float | None) -> None:
        """Note a decision of now, and how long it took; None: not known, as of a replay."""
        with self._lock:
            self._notes.append((self._clock(), latency_us))

    @property
    def rate_hz(self) -> float:
        """Decisions a second."""
        notes, span_s = self._recent()
        return round(len(notes) / span_s, 3) if span_s > 0 else 0.0

    @property
    def latency_ms(self) -> dict[str, float] | None:
        """Milliseconds from a window's last event to its decision: {"p50", "p99"}; None: none is known."""
        found = spread(latency_us for _, latency_us in self._recent()[0] if latency_us is not None)
        return None if found is None else {name: round(value / 1000, 3) for name, value in found.items()}

    def _recent(self) -> tuple[list[tuple[float, float | None]], float]:
        """Return the notes of the span that is looked back at, and how long that is."""
        now_s = self._clock()
        begin_s = max(self._since_s, now_s - SPAN_S)
        with self._lock:
            notes = list(self._notes)
        if len(notes) == MOST and notes[0][0] > begin_s:
            begin_s = notes[0][0]  # what was before it has been forgotten
        return [note for note in notes if note[0] >= begin_s], now_s - begin_s
