"""How quickly a backlog goes out after an outage: boards that share a broker must not all pour at once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

START_WITHIN_S = 2.0
SPREAD = 0.3


class Pace:
    """Lets a backlog shrink by about `rate_hz` predictions a second; what is newly accepted comes on top.

    One thread uses it.

    Args:
        rate_hz: each connection has its own rate within 30 % of this.
        burst: the most that may go at once.
        clock: seconds, monotonic.
    """

    def __init__(self, rate_hz: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate_hz, self._burst, self._clock = rate_hz, burst, clock
        self._actual_hz = rate_hz
        self._at = clock()
        self._accepted = 0
        self._budget = 0.0

    def begin(self) -> None:
        """Choose rate and beginning of a new connection, at random."""
        self._actual_hz = self._rate_hz * random.uniform(1 - SPREAD, 1 + SPREAD)
        self._at = self._clock() + random.uniform(0.0, START_WITHIN_S)
        self._budget = 0.0

    def allowed(self, accepted: int, pending: int) -> int:
        """Return how many may be sent now, of `pending`, when so many were `accepted` in all."""
        new, self._accepted = accepted - self._accepted, accepted
        now = self._clock()
        if pending <= self._burst:
            self._at, self._budget = now, 0.0
            return self._burst
        if now < self._at:
            return 0
        self._budget = min(self._budget + new + self._actual_hz * (now - self._at), float(self._burst))
        self._at = now
        return int(self._budget)

    def spend(self, sent: int) -> None:
        """Take what was sent off the budget."""
        self._budget = max(0.0, self._budget - sent)
