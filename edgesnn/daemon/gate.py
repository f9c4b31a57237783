"""Which of a stream's predictions are published: every one, or changes only, sure ones, at most so many a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from edgesnn.prediction import Prediction

Publish = Literal["window", "change"]


class Gate:
    """Decides for one stream; one thread asks, any may call `set`.

    Args:
        publish: "window", or "change": what differs in decision or label from the one that passed last.
        rate_hz: at most so many a second on average; None: any number. A change that came too early passes with the
            next prediction that is in time and still differs.
        min_confidence: labels of less do not pass; decisions without a confidence do.
        clock: seconds, monotonic; tests replace it.

    Attributes:
        paused: nothing passes; any thread may set it.
    """

    def __init__(
        self,
        publish: Publish,
        rate_hz: int | None,
        min_confidence: float = 0.0,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.held_back = {"unchanged": 0, "rate_limit": 0, "paused": 0, "low_confidence": 0}
        self.paused = False
        self._clock = clock
        self._last: tuple[str, str | None] | None = None
        self._due_s = float("-inf")
        self._rule = (publish, rate_hz, min_confidence)

    def set(self, publish: Publish, rate_hz: int | None, min_confidence: float = 0.0) -> None:
        """Go by another rule from the next prediction on."""
        self._rule = (publish, rate_hz, min_confidence)

    def passes(self, prediction: Prediction) -> bool:
        """Say whether this one is published; count it where not."""
        publish, rate_hz, min_confidence = self._rule
        if self.paused:
            self.held_back["paused"] += 1
            return False
        if prediction.confidence is not None and prediction.confidence < min_confidence:
            self.held_back["low_confidence"] += 1
            return False
        decided = (prediction.decision, prediction.label)
        if publish == "change" and decided == self._last:
            self.held_back["unchanged"] += 1
            return False
        if rate_hz is not None:
            now_s, apart_s = self._clock(), 1.0 / rate_hz
            if now_s < self._due_s:
                self.held_back["rate_limit"] += 1
                return False
            next_s = self._due_s + apart_s  # from when it was due, so that the rate is reached between windows too
            self._due_s = next_s if next_s > now_s else now_s + apart_s
        self._last = decided
        return True
