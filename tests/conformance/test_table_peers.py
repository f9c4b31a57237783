"""Other people's readers read the text and the arrays that are written here to the same events."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgesnn

pytestmark = pytest.mark.conformance

Shared = Callable[[str], Path]


@pytest.fixture
def recording(shared: Shared) -> edgesnn.Recording:
    return edgesnn.open(shared("recordings/evt2/evt2_gen3_640x480_a.raw"))


def test_faery_reads_our_csv(tmp_path: Path, recording: edgesnn.Recording) -> None:
    faery = pytest.importorskip("faery", reason="faery is not installed")
    edgesnn.write(tmp_path / "a.csv", recording.packets())
    theirs = faery.events_stream_from_file(tmp_path / "a.csv", dimensions_fallback=recording.sensor).to_array()
    ours = recording.read()
    assert all((theirs[name] == ours[name]).all() for name in "txyp")


def test_we_read_faerys_csv(tmp_path: Path, recording: edgesnn.Recording) -> None:
    faery = pytest.importorskip("faery", reason="faery is not installed")
    ours = recording.read()[:50_000]
    theirs = np.zeros(len(ours), faery.EVENTS_DTYPE)
    for name, column in zip("txyp", ("t", "x", "y", "on"), strict=True):
        theirs[column] = ours[name]
    faery.events_stream_from_array(theirs, recording.sensor).to_file(tmp_path / "a.csv")
    written = edgesnn.open(tmp_path / "a.csv")
    assert written.sensor == recording.sensor
    assert written.read().tobytes() == ours.tobytes()


def test_polars_reads_our_csv(tmp_path: Path, recording: edgesnn.Recording) -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    edgesnn.write(tmp_path / "a.csv", recording.packets())
    theirs = polars.read_csv(tmp_path / "a.csv")
    ours = recording.read()
    assert theirs.columns == list("txyp")
    assert all((theirs[name].to_numpy() == ours[name]).all() for name in "txyp")


@pytest.mark.parametrize("columns", ["t_s,x,y,p", "x,y,p,t_ms"])
def test_numpy_reads_our_text(tmp_path: Path, recording: edgesnn.Recording, columns: str) -> None:
    ours = recording.read()[:50_000]
    edgesnn.write(tmp_path / "a.txt", ours, variant=columns)
    rows = np.loadtxt(tmp_path / "a.txt", delimiter=",", skiprows=1)
    scale = {"t_s": 1e6, "t_ms": 1e3}
    for at, name in enumerate(columns.split(",")):
        np.testing.assert_array_equal(np.rint(rows[:, at] * scale.get(name, 1)), ours[name[0]])


@pytest.mark.parametrize("compression", ["none", "deflate"])
def test_numpy_reads_our_npz(tmp_path: Path, recording: edgesnn.Recording, compression: str) -> None:
    edgesnn.write(tmp_path / "a.npz", recording.packets(), compression=compression)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["events"], recording.read())
