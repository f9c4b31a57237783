"""Decoders: equal to the word-by-word oracle, the same for every split, through save and load, inside the sensor."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgesnn
from edgesnn.events.packets import regroup, timed_blocks
from edgesnn.events.types import EVENT
from tests.property.csv_reference import decode_csv
from tests.property.evt_reference import Outcome, decode_evt2, decode_evt3, decode_evt21
from tests.property.record_reference import decode_dat, decode_es
from tests.property.streams import MAKERS, SENSOR, SIZES, Stream, streams

EVT_ORACLES = {"evt2": decode_evt2, "evt21": decode_evt21, "evt3": decode_evt3}
ORACLES = {"dat": decode_dat, "es": decode_es}

Result = tuple[list[Any], list[Any], "int | None", dict[str, int], str]


def oracle(stream: Stream) -> Outcome:
    """Decode it the slow way, what is cut at its end included."""
    known = EVT_ORACLES.get(stream.format)
    outcome = known(stream.words, SENSOR) if known else ORACLES[stream.format](stream.data, SENSOR)
    outcome.counters["truncated_bytes"] += len(stream.data) % SIZES[stream.format]
    return outcome


def decode(stream: Stream, cuts: Sequence[int], on_corrupt: str, *, restore: bool = False) -> Result:
    """Feed the stream in the pieces between `cuts`; with `restore` each piece to a new decoder that loads the state."""
    decoder = edgesnn.Decoder(stream.format, sensor=SENSOR, on_corrupt=on_corrupt, variant=stream.variant)
    events, triggers, message = [], [], ""
    edges = sorted({0, *(min(cut, len(stream.data)) for cut in cuts), len(stream.data)})
    for start, stop in itertools.pairwise(edges):
        some, _, error = decoder.feed_some(stream.data[start:stop])
        events += some.tolist()
        if error is not None:
            message = str(error)
            break
        if restore:
            state = decoder.save()
            decoder = edgesnn.Decoder(stream.format, sensor=SENSOR, on_corrupt=on_corrupt, variant=stream.variant)
            decoder.load(state)
        triggers += decoder.triggers().tolist()
    if not message:
        some, _, error = decoder.finish_some()
        events += some.tolist()
        message = "" if error is None else str(error)
    triggers += decoder.triggers().tolist()
    return events, triggers, decoder.t_end_us, decoder.counters, message


@given(streams((*EVT_ORACLES, *ORACLES)))
@settings(max_examples=600)
def test_skip_equals_the_oracle(stream: Stream) -> None:
    events, triggers, t_end_us, counters, message = decode(stream, [], "skip")
    expected = oracle(stream)
    assert message == ""
    assert events == expected.events
    assert triggers == expected.triggers
    assert counters == expected.counters
    assert t_end_us == expected.t_end_us


@given(streams(("csv",)))
@settings(max_examples=600)
def test_text_equals_the_slow_reader(stream: Stream) -> None:
    events, _, t_end_us, counters, message = decode(stream, [], "skip")
    expected = decode_csv(stream.data, SENSOR, stream.variant)
    assert message == ""
    assert events == expected.events
    assert counters == expected.counters
    assert t_end_us == expected.t_end_us
    refusal = decode(stream, [], "strict")[4]
    assert refusal.startswith(f"byte {expected.problems[0]}: ") if expected.problems else refusal == ""


@given(streams((*EVT_ORACLES, *ORACLES), hits=0))
@settings(max_examples=300)
def test_strict_gives_all_events_of_whole_streams_and_refuses_the_others(stream: Stream) -> None:
    expected = oracle(stream)
    events, _, _, _, message = decode(stream, [], "strict")
    assert bool(message) == any(expected.counters[name] for name in ("bad_words", "out_of_range", "truncated_bytes"))
    assert events == expected.events[: len(events)]
    if not message:
        assert events == expected.events


@given(streams(), st.lists(st.integers(0, 1000), max_size=12), st.sampled_from(["strict", "skip"]))
@settings(max_examples=400)
def test_every_split_gives_the_same(stream: Stream, cuts: list[int], on_corrupt: str) -> None:
    whole = decode(stream, [], on_corrupt)
    assert decode(stream, cuts, on_corrupt) == whole


@given(streams(), st.sampled_from(["strict", "skip"]))
@settings(max_examples=60)
def test_byte_by_byte_gives_the_same(stream: Stream, on_corrupt: str) -> None:
    assert decode(stream, range(len(stream.data)), on_corrupt) == decode(stream, [], on_corrupt)


@given(streams(), st.lists(st.integers(0, 1000), max_size=12), st.sampled_from(["strict", "skip"]))
@settings(max_examples=300)
def test_save_and_load_in_the_middle_give_the_same(stream: Stream, cuts: list[int], on_corrupt: str) -> None:
    assert decode(stream, cuts, on_corrupt, restore=True) == decode(stream, [], on_corrupt)


@given(streams(hits=12))
@settings(max_examples=300)
def test_no_event_is_ever_outside_the_sensor_and_skip_never_fails(stream: Stream) -> None:
    events, _, _, _, message = decode(stream, [100], "skip")
    assert message == ""
    assert all(0 <= x < SENSOR[0] and 0 <= y < SENSOR[1] and p in (0, 1) for _, x, y, p in events)
    assert stream.format == "csv" or all(t >= 0 for t, *_ in events)


@given(streams(hits=12))
@settings(max_examples=300)
def test_strict_stops_where_skip_begins_to_count(stream: Stream) -> None:
    events, _, _, _, message = decode(stream, [], "strict")
    skipped = decode(stream, [], "skip")
    lossless = not any(skipped[3][name] for name in ("bad_words", "out_of_range", "truncated_bytes"))
    assert (message == "") == lossless
    assert events == skipped[0][: len(events)]
    assert message == "" or message.startswith("byte ")


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(-30, 30)), max_size=120),
    st.lists(st.integers(0, 120), max_size=6),
    st.integers(1, 130),
    st.integers(1, 5000),
)
@settings(max_examples=200)
def test_packets_keep_the_events_and_their_order(
    steps: list[tuple[int, int]], cuts: list[int], count: int, duration_us: int
) -> None:
    events = np.zeros(len(steps), EVENT)
    events["t"] = np.cumsum([a for a, _ in steps], dtype=np.int64) + [b for _, b in steps] if steps else 0
    events["x"] = np.arange(len(steps))
    parts = np.split(events, sorted(min(cut, len(events)) for cut in cuts))
    by_count = list(regroup(parts, count=count))
    by_time = list(regroup(parts, duration_us=duration_us))
    for packets in (by_count, by_time):
        np.testing.assert_array_equal(np.concatenate([np.zeros(0, EVENT), *packets]), events)
        assert all(len(packet) for packet in packets)
    assert [len(packet) for packet in by_count[:-1]] == [count] * (len(by_count) - 1)
    clock = np.maximum.accumulate(events["t"])
    numbers = (clock - clock[0]) // duration_us if len(clock) else clock
    assert [len(packet) for packet in by_time] == np.unique(numbers, return_counts=True)[1].tolist()
    latest = [time_us for _, _, times in timed_blocks(parts, duration_us) for time_us in times]
    assert latest == [packet["t"].max() for packet in by_time]


@pytest.mark.parametrize("name", SIZES)
def test_a_state_of_another_format_or_kind_is_refused_and_changes_nothing(name: str) -> None:
    other = next(one for one in SIZES if one != name)
    decoder = edgesnn.Decoder(name, sensor=SENSOR)
    before = decoder.save()
    foreign = edgesnn.Decoder(other, sensor=SENSOR).save()
    for state in ({}, foreign, {**before, "decoder/counters": np.zeros(3, np.int64)}):
        with pytest.raises(edgesnn.ModelError):
            decoder.load(state)
    after = decoder.save()
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("name", SIZES)
def test_a_variant_that_the_format_does_not_have_is_refused(name: str) -> None:
    assert (name, "") in MAKERS
    with pytest.raises(edgesnn.UsageError, match="variant"):
        edgesnn.Decoder(name, variant="upside down")
