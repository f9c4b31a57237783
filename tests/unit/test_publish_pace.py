"""The pace of a backlog: bounded, at random, never slower than what is newly accepted."""

from __future__ import annotations

import pytest

from edgesnn.publish.pace import SPREAD, START_WITHIN_S, Pace


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


def run(pace: Pace, clock: Clock, *, pending: int, arrivals_hz: float, seconds: float) -> tuple[float, int]:
    """Return when the backlog was gone and the most that went in one second; the pace is asked each 10 ms."""
    accepted, sent_at, began = float(pending), [], clock.now
    left = float(pending)
    while clock.now - began < seconds:
        clock.now += 0.01
        accepted += arrivals_hz * 0.01
        left += arrivals_hz * 0.01
        n = min(pace.allowed(int(accepted), int(left)), int(left))
        pace.spend(n)
        left -= n
        sent_at += [clock.now] * n
        if left <= 20:
            break
    most = max((sum(1 for t in sent_at if s <= t < s + 1) for s in sent_at[::200]), default=0)
    return clock.now - began, most


@pytest.mark.parametrize("arrivals_hz", [0, 200, 1000])
def test_a_backlog_shrinks_at_the_rate_whatever_arrives(arrivals_hz):
    clock = Clock()
    pace = Pace(500, 20, clock)
    pace.begin()
    took_s, most = run(pace, clock, pending=5000, arrivals_hz=arrivals_hz, seconds=60)
    began_s = START_WITHIN_S * (1 + arrivals_hz / 350)  # what arrives before the beginning is to go too
    assert 5000 / (500 * (1 + SPREAD)) - 1 <= took_s <= 5000 / (500 * (1 - SPREAD)) + began_s + 1
    assert most <= 500 * (1 + SPREAD) + arrivals_hz + 40


def test_without_a_backlog_nothing_waits():
    clock = Clock()
    pace = Pace(10, 20, clock)
    pace.begin()
    assert pace.allowed(20, 20) == 20


def test_boards_do_not_begin_together():
    clock = Clock()
    starts = []
    for _ in range(50):
        pace, clock.now = Pace(500, 20, clock), 50.0
        pace.begin()
        while not pace.allowed(1000, 1000):
            clock.now += 0.01
        starts.append(clock.now)
    assert max(starts) - min(starts) > START_WITHIN_S / 2
