"""Parts of a recording by time: the same as of the whole one, from the file's beginning or from the index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import edgesnn
from edgesnn.events import recording as reading
from edgesnn.events import seek
from edgesnn.events.formats import npy, rooms
from edgesnn.events.types import EVENT
from tests.files import SENSOR, WHOLE, whole
from tests.property import aedat_files, mcap_files, ros_files

Events = npt.NDArray[np.void]


def part(events: Events, start_us: int | None, stop_us: int | None) -> Events:
    """What the documentation says: by the running maximum of t."""
    clock = np.maximum.accumulate(events["t"]) if len(events) else events["t"]
    low = np.full(len(events), True) if start_us is None else clock >= start_us
    return events[low if stop_us is None else low & (clock < stop_us)]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks and strides so small that a small file has many places."""
    monkeypatch.setattr(seek, "STRIDE_BYTES", 300)
    monkeypatch.setattr(reading, "chunk_bytes", lambda kind: 128)
    monkeypatch.setattr(npy, "_BLOCK_BYTES", 128)


def bounds(events: Events) -> list[tuple[int | None, int | None]]:
    rng = np.random.default_rng(2)
    times = np.sort(rng.choice(events["t"], (20, 2)), axis=1).tolist()
    first, last = int(events["t"].min()), int(events["t"].max())
    return [
        *map(tuple, times),
        (None, last),
        (first, None),
        (first - 5, first),
        (last, last + 1),
        (last + 1, None),
        (0, 0),
    ]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("label", WHOLE)
def test_a_part_is_the_same_before_and_after_the_index_is_built(tmp_path: Path, label: str) -> None:
    file = whole(label)
    path = tmp_path / f"a{file.suffix}"
    path.write_bytes(file.header + file.data)
    events = edgesnn.open(path, format=file.format, sensor=SENSOR).read()
    indexed = edgesnn.open(path, format=file.format, sensor=SENSOR)
    indexed.read()
    for start_us, stop_us in bounds(events):
        expected = part(events, start_us, stop_us)
        for recording in (edgesnn.open(path, format=file.format, sensor=SENSOR), indexed):
            np.testing.assert_array_equal(recording.read(start_us=start_us, stop_us=stop_us), expected)
            packets = [p for p in recording.packets(count=7, start_us=start_us, stop_us=stop_us)]
            np.testing.assert_array_equal(np.concatenate([events[:0], *packets]), expected)
    np.testing.assert_array_equal(indexed.read(), events)


@pytest.fixture
def long(tmp_path: Path) -> tuple[Path, Events]:
    events = np.zeros(20_000, EVENT)
    events["t"] = np.cumsum(np.random.default_rng(3).integers(-3, 90, len(events)))
    events["x"] = np.arange(len(events)) % 300
    path = tmp_path / "a.csv"
    edgesnn.write(path, events)
    return path, events


@pytest.mark.usefixtures("small")
def test_the_second_reading_begins_near_its_part(long: tuple[Path, Events]) -> None:
    path, events = long
    recording = edgesnn.open(path)
    middle = int(events["t"][12_000])
    expected = part(events, middle, middle + 2_000)
    np.testing.assert_array_equal(recording.read(start_us=middle, stop_us=middle + 2_000), expected)
    assert recording.read_bytes > path.stat().st_size // 2
    np.testing.assert_array_equal(recording.read(start_us=middle, stop_us=middle + 2_000), expected)
    assert recording.read_bytes < 4_000
    assert recording.counters["time_backward"] > 100, "the counters are those from the file's beginning on"


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("layout", ["records", "rows", "columns"])
def test_the_second_reading_of_an_array_begins_near_its_part(tmp_path: Path, layout: str) -> None:
    events = np.zeros(20_000, EVENT)
    events["t"] = np.cumsum(np.random.default_rng(3).integers(-3, 90, len(events)))
    rows = np.stack([events[name].astype(np.int64) for name in "txyp"], axis=1)
    np.save(tmp_path / "a.npy", {"records": events, "rows": rows, "columns": np.asfortranarray(rows)}[layout])
    recording = edgesnn.open(tmp_path / "a.npy", columns="t,x,y,p")
    middle = int(events["t"][12_000])
    expected = part(events, middle, middle + 2_000)
    counters = []
    for _ in range(2):
        np.testing.assert_array_equal(recording.read(start_us=middle, stop_us=middle + 2_000), expected)
        counters.append(recording.counters)
    assert recording.read_bytes < 4_000
    assert counters[0] == counters[1], "those from the file's beginning on"


@pytest.mark.usefixtures("small")
def test_a_file_that_has_changed_is_read_anew(long: tuple[Path, Events]) -> None:
    path, events = long
    recording = edgesnn.open(path)
    recording.read()
    moved = events.copy()
    moved["t"] += 7_000
    edgesnn.write(path, moved[:-1])
    start_us = int(moved["t"][15_000])
    np.testing.assert_array_equal(recording.read(start_us=start_us), part(moved[:-1], start_us, None))


@pytest.mark.usefixtures("small")
def test_damage_behind_the_part_is_not_met_and_before_it_is(long: tuple[Path, Events]) -> None:
    path, events = long
    data = path.read_bytes()
    at = data.index(b"\n", len(data) // 2)
    path.write_bytes(data[:at] + b"?" + data[at:])
    middle = int(events["t"][3_000])
    assert len(edgesnn.open(path).read(start_us=middle, stop_us=middle + 2_000))
    with pytest.raises(edgesnn.RecordingError, match="CSV line"):
        edgesnn.open(path).read(start_us=int(events["t"][-100]))


def test_a_part_without_events_is_empty_and_no_error(long: tuple[Path, Events]) -> None:
    path, events = long
    assert len(edgesnn.open(path).read(start_us=int(events["t"].max()) + 1)) == 0
    assert list(edgesnn.open(path).packets(count=5, stop_us=-100)) == []


@pytest.mark.parametrize(("start_us", "stop_us"), [(5, 4), ("2s", None), (None, 1.5), (True, None)])
def test_impossible_parts_are_usage_errors(long: tuple[Path, Events], start_us: object, stop_us: object) -> None:
    with pytest.raises(edgesnn.UsageError):
        edgesnn.open(long[0]).read(start_us=start_us, stop_us=stop_us)  # type: ignore[arg-type]


def test_a_state_that_holds_much_is_not_kept() -> None:
    index = seek.TimeIndex()
    index.add(seek.Place(5, 5 << 20, {"held": np.zeros(1 << 17, np.uint8)}))
    assert len(index) == 0
    index.add(seek.Place(5, 5 << 20, {"held": np.zeros(8, np.uint8)}))
    assert index.before(5) is None
    assert index.before(6) is not None


def test_a_full_index_forgets_every_other_place_and_keeps_within_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seek, "STRIDE_BYTES", 10)
    monkeypatch.setattr(seek, "MOST_BYTES", 20 * seek.Place(0, 0, {"a": np.zeros(100, np.uint8)}).size_bytes)
    index = seek.TimeIndex()
    for offset in range(0, 20_000, 10):
        index.add(seek.Place(offset, offset, {"a": np.zeros(100, np.uint8)}))
        assert len(index) <= 20
    assert len(index) > 8, "of the whole file"
    near = [index.before(time_us) for time_us in range(2_000, 20_000, 1_000)]
    assert all(
        place is not None and time_us - place.reached_us <= 2_560
        for place, time_us in zip(near, range(2_000, 20_000, 1_000), strict=True)
    )


# --- bags ------------------------------------------------------------------------------------------------------------

BAGS = {
    "mcap": (".mcap", lambda packets, mode: mcap_files.mcap(packets, mode), ("none", "lz4", "zstd", "flat")),
    "rosbag1": (".bag", lambda packets, mode: ros_files.bag1(packets, mode=mode), ("none", "lz4", "bz2")),
    "rosbag2": (".db3", lambda packets, mode: ros_files.bag2(packets, mode=mode), ("none", "message")),
}
CASES = [
    (name, encoding, mode)
    for name, (_, _, modes) in BAGS.items()
    for number, mode in enumerate(modes)
    for encoding in (("evt3", "dvs", "libcaer_cmp", "mono")[number], "evt3")
]


def bag(folder: Path, name: str, encoding: str, mode: str, count: int = 120) -> Path:
    """A bag of many small chunks or pages."""
    suffix, make, _ = BAGS[name]
    path = folder / f"a{suffix}"
    path.write_bytes(make(ros_files.packets(encoding, np.random.default_rng(21), count), mode))
    return path


@pytest.fixture
def fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seek, "STRIDE_BYTES", 500)


@pytest.mark.usefixtures("fine")
@pytest.mark.parametrize(("name", "encoding", "mode"), dict.fromkeys(CASES))
def test_parts_of_a_bag_are_the_same_by_the_index_and_read_less(
    tmp_path: Path, name: str, encoding: str, mode: str
) -> None:
    path = bag(tmp_path, name, encoding, mode)
    whole_reading = edgesnn.open(path)
    events, triggers = whole_reading.read(), whole_reading.triggers()
    counters = dict(whole_reading.counters)
    indexed = edgesnn.open(path)
    indexed.read()
    assert len(indexed._index) > 10
    for start_us, stop_us in bounds(events):
        np.testing.assert_array_equal(indexed.read(start_us=start_us, stop_us=stop_us), part(events, start_us, stop_us))
    late_us = int(np.maximum.accumulate(events["t"])[-len(events) // 10])
    seen = [edges for _, edges in indexed.steps(late_us)]
    np.testing.assert_array_equal(np.concatenate(seen), triggers[triggers["t"] >= late_us])
    assert indexed.read_bytes < path.stat().st_size // 3
    assert indexed.counters == counters, "the counters are those from the file's beginning on"
    np.testing.assert_array_equal(indexed.read(), events)


@pytest.mark.usefixtures("fine")
@pytest.mark.parametrize("name", BAGS)
@pytest.mark.parametrize("at", [0.3, 0.7, 0.9])
def test_parts_of_a_damaged_bag_are_those_of_its_whole_reading(tmp_path: Path, name: str, at: float) -> None:
    path = bag(tmp_path, name, "evt3", "none")
    before = damage(path, at)
    strict = edgesnn.open(path)
    skipping = edgesnn.open(path, on_corrupt="skip")
    events, counters = skipping.read(), dict(skipping.counters)
    for start_us, stop_us in bounds(events):
        np.testing.assert_array_equal(
            skipping.read(start_us=start_us, stop_us=stop_us), part(events, start_us, stop_us)
        )
    skipping.read(start_us=int(events["t"].max()))
    assert skipping.counters == counters
    errors = []
    for start_us in (None, int(before["t"].max())):
        with pytest.raises(edgesnn.RecordingError) as caught:
            strict.read(start_us=start_us)
        errors.append(str(caught.value))
    assert errors[0] == errors[1], "the same place is named, from the index too"


def damage(path: Path, at: float) -> Events:
    """Damage a bag behind this part of it where strict reading ends there; return the events before."""
    whole = path.read_bytes()
    for place in range(int(at * len(whole)), len(whole), 97):
        path.write_bytes(whole[:place] + bytes(byte ^ 0x5A for byte in whole[place : place + 40]) + whole[place + 40 :])
        parts = [np.zeros(0, EVENT)]
        try:
            parts.extend(edgesnn.open(path).packets())
        except edgesnn.RecordingError:
            if len(parts) > 1:
                return np.concatenate(parts)
    raise AssertionError("no damage is met")


@pytest.mark.usefixtures("fine")
def test_a_gap_before_a_place_of_the_index_is_counted_once(tmp_path: Path) -> None:
    packets = ros_files.packets("evt3", np.random.default_rng(21), 120)
    path = tmp_path / "a.bag"
    path.write_bytes(ros_files.bag1(packets[:40] + packets[43:], mode="none"))
    recording = edgesnn.open(path, on_corrupt="skip")
    events = recording.read()
    late_us = int(events["t"].max())
    np.testing.assert_array_equal(recording.read(start_us=late_us), part(events, late_us, None))
    assert recording.counters["lost_packets"] == 3
    assert recording.read_bytes < path.stat().st_size // 3


# --- AEDAT4 ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("fine")
@pytest.mark.parametrize("each", [37, 2_500])
@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_parts_of_an_aedat4_file_are_the_same_by_the_index_and_read_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str, each: int
) -> None:
    rng = np.random.default_rng(31)
    events = aedat_files.rising_events(rng, 50_000, SENSOR, 1_600_000_000_000_000)
    triggers = [(int(t_us), 1 + number % 2) for number, t_us in enumerate(events["t"][::100])]
    header, data = aedat_files.aedat4(compression, events, SENSOR, triggers=triggers, packet=each)
    path = tmp_path / "a.aedat4"
    path.write_bytes(header + data)
    monkeypatch.setattr(rooms, "ROOM_BYTES", 10_007)
    monkeypatch.setattr(rooms, "_spare", [])
    whole_reading = edgesnn.open(path)
    np.testing.assert_array_equal(whole_reading.read(), events)
    edges = whole_reading.triggers()
    indexed = edgesnn.open(path)
    indexed.read()
    counters = dict(indexed.counters)
    assert len(indexed._index) >= 10
    for start_us, stop_us in bounds(events):
        np.testing.assert_array_equal(indexed.read(start_us=start_us, stop_us=stop_us), part(events, start_us, stop_us))
    late_us = int(events["t"][-len(events) // 10])
    seen = np.concatenate([found for _, found in indexed.steps(late_us)])
    np.testing.assert_array_equal(seen, edges[edges["t"] >= late_us])
    assert indexed.counters == counters
    assert each > 1_000 or indexed.read_bytes < path.stat().st_size // 3
    np.testing.assert_array_equal(indexed.read(), events)
