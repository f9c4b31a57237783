"""From scores to a decision, in its readable form: softmax, early exit, rejection, onset and offset hysteresis.

`native/pipeline/decide.cpp` is what runs in the chain; both give the same bits. The rule stands in `docs/pipeline.md`,
section "Decide".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from edgesnn.runtime.arithmetic import FloatArray, softmax32

Verdict = Literal["idle", "none", "label"]


@dataclass(frozen=True)
class EarlyExit:
    """When a window's running scores decide it before its last step: once the largest probability exceeds a threshold.

    Source: Li et al., "Unleashing the Potential of Spiking Neural Networks with Dynamic Confidence", ICCV 2023.

    Attributes:
        confidence: the threshold.
        min_steps: steps that are done in any case.
    """

    confidence: float
    min_steps: int = 1


@dataclass(frozen=True)
class Readout:
    """How scores become a decision: the model file's `readout` section.

    Attributes:
        labels: one name per class.
        temperature: scores are divided by it; 1 where none was fitted.
        calibrated: whether it was fitted.
        rejection: a window whose best class has a smaller probability is no hit.
        onset_confidence: probability from which a window counts for a new label.
        onset_windows: such windows in a row until the label is active.
        offset_confidence: probability below which a window counts against the active label.
        offset_windows: such windows in a row until the label ends.
        early_exit: when a window stops before its last step; None: never.
    """

    labels: tuple[str, ...]
    temperature: float = 1.0
    calibrated: bool = False
    rejection: float = 0.0
    onset_confidence: float = 0.0
    onset_windows: int = 1
    offset_confidence: float = 0.0
    offset_windows: int = 1
    early_exit: EarlyExit | None = None

    @classmethod
    def from_document(cls, readout: Mapping[str, Any]) -> Readout:
        """Return the readout of a model file's (validated) document."""
        onset, offset, leave = readout["onset"], readout["offset"], readout["early_exit"]
        return cls(
            labels=tuple(str(label) for label in readout["labels"]),
            temperature=float(readout["temperature"]),
            calibrated=bool(readout["calibrated"]),
            rejection=float(readout["rejection"]),
            onset_confidence=float(onset["confidence"]),
            onset_windows=int(onset["windows"]),
            offset_confidence=float(offset["confidence"]),
            offset_windows=int(offset["windows"]),
            early_exit=None if leave is None else EarlyExit(float(leave["confidence"]), int(leave["min_steps"])),
        )

    def probabilities(self, scores: FloatArray) -> FloatArray:
        """Return softmax(scores / temperature): float32 [classes]."""
        return softmax32(scores.astype(np.float32) / np.float32(self.temperature))

    def stops(self, scores: FloatArray, steps: int) -> bool:
        """Say whether a window stops here.

        Args:
            scores: float32 [classes], the readout's output after the step; not finite ones stop nothing.
            steps: of the window, so far.

        >>> readout = Readout(("a", "b"), early_exit=EarlyExit(0.9, min_steps=2))
        >>> [readout.stops(np.array([3, 0], np.float32), steps) for steps in (1, 2)]
        [False, True]
        """
        if self.early_exit is None or steps < self.early_exit.min_steps:
            return False
        return bool(self.probabilities(scores).max() > np.float32(self.early_exit.confidence))


@dataclass(frozen=True)
class Decision:
    """What one window decided: the active class where the verdict is "label", and the probabilities (None: idle)."""

    verdict: Verdict
    active: int | None
    probabilities: FloatArray | None


class Decide:
    """The decisions of one stream, window by window.

    >>> decide = Decide(Readout(labels=("left", "right"), onset_windows=2))
    >>> [decide.push(np.array([3.0, 0.0], np.float32)).verdict for _ in range(2)], decide.push(None).verdict
    (['none', 'label'], 'idle')
    """

    def __init__(self, readout: Readout) -> None:
        self.readout = readout
        self.active: int | None = None
        self.misses = 0
        self.candidate: int | None = None
        self.run = 0

    def push(self, scores: FloatArray | None) -> Decision:
        """Return the decision of the next window.

        Args:
            scores: float32 [classes], finite, or None for an idle window.
        """
        if scores is None:
            self._follow(False, None, np.float32(0))
            return Decision("idle", None, None)
        p = self.readout.probabilities(scores)
        best = int(np.argmax(p))
        self._follow(bool(p[best] >= np.float32(self.readout.rejection)), best, p[best])
        return Decision("none" if self.active is None else "label", self.active, p)

    def _follow(self, hit: bool, best: int | None, confidence: np.float32) -> None:
        if self.active is not None:
            holds = hit and best == self.active and confidence >= np.float32(self.readout.offset_confidence)
            self.misses = 0 if holds else self.misses + 1
            if self.misses >= self.readout.offset_windows:
                self.active, self.misses = None, 0
        if not (hit and best != self.active and confidence >= np.float32(self.readout.onset_confidence)):
            self.candidate, self.run = None, 0
            return
        self.run = self.run + 1 if best == self.candidate else 1
        self.candidate = best
        if self.run >= self.readout.onset_windows:
            self.active, self.misses, self.candidate, self.run = best, 0, None, 0
