"""The last of what a stream took in, in memory: parts, each with the state before it; the oldest goes as a whole."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from edgesnn.errors import EdgeSnnError
from edgesnn.pipeline.tap import Arrays, Frozen, Tap
from edgesnn.prediction import Prediction

PARTS = 4
"""Of the span and of the memory a part takes about so many."""
SHARE = 50
"""Of the time a stream spends at most a fiftieth in states of parts."""
PREDICTION_BYTES = 2_000
"""Of one, without the texts of a line."""


def tap_bytes(most_bytes: int) -> int:
    """Return how much a tap may hold of a ring of `most_bytes`."""
    return max(1 << 16, min(1 << 20, most_bytes // 16))


@dataclass(frozen=True)
class Recording:
    """What a bundle holds of a stream: from the state `start` on `taken` gives all `decisions`, in order.

    Attributes:
        published: those that were published, numbered.
    """

    start: Frozen
    taken: tuple[Arrays, ...]
    decisions: int
    published: tuple[Prediction, ...]


@dataclass
class _Part:
    start: Frozen
    began_s: float
    taken: list[Arrays] = field(default_factory=list)
    published: list[Prediction] = field(default_factory=list)
    decisions: int = 0
    size_bytes: int = 0


class FlightRing:
    """Of the thread that polls.

    Args:
        tap: of the stream, which has not begun.
        most_bytes: what the parts may take; the tap's own come on top.
        span_s: as much time as is kept at least, where it has room.
        clock: seconds, monotonic; tests replace it.

    Attributes:
        why: why nothing is kept any more; None: it is.
        lost: how often a single part outgrew the memory and was begun anew.
    """

    def __init__(
        self, tap: Tap, *, most_bytes: int, span_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.why: str | None = None
        self.lost = 0
        self._tap, self._most_bytes, self._span_s, self._clock = tap, most_bytes, span_s, clock
        self._parts: deque[_Part] = deque()
        self._not_before_s = float("-inf")
        self._begin()

    @property
    def size_bytes(self) -> int:
        """What the parts take."""
        return sum(part.size_bytes for part in list(self._parts))

    def add(self, published: Prediction | None) -> None:
        """Take note of a decision, and of its prediction where it was published."""
        if self.why is not None:
            return
        part = self._parts[-1]
        part.decisions += 1
        if published is not None:
            part.published.append(published)
            part.size_bytes += _size_bytes(published)

    def turn(self) -> None:
        """Keep its bounds; called after every poll."""
        if self.why is not None:
            return
        if self._tap.full:
            self._drain()
        part, now_s = self._parts[-1], self._clock()
        grown = part.size_bytes - part.start.size_bytes >= self._most_bytes // PARTS
        if (grown or now_s - part.began_s >= self._span_s / PARTS) and now_s >= self._not_before_s:
            self._drain()
            self._cut()
        self._drop(now_s)

    def recording(self) -> Recording | None:
        """Return all that is kept; None where nothing is."""
        if self.why is not None:
            return None
        self._drain()
        return Recording(
            start=self._parts[0].start,
            taken=tuple(taken for part in self._parts for taken in part.taken),
            decisions=sum(part.decisions for part in self._parts),
            published=tuple(one for part in self._parts for one in part.published),
        )

    def _drain(self) -> None:
        taken = self._tap.take()
        part = self._parts[-1]
        part.taken.append(taken)
        part.size_bytes += sum(array.nbytes for array in taken.values())

    def _begin(self) -> None:
        """Begin with nothing but the state as it is."""
        self._parts.clear()
        self._cut()
        if not self._parts and self.why is None:
            self._give_up("the stream has failed")

    def _cut(self) -> None:
        """Begin a part with the state as it is, behind all that was drained."""
        began_s = self._clock()
        try:
            start = self._tap.freeze()
        except EdgeSnnError:  # the stream has failed, and says so behind its last prediction: what is held is of that
            self._not_before_s = float("inf")
            return
        now_s = self._clock()
        self._not_before_s = now_s + SHARE * (now_s - began_s)
        if start.size_bytes > self._most_bytes // 2:
            self._give_up(f"a state of {start.size_bytes} bytes has no room")
        else:
            self._parts.append(_Part(start, now_s, size_bytes=start.size_bytes))

    def _give_up(self, why: str) -> None:
        self.why = why
        self._parts.clear()
        self._tap.stop()

    def _drop(self, now_s: float) -> None:
        parts = self._parts
        while len(parts) > 1 and (self.size_bytes > self._most_bytes or now_s - parts[1].began_s >= self._span_s):
            parts.popleft()
        if parts and self.size_bytes > self._most_bytes:
            self.lost += 1
            self._tap.take()
            self._begin()


def _size_bytes(prediction: Prediction) -> int:
    """Return what it takes at most as JSON, where a character may take six bytes."""
    tokens = prediction.tokens
    texts = () if tokens is None else (tokens.text, tokens.key, *(span.text for span in tokens.spans))
    return PREDICTION_BYTES + 6 * sum(len(text) for text in texts if text)
