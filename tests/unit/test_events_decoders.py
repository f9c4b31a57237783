"""The rules of each format, one by one, on words written by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

import edgesnn

SENSOR = (640, 480)

Rows = list[tuple[int, int, int, int]]


def evt3(words: Sequence[int], on_corrupt: str = "strict") -> tuple[Rows, edgesnn.Decoder]:
    return decode("evt3", np.array(words, "<u2").tobytes(), on_corrupt)


def evt2(words: Sequence[int], on_corrupt: str = "strict") -> tuple[Rows, edgesnn.Decoder]:
    return decode("evt2", np.array(words, "<u4").tobytes(), on_corrupt)


def decode(
    name: str, data: bytes, on_corrupt: str, variant: str = "", sensor: tuple[int, int] | None = SENSOR
) -> tuple[Rows, edgesnn.Decoder]:
    decoder = edgesnn.Decoder(name, sensor=sensor, on_corrupt=on_corrupt, variant=variant)
    events, _ = decoder.feed(data)
    rest, _ = decoder.finish()
    return [*events.tolist(), *rest.tolist()], decoder


def high(value: int) -> int:
    return 0x8000 | value


def high2(value: int) -> int:
    return 0x80000000 | value


def on(x: int) -> int:
    return 0x2800 | x


def cd(low: int, x: int, y: int, p: int) -> int:
    return p << 28 | low << 22 | x << 11 | y


# EVT3


def test_evt3_time_is_high_and_low_and_never_carries() -> None:
    events, _ = evt3([high(5), 0x6FFF, 7, on(1), 0x6001, on(2), high(5), 0x6002, on(3), high(6), 0x6000, on(4)])
    assert [t for t, *_ in events] == [5 << 12 | 0xFFF, 5 << 12 | 1, 5 << 12 | 2, 6 << 12]


def test_evt3_steps_back_are_kept_and_counted() -> None:
    _, decoder = evt3([high(5), 0x6FFF, 7, on(1), 0x6001, on(2), on(3)])
    assert decoder.counters["time_backward"] == 1


def test_evt3_low_part_is_zero_until_said_and_stays_over_a_new_high_part() -> None:
    events, _ = evt3([high(5), 7, on(1), 0x6009, on(2), high(6), on(3)])
    assert [t for t, *_ in events] == [5 << 12, 5 << 12 | 9, 6 << 12 | 9]


@pytest.mark.parametrize("start", [0, 1, 2047, 2048, 4094, 4095])
def test_evt3_may_start_with_any_high_part_and_wraps(start: int) -> None:
    words = [word for step in range(5000) for word in (high((start + step) % 4096), 3, on(1))]
    events, decoder = evt3(words)
    assert [t for t, *_ in events] == [(start + step) << 12 for step in range(5000)]
    assert not any(decoder.counters.values())


def test_evt3_wraps_also_where_each_word_is_repeated() -> None:
    words = [word for step in range(9000) for word in (high((4090 + step // 3) % 4096), 3, on(1))]
    events, decoder = evt3(words)
    assert [t for t, *_ in events] == [(4090 + step // 3) << 12 for step in range(9000)]
    assert not any(decoder.counters.values())


def test_evt3_wraps_over_a_quiet_second() -> None:
    events, decoder = evt3([high(4000), 3, on(1), high(10), on(2), high(11), on(3)])
    assert [t >> 12 for t, *_ in events] == [4000, 4106, 4107]
    assert decoder.counters["time_resyncs"] == 1


def test_evt3_vectors_advance_their_base() -> None:
    events, _ = evt3([high(0), 2, 0x3864, 0x4801, 0x50FF, 0x4001])
    assert [x for _, x, _, _ in events] == [100, 111, *range(112, 120), 120]
    assert all(p == 1 for *_, p in events)


def test_evt3_second_camera_bit_of_rows_is_not_part_of_y() -> None:
    events, _ = evt3([high(0), 0x0800 | 9, on(1)])
    assert events == [(0, 1, 9, 1)]


def test_evt3_triggers_others_and_continued_words_are_no_errors() -> None:
    events, decoder = evt3([high(0), 0x6007, 0xA301, 0xE123, 0x7001, 0xF123, 0xAF00, 1, on(1)])
    assert decoder.triggers().tolist() == [(7, 3, 1), (7, 15, 0)]
    assert len(events) == 1
    assert not any(decoder.counters.values())


@pytest.mark.parametrize("kind", [0x1, 0x9, 0xB, 0xC, 0xD])
def test_evt3_unknown_words(kind: int) -> None:
    words = [high(0), 1, on(1), kind << 12, on(2)]
    with pytest.raises(edgesnn.RecordingError, match=rf"^byte 6: EVT3 word 3: unknown word type 0x{kind:X}"):
        evt3(words)
    events, decoder = evt3(words, "skip")
    assert len(events) == 2
    assert decoder.counters["bad_words"] == 1


def test_evt3_vector_over_the_edge_gives_its_inner_part() -> None:
    words = [high(0), 1, 0x3000 | 636, 0x4FFF]
    with pytest.raises(edgesnn.RecordingError, match=r"^byte 6: EVT3 word 3: x=640 is outside the 640x480 sensor"):
        evt3(words)
    events, decoder = evt3(words, "skip")
    assert [x for _, x, _, _ in events] == [636, 637, 638, 639]
    assert decoder.counters["out_of_range"] == 8


def test_evt3_row_outside() -> None:
    with pytest.raises(edgesnn.RecordingError, match="y=480 is outside"):
        evt3([high(0), 480, on(1)])
    events, decoder = evt3([high(0), 480, on(1), 0x3000, 0x4003, 479, on(2)], "skip")
    assert events == [(0, 2, 479, 1)]
    assert decoder.counters["out_of_range"] == 3


def test_evt3_events_before_time_row_or_base_are_left_out_and_counted() -> None:
    events, decoder = evt3([1, on(1), high(3), on(2), 0x4007, 0x3000, 0x4001])
    assert events == [(3 << 12, 2, 1, 1), (3 << 12, 0, 1, 0)]
    assert decoder.counters["unplaced_events"] == 1 + 3
    events, decoder = evt3([high(3), on(2), 5, on(3)])
    assert events == [(3 << 12, 3, 5, 1)]
    assert decoder.counters["unplaced_events"] == 1


def test_time_advances_without_events() -> None:
    decoder = edgesnn.Decoder("evt3", sensor=SENSOR)
    assert decoder.t_end_us is None
    times = [decoder.feed(np.array([high(step)], "<u2").tobytes())[1] for step in (7, 8, 9)]
    assert times == [None, 8 << 12, 9 << 12]  # the first word waits for the second to confirm it
    assert decoder.feed(b"\x05\x60")[1] == 9 << 12 | 5


# The clock, one damaged word


@pytest.mark.parametrize("bad", [0, 3, 99, 101, 102, 1000, 2148, 3000, 4095])
@pytest.mark.parametrize("repeat", [1, 4])
def test_one_damaged_high_part_moves_no_event(bad: int, repeat: int) -> None:
    values = [100 + step // repeat for step in range(40 * repeat)]
    truth = [(value << 12, x, 1, 1) for x, value in enumerate(values)]
    for at in range(2, len(values) - 1):
        if abs(bad - values[at]) <= 1:
            continue  # by one unit: which of two neighbours is wrong nobody can tell
        damaged = [*values[:at], bad, *values[at + 1 :]]
        events, decoder = evt3([1, *(word for x, value in enumerate(damaged) for word in (high(value), on(x)))], "skip")
        assert events == [event for event in truth if event in events]
        assert len(events) >= len(truth) - 2
        assert decoder.t_end_us == truth[-1][0]
        assert decoder.counters["bad_words"] == 1


def test_strict_names_the_damaged_time_word() -> None:
    with pytest.raises(edgesnn.RecordingError, match=r"^byte 10: EVT3 word 5: TIME_HIGH fits neither"):
        evt3([1, high(7), on(1), high(8), on(1), high(3000), on(1), high(9), on(1)])


@pytest.mark.parametrize(("start", "to"), [(7, 900), (900, 7), (4000, 2000), (10, 3500)])
@pytest.mark.parametrize("repeat", [1, 3])
def test_a_real_jump_is_believed_after_six_words_of_the_new_clock(start: int, to: int, repeat: int) -> None:
    values = [start + step // repeat for step in range(12)] + [to + step // repeat for step in range(12)]
    events, decoder = evt3([1, *(word for x, value in enumerate(values) for word in (high(value), on(x)))])
    assert events == [(value << 12, x, 1, 1) for x, value in enumerate(values)]
    assert decoder.counters["time_resyncs"] == 1


@pytest.mark.parametrize("start", [0, 20, 2900, 4090])
@pytest.mark.parametrize("name", ["evt2", "evt3"])
def test_a_burst_of_random_words_moves_the_clock_nowhere(name: str, start: int) -> None:
    bits, make = (12, evt3) if name == "evt3" else (28, evt2)
    dtype = "<u2" if name == "evt3" else "<u4"
    values = [(start + step // 4) % (1 << bits) for step in range(400)]
    one = [1, 0x6000, on(1)] if name == "evt3" else [cd(0, 1, 1, 1)]
    words = [word for value in values for word in (8 << bits | value, *one)]
    _, whole = make(words)
    for seed in range(150):
        rng = np.random.default_rng(seed)
        at = int(rng.integers(40, len(words) - 80))
        burst = rng.integers(0, 256, 64, dtype=np.uint8).view(dtype).tolist()
        damaged = [*words[:at], *burst, *words[at + len(burst) :]]
        events, decoder = make(damaged, "skip")
        assert decoder.t_end_us == whole.t_end_us
        shift = 12 if name == "evt3" else 6
        assert all(start << shift <= t <= whole.t_end_us for t, *_ in events)
        assert len(events) >= 400 - 60


def test_the_last_time_word_is_believed_of_a_sparse_writer_but_not_of_a_repeating_camera() -> None:
    events, _ = evt3([1, high(7), on(1), high(90), on(2)])
    assert [t >> 12 for t, *_ in events] == [7, 90]
    events, decoder = evt3([1, high(7), on(1), high(7), on(1), high(90), on(2)], "skip")
    assert [t >> 12 for t, *_ in events] == [7, 7]
    assert decoder.counters["unplaced_events"] == 1
    with pytest.raises(edgesnn.RecordingError, match=r"^byte 10: EVT3 word 5: TIME_HIGH fits neither"):
        evt3([1, high(7), on(1), high(7), on(1), high(90), on(2)])


# EVT2


def test_evt2_words() -> None:
    words = [high2(3), cd(5, 10, 20, 1), cd(6, 639, 479, 0), 0xA0000000 | 7 << 22 | 2 << 8 | 1, 0xE0000000, 0xF0000000]
    events, decoder = evt2(words)
    assert events == [(3 << 6 | 5, 10, 20, 1), (3 << 6 | 6, 639, 479, 0)]
    assert decoder.triggers().tolist() == [(3 << 6 | 7, 2, 1)]
    assert decoder.t_end_us == 3 << 6 | 7


def test_evt2_clock_wraps_after_34_bits() -> None:
    events, _ = evt2([word for step in range(6) for word in (high2((2**28 - 3 + step) % 2**28), cd(0, 1, 1, 1))])
    assert [t for t, *_ in events] == [(2**28 - 3 + step) << 6 for step in range(6)]


@pytest.mark.parametrize("kind", [2, 3, 7, 9, 0xB, 0xD])
def test_evt2_unknown_words(kind: int) -> None:
    with pytest.raises(edgesnn.RecordingError, match=rf"^byte 4: EVT2 word 1: unknown word type 0x{kind:X}"):
        evt2([high2(0), kind << 28])


@pytest.mark.parametrize(("x", "y", "axis"), [(640, 0, "x=640"), (0, 480, "y=480"), (2047, 2047, "x=2047")])
def test_evt2_outside(x: int, y: int, axis: str) -> None:
    with pytest.raises(edgesnn.RecordingError, match=rf"^byte 4: EVT2 word 1: {axis} is outside the 640x480 sensor"):
        evt2([high2(0), cd(0, x, y, 1)])
    _, decoder = evt2([high2(0), cd(0, x, y, 1)], "skip")
    assert decoder.counters["out_of_range"] == 1


# EVT2.1


def evt21(
    words: Sequence[tuple[int, int]], on_corrupt: str = "strict", variant: str = ""
) -> tuple[Rows, edgesnn.Decoder]:
    """Words are (EVT2 word, mask)."""
    halves = np.array(words, "<u4")
    return decode("evt21", (halves if variant else halves[:, ::-1]).tobytes(), on_corrupt, variant)


@pytest.mark.parametrize("variant", ["", "legacy"])
def test_evt21_words(variant: str) -> None:
    words = [
        (high2(3), 0),
        (cd(5, 64, 20, 1), 0x80000011),
        (cd(6, 0, 479, 0), 0),
        (0xA0000000 | 7 << 22 | 2 << 8 | 1, 0xFFFFFFFF),
        (0xE0000000, 5),
        (0xF0000000, 5),
        (cd(9, 0, 479, 0), 2),
    ]
    events, decoder = evt21(words, variant=variant)
    assert events == [*((3 << 6 | 5, x, 20, 1) for x in (64, 68, 95)), (3 << 6 | 9, 1, 479, 0)]
    assert decoder.triggers().tolist() == [(3 << 6 | 7, 2, 1)]
    assert decoder.t_end_us == 3 << 6 | 9


@pytest.mark.parametrize("kind", [2, 3, 7, 9, 0xB, 0xD])
def test_evt21_unknown_words(kind: int) -> None:
    words = [(high2(0), 0), (kind << 28, 0xABC), (cd(0, 0, 1, 1), 3)]
    with pytest.raises(
        edgesnn.RecordingError,
        match=rf"^byte 8: EVT2.1 word 1: unknown word type 0x{kind:X} \(0x{kind:X}000000000000ABC\)",
    ):
        evt21(words)
    assert len(evt21(words, "skip")[0]) == 2


def test_evt21_vector_over_the_edge_gives_its_inner_part() -> None:
    words = [(high2(0), 0), (cd(0, 632, 1, 1), 0xFFF), (cd(0, 2040, 1, 1), 0xF0000000)]
    with pytest.raises(edgesnn.RecordingError, match=r"^byte 8: EVT2.1 word 1: x=640 is outside the 640x480 sensor"):
        evt21(words)
    events, decoder = evt21(words, "skip")
    assert [x for _, x, _, _ in events] == list(range(632, 640))
    assert decoder.counters["out_of_range"] == 4 + 4
    with pytest.raises(edgesnn.RecordingError, match="y=480 is outside"):
        evt21([(high2(0), 0), (cd(0, 0, 480, 1), 1)])


def test_evt21_events_before_the_first_time_are_left_out_and_counted() -> None:
    events, decoder = evt21([(cd(1, 0, 1, 1), 7), (high2(0), 0), (cd(2, 0, 1, 1), 1)])
    assert events == [(2, 0, 1, 1)]
    assert decoder.counters["unplaced_events"] == 3


# The public decoder


def test_without_a_sensor_only_the_format_bounds_coordinates() -> None:
    decoder = edgesnn.Decoder("evt3")
    decoder.feed(np.array([high(0), 0x7FF, on(0x7FF), 0x3000 | 2047, 0x4001], "<u2").tobytes())
    assert decoder.finish()[0].tolist() == [(0, 2047, 2047, 1), (0, 2047, 2047, 0)]
    with pytest.raises(edgesnn.RecordingError, match="x=2048 is outside the 2048x2048 range of the format"):
        edgesnn.Decoder("evt3").feed(np.array([high(0), 1, 0x3000 | 2047, 0x4003], "<u2").tobytes())


def test_a_failed_decoder_stays_failed() -> None:
    decoder = edgesnn.Decoder("evt3", sensor=SENSOR, where="cam", offset=100)
    for _ in range(2):
        with pytest.raises(edgesnn.RecordingError, match=r"^cam: byte 102: EVT3 word 1"):
            decoder.feed(np.array([high(0), 0x1000], "<u2").tobytes())
    with pytest.raises(edgesnn.RecordingError, match=r"^cam: byte 102: EVT3 word 1"):
        decoder.finish()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda b: np.frombuffer(b, np.uint8)])
def test_any_contiguous_buffer_is_taken(kind: type) -> None:
    decoder = edgesnn.Decoder("evt3", sensor=SENSOR)
    events, _ = decoder.feed(kind(np.array([high(0), high(0), 1, on(1)], "<u2").tobytes()))
    assert events.dtype == edgesnn.EVENT
    assert len(events) == 1


@pytest.mark.parametrize("wrong", ["text", 3, None, np.zeros((4, 4), np.uint8)[:, ::2]])
def test_what_is_no_buffer_is_a_type_error(wrong: object) -> None:
    with pytest.raises((TypeError, BufferError, ValueError)):
        edgesnn.Decoder("evt3").feed(wrong)


def test_names_of_formats_are_checked() -> None:
    with pytest.raises(edgesnn.UsageError, match="evt2, evt21, evt3"):
        edgesnn.Decoder("evt4")


def test_after_lost_bytes_evt3_knows_no_row_and_no_half_word() -> None:
    words = np.array([0x8000, 0x6005, 0x0007, 0x3001, 0x8000, 0x2003], "<u2").tobytes()
    decoder = edgesnn.Decoder("evt3", sensor=(64, 48))
    assert decoder.feed(words + b"\x09")[0].tolist() == [(5, 3, 7, 0)]
    decoder.lost()
    events, t_end_us = decoder.feed(np.array([0x2004, 0x4001, 0x0008, 0x4001, 0x3002, 0x4001], "<u2").tobytes())
    assert events.tolist() == [(5, 2, 8, 0)]
    assert t_end_us == 5
    assert decoder.counters["unplaced_events"] == 3
    assert decoder.finish()[1] == 5


def test_arrays_that_are_let_go_are_written_again_and_no_others() -> None:
    record = bytes([3, 4, 0x80, 0, 9])
    decoder = edgesnn.Decoder("nmnist")
    decoder.feed(record * 2)
    kept, _ = decoder.feed(record * 5000)
    before = kept.copy()
    for _ in range(3):
        dropped, _ = decoder.feed(record * 5000)
        place = dropped.ctypes.data
        assert place != kept.ctypes.data
        del dropped
        again, _ = decoder.feed(record * 5000)
        assert again.ctypes.data == place
        del again
    np.testing.assert_array_equal(kept, before)
