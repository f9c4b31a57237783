"""The rules of formats whose events carry their own times, one by one, on records written by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

import edgesnn
from tests.unit.test_events_decoders import SENSOR, Rows, decode


def nmnist(rows: Sequence[tuple[int, int, int, int]], on_corrupt: str = "strict") -> tuple[Rows, edgesnn.Decoder]:
    """Rows are (t, x, y, p)."""
    data = b"".join(bytes((x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255)) for t, x, y, p in rows)
    return decode("nmnist", data, on_corrupt)


# N-MNIST .bin


def test_nmnist_records() -> None:
    rows = [(5, 33, 0, 1), (70_000, 0, 33, 0), (8_000_000, 255, 239, 1)]
    assert nmnist(rows)[0] == rows


def test_nmnist_overflow_markers_add_the_counters_range() -> None:
    rows = [(8000, 1, 1, 1), (0, 0, 240, 0), (100, 2, 2, 1), (8100, 3, 3, 0), (0, 0, 240, 0), (50, 4, 4, 1)]
    assert [t for t, *_ in nmnist(rows)[0]] == [8000, 8292, 16292, 16434]


def test_nmnist_a_marker_where_time_goes_on_is_damage() -> None:
    rows = [(8000, 1, 1, 1), (0, 0, 240, 0), (8100, 2, 2, 1)]
    with pytest.raises(edgesnn.RecordingError, match=r"^byte 5: N-MNIST event 1: an overflow marker"):
        nmnist(rows)
    events, decoder = nmnist(rows, "skip")
    assert [t for t, *_ in events] == [8000, 8100]
    assert decoder.counters["bad_words"] == 1


@pytest.mark.parametrize("at", [0, 1, 5, 8])
def test_nmnist_one_time_far_ahead_is_damage(at: int) -> None:
    rows = [(1000 + 10 * k, k, k, 1) for k in range(10)]
    damaged = [*rows[:at], (4_000_000, *rows[at][1:]), *rows[at + 1 :]]
    with pytest.raises(edgesnn.RecordingError, match=rf"^byte {5 * at}: N-MNIST event {at}: its time is far ahead"):
        nmnist(damaged)
    events, decoder = nmnist(damaged, "skip")
    assert events == [*rows[:at], *rows[at + 1 :]]
    assert decoder.t_end_us == rows[-1][0]


def test_nmnist_quiet_stretches_are_no_damage() -> None:
    rows = [(0, 1, 1, 1), (2_000_000, 1, 1, 1), (4_000_000, 1, 1, 1), (8_000_000, 1, 1, 1)]
    assert nmnist(rows)[0] == rows


def test_nmnist_steps_back_are_kept() -> None:
    rows = [(500, 1, 1, 1), (400, 2, 1, 1), (600, 3, 1, 1)]
    events, decoder = nmnist(rows)
    assert events == rows
    assert decoder.counters["time_backward"] == 1


# DAT


def dat(
    rows: Sequence[tuple[int, int, int, int]], on_corrupt: str = "strict", sensor: tuple[int, int] | None = SENSOR
) -> tuple[Rows, edgesnn.Decoder]:
    """Rows are (t, x, y, p)."""
    words = np.array([(t % 2**32, p << 28 | y << 14 | x) for t, x, y, p in rows], "<u4")
    return decode("dat", words.tobytes(), on_corrupt, sensor=sensor)


def test_dat_records() -> None:
    rows = [(5, 639, 0, 1), (6, 0, 479, 0), (8_000_000, 2, 3, 1), (8_000_001, 2, 3, 1)]
    assert dat(rows)[0] == rows
    assert dat([(0, 2**14 - 1, 2**14 - 1, 1)], sensor=None)[0] == [(0, 2**14 - 1, 2**14 - 1, 1)]


def test_dat_clock_wraps_after_32_bits_and_late_events_do_not_wrap_it_again() -> None:
    end = 2**32
    rows = [(end - 20, 1, 1, 1), (end - 1, 1, 1, 1), (end, 2, 1, 1), (end - 3, 3, 1, 1), (end + 7, 4, 1, 1)]
    events, decoder = dat(rows)
    assert events == rows
    assert decoder.t_end_us == end + 7
    assert decoder.counters["time_backward"] == 1


@pytest.mark.parametrize("start", [1000, 2**30 - 40, 2**31, 3 * 2**30 - 50, 2**32 - 60])
@pytest.mark.parametrize("bad", [0x40000000, 0x80100000, 0xC1000000, 0xFFFF0000, 0x00100000])
@pytest.mark.parametrize("at", [0, 1, 5, 8])
def test_dat_one_damaged_time_moves_no_clock(start: int, bad: int, at: int) -> None:
    rows = [(start + 10 * k, k, k, 1) for k in range(10)]
    damaged = [*rows[:at], (bad, *rows[at][1:]), *rows[at + 1 :]]
    events, decoder = dat(damaged, "skip")
    good = [*rows[:at], *rows[at + 1 :]]
    first_doubted = at == 1 and bad < start - 10_000  # of the first two nobody can tell which is wrong
    assert [event for event in events if event in rows] == good[first_doubted:]
    assert decoder.t_end_us == rows[-1][0]
    assert len(events) == 10 - decoder.counters["bad_words"]


def test_dat_damage_is_named() -> None:
    with pytest.raises(edgesnn.RecordingError, match=r"^byte 8: DAT event 1: polarity 5 is neither 0 nor 1"):
        dat([(0, 1, 1, 1), (1, 1, 1, 5)])
    with pytest.raises(edgesnn.RecordingError, match=r"^byte 8: DAT event 1: its time is far ahead of both"):
        dat([(0, 1, 1, 1), (50_000, 1, 1, 1), (1, 1, 1, 1)])
    with pytest.raises(edgesnn.RecordingError, match=r"^byte 8: DAT event 1: x=640 is outside the 640x480 sensor"):
        dat([(0, 1, 1, 1), (1, 640, 1, 1)])


# ES


def event_es(step_us: int, x: int, y: int, p: int) -> bytes:
    return bytes([step_us << 1 | p]) + x.to_bytes(2, "little") + y.to_bytes(2, "little")


def test_es_events_overflows_and_resets() -> None:
    data = event_es(0, 1, 2, 1) + b"\xff\xff" + event_es(5, 639, 479, 0) + b"\xfe" * 5 + event_es(126, 300, 256, 1)
    events, decoder = decode("es", data, "strict")
    assert events == [(0, 1, 2, 1), (259, 639, 479, 0), (385, 300, 256, 1)]
    assert decoder.t_end_us == 385


def test_es_time_advances_without_events() -> None:
    decoder = edgesnn.Decoder("es", sensor=SENSOR)
    assert decoder.feed(b"\xfe")[1] is None
    assert decoder.feed(b"\xff\xff")[1] == 254


def test_es_event_outside_is_named_and_its_time_counts() -> None:
    data = event_es(3, 1, 2, 1) + event_es(4, 640, 2, 1) + event_es(5, 1, 2, 1) * 30
    with pytest.raises(edgesnn.RecordingError, match=r"^byte 5: ES event: x=640 is outside the 640x480 sensor"):
        decode("es", data, "strict")
    events, decoder = decode("es", data, "skip")
    assert [t for t, *_ in events[:2]] == [3, 12]
    assert (decoder.counters["out_of_range"], decoder.counters["bad_words"]) == (1, 0)


@pytest.mark.parametrize("gone", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(20))
def test_es_goes_on_after_lost_bytes(gone: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [(3, int(rng.integers(0, 640)), int(rng.integers(0, 480)), 1) for _ in range(100)]
    data = b"".join(event_es(*row) for row in rows)
    events, decoder = decode("es", data[:202] + data[202 + gone :], "skip")
    assert 95 <= len(events) <= 100
    assert [event[1:] for event in events[-50:]] == [row[1:] for row in rows[-50:]]
    assert abs(decoder.t_end_us - 300) <= 4 * 126


def test_es_cut_event() -> None:
    data = event_es(3, 1, 2, 1) + b"\xff" + event_es(3, 1, 2, 1)[:4]
    with pytest.raises(edgesnn.RecordingError, match=r"^byte 6: the last ES event is cut: 4 of 5 bytes"):
        decode("es", data, "strict")
    assert decode("es", data, "skip")[1].counters["truncated_bytes"] == 4
