"""When the pieces of a recording are due: as fast as possible, or at the recording's own pace times a factor."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

_STEP_US = 2_000
"""A piece of a paced recording covers about this much sensor time."""

_SMALLEST, _LARGEST = 64, 1 << 16


class Clock:
    """Sleeps until sensor times are due. The first time it is asked for is due at once.

    Args:
        speed: sensor seconds per second.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._origin: tuple[int, float] | None = None
        self.latest_us = 0.0

    def wait(self, t_us: int) -> None:
        """Return when `t_us` is due; `latest_us` is how far behind the clock has been, at most."""
        now = time.monotonic()
        if self._origin is None:
            self._origin = (t_us, now)
        due = self._origin[1] + (t_us - self._origin[0]) / 1e6 / self._speed
        if due > now:
            time.sleep(due - now)
        else:
            self.latest_us = max(self.latest_us, (now - due) * 1e6)


def paced(read: Callable[[int], bytes], reached_us: Callable[[bytes], int | None], clock: Clock) -> Iterator[bytes]:
    """Yield the bytes of a recording, each piece when its last time is due.

    Args:
        read: returns the next bytes, at most so many; empty at the end.
        reached_us: returns the sensor time reached after these bytes, None before the first time.
        clock: what waits.
    """
    size = 1024
    before: int | None = None
    while piece := read(size):
        t_us = reached_us(piece)
        if t_us is not None:
            clock.wait(t_us)
            if before is not None:
                size = _next_size(len(piece), t_us - before)
        before = t_us
        yield piece


def _next_size(size: int, covered_us: int) -> int:
    """Return the size of a piece that covers about `_STEP_US`, at most twice or half the one before."""
    wanted = size * _STEP_US // covered_us if covered_us > 0 else 2 * size
    return max(_SMALLEST, min(_LARGEST, max(size // 2, min(2 * size, wanted))))
