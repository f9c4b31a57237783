"""The file's readout, fitted on scores of windows: temperature, rejection, onset and offset.

* temperature: minimises the negative log-likelihood of softmax(scores / temperature).
* rejection: the largest threshold that still keeps `KEEP` of the right windows; with background recordings raised until
  `QUIET` of their windows fall below it, but never so far that less than `KEEP_AT_LEAST` of the right ones are kept.
* onset: two windows in a row (or one, where fewer than three overlap a decision) at the rejection threshold.
* offset: `windows` misses in a row, at half the onset's confidence, so that a label does not flicker.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

KEEP, KEEP_AT_LEAST, QUIET = 0.98, 0.95, 0.98
Scores = npt.NDArray[np.float32]


def softmax(scores: npt.NDArray[Any], temperature: float) -> npt.NDArray[np.float64]:
    """Return softmax(scores / temperature) over the last axis, in float64."""
    shifted = scores.astype(np.float64) / temperature
    e = np.exp(shifted - shifted.max(axis=-1, keepdims=True))
    shares: npt.NDArray[np.float64] = e / e.sum(axis=-1, keepdims=True)
    return shares


def fit_temperature(scores: Scores, truth: npt.NDArray[np.int64]) -> float:
    """Return the temperature of the smallest negative log-likelihood, by golden section over its logarithm."""

    def cost(log_temperature: float) -> float:
        shares = softmax(scores, float(np.exp(log_temperature)))
        return float(-np.log(np.maximum(shares[np.arange(len(truth)), truth], 1e-12)).mean())

    low, high, ratio = np.log(1e-3), np.log(1e2), (5**0.5 - 1) / 2
    for _ in range(60):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, b) if cost(a) < cost(b) else (a, high)
    return float(np.float32(np.exp((low + high) / 2)))


def fit_rejection(scores: Scores, truth: npt.NDArray[np.int64], temperature: float) -> float:
    """Return the threshold on the largest share that the module's docstring describes; rounded down to 0.01.

    `truth` is -1 for windows of background recordings.
    """
    shares = softmax(scores, temperature)
    best = shares.max(1)
    right = best[shares.argmax(1) == truth]
    if not len(right):
        return 0.0
    threshold = np.quantile(right, 1 - KEEP)
    if (truth < 0).any():
        quiet = np.quantile(best[truth < 0], QUIET)
        threshold = max(threshold, min(quiet, np.quantile(right, 1 - KEEP_AT_LEAST)))
    return float(np.floor(threshold * 100) / 100)


def calibrate(scores: Scores, owner: npt.NDArray[np.int64], labels: list[int]) -> dict[str, Any]:
    """Return temperature, calibrated, rejection, onset and offset of the readout section.

    Args:
        scores: [windows, classes] of recordings held out from the fit of what follows.
        owner: number of the recording of each window.
        labels: class of each recording, -1 for background.
    """
    truth = np.array(labels, dtype=np.int64)[owner]
    known = truth >= 0
    if not known.any():
        return {}
    temperature = fit_temperature(scores[known], truth[known])
    rejection = fit_rejection(scores, truth, temperature)
    windows = 2 if np.median(np.bincount(owner)) >= 3 else 1
    return {
        "temperature": temperature,
        "calibrated": True,
        "rejection": rejection,
        "onset": {"confidence": rejection, "windows": windows},
        "offset": {"confidence": rejection / 2, "windows": 2},
    }
