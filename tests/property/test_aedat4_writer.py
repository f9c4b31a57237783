"""What the AEDAT4 encoder writes is read back as it was, whole or not finished."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgesnn
from edgesnn.events import registry
from edgesnn.events.formats import aedat4_writer
from edgesnn.events.formats.base import EncoderOptions, FormatEncoder, is_writable
from edgesnn.events.types import EVENT, TRIGGER

SENSOR = (32767, 200)
COMPRESSIONS = ("none", "lz4", "zstd")
EDGES = [(0, 0), (0, 1), (3, 0), (3, 1)]


def encoder(compression: str | None = "none", **options: object) -> FormatEncoder:
    kind = registry.get("aedat4")
    assert is_writable(kind)
    if compression != "none":
        pytest.importorskip("lz4", reason="the extra `events` is not installed")
        pytest.importorskip("zstandard", reason="the extra `events` is not installed")
    return kind.encoder(EncoderOptions(SENSOR, compression, **options))  # type: ignore[arg-type]


def finished(one: FormatEncoder, data: bytes) -> bytes:
    tail, patches = one.finish()
    out = bytearray(data + tail)
    for offset, piece in patches:
        out[offset : offset + len(piece)] = piece
    return bytes(out)


def array(rows: list[tuple[int, ...]], dtype: np.dtype) -> np.ndarray:
    return np.array(rows, dtype)


times = st.integers(0, 2_000_000) | st.sampled_from([0, 0, 1, 5_000_000_000, 2**58])
rows = st.lists(st.tuples(times, st.integers(0, SENSOR[0] - 1), st.integers(0, SENSOR[1] - 1), st.integers(0, 1)))
edges = st.lists(st.tuples(times, st.sampled_from(EDGES)), max_size=20)


@given(rows, edges, st.integers(0, 100), st.sampled_from(COMPRESSIONS), st.booleans())
@settings(max_examples=300)
def test_reading_what_was_written_gives_it_again(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[int, int, int, int]],
    edges: list[tuple[int, tuple[int, int]]],
    cut: int,
    compression: str,
    crash: bool,
) -> None:
    events, triggers = array(sorted(rows), EVENT), array(sorted((t, *edge) for t, edge in edges), TRIGGER)
    one = encoder(compression)
    data = one.begin() + one.encode(events[:cut], triggers[:0], None) + one.encode(events[cut:], triggers, 7)
    path = tmp_path_factory.getbasetemp() / "a.aedat4"
    path.write_bytes(data if crash else finished(one, data))
    recording = edgesnn.open(path)
    if len(events):
        assert recording.sensor == SENSOR
        assert recording.read().tolist() == events.tolist()
        assert not any(value for name, value in recording.counters.items() if name != "time_resyncs")
    if len(events) or len(triggers):
        assert recording.triggers().tolist() == triggers.tolist()


def test_a_long_recording_is_written_in_packets(tmp_path: Path) -> None:
    events = np.zeros(25_000, EVENT)
    events["t"] = np.arange(25_000)
    one = encoder()
    path = tmp_path / "a.aedat4"
    path.write_bytes(finished(one, one.begin() + one.encode(events, np.zeros(0, TRIGGER), None)))
    assert path.read_bytes().count(b"EVTS") == 3 + 1  # and the header's
    np.testing.assert_array_equal(edgesnn.open(path).read(), events)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_table_of_many_packets_is_told(tmp_path: Path, compression: str) -> None:
    rng = np.random.default_rng(1)
    events = np.zeros(60_000, EVENT)
    events["t"] = np.cumsum(rng.integers(0, 90, len(events)))
    one = encoder(compression)
    data = one.begin()
    for at in range(0, len(events), 20):
        data += one.encode(events[at : at + 20], np.zeros(0, TRIGGER), None)
    path = tmp_path / "a.aedat4"
    path.write_bytes(finished(one, data))
    assert path.stat().st_size - len(data) > 20_000
    recording = edgesnn.open(path)
    np.testing.assert_array_equal(recording.read(), events)
    assert not any(recording.counters.values())


def test_a_file_of_very_many_packets_has_no_table_and_its_writer_takes_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aedat4_writer, "_MOST_ENTRIES", 100)
    events = np.zeros(4_000, EVENT)
    events["t"] = np.arange(len(events))
    one = encoder("none")
    data = one.begin()
    for at in range(0, len(events), 10):
        data += one.encode(events[at : at + 10], np.zeros(0, TRIGGER), None)
    assert len(one._table) <= 6 * 101
    assert one.finish() == (b"", [])
    path = tmp_path / "a.aedat4"
    path.write_bytes(data)
    np.testing.assert_array_equal(edgesnn.open(path).read(), events)


@pytest.mark.parametrize(
    ("rows", "edges", "message"),
    [
        ([(5, 1, 1, 1), (4, 1, 1, 1)], [], "times fall"),
        ([(5, 1, 200, 1)], [], "cannot be written"),
        ([(5, 1, 1, 2)], [], "cannot be written"),
        ([(-1, 1, 1, 1)], [], "no such time"),
        ([(1 << 60, 1, 1, 1)], [], "cannot be written"),
        ([], [(5, 1, 1)], "no such trigger"),
        ([], [(5, 0, 1), (3, 0, 1)], "times fall"),
    ],
)
def test_what_it_cannot_hold_is_refused_and_changes_nothing(
    rows: list[tuple[int, ...]], edges: list[tuple[int, ...]], message: str
) -> None:
    one, other = encoder(), encoder()
    begin = one.begin()
    assert begin == other.begin()
    good = array([(3, 1, 1, 1)], EVENT)
    with pytest.raises(edgesnn.RecordingError, match=message):
        one.encode(array(rows, EVENT), array(edges, TRIGGER), None)
    none = np.zeros(0, TRIGGER)
    assert one.encode(good, none, None) == other.encode(good, none, None)
    assert one.finish() == other.finish()


def test_times_never_fall_from_one_piece_to_the_next() -> None:
    one = encoder()
    one.begin()
    one.encode(array([(3, 1, 1, 1)], EVENT), np.zeros(0, TRIGGER), None)
    with pytest.raises(edgesnn.RecordingError, match="times fall"):
        one.encode(array([(2, 1, 1, 1)], EVENT), np.zeros(0, TRIGGER), None)


def test_options_that_are_none_of_its_own_are_usage_errors() -> None:
    for compression, options in (("gzip", {}), ("none", {"variant": "x"})):
        with pytest.raises(edgesnn.UsageError):
            encoder(compression, **options)
