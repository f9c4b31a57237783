"""The training loop of token models: AdamW, cosine, checkpoints that resume to the same bits, metrics in JSON.

The sequences of step s come from a generator seeded by (seed, s), so a resumed run equals an uninterrupted one. The
result is the weights after the last step; looking at the test part never selects anything.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from edgesnn.errors import ConfigError, ModelError
from edgesnn.models.spikegpt import SpikeGPT
from edgesnn.train.checkpoint import (
    CHECKPOINT,
    load_optimizer,
    load_weights,
    optimizer_tensors,
    read_checkpoint,
    write_checkpoint,
)
from edgesnn.train.config import as_document
from edgesnn.train.loop import METRICS, Report, check_finite, make_folder, parameter_groups, set_rate
from edgesnn.train.progress import Progress, Remaining, in_words
from edgesnn.train.text.config import TextConfig
from edgesnn.train.text.corpus import Corpus

FIELDS: dict[str, type] = {"step": int, "metrics": list, "config": dict, "input": dict}
PARTS = ("model", "optimizer")
EVALUATION_BATCH = 16
MOST_EVALUATED = 1 << 16  # tokens of one look at the test part


class TextTrainer:
    """One run in a folder.

    Args:
        config: what to train.
        corpus: its text.
        folder: checkpoint and metrics go there; made if absent.
        resume: go on from the folder's checkpoint, if there is one.

    Raises:
        ConfigError: a part of the text is shorter than a sequence; the folder's checkpoint is of another config or
            vocabulary; the folder cannot be made.
        ModelError: a checkpoint to resume from is none.
    """

    def __init__(self, config: TextConfig, corpus: Corpus, folder: Path, *, resume: bool = False) -> None:
        self.config, self.loop, self.corpus, self.folder = config, config.train, corpus, folder
        for name, part in (("training", corpus.train), ("test", corpus.test)):
            if len(part) <= self.loop.context:
                found, expected = f"{len(part)} tokens", f"more than train.context = {self.loop.context}"
                raise ConfigError(f"the {name} part is too short", where=corpus.source, found=found, expected=expected)
        torch.set_num_threads(self.loop.threads)
        torch.manual_seed(self.loop.seed)
        self.model = SpikeGPT(config.model.network(corpus.vocab))
        self.optimizer = torch.optim.AdamW(
            parameter_groups(self.model, self.loop.weight_decay), lr=self.loop.lr, betas=(0.9, 0.99)
        )
        self.train_ids, self.test_ids = torch.from_numpy(corpus.train), torch.from_numpy(corpus.test)
        self.step = 0
        self.metrics: list[dict[str, Any]] = []
        make_folder(folder)
        if resume and (folder / CHECKPOINT).exists():
            self._restore()

    def run(self, report: Report, *, stop_after: int | None = None) -> dict[str, Any]:
        """Train to the last step (or stop after about `stop_after` more) and return the last look's metrics."""
        parameters = sum(p.numel() for p in self.model.parameters())
        report(
            f"{len(self.train_ids)} training and {len(self.test_ids)} test tokens of {self.corpus.source}, of"
            f" {self.corpus.vocab} kinds; {parameters} parameters, {self.loop.steps} steps"
        )
        remaining = Remaining(report)
        last = self.loop.steps if stop_after is None else min(self.loop.steps, self.step + stop_after)
        while self.step < last:
            row = self._until(
                min(last, self.step - self.step % self.loop.evaluate_every + self.loop.evaluate_every), remaining
            )
            row["test_bits"] = self.evaluate()
            self.metrics.append(row)
            self._save()
            report(self._line(row))
        return self.metrics[-1] if self.metrics else {}

    @torch.no_grad()
    def evaluate(self) -> float:
        """Return bits per token of the test part, in sequences of `context` that begin with an empty state."""
        context = self.loop.context
        count = min(len(self.test_ids) - 1, MOST_EVALUATED) // context
        inputs, targets = (self.test_ids[at : at + count * context].view(count, context).T for at in (0, 1))
        total = 0.0
        for first in range(0, count, EVALUATION_BATCH):
            chosen = slice(first, first + EVALUATION_BATCH)
            total += float(loss_of(self.model(inputs[:, chosen]), targets[:, chosen], "sum"))
        return total / (count * context) / math.log(2)

    def _until(self, end: int, remaining: Remaining) -> dict[str, Any]:
        bar = Progress(self.loop.steps, "training")
        started, loss, first = time.monotonic(), 0.0, self.step
        while self.step < end:
            loss += self._batch()
            self.step += 1
            bar.update(self.step)
            remaining.update(self.loop.steps - self.step)
        bar.clear()
        check_finite(self.model, loss, f"before step {self.step}")
        taken = end - first
        bits = loss / taken / math.log(2)
        return {"step": self.step, "train_bits": bits, "seconds": time.monotonic() - started, "steps": taken}

    def _batch(self) -> float:
        rng = np.random.default_rng([self.loop.seed, self.step])
        starts = rng.integers(0, len(self.train_ids) - self.loop.context, self.loop.batch)
        tokens = torch.stack([self.train_ids[at : at + self.loop.context + 1] for at in starts.tolist()], 1)
        set_rate(self.optimizer, self.loop.lr, self.step, self.loop.steps, self.loop.warmup)
        loss = loss_of(self.model(tokens[:-1]), tokens[1:], "mean")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.loop.clip)
        self.optimizer.step()
        return float(loss.detach())

    def _line(self, row: dict[str, Any]) -> str:
        left_s = (self.loop.steps - row["step"]) * row["seconds"] / row["steps"]
        text = (
            f"step {row['step']}/{self.loop.steps}: {row['train_bits']:.3f} bits per token, test {row['test_bits']:.3f}"
        )
        return f"{text}, {row['seconds']:.1f} s" + (f"; about {in_words(left_s)} left" if left_s else "")

    def _save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer),
            "step": self.step,
            "metrics": self.metrics,
            "config": as_document(self.config),
            "input": self.corpus.input,
        }
        write_checkpoint(self.folder / CHECKPOINT, state, FIELDS, PARTS)
        (self.folder / METRICS).write_text(json.dumps(self.metrics, indent=1), encoding="utf-8")

    def _restore(self) -> None:
        path = self.folder / CHECKPOINT
        state = read_checkpoint(path, FIELDS, PARTS)
        same = json.loads(json.dumps({"config": as_document(self.config), "input": self.corpus.input}))
        for name, hint in (
            ("config", "the same config, or another --out"),
            ("input", "the same text, or another --out"),
        ):
            if state[name] != same[name]:
                raise ConfigError(f"the checkpoint is of another {name}", where=str(path), hint=hint)
        load_weights(self.model, state["model"], path)
        load_optimizer(self.optimizer, state["optimizer"], path)
        self.step, self.metrics = state["step"], state["metrics"]
        if not 0 <= self.step <= self.loop.steps:
            raise ModelError("checkpoint is damaged", where=str(path), found=f"step {self.step}")


def loss_of(logits: Tensor, targets: Tensor, reduction: str) -> Tensor:
    """Return the cross-entropy in nats of logits [T, B, V] and tokens [T, B]."""
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1), reduction=reduction)
