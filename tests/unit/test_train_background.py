"""Recordings of none of the classes: loaded for training only, taught even scores, rejected by the fitted threshold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgesnn.errors import ConfigError
from edgesnn.events.types import EVENT
from edgesnn.events.writing import write

torch = pytest.importorskip("torch")

from edgesnn.train.calibrate import calibrate, softmax  # noqa: E402
from edgesnn.train.config import DataConfig  # noqa: E402
from edgesnn.train.datasets import BACKGROUND, load_dataset  # noqa: E402
from edgesnn.train.loop import soft_targets  # noqa: E402

SENSOR = (16, 16)


def write_folders(root: Path, *names: str) -> None:
    events = np.zeros(3, dtype=EVENT)
    events["t"] = [1, 2, 3]
    for name in names:
        (root / name).mkdir(parents=True)
        write(root / name / "a.raw", events, sensor=SENSOR)


def test_background_trains_and_never_validates(tmp_path: Path) -> None:
    write_folders(tmp_path, "train/up", "train/down", "train/none", "test/up", "test/down", "test/none")
    dataset = load_dataset(DataConfig(source=str(tmp_path), background="none"))
    assert dataset.labels == ("down", "up")
    assert sorted(sample.label for sample in dataset.train) == [BACKGROUND, 0, 1]
    assert sorted(sample.label for sample in dataset.validate) == [0, 1]


def test_a_background_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    write_folders(tmp_path, "train/up", "test/up")
    with pytest.raises(ConfigError, match="no background recording"):
        load_dataset(DataConfig(source=str(tmp_path), background="none"))


def test_targets_are_smoothed_as_the_cross_entropy_of_torch_does_and_even_for_background() -> None:
    target = torch.tensor([2, BACKGROUND, 0])
    shares = soft_targets(target, 4, 0.1)
    assert torch.allclose(shares[1], torch.full((4,), 0.25))
    logits = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    ours = torch.nn.functional.cross_entropy(logits[[0, 2]], shares[[0, 2]])
    theirs = torch.nn.functional.cross_entropy(logits[[0, 2]], target[[0, 2]], label_smoothing=0.1)
    assert torch.allclose(ours, theirs)


def test_the_threshold_rejects_background_without_losing_many_right_windows() -> None:
    rng = np.random.default_rng(2)
    truth = np.repeat([0, 1, 2, -1], 100)
    scores = rng.normal(0, 0.3, (400, 3)).astype(np.float32)
    scores[np.arange(300), truth[:300]] += rng.uniform(0.5, 6.0, 300).astype(np.float32)
    readout = calibrate(scores, np.arange(400), truth.tolist())
    best = softmax(scores, readout["temperature"]).max(1)
    right = best[:300][scores[:300].argmax(1) == truth[:300]]
    without = calibrate(scores[:300], np.arange(300), truth[:300].tolist())
    assert readout["rejection"] > without["rejection"]
    assert (right >= readout["rejection"]).mean() >= 0.95 - 1 / len(right)
    assert readout["temperature"] == without["temperature"]
