"""Damage inside the packed chunks of HDF5 recordings: what lies in other chunks comes, in order; nothing dies."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

import edgesnn
from tests.files import SENSOR
from tests.memory import read_in_packets
from tests.property import aedat_files, hdf5_files

EVENTS = aedat_files.rising_events(np.random.default_rng(14), 400, SENSOR, 1_000_000)
LAYOUTS = {"ecf": hdf5_files.ecf, "dsec": hdf5_files.dsec, "mvsec": hdf5_files.mvsec}
Chunk = tuple[int, int, int, int]
"""(first row, row behind the last, byte of the file, bytes)."""


def chunks(data: bytes) -> list[Chunk]:
    """All chunks of events in the file."""
    found: list[Chunk] = []

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.chunks:
            for number in range(item.id.get_num_chunks()):
                info = item.id.get_chunk_info(number)
                row = info.chunk_offset[0]
                found.append((row, min(row + item.chunks[0], len(EVENTS)), info.byte_offset, info.size))

    with h5py.File(io.BytesIO(data)) as file:
        file.visititems(visit)
    return found


def harmed(data: bytes, seed: int) -> tuple[bytes, np.ndarray]:
    """The file with other bytes in one to three chunks, and which rows lie in none of these."""
    rng = np.random.default_rng(seed)
    out, safe, some = bytearray(data), np.ones(len(EVENTS), bool), chunks(data)
    for number in rng.choice(len(some), rng.integers(1, 4), replace=False).tolist():
        start, stop, at, size = some[number]
        safe[start:stop] = False
        for _ in range(rng.integers(1, 12)):
            out[at + int(rng.integers(size))] = int(rng.integers(256))
    return bytes(out), safe


def is_part(part: list[object], whole: list[object]) -> bool:
    """Say whether all of `part` is in `whole`, in that order."""
    rest = iter(whole)
    return all(any(one == other for other in rest) for one in part)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_lies_in_other_chunks_is_read(tmp_path: Path, layout: str) -> None:
    make: Callable[[np.ndarray], bytes] = LAYOUTS[layout]
    data, path, lossy = make(EVENTS), tmp_path / "a.h5", 0
    for seed in range(50):
        spoilt, safe = harmed(data, seed)
        path.write_bytes(spoilt)
        recording = edgesnn.open(path, sensor=SENSOR, on_corrupt="skip")
        events = recording.read()
        assert ((events["x"] < SENSOR[0]) & (events["y"] < SENSOR[1]) & (events["p"] < 2)).all()
        assert is_part(EVENTS[safe].tolist(), events.tolist())
        lost = recording.counters["bad_words"] + recording.counters["out_of_range"]
        assert len(events) + lost == len(EVENTS)
        lossy += lost > 0
        strict = edgesnn.open(path, sensor=SENSOR)
        if lost:
            with pytest.raises(edgesnn.RecordingError, match=r"byte \d+: "):
                strict.read()
        else:
            np.testing.assert_array_equal(strict.read(), events)
    assert lossy > 15


def short(packed: Any, mask: int, data: bytes) -> bytes:
    """A file of DSEC packed so, whose first chunk of times is other data."""
    out = io.BytesIO(hdf5_files.dsec(EVENTS, options=packed))
    with h5py.File(out, "r+") as file:
        file["events/t"].id.write_direct_chunk((0,), data, mask)
    return out.getvalue()


TIMES = (EVENTS["t"][:50] - 5_000_000).astype("<u4")
PACKED = {"compression": "gzip", "shuffle": True, "fletcher32": True}
BLOSC = dict(hdf5plugin.Blosc(cname="zstd", clevel=5))


def blosc_of(size: int) -> bytes:
    """A chunk of 50 times whose header says another size."""
    with h5py.File(io.BytesIO(hdf5_files.dsec(EVENTS)), "r") as file:
        data = file["events/t"].id.read_direct_chunk((0,))[1]
    return data[:4] + size.to_bytes(4, "little") + data[8:]


@pytest.mark.parametrize(
    ("packed", "mask", "data", "found"),
    [
        (PACKED, 7, TIMES[:7].tobytes(), "28 of 200 bytes"),
        (PACKED, 6, TIMES[:7].tobytes(), "28 of 200 bytes"),
        (PACKED, 3, TIMES[:7].tobytes(), "28 of 204 bytes"),
        (BLOSC, 0, blosc_of(28), "28 of 200 bytes"),
    ],
    ids=("no filter", "shuffle", "checksum", "blosc"),
)
def test_memory_is_never_read_as_events(tmp_path: Path, packed: Any, mask: int, data: bytes, found: str) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(short(packed, mask, data))
    with pytest.raises(edgesnn.RecordingError, match=f"HDF5 row 0: it cannot be read: its chunk holds {found}"):
        edgesnn.open(path, sensor=SENSOR).read()
    recording = edgesnn.open(path, sensor=SENSOR, on_corrupt="skip")
    np.testing.assert_array_equal(recording.read(), EVENTS[50:])
    assert recording.counters["bad_words"] == 50


@pytest.mark.parametrize("rows", [131_072, 262_144])
def test_large_chunks_are_read_in_bounded_memory(tmp_path: Path, rows: int) -> None:
    small, path = tmp_path / "small.h5", tmp_path / "large.h5"
    small.write_bytes(hdf5_files.dsec(EVENTS))
    with h5py.File(path, "w") as file:
        for name in "txyp":
            values = np.arange(4 * rows) if name == "t" else np.ones(4 * rows, np.int64)
            file.create_dataset(f"events/{name}", data=values, chunks=(rows,), compression="gzip", compression_opts=1)
    events, _, grown = read_in_packets(small, path)
    assert events == 4 * rows
    assert grown < 32 << 10
