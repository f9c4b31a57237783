"""Fuzz `edgesnn.open` and a pass over the file: any bytes, or edits of good files of one format.

Whatever the bytes are: a RecordingError that names the file (or that --sensor is missing), or events inside the sensor;
strict gives what skip gives up to the first damage and raises where skip counts some; packets of any size hold the same
events. HDF5: `hdf5_file.py`.
"""

from __future__ import annotations

import io
import tempfile
import warnings
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np

import edgesnn
from edgesnn.events import registry
from fuzz.choices import Choices, Target
from fuzz.edits import edited
from tests import files
from tests.files import SENSOR, WHOLE
from tests.property import aedat_files, mcap_files, ros_files

ROWS = 24  # of a good file, so that it is read quickly
LONGEST_MESSAGE = 2000
DAMAGE = ("bad_words", "out_of_range", "truncated_bytes")


def _records(label: str) -> bytes:
    """Return the beginning of a whole file that has no end of its own."""
    file = files.whole(label)
    if file.format == "csv":
        return file.header + b"".join(file.data.splitlines(keepends=True)[:ROWS])
    return file.header + file.data[: ROWS * (file.unit or 6)]


def _aedat4(compression: str, table: bool) -> bytes:
    events = aedat_files.rising_events(np.random.default_rng(3), ROWS, SENSOR, 1_600_000_000_000_000)
    triggers = [(int(events["t"][-1]) + 10 * i, i) for i in range(3)]
    return b"".join(aedat_files.aedat4(compression, events, SENSOR, triggers=triggers, table=table))


def _array(kind: str) -> bytes:
    out, events = io.BytesIO(), files.table()[:ROWS]
    if kind == "columns":
        np.savez_compressed(out, **{name: events[name] for name in "txyp"})
    elif kind == "records":
        np.savez(out, events=events)
    elif kind == "rows":
        np.save(out, np.stack([events[name].astype("<f4") for name in "txyp"], 1))
    else:
        np.save(out, events)
    return out.getvalue()


def _packets(encoding: str) -> list[ros_files.Packet]:
    return ros_files.packets(encoding, np.random.default_rng(4), 4, size=6)


GOOD: dict[str, tuple[Callable[[], bytes], ...]] = {
    "aedat4": tuple(partial(_aedat4, *kind) for kind in (("none", True), ("lz4", False), ("zstd", True))),
    "mcap": tuple(
        partial(lambda encoding, mode: mcap_files.mcap(_packets(encoding), mode), *kind)
        for kind in (("evt3", "none"), ("dvs", "flat"), ("libcaer_cmp", "lz4"), ("mono", "zstd"))
    ),
    "npy": (partial(_array, "table"), partial(_array, "rows")),
    "npz": (partial(_array, "records"), partial(_array, "columns")),
    "rosbag1": tuple(
        partial(lambda encoding, mode: ros_files.bag1(_packets(encoding), mode=mode), *kind)
        for kind in (("evt3", "none"), ("dvs", "bz2"), ("libcaer", "lz4"))
    ),
    "rosbag2": tuple(
        partial(lambda encoding, mode: ros_files.bag2(_packets(encoding), mode=mode), *kind)
        for kind in (("evt3", "none"), ("dvs", "none"), ("mono", "message"))
    ),
}


@cache
def good(format: str) -> tuple[bytes, ...]:
    """Return small good files of a format."""
    if format in GOOD:
        return tuple(make() for make in GOOD[format])
    return tuple(_records(label) for label in WHOLE if label.partition("-")[0] == format)


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp())


def one_input(format: str, data: bytes) -> None:
    """Read a file that the bytes describe."""
    choices = Choices(data)
    how, count = choices.byte(), choices.below(16)
    kinds = good(format)
    content = choices.rest() if how % 8 == 0 else edited(choices, kinds[choices.below(len(kinds))])
    path = _folder() / f"a{files.whole(format).suffix}"
    path.write_bytes(content)
    check(path, format if how & 8 else None, SENSOR if how & 16 else None, count)


def check(path: Path, format: str | None, sensor: tuple[int, int] | None, count: int) -> tuple[np.ndarray, str]:
    """Read a file in both policies, below 8 in packets of so many events too; end where something does not hold.

    Returns:
        what `strict` gives: events, and the error's message.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)  # of damaged values a library is quiet
        return _check(path, format, sensor, count)


def _check(path: Path, format: str | None, sensor: tuple[int, int] | None, count: int) -> tuple[np.ndarray, str]:
    events, counters, message = read(path, format, sensor, "skip")
    strict, _, strict_message = read(path, format, sensor, "strict")
    assert min(counters.values(), default=0) >= 0, counters
    np.testing.assert_array_equal(strict, events[: len(strict)])
    damaged = bool(message) or any(counters[name] for name in DAMAGE)
    unsized = sensor is None and bool(strict_message) and not message  # skip does without a size
    assert unsized or bool(strict_message) == damaged, (strict_message, message, counters)
    if 0 < count < 8:
        again = read(path, format, sensor, "skip", count)
        np.testing.assert_array_equal(again[0], events)
        assert again[1:] == (counters, message), (again[1:], counters, message)
    return strict, strict_message


def read(
    path: Path, format: str | None, sensor: tuple[int, int] | None, on_corrupt: str, count: int | None = None
) -> tuple[np.ndarray, dict[str, int], str]:
    """Read all of it; return events, counters and the error's message, "" if there was none."""
    parts, counters, message = [np.zeros(0, edgesnn.EVENT)], {}, ""
    try:
        recording = edgesnn.open(path, format=format, sensor=sensor, on_corrupt=on_corrupt)
        counters = recording.counters
        for packet in recording.packets(count=count):
            parts.append(packet)
            assert count is None or len(packet) <= count
            counters = recording.counters
            width, height = recording.sensor or (65536, 65536)
            assert ((packet["x"] < width) & (packet["y"] < height) & (packet["p"] < 2)).all(), "outside"
        counters = recording.counters
    except edgesnn.RecordingError as error:
        message = str(error)
    except edgesnn.UsageError as error:
        message = str(error)
        if sensor is not None or "pass --sensor" not in message:
            raise
    if message and (str(path) not in message or len(message) > LONGEST_MESSAGE):
        raise AssertionError(f"an error that helps nobody: {message[:LONGEST_MESSAGE]}")
    return np.concatenate(parts), dict(counters), message


TARGETS: dict[str, Target] = {
    f"recording_{format}": partial(one_input, format) for format in registry.FORMATS if format != "hdf5"
}
