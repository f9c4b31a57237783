"""ECF: the native decoder gives what the slow reader does, for every layout, split and saved state, damaged or not."""

from __future__ import annotations

import itertools
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn.errors import RecordingError
from edgesnn.events.formats.base import DecoderOptions, FormatDecoder, native_decoder
from edgesnn.events.formats.hdf5_packed import frame
from edgesnn.events.types import EVENT
from tests.property import ecf_reference
from tests.property.streams import damaged

SENSOR = (1280, 720)
LAYOUTS = st.sampled_from(list(ecf_reference.LAYOUTS))
seeds = st.integers(0, 2**32 - 1)


def made(seed: int, most: int = 400) -> np.ndarray:
    """Events as cameras give them: rows of neighbours, equal times, pauses below a second."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(0, most))
    events = np.zeros(count, EVENT)
    steps = rng.choice([0, 0, 0, 1, 14, 15, 16, 300, 70_000, 900_000], count)
    events["t"] = int(rng.choice([0, 5_000_000, 1 << 50])) + np.cumsum(np.repeat(steps, rng.integers(1, 40))[:count])
    repeats = rng.integers(1, 300 if rng.random() < 0.2 else 6, count)
    events["y"] = np.repeat(rng.integers(0, SENSOR[1], count), repeats)[:count]
    events["p"] = np.repeat(rng.integers(0, 2, count), repeats)[:count]
    events["x"] = (rng.integers(0, 600) + np.cumsum(rng.choice([1, 1, 1, 2, 7, -300], count))) % SENSOR[0]
    return events


def framed(chunks: list[tuple[bytes, int]]) -> bytes:
    """Frames of (chunk, rows)."""
    out, row = b"", 0
    for number, (chunk, rows) in enumerate(chunks):
        out += frame(0, rows, chunk, row, 1000 * number)
        row += rows
    return out


def decoder(on_corrupt: str = "strict") -> FormatDecoder:
    return native_decoder("ecf", DecoderOptions(SENSOR, on_corrupt, 0, "a.hdf5"))


def everything(one: FormatDecoder, data: bytes) -> list[tuple[int, int, int, int]]:
    events, _, error = one.feed(data)
    assert error is None
    last, _, error = one.finish()
    assert error is None
    return [*events.tolist(), *last.tolist()]


@given(seeds, LAYOUTS)
@settings(max_examples=300)
def test_the_slow_reader_reads_what_the_slow_writer_wrote(seed: int, layout: str) -> None:
    events = made(seed)
    assert ecf_reference.decode(ecf_reference.encode(events, layout)) == events.tolist()


@given(seeds, st.lists(LAYOUTS, min_size=1, max_size=5), st.integers(1, 200))
@settings(max_examples=300)
def test_native_events_are_those_of_the_slow_reader(seed: int, layouts: list[str], rows: int) -> None:
    events = made(seed)
    parts = [events[at : at + rows] for at in range(0, len(events), rows)]
    chunks = [ecf_reference.encode(part, layouts[at % len(layouts)]) for at, part in enumerate(parts)]
    one = decoder()
    got = everything(one, framed([(chunk, len(part)) for chunk, part in zip(chunks, parts, strict=True)]))
    assert got == [event for chunk in chunks for event in ecf_reference.decode(chunk)]
    assert one.counters["bad_words"] == one.counters["time_backward"] == 0
    assert one.t_end_us == (int(events["t"].max()) if len(events) else None)


@given(seeds, st.lists(st.integers(0, 6000), max_size=8), st.integers(0, 9))
@settings(max_examples=200)
def test_every_split_and_restored_state_is_the_same(seed: int, cuts: list[int], harm: int) -> None:
    events = made(seed)
    parts = [events[at : at + 90] for at in range(0, len(events), 90)]
    names = itertools.cycle(ecf_reference.LAYOUTS)
    data = framed([(ecf_reference.encode(part, next(names)), len(part)) for part in parts])
    data = damaged(np.random.default_rng(seed), data, harm) if harm and data else data
    whole = decoder("skip")
    expected = everything(whole, data)
    assert all(x < SENSOR[0] and y < SENSOR[1] and p < 2 and t >= 0 for t, x, y, p in expected)
    one, got = decoder("skip"), []
    edges = sorted({0, *(min(cut, len(data)) for cut in cuts), len(data)})
    for start, stop in itertools.pairwise(edges):
        got += one.feed(data[start:stop])[0].tolist()
        state = one.save()
        one = decoder("skip")
        one.load(state)
    got += one.finish()[0].tolist()
    assert (got, one.counters, one.t_end_us) == (expected, whole.counters, whole.t_end_us)


def test_a_last_chunk_that_was_filled_up_gives_its_rows() -> None:
    events = made(3)
    data = framed([(ecf_reference.encode(events, "runs"), len(events) - 7)])
    assert everything(decoder(), data) == events[:-7].tolist()


@pytest.mark.parametrize(
    ("chunk", "why"),
    [
        (b"", "is cut"),
        (struct.pack("<I", 70_000 << 2) + bytes(200), "no such number of events"),
        (struct.pack("<IQ", 4, 5), "is damaged"),
        (struct.pack("<IQ", 4, 5) + b"\xff" * 40, "is damaged"),
        (struct.pack("<IQ", 4, 5) + b"\x00" * 40, "is damaged"),
        (struct.pack("<IQ", 4, 5) + b"\x02" * 40, "is damaged"),
        (ecf_reference.encode(made(3)[:20], "runs")[:-1], "is damaged"),
        (ecf_reference.encode(made(3)[:20], "x and p") + b"\0", "is damaged"),
        (ecf_reference.encode(made(3)[:12], "y, x and p"), "holds fewer events"),
    ],
)
def test_a_damaged_chunk_is_named_and_loses_no_other(chunk: bytes, why: str) -> None:
    good = made(3)[:20]
    data = framed([(ecf_reference.encode(good, "runs"), 20), (chunk, 20), (ecf_reference.encode(good, "runs"), 20)])
    _, _, error = decoder().feed(data)
    assert isinstance(error, RecordingError)
    assert why in str(error)
    assert error.offset == 1000
    assert "HDF5 row " in str(error)
    skipping = decoder("skip")
    got = everything(skipping, data)
    lost = 8 if "fewer" in why else 20
    assert skipping.counters["bad_words"] == lost
    assert len(got) == 60 - lost
    assert got[:20] == got[-20:] == good.tolist()


def test_a_chunk_whose_times_leap_ahead_does_not_move_the_clock() -> None:
    events = np.zeros(300, EVENT)
    events["t"] = 1_000_000 + np.arange(300) * 10
    leap = events[100:200].copy()
    leap["t"][50:] += 1 << 40
    parts = [events[:100], leap, events[200:]]
    data = framed([(ecf_reference.encode(part, "runs"), 100) for part in parts])
    skipping = decoder("skip")
    got = everything(skipping, data)
    assert got == [*events[:150].tolist(), *events[200:].tolist()]
    assert skipping.counters["bad_words"] == 50
    assert skipping.t_end_us == int(events["t"][-1])


def test_a_pause_is_believed_when_the_next_chunk_agrees() -> None:
    events = np.zeros(300, EVENT)
    events["t"] = np.arange(300) * 10
    events["t"][150:] += 60_000_000
    data = framed([(ecf_reference.encode(events[at : at + 100], "runs"), 100) for at in (0, 100, 200)])
    one = decoder()
    assert everything(one, data) == events.tolist()
    assert one.counters["time_resyncs"] == 1
