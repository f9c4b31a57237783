"""How often, and how quickly, a stream decided in the last ten seconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesnn.daemon.lately import MOST, Lately


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_nothing_yet() -> None:
    clock = Clock()
    lately = Lately(clock)
    assert (lately.rate_hz, lately.latency_ms) == (0.0, None)
    clock.now_s = 5.0
    assert (lately.rate_hz, lately.latency_ms) == (0.0, None)


@given(st.lists(st.tuples(st.floats(0.001, 3.0), st.none() | st.floats(0, 1e6)), min_size=1, max_size=60))
def test_the_last_ten_seconds(steps: list[tuple[float, float | None]]) -> None:
    clock = Clock()
    lately = Lately(clock)
    all_notes = []
    for step_s, latency_us in steps:
        clock.now_s += step_s
        lately.note(latency_us)
        all_notes.append((clock.now_s, latency_us))
        recent = [latency for at_s, latency in all_notes if at_s >= clock.now_s - 10]
        assert lately.rate_hz == pytest.approx(len(recent) / min(clock.now_s, 10.0), abs=1e-3)
        known = sorted(latency for latency in recent if latency is not None)
        found = lately.latency_ms
        if not known:
            assert found is None
        else:
            assert found is not None
            assert found["p99"] == pytest.approx(known[-1] / 1000, abs=1e-3)  # of fewer than 100 it is the largest
            assert found["p50"] == pytest.approx(known[(len(known) - 1) // 2] / 1000, abs=1e-3)


def test_a_quiet_stream_has_a_rate_of_none() -> None:
    clock = Clock()
    lately = Lately(clock)
    lately.note(100.0)
    clock.now_s = 10.5
    assert (lately.rate_hz, lately.latency_ms) == (0.0, None)


def test_quick_streams_take_no_more_memory() -> None:
    clock = Clock()
    lately = Lately(clock)
    for i in range(3 * MOST):
        clock.now_s = i / 2000
        lately.note(float(i))
    assert lately.rate_hz == pytest.approx(2000, rel=1e-3)
    assert lately.latency_ms == {
        "p50": pytest.approx((3 * MOST - MOST / 2) / 1000, rel=1e-3),
        "p99": pytest.approx(12.247, rel=1e-3),
    }
