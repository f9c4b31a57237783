"""Cut and damaged files of every format: counted events or an error; none hangs or leaves the sensor."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.events import registry
from tests.files import SENSOR, WHOLE, WholeFile, whole
from tests.property.streams import damaged

LABELS = pytest.mark.parametrize("label", WHOLE)
SIZES = pytest.mark.parametrize(
    ("label", "of_ten"),
    [*((label, 1) for label in WHOLE), *(pytest.param(label, 10, marks=pytest.mark.full) for label in WHOLE)],
)
"""Each file, and how many of ten cuts or damages."""


def put(folder: Path, file: WholeFile, data: bytes | None = None, header: bytes | None = None) -> Path:
    path = folder / f"a{file.suffix}"
    path.write_bytes((file.header if header is None else header) + (file.data if data is None else data))
    return path


def read(path: Path, file: WholeFile, on_corrupt: str) -> tuple[np.ndarray, dict[str, int], str]:
    """Read all of it; return events, counters and the error's message, "" if there was none."""
    parts, counters, message = [np.zeros(0, edgesnn.EVENT)], {}, ""
    try:
        recording = edgesnn.open(path, format=file.format, sensor=SENSOR, on_corrupt=on_corrupt)
        counters = recording.counters
        for packet in recording.packets():
            parts.append(packet)
            counters = recording.counters
        counters = recording.counters
    except edgesnn.RecordingError as error:
        message = str(error)
        assert str(path) in message
    return np.concatenate(parts), counters, message


def assert_inside(events: np.ndarray) -> None:
    assert ((events["x"] < SENSOR[0]) & (events["y"] < SENSOR[1]) & (events["p"] < 2)).all()


def test_every_format_has_a_whole_file() -> None:
    assert {label.partition("-")[0] for label in WHOLE} == set(registry.FORMATS)


@LABELS
def test_a_whole_file_is_told_and_read_without_damage(tmp_path: Path, label: str) -> None:
    file = whole(label)
    path = put(tmp_path, file)
    recording = edgesnn.open(path)
    assert recording.format == file.format
    assert recording.sensor in (file.sensor, None)
    events, counters, message = read(path, file, "strict")
    assert message == ""
    assert len(events) >= 100
    assert not any(counters[name] for name in ("bad_words", "out_of_range", "truncated_bytes", "lost_packets"))
    assert_inside(events)


@LABELS
def test_a_header_alone_and_an_empty_file(tmp_path: Path, label: str) -> None:
    file = whole(label)
    with pytest.raises(edgesnn.RecordingError, match="the file is empty"):
        edgesnn.open(put(tmp_path, file, b"", b""))
    if file.says_its_end:
        assert "the file is cut" in read(put(tmp_path, file, b""), file, "strict")[2]
    elif file.header:
        recording = edgesnn.open(put(tmp_path, file, b""), sensor=SENSOR)
        assert len(recording.read()) == 0
        assert any("empty" in warning for warning in recording.warnings)


@SIZES
def test_cut_in_the_first_kilobyte_or_anywhere(tmp_path: Path, label: str, of_ten: int) -> None:
    file = whole(label)
    full = file.header + file.data
    truth, _, _ = read(put(tmp_path, file), file, "skip")
    rng = np.random.default_rng(1)
    for cut in [*range(1, min(1024, len(full)), 11 - of_ten), *rng.integers(1, len(full), 20 * of_ten).tolist()]:
        path = put(tmp_path, file, full[:cut], b"")
        events, counters, message = read(path, file, "skip")
        np.testing.assert_array_equal(events, truth[: len(events)])
        strict_events, _, strict_message = read(path, file, "strict")
        np.testing.assert_array_equal(strict_events, truth[: len(strict_events)])
        if file.unit and cut > len(file.header):
            rest = (cut - len(file.header)) % file.unit
            assert (f"is cut: {rest} of {file.unit} bytes" in strict_message) == bool(rest)
            assert message or counters["truncated_bytes"] == rest


def damages(file: WholeFile, of_ten: int) -> Iterator[tuple[bytes, bytes]]:
    """Of 400 headers and data with damaged data and 100 with damage anywhere so many of ten."""
    for seed in range(40 * of_ten):
        rng = np.random.default_rng(seed)
        yield file.header, damaged(rng, file.data, 1 + seed % 40)
    for seed in range(10 * of_ten):
        rng = np.random.default_rng(1000 + seed)
        yield b"", damaged(rng, file.header + file.data, 1 + seed % 40)


@SIZES
def test_damaged_anywhere(tmp_path: Path, label: str, of_ten: int) -> None:
    file = whole(label)
    for header, data in damages(file, of_ten):
        path = put(tmp_path, file, data, header)
        events, counters, message = read(path, file, "skip")
        assert_inside(events)
        assert file.format in ("csv", "hdf5", "npy", "npz") or (events["t"] >= 0).all()
        strict_events, _, strict_message = read(path, file, "strict")
        np.testing.assert_array_equal(strict_events, events[: len(strict_events)])
        if message:
            assert strict_message
            continue
        lossless = not any(counters[kind] for kind in ("bad_words", "out_of_range", "truncated_bytes"))
        assert (strict_message == "") == lossless
        assert lossless or "byte " in strict_message
        again = edgesnn.open(path, format=file.format, sensor=SENSOR, on_corrupt="skip").packets(count=1)
        assert b"".join(packet.tobytes() for packet in again) == events.tobytes()


FOREIGN = (
    b"\x89PNG\r\n\x1a\n",
    b"\x7fELF\x02\x01\x01\0",
    b"RIFF\0\0\0\0AVI ",
    b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    b"\x1f\x8b\x08\0",
)


@LABELS
def test_a_foreign_beginning_is_refused(tmp_path: Path, label: str) -> None:
    file = whole(label)
    full = file.header + file.data
    nothing = [bytes(16)] if registry.get(file.format).has_magic else []
    for magic in [*FOREIGN, *nothing]:
        path = put(tmp_path, file, magic + full[len(magic) :], b"")
        for on_corrupt in ("strict", "skip"):
            with pytest.raises(edgesnn.RecordingError, match=f"^{re.escape(str(path))}.*not"):
                edgesnn.open(path, sensor=SENSOR, on_corrupt=on_corrupt).read()


HEADED = [label for label in WHOLE if label.partition("-")[0] not in ("nmnist", "npy", "npz", "rosbag2")]
"""Labels of files whose beginning is written apart from their events."""


@LABELS
def test_the_header_of_another_format_ends_and_stays_inside(tmp_path: Path, label: str) -> None:
    file = whole(label)
    for other in HEADED:
        if (wrong := whole(other)).format == file.format:
            continue
        path = put(tmp_path, wrong, file.header + file.data, wrong.header)
        events, _, message = read(path, wrong, "skip")
        assert_inside(events)
        strict_events, _, strict_message = read(path, wrong, "strict")
        np.testing.assert_array_equal(strict_events, events[: len(strict_events)])
        assert strict_message or not message


@LABELS
@pytest.mark.parametrize("wrong", registry.FORMATS)
def test_read_as_another_format_it_ends_and_stays_inside(tmp_path: Path, label: str, wrong: str) -> None:
    path = put(tmp_path, whole(label))
    options: dict[str, Any] = {"format": wrong, "sensor": SENSOR, "on_corrupt": "skip"}
    try:
        events = edgesnn.open(path, **options).read()
    except edgesnn.RecordingError:
        return
    assert_inside(events)
