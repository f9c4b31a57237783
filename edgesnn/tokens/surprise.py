"""How surprising lines are: bits by token and line, their running mean and deviation, the words that surprise most."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError, UsageError
from edgesnn.tokens.line_input import LineInput
from edgesnn.tokens.probability import Floats, check_logits, surprise_bits
from edgesnn.tokens.resets import Resets
from edgesnn.tokens.stepping import TokenSession, logits_output, need_logits, output, pieces
from edgesnn.tokens.together import Keep, Work, alone
from edgesnn.tokens.tokenizers.base import utf8

SPANS = 3
Saved = dict[str, npt.NDArray[Any]]


class Span(NamedTuple):
    """Tokens first to last of the session's stream, their surprise, and their text as the model saw it."""

    first: int
    last: int
    bits: float
    text: str


@dataclass(frozen=True, eq=False)
class LineScore:
    """What a line was to the model.

    Attributes:
        text: as the model saw it.
        first: number of its first token in the session's stream.
        bits: surprise of each token, float64 [count]; NaN where nothing was predicted. Its line's end counts.
        total_bits, bits_per_token: of the line; None of a blank line or without logits.
        mean, deviation: of bits_per_token over the lines before it; None before the first, before the second.
        spans: the words that surprised most, most bits first.
        scores: the readout's output after its last token; None without a readout.
        spikes, synops, macs: of the line.
    """

    text: str
    first: int
    bits: Floats
    total_bits: float | None
    bits_per_token: float | None
    mean: float | None
    deviation: float | None
    spans: tuple[Span, ...]
    scores: npt.NDArray[Any] | None
    spikes: int
    synops: int
    macs: int

    @property
    def count(self) -> int:
        """Tokens of the line, its end included."""
        return len(self.bits)


class Running:
    """Mean and standard deviation (of a sample) as values come (Welford).

    >>> values = Running()
    >>> values.push(1.0), values.push(3.0), values.mean, values.deviation
    (None, None, 2.0, 1.4142135623730951)
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean = self._squares = 0.0

    def push(self, value: float) -> None:
        """Take the next value."""
        self.count += 1
        step = value - self._mean
        self._mean += step / self.count
        self._squares += step * (value - self._mean)

    @property
    def mean(self) -> float | None:
        """None before the first value."""
        return self._mean if self.count else None

    @property
    def deviation(self) -> float | None:
        """None before the second value."""
        return math.sqrt(self._squares / (self.count - 1)) if self.count > 1 else None

    def save(self) -> Floats:
        """Return the state."""
        return np.array([self.count, self._mean, self._squares], dtype=np.float64)

    def load(self, saved: Floats) -> None:
        """Go on from a state."""
        self.count, self._mean, self._squares = int(saved[0]), float(saved[1]), float(saved[2])


class LineScorer:
    """The lines of one stream, one after the other. One thread.

    Args:
        session: of a model with a tokenizer, and logits or a readout; nobody else uses it meanwhile.
        states: the model's states with their reset policies, where these differ from the file's.
        lines: what the model file says of lines, where that was made before.

    Attributes:
        keep: which outputs it needs of a run.
    """

    def __init__(
        self, session: TokenSession, *, states: Sequence[Any] | None = None, lines: LineInput | None = None
    ) -> None:
        model = session.model
        self._name = logits_output(model)
        self._readout = None if model.readout is None else str(model.readout["node"])
        if self._name is None and self._readout is None:
            need_logits(model)
        self.keep: Keep = "last" if self._name is None else "all"
        self._session = session
        self.lines = lines or LineInput(model)
        self._resets = Resets(session, model.document.states if states is None else states)
        self._vocab = int(model.input["vocab"])
        self._known: npt.NDArray[Any] | None = None  # the logits of the token to come
        self._begun = False
        self.running = Running()
        self.tokens = 0

    def line(self, data: bytes, idle_ms: float | None = None) -> LineScore:
        """Take a line without its end.

        Args:
            data: its bytes.
            idle_ms: how long nothing had come before it, None where that is not known.

        Raises:
            ModelError: the model gives logits that are no numbers.
        """
        return alone(self.work(data, idle_ms), self._session, self.keep)

    def work(self, data: bytes, idle_ms: float | None = None) -> Work[LineScore]:
        """Return the work of a line, for `together.together`: see `line`."""
        text = self.lines.text(data)
        ids = self.lines.tokens(text)
        work = [0, 0, 0]
        scores = None
        bits = np.zeros(0)
        if ids:
            yield from self._begin(idle_ms, work)
            bits, scores = yield from self._push(ids, work)
        score = self._score(text, ids, bits, scores, work)
        if score.bits_per_token is not None:
            self.running.push(score.bits_per_token)
        self.tokens += len(ids)
        return score

    def save(self) -> Saved:
        """Return what goes on besides the session: arrays by name."""
        known = np.zeros(0, np.float32) if self._known is None else self._known
        return {
            "known": known.astype(np.float32),
            "counts": np.array([self.tokens, self._resets.since, self._begun], dtype=np.int64),
            "running": self.running.save(),
        }

    def load(self, saved: Saved) -> None:
        """Go on from what `save` gave, with the session restored; ModelError where it is none."""
        shapes = {name: (saved[name].dtype, saved[name].shape) for name in ("counts", "running") if name in saved}
        known = saved.get("known")
        fits = shapes == {"counts": (np.dtype(np.int64), (3,)), "running": (np.dtype(np.float64), (3,))}
        if not fits or known is None or known.dtype != np.float32 or known.shape not in ((0,), (self._vocab,)):
            raise ModelError("not a saved scorer", where="load", found=str(sorted(saved)))
        finite = all(np.isfinite(saved[name]).all() for name in ("known", "running"))
        if saved["counts"].min() < 0 or not finite or saved["running"][[0, 2]].min() < 0:
            raise ModelError("not a saved scorer", where="counts", found=str(saved["counts"].tolist()))
        self._known = None if known.size == 0 else known.copy()
        self.tokens, self._resets.since, begun = (int(number) for number in saved["counts"])
        self._begun = bool(begun)
        self.running.load(saved["running"])

    def _begin(self, idle_ms: float | None, work: list[int]) -> Work[None]:
        """Do the resets that are due; after one, and at first, a line's end stands before the line."""
        if self._resets.line(idle_ms) or not self._begun:
            self._known = None
            if self.lines.line_end:
                yield from self._push(self.lines.line_end, work)
        self._begun = True

    def _push(self, ids: list[int], work: list[int]) -> Work[tuple[Floats, npt.NDArray[Any] | None]]:
        bits, scores, start = [], None, 0
        for end in self._resets.pieces(len(ids)):
            for piece in pieces(ids[start:end], self._vocab):
                ran = yield piece
                for i, counted in enumerate(ran[1:]):
                    work[i] += counted
                bits.append(self._bits(ran.outputs, piece))
                if self._readout is not None:
                    last = output(ran.outputs, self._readout)
                    scores = last[-1] if self.keep == "all" else last
            self._resets.taken(end - start)
            start = end
        return np.concatenate(bits), scores

    def _bits(self, given: Any, piece: npt.NDArray[np.int64]) -> Floats:
        bits = np.full(len(piece), np.nan)
        if self._name is None:
            return bits
        logits = output(given, self._name)
        check_logits(logits)
        if self._known is not None:
            bits[:1] = surprise_bits(self._known[None], piece[:1])
        bits[1:] = surprise_bits(logits[:-1], piece[1:])
        self._known = logits[-1].copy()
        return bits

    def _score(self, text: str, ids: list[int], bits: Floats, scores: Any, work: list[int]) -> LineScore:
        sure = bits[~np.isnan(bits)]
        total = _sum(sure) if sure.size else None
        return LineScore(
            text=text,
            first=self.tokens,
            bits=bits,
            total_bits=total,
            bits_per_token=None if total is None else total / len(sure),
            mean=self.running.mean,
            deviation=self.running.deviation,
            spans=() if total is None else self._spans(ids, bits),
            scores=scores,
            spikes=work[0],
            synops=work[1],
            macs=work[2],
        )

    def _spans(self, ids: list[int], bits: Floats) -> tuple[Span, ...]:
        made = [
            Span(self.tokens + first, self.tokens + after - 1, _sum(np.nan_to_num(bits[first:after])), text)
            for first, after, text in self.lines.words(ids)
            if text
        ]
        return tuple(sorted(made, key=lambda span: (-span.bits, span.first))[:SPANS])


def score(session: TokenSession, lines: Iterable[str | bytes]) -> Iterator[LineScore]:
    """Yield how surprising each line is to the model, without sampling.

    Args:
        session: of a model with a tokenizer and an output of logits. It goes on from where it stands, and its states
            are reset by the model's policies.
        lines: texts, a line's end after each or not.

    Example:
        for line in score(edgesnn.load("logs.safetensors").session(), open("app.log", "rb")):
            print(line.bits_per_token, line.spans)
    """
    need_logits(session.model)
    scorer = LineScorer(session)
    for line in lines:
        yield scorer.line(utf8(line).removesuffix(b"\n").removesuffix(b"\r"))


def alert_threshold(normal: Iterable[float], alerts: float) -> float:
    """Return the bits per token above which at most so many of these lines would be alerts.

    Args:
        normal: bits per token of lines of a normal log.
        alerts: how many of them may be alerts: alerts a day times the days that they cover.

    Raises:
        UsageError: no lines, or as many alerts as lines.

    >>> alert_threshold([1.0, 5.0, 2.0, 4.0], alerts=1.5)
    4.0
    """
    ordered = sorted(normal, reverse=True)
    if not 0 <= alerts < len(ordered):
        expected = f"fewer alerts than lines, {len(ordered)}"
        raise UsageError("the normal log says no threshold", where="alerts", found=f"{alerts:g}", expected=expected)
    return ordered[math.floor(alerts)]


def _sum(values: Floats) -> float:
    """Return the sum in order."""
    return float(np.cumsum(values)[-1]) if values.size else 0.0
