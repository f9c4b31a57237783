"""One deadline for something that has several parts, each of which may hang."""

from __future__ import annotations

import time


class Deadline:
    """So many seconds from now on.

    >>> Deadline(60.0).left(5.0)
    5.0
    >>> Deadline(0.0).left(5.0)
    0.0
    """

    def __init__(self, within_s: float) -> None:
        self._until_s = time.monotonic() + within_s

    def left(self, most_s: float = float("inf")) -> float:
        """Return for how long a part may take that never takes longer than `most_s`."""
        return max(0.0, min(most_s, self._until_s - time.monotonic()))
