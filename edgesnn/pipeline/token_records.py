"""From the score of a line to a `Prediction`."""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError, UsageError
from edgesnn.pipeline.records import TOP
from edgesnn.prediction import Latency, ModelInfo, Prediction, TokenSpan, TokenWindow
from edgesnn.runtime.decide import Decide, Readout
from edgesnn.runtime.energy import energy_uj
from edgesnn.runtime.model import Model
from edgesnn.tokens.surprise import LineScore

ALERT = "alert"
"""The label of a line that is more surprising than the threshold."""


class Arrival(NamedTuple):
    """A line's number in the stream, its key and stamp, when it arrived and when its turn came (monotonic seconds)."""

    number: int
    key: str | None
    stamp_ns: int | None
    arrived_s: float
    began_s: float


class TokenRecords:
    """Makes the predictions of one stream of tokens.

    Args:
        model: for its name, identity, precision and backend.
        stream: name of the stream.
        threshold: bits per token above which a line is an alert.
        publish_text: whether predictions carry text.
        readout: of a model that classifies, where there is no threshold.
        reset: the stream's reset policy in words, where it is not the model's.
    """

    def __init__(
        self,
        model: Model,
        stream: str,
        threshold: float | None,
        publish_text: bool,
        readout: Readout | None,
        reset: str | None,
    ) -> None:
        if threshold is not None and not (isinstance(threshold, (int, float)) and math.isfinite(threshold)):
            raise UsageError("not a threshold", where="threshold", found=repr(threshold), expected="bits per token")
        self._info = ModelInfo(model.name, model.identity, model.precision, model.backend)
        self._stream = stream
        self._threshold = threshold
        self._text = publish_text
        self._calibrated = readout is not None and readout.calibrated
        self._reset = reset

    def make(self, score: LineScore, decide: Decide | None, arrival: Arrival) -> Prediction:
        """Return the prediction of a line; boot_id, seq, ts, node and late are for the sink to set."""
        idle = score.count == 0
        decided = self._decide(score, decide)
        now_s = time.monotonic()
        return Prediction(
            window=arrival.number,
            sensor=None,
            tokens=self._tokens(score, arrival.key),
            model=self._info,
            stream=self._stream,
            calibrated=self._calibrated,
            t_mono_us=int(now_s * 1e6),
            stamp_ns=arrival.stamp_ns,
            latency_us=Latency(
                queue=1e6 * (arrival.began_s - arrival.arrived_s),
                infer=1e6 * (now_s - arrival.began_s),
                total=1e6 * (now_s - arrival.arrived_s),
            ),
            steps=None if idle else score.count,
            spikes=None if idle else score.spikes,
            synops=None if idle else score.synops,
            energy_uj_estimate=None if idle else energy_uj(score.synops, score.macs),
            **decided,
        )

    def _tokens(self, score: LineScore, key: str | None) -> TokenWindow:
        spans = (TokenSpan(one.first, one.last, one.bits, one.text if self._text else None) for one in score.spans)
        return TokenWindow(
            first=score.first,
            last=score.first + score.count - 1,
            count=score.count,
            key=key,
            surprise_bits=score.total_bits,
            bits_per_token=score.bits_per_token,
            mean=score.mean,
            deviation=score.deviation,
            spans=tuple(spans),
            text=score.text if self._text else None,
            reset=self._reset,
        )

    def _decide(self, score: LineScore, decide: Decide | None) -> dict[str, Any]:
        if decide is not None:
            return _classified(score, decide)
        if score.count == 0:
            return _decision("idle")
        if self._threshold is None or score.bits_per_token is None:
            return _decision("none", topk=())
        share = surprise_share(score.bits_per_token, score.mean, score.deviation)
        if score.bits_per_token > self._threshold:
            return _decision("label", ALERT, 0, share, ((ALERT, share),))
        return _decision("none", topk=((ALERT, share),))


def surprise_share(bits: float, mean: float | None, deviation: float | None) -> float:
    """Return at least which share of lines is less surprising, whatever their distribution, by its mean and deviation
    (Cantelli's inequality): d^2 / (s^2 + d^2) for d = bits - mean > 0, else 0; 0 where these are not known yet.

    >>> surprise_share(5.0, 2.0, 1.0)
    0.9
    """
    if mean is None or deviation is None or bits <= mean:
        return 0.0
    above = bits - mean
    return above * above / (deviation * deviation + above * above)


def saved_decide(decide: Decide | None) -> npt.NDArray[np.int64]:
    """Return the state of a stream's decisions: active, misses, candidate, run; -1 for none."""
    if decide is None:
        return np.array([-1, 0, -1, 0], dtype=np.int64)
    active, candidate = (-1 if at is None else at for at in (decide.active, decide.candidate))
    return np.array([active, decide.misses, candidate, decide.run], dtype=np.int64)


def _classified(score: LineScore, decide: Decide) -> dict[str, Any]:
    if score.scores is not None and not np.isfinite(score.scores).all():
        raise ModelError("the model gives values that are not numbers", where="readout", found="NaN or infinity")
    made = decide.push(score.scores)
    if made.probabilities is None:
        return _decision("idle")
    p, labels = made.probabilities.tolist(), decide.readout.labels
    best = sorted(range(len(p)), key=lambda i: (-p[i], i))[:TOP]
    top = tuple((labels[i], p[i]) for i in best)
    if made.active is None:
        return _decision("none", topk=top)
    return _decision("label", labels[made.active], made.active, p[made.active], top)


def _decision(
    verdict: str,
    label: str | None = None,
    number: int | None = None,
    confidence: float | None = None,
    topk: tuple[tuple[str, float], ...] | None = None,
) -> dict[str, Any]:
    return {"decision": verdict, "label": label, "class_index": number, "confidence": confidence, "topk": topk}
