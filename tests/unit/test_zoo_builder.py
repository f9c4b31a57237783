"""What builds the gesture model and its card, and what measures a shipped model again; on tiny recordings."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn.events.types import EVENT
from edgesnn.events.writing import write
from edgesnn.train.datasets import Sample, load_dataset
from tests.bars import write_bars

torch = pytest.importorskip("torch")

from edgesnn.train.config import load_config  # noqa: E402
from edgesnn.train.loop import Trainer  # noqa: E402
from edgesnn.train.zoo.__main__ import main  # noqa: E402
from edgesnn.train.zoo.gestures import build  # noqa: E402

SENSOR = (16, 16)
LABELS = ("down", "none", "right")


def write_bar(path: Path, label: str, seed: int) -> None:
    """Write 85 ms of a bar that moves right or down, or of noise."""
    rng = np.random.default_rng(seed)
    events = np.zeros(400, EVENT)
    events["t"] = np.sort(rng.integers(0, 85_000, 400))
    along, across = events["t"] * 15 // 85_000, rng.integers(4, 12, 400)
    if label == "none":
        along = rng.integers(0, 16, 400)
    events["x"], events["y"] = (across, along) if label == "down" else (along, across)
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, events, sensor=SENSOR, t_end_us=85_000)


def write_folder(root: Path, count: int, seed: int) -> Path:
    for number, label in enumerate(LABELS):
        for i in range(count):
            write_bar(root / label / f"{i}.raw", label, 1000 * seed + 100 * number + i)
    return root


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train on folders of bars and build a zoo of it; return the folder."""
    folder = tmp_path_factory.mktemp("zoo")
    for seed, (part, count) in enumerate({"train": 8, "test": 4, "calibrate": 4}.items()):
        write_folder(folder / "data" / part, count, seed)
    config = load_config(write_bars(folder)[0])
    data = replace(config.data, source=str(folder / "data"), background="none")
    config = replace(config, data=data, train=replace(config.train, epochs=6))
    Trainer(config, load_dataset(data), folder / "run").run(lambda line: None)
    real = [Sample("a real one", load_dataset(data).validate[0].events, 0)]
    build(folder / "run", dict.fromkeys(("twin", "spiking"), folder / "run"), real, folder)
    return folder


def test_it_writes_both_precisions_and_a_card_that_says_what_they_do(zoo: Path) -> None:
    model, twin = (edgesnn.load(zoo / f"{name}.safetensors") for name in ("gestures", "gestures-float32"))
    assert (model.precision, twin.precision) == ("int8", "float32")
    card = (zoo / "gestures.md").read_text(encoding="utf-8")
    assert f"| identity | {model.identity} |" in card
    assert "zoo gestures`, edgesnn " in card
    assert ", commit " in card
    for precision, file in (("int8", model), ("float32", twin)):
        simulated = file.document.provenance["metrics"]["simulated_test"]
        shares = " | ".join(f"{100 * simulated[name]:.1f} %" for name in ("by_window", "by_vote"))
        assert f"| SpikePoint {precision} | {shares} |" in card


def test_measured_again_replaces_its_section_and_nothing_else(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (zoo / "gestures.md").read_text(encoding="utf-8")
    fresh = write_folder(zoo / "fresh", 3, 77)
    command = ["recheck", "gestures", "--data", str(fresh), "--quiet", "none", "--zoo", str(zoo), "--about"]
    with pytest.warns(UserWarning, match="left out"):
        assert main([*command, "first words."]) == 0
    with pytest.warns(UserWarning, match="left out"):
        assert main([*command, "other words."]) == 0
    card = (zoo / "gestures.md").read_text(encoding="utf-8")
    section = capsys.readouterr().out.rpartition("## Measured again")[2].strip()
    assert card.count("## Measured again") == 1
    assert "first words." not in card
    assert "other words." in section
    assert "| gestures (int8) | 6 | " in section
    assert re.search(
        r"float32 and int8 differ by vote on \d of 6 recordings\. .* draws of the points, on \d and \d\.", section
    )
    assert "Nobody gesturing, 3 recordings: of " in section
    assert card.replace(f"## Measured again\n\n{section}\n\n", "") == before


def test_a_card_that_is_none_is_refused(zoo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gestures.md").write_text("hello")
    for name in ("gestures.safetensors", "gestures-float32.safetensors"):
        (tmp_path / name).write_bytes((zoo / name).read_bytes())
    data = str(write_folder(tmp_path / "data", 1, 5))
    with pytest.warns(UserWarning, match="left out"):
        assert main(["recheck", "gestures", "--data", data, "--about", "x", "--zoo", str(tmp_path)]) == 5
    assert "not a card of the zoo's builder" in capsys.readouterr().err
    assert (tmp_path / "gestures.md").read_text() == "hello"
