"""The baseline beside a SpikePoint: a two-layer perceptron on how many events of a window fall where.

It sees no time inside the window: 16 x 16 places x 2 polarities, as the log of the counts, scaled to a mean of 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from edgesnn.encode.points import PointEncoding
from edgesnn.encode.spans import spans
from edgesnn.train.augment import augment
from edgesnn.train.config import AugmentConfig
from edgesnn.train.datasets import Dataset, Events, Sample

CELLS, HIDDEN = 16, 128
VIEWS, EPOCHS, BATCH, LEARNING_RATE = 6, 40, 64, 2e-3

Floats = npt.NDArray[np.float32]


def histogram(events: Events, sensor: tuple[int, int]) -> Floats:
    """Return the features of a window's events: float32 [2 * CELLS * CELLS]."""
    x = events["x"].astype(np.int64) * CELLS // sensor[0]
    y = events["y"].astype(np.int64) * CELLS // sensor[1]
    cell = (events["p"].astype(np.int64) * CELLS + y) * CELLS + x
    counts = np.log1p(np.bincount(cell, minlength=2 * CELLS * CELLS)).astype(np.float32)
    scaled: Floats = counts / max(float(counts.mean()), 1e-6)
    return scaled


def train_baseline(dataset: Dataset, encoding: PointEncoding, change: AugmentConfig, seed: int = 0) -> nn.Module:
    """Train on the dataset's training recordings (background left out), each window seen in VIEWS augmented views."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)  # the order of its sums, and so the result, is the same on any number of cores
    rows, labels = _views(dataset, encoding, change, rng)
    net = nn.Sequential(nn.Linear(rows.shape[1], HIDDEN), nn.ReLU(), nn.Dropout(0.2))
    net.append(nn.Linear(HIDDEN, len(dataset.labels)))
    optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=1e-2)
    for _ in range(EPOCHS):
        for chosen in torch.split(torch.from_numpy(rng.permutation(len(rows))), BATCH):
            loss = F.cross_entropy(net(rows[chosen]), labels[chosen], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return net.eval()


@torch.no_grad()
def baseline_accuracy(
    net: nn.Module, samples: Sequence[Sample], encoding: PointEncoding, sensor: tuple[int, int]
) -> dict[str, float]:
    """Return by_window and by_vote (mean of softmax over a recording's windows)."""
    right = windows = votes = 0
    for sample in samples:
        rows = [histogram(sample.events[s.first : s.last], sensor) for s in spans(sample.events, encoding)]
        if not rows:
            continue
        shares = torch.softmax(net(torch.from_numpy(np.stack(rows))), 1)
        right += int((shares.argmax(1) == sample.label).sum())
        windows += len(rows)
        votes += int(shares.mean(0).argmax()) == sample.label
    return {"by_window": right / max(1, windows), "by_vote": votes / max(1, len(samples))}


def _views(
    dataset: Dataset, encoding: PointEncoding, change: AugmentConfig, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    dense = replace(encoding, hop_us=encoding.hop_us // 2)
    rows, labels = [], []
    for sample in dataset.train:
        if sample.label < 0:
            continue
        places = list(spans(sample.events, dense))
        for i in rng.integers(0, len(places), VIEWS if places else 0):
            window = sample.events[places[i].first : places[i].last]
            rows.append(histogram(augment(window, change, dataset.sensor, rng), dataset.sensor))
            labels.append(sample.label)
    return torch.from_numpy(np.stack(rows)), torch.tensor(labels)
