"""Whether a broker that is connected takes predictions, and quickly enough."""

from __future__ import annotations

LONG_S = 30.0  # a connection that is dead is noticed before that


class Lag:
    """Looks at how long the oldest prediction has waited: it must not be long and grow.

    What waits after an outage has waited for long, and less and less: that is no lag. One thread calls `look`.

    Attributes:
        grows: what was found last.
    """

    def __init__(self) -> None:
        self.grows = False
        self._mark: tuple[float, float] | None = None  # when it was looked at, and how long the oldest had waited

    def look(self, now_s: float, connected: bool, oldest_s: float) -> bool:
        """Return whether predictions wait long, and longer than `LONG_S` ago. Call it some times in `LONG_S`."""
        if not connected:
            self.grows, self._mark = False, None
        elif oldest_s < LONG_S:
            self.grows, self._mark = False, (now_s - LONG_S, oldest_s)
        elif self._mark is None:
            self._mark = now_s, oldest_s
        elif now_s - self._mark[0] >= LONG_S:
            self.grows = oldest_s > self._mark[1]
            self._mark = now_s, oldest_s
        return self.grows
