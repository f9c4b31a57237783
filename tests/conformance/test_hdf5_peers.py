"""Packed HDF5 chunks of every layout are what another port of Prophesee's codec reads in them (extra `peers`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgesnn
from tests.property import ecf_reference, hdf5_files
from tests.property.test_ecf_chunks import made

pytestmark = pytest.mark.conformance

START_US = 11_000_000  # evlib looks for plausible headers: of few events, or of times near 0, it finds none


@pytest.mark.parametrize("layout", ecf_reference.LAYOUTS)
def test_evlib_reads_the_same_events(tmp_path: Path, layout: str) -> None:
    evlib = pytest.importorskip("evlib", reason="evlib is not installed (extra peers)")
    events = np.concatenate([made(seed, 4000) for seed in range(3, 30)])[: 3 * 16_384]
    events["t"] = START_US + np.sort(events["t"] % 1_000_000)
    path = tmp_path / "a.hdf5"
    path.write_bytes(hdf5_files.ecf(events, rows=16_384, layouts=(layout,), geometry="1280x720"))
    frame = evlib.load_events(str(path)).collect()
    theirs = [frame["t"].dt.total_microseconds(), frame["x"], frame["y"], frame["polarity"] == 1]
    ours = edgesnn.open(path).read()
    assert len(ours) == len(events) > 40_000
    for name, column in zip("txyp", theirs, strict=True):
        np.testing.assert_array_equal(ours[name], column.to_numpy().astype(np.int64))
