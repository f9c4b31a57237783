"""`edgesnn convert --encode`: all windows of a recording as arrays in an .npz file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.cli.main import main
from edgesnn.encode import encode_windows
from edgesnn.events.types import EVENT

SENSOR = (20, 10)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    rng = np.random.default_rng(4)
    events = np.zeros(5000, EVENT)
    events["t"] = np.sort(rng.integers(0, 100_000, 5000))
    events["x"], events["y"] = rng.integers(0, 20, 5000), rng.integers(0, 10, 5000)
    events["p"] = rng.integers(0, 2, 5000)
    edgesnn.write(tmp_path / "a.raw", events, sensor=SENSOR)
    return tmp_path / "a.raw"


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        (["--window", "10ms"], {"window": "10ms"}),
        (["--window", "10ms", "--hop", "3ms"], {"window": "10ms", "hop": "3ms"}),
        (["--window-events", "300", "--hop-events", "100"], {"window_events": 300, "hop_events": 100}),
        (["--window", "10ms", "--filter", "transpose"], {"window": "10ms", "filters": ["transpose"]}),
    ],
)
def test_the_file_holds_the_windows(recording: Path, flags: list[str], options: dict[str, Any], capsys: Any) -> None:
    target = recording.with_name("out.npz")
    assert main(["convert", str(recording), str(target), "--encode", "voxel:bins=3", *flags, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    expected = list(encode_windows(recording, "voxel:bins=3", **options))
    with np.load(target, allow_pickle=False) as file:
        assert np.array_equal(file["array"], [w.array for w in expected])
        assert file["array"].dtype == np.float32
        for name in ("number", "t0_us", "t1_us", "events"):
            assert file[name].tolist() == [getattr(w, name) for w in expected]
        assert report["shape"] == list(file["array"].shape)
    assert len(expected) > 5
    assert report["encoder"] == {"encoder": "voxel", "bins": 3, "time": "window"}
    assert sorted(p.name for p in recording.parent.iterdir()) == ["a.raw", "out.npz"]


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--encode", "voxel"], 2, "--encode: arrays are of windows: expected --window or --window-events"),
        (["--encode", "voxel:bins=0", "--window", "1ms"], 2, "bins is wrong: found 0, expected 1 to 65536\n"),
        (["--encode", "film", "--window", "1ms"], 2, "no such encoder"),
        (["--encode", "voxel", "--window", "10"], 2, "not a duration"),
        (["--encode", "voxel", "--window", "1s"], 3, "no whole window"),
        (["--encode", "voxel", "--window", "1ms", "--rebase"], 2, "arrays are written of whole recordings"),
        (["--encode", "voxel", "--window", "1ms", "--roi", "0,0,2,2"], 2, "--roi: arrays are written of whole"),
        (["--window", "1ms"], 2, "--window: events are written without windows"),
    ],
)
def test_wrong_flags_are_refused(recording: Path, flags: list[str], code: int, message: str, capsys: Any) -> None:
    assert main(["convert", str(recording), str(recording.with_name("out.npz")), *flags]) == code
    assert message in capsys.readouterr().err
    assert [p.name for p in recording.parent.iterdir()] == ["a.raw"]


def test_another_file_is_left_alone(recording: Path, capsys: Any) -> None:
    target = recording.with_name("out.csv")
    target.write_text("mine")
    assert main(["convert", str(recording), str(target), "--encode", "voxel", "--window", "1ms"]) == 2
    assert "arrays are written as .npz" in capsys.readouterr().err
    assert main(["convert", str(recording), "/nowhere/x.npz", "--encode", "voxel", "--window", "1ms"]) == 3
    assert "cannot be written" in capsys.readouterr().err
    assert target.read_text() == "mine"
