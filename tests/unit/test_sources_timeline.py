"""The clock of a live source: nothing that one packet says can stop it."""

from __future__ import annotations

import numpy as np
import pytest

from edgesnn.events.sources.timeline import LIMIT_US, Timeline
from edgesnn.events.types import EVENT


def events(*t_us: int) -> np.ndarray:
    made = np.zeros(len(t_us), EVENT)
    made["t"] = t_us
    return made


def placed(timeline: Timeline, t_us: list[int], now_s: float, t_end_us: int | None = None, **how: bool) -> list[int]:
    packet = events(*t_us)
    assert timeline.place(packet, t_end_us if t_end_us is not None else max(t_us), now_s, **how)
    return packet["t"].tolist()


def test_times_are_the_sensors_own_as_long_as_nothing_jumps() -> None:
    timeline = Timeline(50_000)
    assert placed(timeline, [7_000_000, 7_000_500], 100.0) == [7_000_000, 7_000_500]
    assert placed(timeline, [7_000_400, 7_900_000], 100.9) == [7_000_400, 7_900_000]
    assert (timeline.reached_us, timeline.resyncs, timeline.offset_us) == (7_900_000, 0, 0)


@pytest.mark.parametrize("forged_us", [10**12, -(10**12), 5_000_000, -3_000_000])
def test_a_forged_packet_is_placed_now_and_the_stream_goes_on_as_before(forged_us: int) -> None:
    timeline = Timeline(50_000)
    placed(timeline, [1_000_000], 10.0)
    assert placed(timeline, [forged_us, forged_us + 5], 10.01) == [1_010_000, 1_010_005]
    assert placed(timeline, [1_020_000], 10.02, max(forged_us + 5, 1_020_000)) == [1_020_000]
    assert timeline.resyncs == 2
    assert timeline.reached_us == 1_020_000


def test_a_jump_inside_a_packet_moves_only_what_follows_it() -> None:
    timeline = Timeline(50_000)
    placed(timeline, [1_000], 10.0)
    assert placed(timeline, [2_000, 10**10, 10**10 + 7, 3_000], 10.0) == [2_000, 2_000, 2_007, 3_000]
    assert (timeline.resyncs, timeline.offset_us) == (2, 0)


def test_words_alone_move_time_and_are_guarded_like_events() -> None:
    timeline = Timeline(50_000)
    placed(timeline, [1_000], 10.0)
    assert timeline.place(events(), 500_000, 10.5)
    assert timeline.reached_us == 500_000
    assert timeline.place(events(), 10**10, 10.6)  # forged words without an event
    assert timeline.reached_us == 600_000
    assert placed(timeline, [700_000], 10.7, 10**10) == [700_000]
    assert not timeline.place(events(), 10**10, 10.8), "a decoder's time that stands still tells nothing"


def test_a_camera_that_starts_anew_goes_on_where_the_stream_was() -> None:
    timeline = Timeline(50_000)
    placed(timeline, [60_000_000], 10.0)
    assert placed(timeline, [40, 90], 45.0, fresh=True) == [60_000_000, 60_000_050]
    assert timeline.resyncs == 1


def test_a_camera_that_kept_its_clock_keeps_its_times() -> None:
    timeline = Timeline(50_000)
    placed(timeline, [60_000_000], 10.0)
    assert placed(timeline, [95_000_000], 45.0, fresh=True) == [95_000_000]
    assert timeline.resyncs == 0


def test_a_long_silence_is_no_jump_where_the_clock_agrees_or_the_words_say_so() -> None:
    timeline = Timeline(50_000)
    placed(timeline, [0], 10.0)
    assert placed(timeline, [30_000_000], 40.0) == [30_000_000]
    assert placed(timeline, [90_000_000, 190_000_000], 40.1, sure=True) == [90_000_000, 190_000_000]
    assert timeline.resyncs == 0


def test_idle_time_follows_the_clock_and_never_falls() -> None:
    timeline = Timeline(50_000)
    assert not timeline.idle(9.0)
    placed(timeline, [1_000_000], 10.0)
    assert not timeline.idle(10.05)
    assert timeline.idle(10.25)
    assert timeline.reached_us == 1_200_000
    assert not timeline.idle(10.2)
    placed(timeline, [1_150_000], 10.3)
    assert timeline.reached_us == 1_200_000


def test_a_clock_that_fell_behind_unseen_catches_up() -> None:
    """EVT3 says 16.7 s: a gap of a whole turn cannot be seen in its words."""
    timeline = Timeline(50_000)
    placed(timeline, [1_000_000], 10.0)
    timeline.idle(27.0)
    assert placed(timeline, [1_300_000], 27.1, sure=True) == [18_100_000]
    assert timeline.resyncs == 1


def test_any_times_at_all_never_move_the_stream_faster_than_the_limit() -> None:
    rng = np.random.default_rng(0)
    timeline = Timeline(0)
    reached_us, now_s = None, 0.0
    for _ in range(300):
        t_us = rng.integers(-(1 << 59), 1 << 59, rng.integers(1, 40))
        packet = events(*t_us.tolist())
        timeline.place(packet, int(t_us.max()), now_s)
        assert timeline.reached_us is not None
        if reached_us is not None:
            assert 0 <= timeline.reached_us - reached_us <= 41 * LIMIT_US
            assert np.all(np.abs(packet["t"] - reached_us) <= 41 * LIMIT_US)
        reached_us = timeline.reached_us
        now_s += 0.001
