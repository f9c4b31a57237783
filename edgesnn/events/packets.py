"""Regroup a stream of event arrays into packets by count or by time; the events and their order stay."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import UsageError

Events = npt.NDArray[Any]
Block = tuple[Events, list[int], list[int]]  # packets: their events, where each ends, the latest time in each

_MOST = 1 << 62  # no recording is as long, and sums of times stay inside int64


def regroup(parts: Iterable[Events], *, duration_us: int | None = None, count: int | None = None) -> Iterator[Events]:
    """Yield the events of `parts` in packets; arguments as `Recording.packets`. Empty parts are left out."""
    if duration_us is not None and count is not None:
        raise UsageError("give duration_us or count, not both", where="packets")
    if count is not None:
        return _by_count(parts, _positive(count, "count"))
    if duration_us is not None:
        return _by_time(parts, _positive(duration_us, "duration_us"))
    return (part for part in parts if len(part))


def _positive(value: int, name: str) -> int:
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise UsageError("packets need a positive size", where=name, found=repr(value), expected="1 or more")
    return min(int(value), _MOST)


def _by_count(parts: Iterable[Events], count: int) -> Iterator[Events]:
    waiting: list[Events] = []
    have = 0
    for part in parts:
        start = 0
        while have + len(part) - start >= count:
            stop = start + count - have
            yield _joined([*waiting, part[start:stop]])
            waiting, have, start = [], 0, stop
        if start < len(part):
            waiting.append(part[start:])
            have += len(part) - start
    if waiting:
        yield _joined(waiting)


def timed_blocks(parts: Iterable[Events], duration_us: int) -> Generator[Block, None, None]:
    """Yield the packets of `regroup(parts, duration_us=...)`, as many at once as lie side by side in memory."""
    waiting: list[Events] = []
    origin = latest = number = 0
    first = True
    for part in parts:
        if not len(part):
            continue
        if first:
            origin = latest = int(part["t"][0])
            first = False
        clock = np.maximum(np.maximum.accumulate(part["t"]), latest)
        numbers = (clock - origin) // duration_us
        cuts = np.flatnonzero(np.diff(numbers, prepend=number)).tolist()
        if cuts:
            begin, *others = cuts
            head = _joined([*waiting, part[:begin]] if begin else waiting)
            # nothing before a cut is later than what comes there
            yield head, [len(head)], [int(clock[begin - 1]) if begin else latest]
            if others:
                ends = [other - begin for other in others]
                yield part[begin : others[-1]], ends, clock[np.array(others) - 1].tolist()
            waiting = []
        waiting.append(part[cuts[-1] if cuts else 0 :])
        latest, number = int(clock[-1]), int(numbers[-1])
    if waiting:
        tail = _joined(waiting)
        yield tail, [len(tail)], [latest]


def _by_time(parts: Iterable[Events], duration_us: int) -> Iterator[Events]:
    for events, ends, _ in timed_blocks(parts, duration_us):
        start = 0
        for end in ends:
            yield events[start:end]
            start = end


def _joined(parts: list[Events]) -> Events:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
