"""The training loop: AdamW, cosine, averaged weights, checkpoints that resume to the same bits, metrics in JSON.

Every random choice of epoch e comes from a generator seeded by (seed, e), so a resumed run equals an uninterrupted one.
The result is the averaged weights after the last epoch; looking at the validation recordings never selects anything.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesnn.errors import ConfigError, ModelError
from edgesnn.models import plif
from edgesnn.models.spikepoint import CBL, SpikePoint
from edgesnn.train.config import TrainConfig, as_document, parse_config
from edgesnn.train.datasets import Dataset, Sample, check_complete
from edgesnn.train.features import features
from edgesnn.train.progress import Progress
from edgesnn.train.spans import encoded
from edgesnn.train.windows import draw

CHECKPOINT = "last.pt"
METRICS = "metrics.json"
EVALUATION_BATCH = 32

Report = Callable[[str], None]


class Trainer:
    """One run in a folder.

    Args:
        config: what to train; `model.classes` 0 takes the data's.
        dataset: recordings.
        folder: checkpoint and metrics go there; made if absent.
        resume: go on from the folder's checkpoint, if there is one.

    Raises:
        ConfigError: the folder's checkpoint is of another config; a class lacks recordings or there are too many.
    """

    def __init__(self, config: TrainConfig, dataset: Dataset, folder: Path, *, resume: bool = False) -> None:
        check_complete(dataset)
        self.config, self.dataset, self.folder = with_classes(config, dataset), dataset, folder
        self.loop, self.encoding = self.config.train, self.config.encoding
        torch.set_num_threads(self.loop.threads)
        torch.manual_seed(self.loop.seed)
        plif.compiled(self.loop.compile)
        plif.bfloat16(self.loop.bfloat16)
        self.model, self.average = SpikePoint(self.config.model), SpikePoint(self.config.model)
        if self.loop.init:
            start_from(self.model, self.loop.init)
        for layer in self.model.modules():
            if isinstance(layer, CBL):
                layer.int8 = self.loop.int8
        self.average.load_state_dict(self.model.state_dict())
        self.teachers = [load_checkpoint(path)[0].eval() for path in self.loop.teachers]
        self.optimizer = torch.optim.AdamW(_groups(self.model, self.loop.weight_decay), lr=self.loop.lr)
        self.epoch, self.step = 0, 0
        self.metrics: list[dict[str, Any]] = []
        self._validation: tuple[list[Any], np.ndarray[Any, Any]] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        if resume and (folder / CHECKPOINT).exists():
            self._restore()

    def run(self, report: Report, *, stop_after: int | None = None) -> dict[str, Any]:
        """Train to the last epoch (or stop after `stop_after` more) and return the last epoch's metrics."""
        report(
            f"{len(self.dataset.train)} training and {len(self.dataset.validate)} validation recordings of"
            f" {self.dataset.source}, {len(self.dataset.labels)} classes; {self.loop.epochs} epochs"
        )
        last = self.loop.epochs if stop_after is None else min(self.loop.epochs, self.epoch + stop_after)
        while self.epoch < last:
            row = self._epoch()
            self.epoch += 1
            if self.epoch % self.loop.evaluate_every == 0 or self.epoch == self.loop.epochs:
                row.update(self.evaluate())
            self.metrics.append(row)
            self._save()
            report(self._line(row))
        return self.metrics[-1] if self.metrics else {}

    def evaluate(self) -> dict[str, float]:
        """Return the averaged weights' accuracy on the validation part, per window and by vote (mean of scores)."""
        if self._validation is None:
            self._validation = validation_windows(self.dataset.validate, self.config, self.dataset.sensor)
        windows, owner = self._validation
        scores = predict(self.average, windows, self.config)
        return accuracies(scores, owner, [s.label for s in self.dataset.validate])

    def _epoch(self) -> dict[str, Any]:
        rng = np.random.default_rng([self.loop.seed, self.epoch])
        order = np.concatenate([rng.permutation(len(self.dataset.train)) for _ in range(self.loop.windows)])
        batches = len(order) // self.loop.batch
        bar = Progress(batches, f"epoch {self.epoch + 1}/{self.loop.epochs}")
        self.model.train()
        started, loss, correct = time.monotonic(), 0.0, 0
        for b in range(batches):
            samples = [self.dataset.train[i] for i in order[b * self.loop.batch : (b + 1) * self.loop.batch]]
            batch_loss, batch_correct = self._batch(samples, rng)
            loss, correct = loss + batch_loss, correct + batch_correct
            bar.update(b + 1)
        bar.clear()
        seen = max(1, batches * self.loop.batch)
        seconds = time.monotonic() - started
        return {"epoch": self.epoch + 1, "loss": loss / max(1, batches), "train": correct / seen, "seconds": seconds}

    def _batch(self, samples: list[Sample], rng: np.random.Generator) -> tuple[float, int]:
        drawn = [draw(s, self.encoding, self.dataset.sensor, self.config.augment, rng) for s in samples]
        windows = [w for w in drawn if w is not None]
        if len(windows) < 2:
            return 0.0, 0
        target = torch.tensor([s.label for s, w in zip(samples, drawn, strict=True) if w is not None])
        local, centre = features(windows, self.config.model.point_coding, self.encoding.steps, self.encoding.seed)
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        scores = self.model(local, centre)
        loss = self._loss(scores * self.loop.logit_scale, target, local, centre)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.step += 1
        self._average()
        return float(loss.detach()), int((scores.argmax(1) == target).sum())

    def _loss(self, logits: Tensor, target: Tensor, local: Tensor, centre: Tensor) -> Tensor:
        hard = F.cross_entropy(logits, soft_targets(target, logits.shape[1], self.loop.label_smoothing))
        if not self.teachers:
            return hard
        temperature = self.loop.teach_temperature
        with torch.no_grad():
            answers = torch.stack([F.softmax(t(local, centre) / temperature, 1) for t in self.teachers]).mean(0)
        soft = F.kl_div(F.log_softmax(logits / temperature, 1), answers, reduction="batchmean") * temperature**2
        return (1 - self.loop.teach) * hard + self.loop.teach * soft

    def _learning_rate(self) -> float:
        total = self.loop.epochs * (len(self.dataset.train) * self.loop.windows // self.loop.batch)
        warm = min(1.0, (self.step + 1) / max(1, self.loop.warmup))
        return self.loop.lr * warm * 0.5 * (1 + math.cos(math.pi * self.step / max(1, total)))

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.loop.ema, self.step / (self.step + 10))
        new, old = self.model.state_dict(), self.average.state_dict()
        torch._foreach_lerp_([old[k] for k in old], [new[k] for k in old], 1 - decay)

    def _line(self, row: dict[str, Any]) -> str:
        text = f"epoch {row['epoch']}/{self.loop.epochs}: loss {row['loss']:.3f}, training {100 * row['train']:.1f} %"
        if "by_window" in row:
            text += f", validation {100 * row['by_window']:.1f} % of windows, {100 * row['by_vote']:.1f} % by vote"
        left = self.loop.epochs - row["epoch"]
        return f"{text}, {row['seconds']:.1f} s; about {left * row['seconds'] / 60:.1f} min left"

    def _save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "metrics": self.metrics,
            "config": json.dumps(as_document(self.config)),
            "labels": list(self.dataset.labels),
            "sensor": list(self.dataset.sensor),
        }
        part = self.folder / (CHECKPOINT + ".part")
        torch.save(state, part)
        os.replace(part, self.folder / CHECKPOINT)
        document = {"config": as_document(self.config), "epochs": self.metrics}
        (self.folder / METRICS).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    def _restore(self) -> None:
        state = read_checkpoint(self.folder / CHECKPOINT)
        if json.loads(state["config"]) != as_document(self.config):
            where = str(self.folder / CHECKPOINT)
            raise ConfigError(
                "the checkpoint is of another config", where=where, hint="leave out --resume, or use another --out"
            )
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.step, self.metrics = state["epoch"], state["step"], state["metrics"]


def soft_targets(target: Tensor, classes: int, smoothing: float) -> Tensor:
    """Return the shares to learn [B, classes]: smoothed one-hot rows; even ones for `datasets.BACKGROUND`."""
    even = torch.full((len(target), classes), 1.0 / classes)
    smoothed = (1.0 - smoothing) * F.one_hot(target.clamp(min=0), classes) + smoothing * even
    return torch.where((target >= 0)[:, None], smoothed, even)


def with_classes(config: TrainConfig, dataset: Dataset) -> TrainConfig:
    """Return the config with the data's number of classes; ConfigError where it says another."""
    count = len(dataset.labels)
    if config.model.classes not in (0, count):
        raise ConfigError(
            "another number of classes", where="model.classes", found=str(config.model.classes), expected=str(count)
        )
    return replace(config, model=replace(config.model, classes=count))


def validation_windows(
    samples: list[Sample], config: TrainConfig, sensor: tuple[int, int]
) -> tuple[list[Any], np.ndarray[Any, Any]]:
    """Return every window of the samples, as the runtime cuts and encodes them, and the sample each belongs to."""
    groups = [encoded(sample, config.encoding, sensor) for sample in samples]
    owner = np.repeat(np.arange(len(groups)), [len(g) for g in groups])
    return [window for group in groups for window in group], owner


@torch.no_grad()
def predict(model: SpikePoint, windows: list[Any], config: TrainConfig) -> np.ndarray[Any, Any]:
    """Return scores [windows, classes]."""
    model.eval()
    coding, encoding = config.model.point_coding, config.encoding
    parts = [
        model(*features(windows[i : i + EVALUATION_BATCH], coding, encoding.steps, encoding.seed))
        for i in range(0, len(windows), EVALUATION_BATCH)
    ]
    scores: np.ndarray[Any, Any] = (
        torch.cat(parts).numpy() if parts else np.zeros((0, config.model.classes), np.float32)
    )
    return scores


def accuracies(scores: np.ndarray[Any, Any], owner: np.ndarray[Any, Any], labels: list[int]) -> dict[str, float]:
    """Return by_window and by_vote (mean of the scores); a recording without a window counts as wrong by vote."""
    truth = np.array(labels)
    by_window = float((scores.argmax(1) == truth[owner]).mean()) if len(owner) else 0.0
    right = sum(int(scores[owner == i].mean(0).argmax() == truth[i]) for i in np.unique(owner))
    return {"by_window": by_window, "by_vote": right / max(1, len(labels))}


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Return a checkpoint's content (weights_only: no code in a file is run). Raises ModelError."""
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True)
    except Exception as error:
        raise ModelError(
            "not a checkpoint of a training run", where=str(path), found=str(error).splitlines()[0]
        ) from None
    return state


def load_checkpoint(path: str | Path) -> tuple[SpikePoint, TrainConfig, dict[str, Any]]:
    """Return the averaged model of a checkpoint, its config, and the whole content."""
    state = read_checkpoint(path)
    config = parse_config(json.loads(state["config"]), where=str(path))
    model = SpikePoint(config.model)
    model.load_state_dict(state["average"])
    return model.eval(), config, state


def start_from(model: SpikePoint, path: str) -> None:
    """Take the weights of a checkpoint; neuron parameters that it lacks (a ReLU twin's) stay as they are."""
    state = read_checkpoint(path)["average"]
    own = model.state_dict()
    for name, tensor in own.items():
        if name not in state and name.endswith(".w"):
            continue
        if name not in state or state[name].shape != tensor.shape:
            raise ConfigError("the start has other layers", where=f"train.init: {path}", found=name)
        own[name] = state[name]
    model.load_state_dict(own)


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    matrices = [p for p in model.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
