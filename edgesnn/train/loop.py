"""The training loop: AdamW, cosine, averaged weights, checkpoints that resume to the same bits, metrics in JSON.

Every random choice of epoch e comes from a generator seeded by (seed, e), so a resumed run equals an uninterrupted one.
The result is the averaged weights after the last epoch; looking at the validation recordings never selects anything.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesnn.encode.spans import encoded, spans
from edgesnn.errors import ConfigError
from edgesnn.models import plif
from edgesnn.models.spikepoint import CBL, SpikePoint
from edgesnn.train.checkpoint import (
    CHECKPOINT,
    OLD_CHECKPOINT,
    config_of,
    load_optimizer,
    load_teacher,
    load_weights,
    optimizer_tensors,
    read_checkpoint,
    refuse_old,
    start_from,
    write_checkpoint,
)
from edgesnn.train.config import TrainConfig, as_document
from edgesnn.train.datasets import Dataset, Sample, check_complete, filter_dataset
from edgesnn.train.features import features
from edgesnn.train.progress import Progress, Remaining, in_words
from edgesnn.train.windows import draw

METRICS = "metrics.json"
EVALUATION_BATCH = 32

Report = Callable[[str], None]


class Trainer:
    """One run in a folder.

    Args:
        config: what to train; `model.classes` 0 takes the data's.
        dataset: recordings, before the filters of the config.
        folder: checkpoint and metrics go there; made if absent.
        resume: go on from the folder's checkpoint, if there is one.

    Raises:
        ConfigError: the folder's checkpoint is of another config; a class lacks recordings or there are too many; an
            epoch has no whole batch; no validation recording gives a window; the folder cannot be made.
        ModelError: a checkpoint (to resume, to start from, a teacher's) is none.
    """

    def __init__(self, config: TrainConfig, dataset: Dataset, folder: Path, *, resume: bool = False) -> None:
        check_complete(dataset)
        dataset = filter_dataset(dataset, config.input.filters)
        self.config, self.dataset, self.folder = with_classes(config, dataset), dataset, folder
        self.loop, self.encoding = self.config.train, self.config.encoding
        self.batches = batches_of(self.config, dataset)
        self.unseen = recordings_without_a_window(self.config, dataset)
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
        self.teachers = [load_teacher(path, self.config) for path in self.loop.teachers]
        self.optimizer = torch.optim.AdamW(parameter_groups(self.model, self.loop.weight_decay), lr=self.loop.lr)
        self.epoch, self.step = 0, 0
        self.metrics: list[dict[str, Any]] = []
        self._validation: tuple[list[Any], np.ndarray[Any, Any]] | None = None
        make_folder(folder)
        if resume and (folder / CHECKPOINT).exists():
            self._restore()
        elif resume:
            refuse_old(folder / OLD_CHECKPOINT)

    def run(self, report: Report, *, stop_after: int | None = None) -> dict[str, Any]:
        """Train to the last epoch (or stop after `stop_after` more) and return the last epoch's metrics."""
        report(
            f"{len(self.dataset.train)} training and {len(self.dataset.validate)} validation recordings of"
            f" {self.dataset.source}, {len(self.dataset.labels)} classes; {self.loop.epochs} epochs"
        )
        if self.unseen:
            report(f"{self.unseen} validation recordings give no window and count as wrong")
        remaining = Remaining(report)
        last = self.loop.epochs if stop_after is None else min(self.loop.epochs, self.epoch + stop_after)
        while self.epoch < last:
            row = self._epoch(remaining, (last - self.epoch) * self.batches)
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

    def _epoch(self, remaining: Remaining, batches_left: int) -> dict[str, Any]:
        rng = np.random.default_rng([self.loop.seed, self.epoch])
        order = np.concatenate([rng.permutation(len(self.dataset.train)) for _ in range(self.loop.windows)])
        batches = self.batches
        bar = Progress(batches, f"epoch {self.epoch + 1}/{self.loop.epochs}")
        self.model.train()
        started, loss, correct = time.monotonic(), 0.0, 0
        for b in range(batches):
            samples = [self.dataset.train[i] for i in order[b * self.loop.batch : (b + 1) * self.loop.batch]]
            batch_loss, batch_correct = self._batch(samples, rng)
            loss, correct = loss + batch_loss, correct + batch_correct
            bar.update(b + 1)
            remaining.update(batches_left - b - 1)
        bar.clear()
        check_finite(self.model, loss, f"in epoch {self.epoch + 1}")
        seconds = time.monotonic() - started
        train = correct / (batches * self.loop.batch)
        return {"epoch": self.epoch + 1, "loss": loss / batches, "train": train, "seconds": seconds}

    def _batch(self, samples: list[Sample], rng: np.random.Generator) -> tuple[float, int]:
        drawn = [draw(s, self.encoding, self.dataset.sensor, self.config.augment, rng) for s in samples]
        windows = [w for w in drawn if w is not None]
        if len(windows) < 2:
            return 0.0, 0
        target = torch.tensor([s.label for s, w in zip(samples, drawn, strict=True) if w is not None])
        local, centre = features(windows, self.config.model.point_coding, self.encoding.steps, self.encoding.seed)
        set_rate(self.optimizer, self.loop.lr, self.step, self.loop.epochs * self.batches, self.loop.warmup)
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

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.loop.ema, self.step / (self.step + 10))
        new, old = self.model.state_dict(), self.average.state_dict()
        torch._foreach_lerp_([old[k] for k in old], [new[k] for k in old], 1 - decay)

    def _line(self, row: dict[str, Any]) -> str:
        text = f"epoch {row['epoch']}/{self.loop.epochs}: loss {row['loss']:.3f}, training {100 * row['train']:.1f} %"
        if "by_window" in row:
            text += f", validation {100 * row['by_window']:.1f} % of windows, {100 * row['by_vote']:.1f} % by vote"
        left_s = (self.loop.epochs - row["epoch"]) * row["seconds"]
        return f"{text}, {row['seconds']:.1f} s" + (f"; about {in_words(left_s)} left" if left_s else "")

    def _save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer),
            "epoch": self.epoch,
            "step": self.step,
            "metrics": self.metrics,
            "config": as_document(self.config),
            "labels": list(self.dataset.labels),
            "sensor": list(self.dataset.sensor),
        }
        write_checkpoint(self.folder / CHECKPOINT, state)
        document = {"config": as_document(self.config), "epochs": self.metrics}
        (self.folder / METRICS).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    def _restore(self) -> None:
        path = self.folder / CHECKPOINT
        state = read_checkpoint(path)
        if as_document(config_of(state, path)) != as_document(self.config):
            hint = "leave out --resume, or use another --out"
            raise ConfigError("the checkpoint is of another config", where=str(path), hint=hint)
        load_weights(self.model, state["model"], path)
        load_weights(self.average, state["average"], path)
        load_optimizer(self.optimizer, state["optimizer"], path)
        self.epoch, self.step, self.metrics = state["epoch"], state["step"], state["metrics"]


def make_folder(folder: Path) -> None:
    """Make the folder of a run. Raises ConfigError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        found = error.strerror or str(error)
        raise ConfigError(
            "the folder cannot be made", where=str(folder), found=found, hint="name another --out"
        ) from None


def batches_of(config: TrainConfig, dataset: Dataset) -> int:
    """Return the batches of an epoch; the windows of a part of one are left out. Raises ConfigError: not one."""
    windows = len(dataset.train) * config.train.windows
    if windows < config.train.batch:
        found = f"train.batch = {config.train.batch}"
        expected = f"at most the {windows} windows of an epoch (training recordings times train.windows)"
        raise ConfigError("an epoch has no whole batch", where=dataset.source, found=found, expected=expected)
    return windows // config.train.batch


def recordings_without_a_window(config: TrainConfig, dataset: Dataset) -> int:
    """Return how many validation recordings give no window at all. Raises ConfigError: all of them."""
    encoding = config.encoding
    without = [s for s in dataset.validate if next(spans(s.events, encoding, s.t_end_us), None) is None]
    if len(without) == len(dataset.validate):
        found = f"{len(without)} recordings, of at most {max(len(s.events) for s in without)} events"
        raise ConfigError(
            "no validation recording gives a window",
            where=dataset.source,
            found=found,
            expected=f"recordings longer than input.window = {config.input.window},"
            f" with at least input.min_events = {config.input.min_events} in it",
        )
    return len(without)


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
    groups = [encoded(sample.events, config.encoding, sensor, sample.t_end_us) for sample in samples]
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


def check_finite(model: nn.Module, loss: float, when: str) -> None:
    """Raise a ConfigError where a loss or a weight is no number; `when` says where in the run."""
    if not math.isfinite(loss) or not all(torch.isfinite(p).all() for p in model.parameters()):
        found = f"a loss or weights that are no numbers {when}"
        raise ConfigError("the training diverged", where="train.lr", found=found, hint="try a smaller train.lr")


def set_rate(optimizer: torch.optim.Optimizer, lr: float, step: int, steps: int, warmup: int) -> None:
    """Set the learning rate of a step: a linear warm-up to `lr`, and a cosine to zero over all steps."""
    warm = min(1.0, (step + 1) / max(1, warmup))
    for group in optimizer.param_groups:
        group["lr"] = lr * warm * 0.5 * (1 + math.cos(math.pi * step / steps))


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return what an optimizer takes: matrices with weight decay, everything else without."""
    matrices = [p for p in model.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if p.dim() != 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
