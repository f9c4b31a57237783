"""`tests/exchange.py`: what it wrote is made again on any arm; a bit that differs is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgesnn import _native
from edgesnn.recorder import bundle
from tests import exchange
from tests.flights import resealed
from tests.small_models import small_document

ROOT = Path(__file__).resolve().parents[2]


def test_a_bit_that_differs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "models", lambda: [("points", small_document())])
    monkeypatch.setattr(exchange, "FLIGHTS", {"points": exchange.FLIGHTS["points"]})
    folder = tmp_path / "made"
    exchange.write(folder, drawn=3)
    assert exchange.check(folder) == []

    made = folder / "models" / "drawn-1.npz"
    with np.load(made) as file:
        arrays = dict(file)
    name = next(name for name, array in arrays.items() if name.startswith("out1/") and array.dtype == np.float32)
    arrays[name].view(np.uint32).reshape(-1)[0] ^= 1
    np.savez(made, **arrays)
    halves = json.loads((folder / "points.json").read_text())
    halves[1][0]["spikes"] += 1
    (folder / "points.json").write_text(json.dumps(halves))
    (path,) = (folder / "bundles" / "points").glob("*.bundle")
    text = bundle.read(path).published[0].to_json().replace('"synops":', '"synops":1')
    resealed(bundle.read(path), path, published=np.frombuffer(text.encode() + b"\n", np.uint8))
    wrong = exchange.check(folder)
    assert [line.split(":")[0] for line in wrong] == ["session of drawn-1", "snapshot of points", "bundle of points"]


@pytest.mark.full
@pytest.mark.parametrize("arm", _native.executor.arms())
def test_what_one_arm_made_another_makes_again(tmp_path: Path, arm: str) -> None:
    exchange.write(tmp_path / "made")
    command = [sys.executable, "-m", "tests.exchange", "check", str(tmp_path / "made")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "EDGESNN_ARM": arm}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert f"({arm}): 0 differ" in done.stdout
