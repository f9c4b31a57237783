"""The clock of a live source: time that goes on, whatever one packet says. docs/sources.md, "Time"."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

LIMIT_US = 1_000_000
"""A larger step is a jump: the clock is synchronised anew."""
_FORMER = 4


class Timeline:
    """Maps times of the sensor to times of the stream, which never jump. They are the same until the first jump.

    Args:
        idle_close_us: while nothing comes, stream time follows the monotonic clock so far behind.

    Attributes:
        offset_us: what is added to the sensor's times now.
        reached_us: stream time reached, None before the first.
        resyncs: jumps so far.
    """

    def __init__(self, idle_close_us: int) -> None:
        self.offset_us = 0
        self.reached_us: int | None = None
        self.resyncs = 0
        self._idle_close_us = idle_close_us
        self._latest = (0, 0.0)  # stream time of the last event or word, and when it came
        self._sensor_end_us: int | None = None
        self._former: deque[int] = deque(maxlen=_FORMER)

    def place(
        self, events: npt.NDArray[Any], t_end_us: int | None, now_s: float, *, sure: bool = False, fresh: bool = False
    ) -> bool:
        """Move the times of a packet, in place; say whether they tell of any time.

        Args:
            events: in the sensor's time.
            t_end_us: the sensor time reached after them, by words too; it never falls.
            now_s: the monotonic clock.
            sure: no time was left out before any of these: a long step is a quiet scene, and no jump.
            fresh: the first of a new connection.
        """
        if fresh:
            self._sensor_end_us = None
        times = self._times(events, t_end_us, sure)
        if not len(times):
            return False
        if self.reached_us is None:
            self.reached_us = int(times[0]) + self.offset_us
            self._latest = (self.reached_us, now_s)
        placed = self._placed(times, now_s, sure, fresh)
        if placed is not times:
            events["t"] = placed[: len(events)]
        self.reached_us = max(self.reached_us, int(placed.max()))
        self._latest = (int(placed[-1]), now_s)
        return True

    def resume(self, reached_us: int, now_s: float) -> None:
        """Let this stream time be reached."""
        self.reached_us = reached_us
        self._latest = (reached_us, now_s)

    def idle(self, now_s: float) -> bool:
        """Let time go on without events; say whether it has."""
        if self.reached_us is None:
            return False
        stream_us, came_s = self._latest
        t_us = stream_us + round((now_s - came_s) * 1e6) - self._idle_close_us
        if t_us <= self.reached_us:
            return False
        self.reached_us = t_us
        return True

    def _times(self, events: npt.NDArray[Any], t_end_us: int | None, sure: bool) -> npt.NDArray[np.int64]:
        """Return the sensor's times of the events, and behind them the time that words have reached, where it tells."""
        times = np.ascontiguousarray(events["t"])
        if t_end_us is None or (self._sensor_end_us is not None and t_end_us <= self._sensor_end_us):
            return times
        self._sensor_end_us = t_end_us
        far = len(times) and not sure and t_end_us - int(times[-1]) > LIMIT_US
        return times if far else np.append(times, t_end_us)

    def _placed(self, times: npt.NDArray[np.int64], now_s: float, sure: bool, fresh: bool) -> npt.NDArray[np.int64]:
        assert self.reached_us is not None
        latest_us, came_s = self._latest
        expected_us = max(self.reached_us, latest_us + round((now_s - came_s) * 1e6))
        breaks = _jumps(times, sure)
        first_us = int(times[0]) + self.offset_us
        if first_us < self.reached_us - LIMIT_US or (first_us > expected_us + LIMIT_US and not sure):
            breaks.insert(0, 0)
            expected_us = self.reached_us if fresh else expected_us  # time stood still without a connection
        if not breaks and self.offset_us == 0:
            return times
        placed = times + self.offset_us
        for start, stop in zip(breaks, [*breaks, len(times)][1:], strict=True):
            self._jump(int(times[start]), int(placed[start - 1]) if start else expected_us)
            placed[start:stop] = times[start:stop] + self.offset_us
        return placed

    def _jump(self, t_us: int, now_us: int) -> None:
        """Let the sensor's time `t_us` be this stream time, or what an earlier offset makes of it if that is near."""
        offset_us = next((one for one in reversed(self._former) if abs(t_us + one - now_us) <= LIMIT_US), None)
        if offset_us is None:
            offset_us = now_us - t_us
        else:
            self._former.remove(offset_us)
        self._former.append(self.offset_us)
        self.offset_us = offset_us
        self.resyncs += 1


def _jumps(times: npt.NDArray[np.int64], sure: bool) -> list[int]:
    """Return the places that a step of more than the limit leads to; where `sure` only steps back."""
    steps = np.diff(times)
    if not len(steps) or (steps.min() >= -LIMIT_US and (sure or steps.max() <= LIMIT_US)):
        return []
    jumps = steps < -LIMIT_US if sure else np.abs(steps) > LIMIT_US
    found: list[int] = (np.flatnonzero(jumps) + 1).tolist()
    return found
