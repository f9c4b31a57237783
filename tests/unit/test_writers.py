"""EVT3 as written: decoded by a plain word-by-word reader of the vendor's page, and by the native decoder."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn.errors import RecordingError
from edgesnn.events.types import EVENT
from edgesnn.events.writers import encode_evt3, evt3_header, write_evt3

SENSOR = (640, 480)


def read_words(words: np.ndarray) -> tuple[np.ndarray, int]:
    """Decode word by word, as Prophesee's page says it; return the events and the time reached."""
    events, epoch, high, low, y, base, polarity = [], 0, None, 0, 0, 0, 0
    for word in words.tolist():
        kind, value = word >> 12, word & 0xFFF
        if kind == 0x8:
            epoch += high is not None and value < high
            high, low = value, 0
        elif kind == 0x6:
            low = value
        elif kind == 0x0:
            y = value & 0x7FF
        elif kind == 0x2:
            events.append(((epoch << 24) | (high << 12) | low, value & 0x7FF, y, value >> 11))
        elif kind == 0x3:
            base, polarity = value & 0x7FF, value >> 11
        elif kind == 0x4:
            time = (epoch << 24) | (high << 12) | low
            events += [(time, base + k, y, polarity) for k in range(12) if value >> k & 1]
            base += 12
        else:
            raise AssertionError(f"unexpected word {word:#06x}")
    return np.array(events, dtype=EVENT), (epoch << 24) | ((high or 0) << 12) | low


@st.composite
def event_arrays(draw: st.DrawFn) -> np.ndarray:
    """Draw bursts of events: long gaps, repeated times, rows that fill up."""
    steps = draw(st.lists(st.sampled_from([0, 0, 0, 1, 37, 4095, 4096, 70_000, 9_000_000]), max_size=60))
    count = len(steps)
    out = np.zeros(count, dtype=EVENT)
    out["t"] = draw(st.integers(0, 2**24 - 1)) + np.cumsum([0, *steps[1:]], dtype=np.int64) if count else 0
    out["x"] = draw(st.lists(st.integers(0, 30) | st.integers(600, 639), min_size=count, max_size=count))
    out["y"] = draw(st.lists(st.sampled_from([0, 7, 479]), min_size=count, max_size=count))
    out["p"] = draw(st.lists(st.integers(0, 1), min_size=count, max_size=count))
    return out


@given(event_arrays())
@settings(max_examples=150, deadline=None)
def test_words_decode_to_the_events_in_their_order(events: np.ndarray) -> None:
    decoded, _ = read_words(encode_evt3(events, SENSOR))
    np.testing.assert_array_equal(decoded, events)


def test_a_full_row_takes_one_vector_per_twelve_columns() -> None:
    events = np.zeros(24, dtype=EVENT)
    events["x"] = np.arange(24)
    words = encode_evt3(events, SENSOR)
    assert [word >> 12 for word in words.tolist()] == [0x8, 0x6, 0x0, 0x3, 0x4, 0x3, 0x4]


def test_time_goes_on_without_events() -> None:
    events = np.array([(5, 1, 1, 1)], dtype=EVENT)
    _, reached = read_words(encode_evt3(events, SENSOR, t_end_us=40_000_000))
    assert reached == 40_000_000 // 4096 * 4096


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([(5, 1, 1, 1), (4, 1, 1, 1)], "times fall"),
        ([(5, 640, 1, 1)], "outside the sensor"),
        ([(5, 1, 480, 1)], "outside the sensor"),
        ([(2**24, 1, 1, 1)], "24 bits"),
        ([(-1, 1, 1, 1)], "24 bits"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(rows: list[tuple[int, int, int, int]], complaint: str) -> None:
    with pytest.raises(RecordingError, match=complaint):
        encode_evt3(np.array(rows, dtype=EVENT), SENSOR)


def test_header_lines() -> None:
    lines = evt3_header((128, 96), {"seed": "7"}).decode().splitlines()
    assert lines == ["% evt 3.0", "% format EVT3;height=96;width=128", "% geometry 128x96", "% seed 7", "% end"]


@pytest.mark.skipif(importlib.util.find_spec("edgesnn._native") is None, reason="the native module is not built")
@pytest.mark.skipif(importlib.util.find_spec("edgesnn.events.recording") is None, reason="there is no reader yet")
def test_the_native_decoder_reads_what_was_written(tmp_path: Path) -> None:
    import edgesnn

    rng = np.random.default_rng(3)
    events = np.zeros(5000, dtype=EVENT)
    events["t"] = np.sort(rng.integers(0, 30_000, 5000)) * 700
    events["x"], events["y"] = rng.integers(0, 640, 5000), rng.integers(0, 480, 5000)
    events["p"] = rng.integers(0, 2, 5000)
    events["t"] -= events["t"][0]
    write_evt3(tmp_path / "a.raw", events, SENSOR)
    recording = edgesnn.open(tmp_path / "a.raw")
    assert recording.sensor == SENSOR
    np.testing.assert_array_equal(recording.read(), events)
