"""Damage inside the packed chunks of HDF5 recordings: what lies in other chunks comes, in order; nothing dies."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import edgesnn
from tests.files import SENSOR
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
