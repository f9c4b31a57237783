"""What stopping windows early costs: accuracy against steps, over thresholds of the confidence (no torch)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgesnn.encode.spans import encode_span, spans
from edgesnn.runtime import Model
from edgesnn.runtime.decide import EarlyExit, Readout
from edgesnn.runtime.windows import encoding_of, filters_of, readout_of, window_scores
from edgesnn.train.datasets import Sample, filter_sample


def curve(
    model: Model,
    samples: Sequence[Sample],
    sensor: tuple[int, int],
    confidences: Sequence[float],
    progress: Callable[[int], None],
) -> list[dict[str, Any]]:
    """Return one row for each threshold, and a last one for windows that do all their steps.

    Args:
        confidences: thresholds; the least number of steps is that of the model's own early exit, or 1.
        progress: is told how many recordings are done.

    Returns:
        Rows {"confidence" (None: all steps), "mean_steps", "share_of_steps", "by_window", "by_vote"}.
    """
    readout = readout_of(model)
    least = readout.early_exit.min_steps if readout.early_exit else 1
    rules = [replace(readout, early_exit=EarlyExit(c, least)) for c in confidences]
    rules.append(replace(readout, early_exit=None))
    found: list[list[tuple[int, list[int], np.ndarray[Any, Any]]]] = [[] for _ in rules]
    total = 0
    for number, sample in enumerate(samples, 1):
        windows = _windows(model, sample, sensor)
        total = len(windows[0]) if windows else total
        for rule, rows in zip(rules, found, strict=True):
            steps = [_stop(rule, scores) for scores in windows]
            last = np.array([scores[k - 1] for scores, k in zip(windows, steps, strict=True)])
            rows.append((sample.label, steps, last))
        progress(number)
    return [_row(rule, rows, total) for rule, rows in zip(rules, found, strict=True)]


def _windows(model: Model, sample: Sample, sensor: tuple[int, int]) -> list[Any]:
    """Return the scores after each step of each window that is not idle: [steps, classes]."""
    encoding, session = encoding_of(model), model.session()
    seen, sensor = filter_sample(sample, filters_of(model), sensor)
    return [
        window_scores(session, encode_span(seen.events, span, encoding, sensor))
        for span in spans(seen.events, encoding, seen.t_end_us)
    ]


def _stop(readout: Readout, scores: Any) -> int:
    """Return after how many steps a window stops."""
    steps = range(1, len(scores))
    return next((k for k in steps if readout.stops(scores[k - 1], k)), len(scores))


def _row(readout: Readout, recordings: list[tuple[int, list[int], Any]], total: int) -> dict[str, Any]:
    steps = [k for _, done, _ in recordings for k in done]
    right = [scores.argmax(axis=1) == label for label, _, scores in recordings if len(scores)]
    votes = [len(scores) > 0 and scores.mean(axis=0).argmax() == label for label, _, scores in recordings]
    mean = float(np.mean(steps)) if steps else None
    return {
        "confidence": None if readout.early_exit is None else readout.early_exit.confidence,
        "mean_steps": mean,
        "share_of_steps": None if mean is None else mean / total,
        "by_window": float(np.concatenate(right).mean()) if right else 0.0,
        "by_vote": float(np.mean(votes)),
    }
