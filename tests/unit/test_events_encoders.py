"""EVT2, EVT2.1, EVT3, DAT and ES as written: read by the slow readers, by other people's, and by our decoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgesnn
from edgesnn.errors import RecordingError, UsageError
from edgesnn.events import registry
from edgesnn.events.formats.base import EncoderOptions
from edgesnn.events.types import EVENT, TRIGGER
from tests.files import written
from tests.property.evt_reference import Outcome, decode_evt2, decode_evt3, decode_evt21
from tests.property.record_reference import decode_dat, decode_es
from tests.property.streams import swapped

SENSOR = (640, 480)
EVT = {"evt2": (4, decode_evt2), "evt21": (8, decode_evt21), "evt3": (2, decode_evt3)}
FORMATS = pytest.mark.parametrize("name", [*EVT, "dat", "es"])
RAW = pytest.mark.parametrize("name", EVT)


def read(name: str, data: bytes, variant: str = "") -> Outcome:
    """Decode with the slow reader of the format."""
    if name in EVT:
        size, decode = EVT[name]
        words = np.frombuffer(data, f"<u{size}")
        return decode((swapped(words) if variant else words).tolist(), SENSOR)
    return {"dat": decode_dat, "es": decode_es}[name](data, SENSOR)


@st.composite
def event_arrays(draw: st.DrawFn) -> np.ndarray:
    """Draw bursts of events: long gaps, repeated times, rows that fill up."""
    steps = draw(st.lists(st.sampled_from([0, 0, 0, 1, 37, 4095, 4096, 70_000]), max_size=60))
    count = len(steps)
    out = np.zeros(count, dtype=EVENT)
    out["t"] = draw(st.integers(0, 2**24 - 1)) + np.cumsum([0, *steps[1:]], dtype=np.int64) if count else 0
    out["x"] = draw(st.lists(st.integers(0, 30) | st.integers(600, 639), min_size=count, max_size=count))
    out["y"] = draw(st.lists(st.sampled_from([0, 7, 479]), min_size=count, max_size=count))
    out["p"] = draw(st.lists(st.integers(0, 1), min_size=count, max_size=count))
    return out


@pytest.mark.parametrize(
    ("name", "variant"), [("evt2", ""), ("evt21", ""), ("evt21", "legacy"), ("evt3", ""), ("dat", ""), ("es", "")]
)
@given(event_arrays())
@settings(max_examples=60)
def test_the_slow_reader_reads_the_events_in_their_order(name: str, variant: str, events: np.ndarray) -> None:
    outcome = read(name, written(name, events, SENSOR, variant=variant)[1], variant)
    assert outcome.events == events.tolist()
    assert not any(outcome.counters.values())


@RAW
@pytest.mark.parametrize("gap_us", [60_000_000, 70_000_000, 3_600_000_000, 5 * 3_600_000_000, 86_400_000_000])
@pytest.mark.parametrize("start_us", [0, 16_000_000])
def test_gaps_of_any_length_are_read_back(name: str, gap_us: int, start_us: int) -> None:
    events = np.zeros(6, EVENT)
    events["t"] = start_us + np.array([0, 5, gap_us, gap_us + 9, 2 * gap_us, 2 * gap_us + 1])
    data = written(name, events, SENSOR)[1]
    decoder = edgesnn.Decoder(name, sensor=SENSOR)
    first, _ = decoder.feed(data)
    rest, _ = decoder.finish()
    assert [*first.tolist(), *rest.tolist()] == events.tolist()
    assert not any(value for counter, value in decoder.counters.items() if counter != "time_resyncs")
    assert len(data) < 30_000_000


@RAW
def test_triggers_stand_among_the_events(name: str) -> None:
    events = np.array([(10, 1, 1, 1), (20, 2, 1, 0), (9_000, 3, 1, 1)], EVENT)
    triggers = np.array([(5, 0, 1), (20, 3, 0), (8_500, 15, 1), (30_000, 1, 0)], TRIGGER)
    outcome = read(name, written(name, events, SENSOR, triggers=triggers)[1])
    assert outcome.events == events.tolist()
    assert outcome.triggers == triggers.tolist()


@pytest.mark.parametrize(("name", "channels"), [("evt2", 32), ("evt21", 32), ("evt3", 16)])
def test_a_trigger_that_the_format_cannot_hold_is_refused(name: str, channels: int) -> None:
    for trigger in ((5, channels, 1), (5, 0, 2), (-1, 0, 1)):
        with pytest.raises(RecordingError):
            written(name, np.zeros(0, EVENT), SENSOR, triggers=np.array([trigger], TRIGGER))


def test_a_full_row_takes_one_vector_per_twelve_columns() -> None:
    events = np.zeros(24, dtype=EVENT)
    events["x"] = np.arange(24)
    words = np.frombuffer(written("evt3", events, SENSOR)[1], "<u2")
    assert [word >> 12 for word in words.tolist()] == [0x8, 0x6, 0x0, 0x3, 0x4, 0x3, 0x4]
    assert len(written("evt21", events, SENSOR)[1]) == 16


@pytest.mark.parametrize(("name", "step"), [("evt2", 64), ("evt21", 64), ("evt3", 4096), ("es", 127)])
def test_time_goes_on_without_events(name: str, step: int) -> None:
    events = np.array([(5, 1, 1, 1)], dtype=EVENT)
    reached = read(name, written(name, events, SENSOR, t_end_us=4_000_000)[1]).t_end_us
    assert reached is not None
    assert 4_000_000 - step < reached <= 4_000_000


@pytest.mark.parametrize(
    ("name", "rows", "complaint"),
    [
        ("evt3", [(5000, 1, 1, 1), (4, 1, 1, 1)], "times fall"),
        ("evt2", [(500, 1, 1, 1), (4, 1, 1, 1)], "times fall"),
        ("es", [(5, 1, 1, 1), (4, 1, 1, 1)], "times fall"),
        ("dat", [(5, 1, 1, 1), (50_000, 1, 1, 1), (4, 1, 1, 1)], "times fall"),
        ("evt3", [(2**24, 1, 1, 1)], "24 bits"),
        ("evt3", [(-1, 1, 1, 1)], "24 bits"),
        ("evt2", [(2**34, 1, 1, 1)], "34 bits"),
        ("evt21", [(2**34, 1, 1, 1)], "34 bits"),
        ("dat", [(2**32, 1, 1, 1)], "32 bits"),
        ("dat", [(5, 1, 1, 1), (6, 1, 1, 1), (2**32 + 7, 1, 1, 1)], "times leap"),
        ("es", [(2**33, 1, 1, 1)], "--rebase"),
        ("es", [(5, 1, 1, 1), (2**33, 1, 1, 1)], "times leap"),
        ("evt3", [(5, 1, 1, 1), (2**45, 1, 1, 1)], "times leap"),
    ],
)
def test_times_that_the_format_cannot_hold_are_refused(
    name: str, rows: list[tuple[int, int, int, int]], complaint: str
) -> None:
    with pytest.raises(RecordingError, match=complaint):
        written(name, np.array(rows, dtype=EVENT), SENSOR)


@FORMATS
def test_a_refusal_changes_nothing(name: str) -> None:
    kind: Any = registry.get(name)
    encoder = kind.encoder(EncoderOptions(SENSOR))
    none = np.zeros(0, TRIGGER)
    first = np.array([(10, 1, 1, 1), (20, 2, 3, 0)], EVENT)
    data = encoder.encode(first, none, None)
    with pytest.raises(RecordingError):
        encoder.encode(np.array([(90_000, 1, 1, 1), (90_000, 640, 1, 1)], EVENT), none, None)
    rest = np.array([(30, 5, 5, 1)], EVENT)
    data += encoder.encode(rest, none, None)
    assert read(name, data).events == [*first.tolist(), *rest.tolist()]


@pytest.mark.parametrize("name", ["evt2", "evt21", "evt3", "es"])
def test_a_sensor_that_the_header_cannot_say_is_a_usage_error(name: str) -> None:
    with pytest.raises(UsageError, match="the sensor is too large"):
        written(name, np.zeros(0, EVENT), (65536, 65536))


@pytest.mark.parametrize("fields", [{"end": ""}, {"evt": "2.0"}, {"a b": "c\nd"}, {"name": "a\n% end"}, {"ä": "1"}])
def test_fields_that_are_no_lines_of_a_header_are_usage_errors(fields: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="not lines of a RAW header"):
        registry.get("evt3").encoder(EncoderOptions(SENSOR, fields=fields))  # type: ignore[attr-defined]


@FORMATS
def test_options_of_other_formats_are_usage_errors(name: str) -> None:
    kind: Any = registry.get(name)
    for options in (EncoderOptions(SENSOR, compression="lz4"), EncoderOptions(SENSOR, variant="upside down")):
        with pytest.raises(UsageError):
            kind.encoder(options)


def test_header_lines() -> None:
    kind: Any = registry.get("evt3")
    lines = kind.encoder(EncoderOptions((128, 96), fields={"seed": "7"})).begin().decode().splitlines()
    assert lines == ["% evt 3.0", "% format EVT3;height=96;width=128", "% geometry 128x96", "% seed 7", "% end"]
    assert b"% endianness legacy\n" in written("evt21", np.zeros(0, EVENT), variant="legacy")[0]
    assert b"Width" not in written("dat", np.zeros(0, EVENT), (65536, 65536))[0]


@FORMATS
def test_written_files_are_told_and_read(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    events = np.zeros(5000, dtype=EVENT)
    events["t"] = np.sort(rng.integers(0, 30_000, 5000)) * 700
    events["x"], events["y"] = rng.integers(0, 640, 5000), rng.integers(0, 480, 5000)
    events["p"] = rng.integers(0, 2, 5000)
    events["t"] -= events["t"][0]
    path = tmp_path / ("a" + registry.get(name).suffixes[0])  # type: ignore[attr-defined]
    edgesnn.write(path, events, sensor=SENSOR, format=name)
    recording = edgesnn.open(path)
    assert (recording.format, recording.sensor) == (name, SENSOR)
    np.testing.assert_array_equal(recording.read(), events)
    assert recording.warnings == []
