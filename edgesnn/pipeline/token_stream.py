"""`edgesnn.TokenStream`: from lines of text to predictions, one a line, in the caller's process (docs/tokens.md)."""

from __future__ import annotations

import math
import os
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import EdgeSnnError, ModelError, UsageError
from edgesnn.pipeline.arguments import checked_count, checked_key, checked_reset
from edgesnn.pipeline.tap import Frozen, LineTap
from edgesnn.pipeline.token_records import Arrival, TokenRecords
from edgesnn.pipeline.token_sessions import Keyed, TokenSessions
from edgesnn.prediction import Prediction
from edgesnn.runtime import Model, load, snapshot
from edgesnn.runtime.decide import Readout
from edgesnn.tokens.lines import MOST_BYTES, Line
from edgesnn.tokens.masks import field_of
from edgesnn.tokens.sources.base import LineSource, Mark
from edgesnn.tokens.sources.registry import open_lines
from edgesnn.tokens.together import AT_ONCE, common_steps, together
from edgesnn.tokens.tokenizers.base import utf8

_TICK_MS = 100
_SECTIONS = ("decide", "session", "source", "tokens")
_WIDE_BYTES = 1 << 22
"""Weights that do not stay in a cache: from here on lines of several keys are done together."""


@dataclass
class _Made:
    """A prediction that was made together with others and not given yet."""

    prediction: Prediction
    line: Line
    arrived_s: float
    key: str
    idle_ms: float | None
    before: Keyed | None = None
    """What belonged to the key before the line."""


class TokenStream:
    """Predictions of a stream of lines, one a line. An iterator where it has a source; else `push`.

    One thread uses it. Use it as a context manager, or `close` it.

    Args:
        source: a file's path, an address (docs/tokens.md), a `LineSource`, or None: lines are pushed.
        model: a path, a name in the zoo, or a `Model` of kind tokens with a tokenizer.
        backend: as `edgesnn.load`; only where `model` is not a `Model` yet.
        stream: the stream's name in the predictions.
        follow: of a file: go on at its end, as `tail -F`.
        reset: a reset policy as the model file has it, instead of the model's.
        key: a session for each value of this: "origin" (who sent the line: host, topic), or the number of a field of
            the line as it came, 0 the first; None: one session.
        sessions: at most so many; the one that was silent longest goes, and its key begins anew.
        threshold: bits per token above which a line is the label "alert" (`edgesnn.tokens.alert_threshold`); None: as
            the model's readout decides, else the model's own `input.alert_bits`.
        publish_text: predictions carry the line as the model saw it, and the words that surprised.

    Raises:
        ModelError, UsageError, RecordingError, PublishError, BackendError: what cannot be opened or does not fit.

    Attributes:
        ended: whether the source has said that no line will follow.

    Example:
        for prediction in edgesnn.TokenStream("app.log", "logs.safetensors", threshold=3.5):
            print(prediction.window, prediction.label, prediction.tokens.bits_per_token)
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | LineSource | None,
        model: str | os.PathLike[str] | Model,
        *,
        backend: str = "auto",
        stream: str = "main",
        follow: bool = False,
        reset: str | Mapping[str, Any] | None = None,
        key: str | int | None = None,
        sessions: int = 64,
        threshold: float | None = None,
        publish_text: bool = False,
    ) -> None:
        self.model = model if isinstance(model, Model) else load(model, backend=backend)
        self._key = checked_key(key)
        policy = None if reset is None else checked_reset(reset)
        states = [replace(state, **(policy or {})) for state in self.model.document.states]
        readout = self.model.readout if threshold is None else None
        if threshold is None and readout is None:
            threshold = self.model.input.get("alert_bits")
        self._readout = None if readout is None else Readout.from_document(readout)
        self._records = TokenRecords(self.model, stream, threshold, publish_text, self._readout, _reset_words(policy))
        self._sessions = TokenSessions(self.model, states, self._readout, checked_count(sessions))
        self._waiting: deque[tuple[Line, float]] = deque()
        self._made: deque[_Made] = deque()
        self._order: list[str] = []  # of the sessions before what was made
        self._together: list[str] = []  # the keys of what was made
        self._singly = 0  # lines for which doing them together would gain nothing
        self._wide = sum(tensor.data.nbytes for tensor in self.model.document.tensors.values()) >= _WIDE_BYTES
        self._place: tuple[int, int] | None = None
        self._lines = self._tokens = 0
        self._read = self._came = 0  # lines that the source gave; and those that are still in it
        self._closed = self.ended = False
        self._tap: LineTap | None = None
        if isinstance(source, (str, os.PathLike)):
            source = open_lines(os.fspath(source), follow=follow)
        self._source: LineSource | None = source

    def __iter__(self) -> Iterator[Prediction]:
        return self

    def __next__(self) -> Prediction:
        """Return the prediction of the source's next line.

        Raises:
            RecordingError, PublishError: the source fails for good, after all predictions before it.
            UsageError: there is no source, or the stream is closed.
        """
        while True:
            prediction = self.poll(_TICK_MS)
            if prediction is not None:
                return prediction
            if self.ended:
                raise StopIteration

    def poll(self, wait_ms: int = 0) -> Prediction | None:
        """Return the prediction of the source's next line; None where none came for so long, or where it has ended.

        Raises:
            RecordingError, PublishError, UsageError: as the iteration.
        """
        self._check_open()
        if self._source is None:
            raise UsageError("the stream has no source", hint="push lines, or give it a source")
        if not self._waiting and not self._made:
            lines = self._source.read(wait_ms / 1e3)
            self.ended = lines is None
            self._read += len(lines or ())
            self._came = self._read + self._source.coming
            self._waiting.extend((line, time.monotonic()) for line in lines or ())
            if not self._waiting:
                return None
        if not self._made:
            group = self._group()
            if len(group) < 2 or not self._make(group):
                line, arrived_s = self._waiting.popleft()
                return self._given(self._take(line, self._arrived_s(arrived_s), self._source.live), line)
        made = self._made.popleft()
        self._keep(made.line, made.idle_ms)
        return self._given(made.prediction, made.line)

    def push(
        self, line: str | bytes, origin: str = "", *, stamp_ns: int | None = None, idle_ms: float | None = None
    ) -> Prediction:
        """Return the prediction of a line.

        Args:
            line: without its end; beyond 65,536 bytes it is not looked at.
            origin: who sent it, for key="origin".
            stamp_ns: a host time of yours, for the prediction.
            idle_ms: how long its key had been silent, where not this machine's clock says it; NaN: that is not known.

        Raises:
            UsageError: the stream has a source, or is closed; no text, or a line with a line's end inside.
        """
        self._check_open()
        if self._source is not None:
            raise UsageError("lines are pushed into a stream that has a source", where="push")
        data = utf8(line)
        if b"\n" in data:
            raise UsageError("a line holds a line's end", where="push", hint="push line by line")
        taken = Line(data[:MOST_BYTES], origin)
        self._came += 1
        return self._given(self._take(taken, time.monotonic(), True, stamp_ns, idle_ms), taken)

    @property
    def counters(self) -> dict[str, int]:
        """Counters by name: lines and tokens taken, lines that wait, sessions, and the source's (docs/tokens.md).

        lines_in = lines + pending at every moment, in any thread.
        """
        source = {} if self._source is None else self._source.counters
        done = self._lines  # before what came: another thread goes on meanwhile
        counts = {"lines": done, "tokens": self._tokens, "sessions_evicted": self._sessions.evicted}
        here = {"lines_in": (came := self._came), "pending": came - done, "sessions": len(self._sessions)}
        return {**counts, **here, **{f"source.{name}": value for name, value in source.items()}}

    def snapshot(self) -> bytes:
        """Return the whole state between two lines: sessions by key, decisions, and the place in a file."""
        return self.freeze().encode()

    def freeze(self) -> Frozen:
        """Return a snapshot whose bytes another thread may make later."""
        self._check_open()
        self._undo()
        mark = None if self._place is None or self._source is None else self._source.mark(self._place)
        counts = np.array([self._lines, self._tokens, self._sessions.evicted], dtype=np.int64)
        arrays = {"source/mark": np.array(mark or (), dtype=np.int64), "tokens/counts": counts, **self._sessions.save()}
        return Frozen(arrays, self.model.identity, _SECTIONS)

    def tap(self, most_bytes: int) -> LineTap:
        """Keep the lines that are taken from now on, for a flight recorder."""
        self._tap = LineTap(self.freeze, most_bytes)
        return self._tap

    def restore(self, blob: bytes) -> None:
        """Go on from a snapshot of a stream that was made with the same arguments. A file that is still the same goes
        on after the last line; another one of that name is read from its start, any other source with what comes.

        Raises:
            ModelError: damaged bytes, another model's, a newer version, more sessions than here; nothing changes then.
        """
        self._check_open()
        arrays = snapshot.decode(blob, self.model.identity, _SECTIONS)
        try:
            lines, tokens, evicted = (int(count) for count in arrays["tokens/counts"])
            mark = _saved_mark(arrays["source/mark"])
            if min(lines, tokens, evicted) < 0:
                raise ValueError("other counts")
            keyed = self._sessions.restored(arrays)
        except (KeyError, ValueError, TypeError, RecursionError) as error:
            raise ModelError("snapshot is of no such stream", where="restore", found=repr(error)[:120]) from None
        self._sessions.replace(keyed, evicted)
        self._lines, self._tokens = lines, tokens
        self._read = self._came = lines
        self._waiting.clear()
        self._made.clear()
        self._place = None if self._source is None else self._source.seek(mark)
        self.ended = False

    def reset(self) -> None:
        """Forget every session: each key begins anew at its next line. Lines that wait are not lost.

        Raises:
            UsageError: the stream is closed.
        """
        self._check_open()
        self._undo()
        self._sessions.replace(OrderedDict(), self._sessions.evicted)

    def close(self) -> None:
        """Let go of the source; twice is once."""
        self._closed = True
        if self._source is not None:
            self._source.close()

    def __enter__(self) -> TokenStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(
        self, line: Line, arrived_s: float, live: bool, stamp_ns: int | None = None, idle_ms: float | None = None
    ) -> Prediction:
        began_s = time.monotonic()
        key = self._key_of(line)
        one = self._sessions.of(key)
        heard_ms = _heard(one, arrived_s, live)
        if idle_ms is not None:
            heard_ms = None if math.isnan(idle_ms) else idle_ms
        self._keep(line, heard_ms)
        score = one.scorer.line(line.data, heard_ms)
        return self._records.make(score, one.decide, self._arrival(self._lines, key, stamp_ns, arrived_s, began_s))

    def _group(self) -> list[tuple[Line, float, str]]:
        """Return the waiting lines that gain by being done together: each of another key, none for which one goes."""
        group: list[tuple[Line, float, str]] = []
        self._singly = max(0, self._singly - 1)
        if self._key is None or not self._wide or self._singly:
            return group
        new = 0
        for line, arrived_s in islice(self._waiting, AT_ONCE):
            key = self._key_of(line)
            new += key not in self._sessions
            if new > self._sessions.room or any(key == other for *_, other in group):
                break
            group.append((line, self._arrived_s(arrived_s), key))
        if common_steps([self._sessions.lines.count(line.data) for line, *_ in group]):
            return group
        self._singly = len(group)
        return []

    def _make(self, group: list[tuple[Line, float, str]]) -> bool:
        """Make the predictions of these lines together; undone, and False, where one of them raises."""
        assert self._source is not None
        began_s = time.monotonic()
        self._together = keys = [key for *_, key in group]
        self._order, before = self._sessions.order(), self._sessions.copies(keys)
        sessions = [self._sessions.of(key) for key in keys]
        heard = [_heard(one, at_s, self._source.live) for one, (_, at_s, _) in zip(sessions, group, strict=True)]
        try:
            works = [one.scorer.work(line.data, ms) for one, (line, *_), ms in zip(sessions, group, heard, strict=True)]
            scores = together(works, [one.session for one in sessions], sessions[0].scorer.keep)
            for i, (one, score, (line, arrived_s, key), ms) in enumerate(
                zip(sessions, scores, group, heard, strict=True)
            ):
                arrival = self._arrival(self._lines + i, key, None, arrived_s, began_s)
                made = self._records.make(score, one.decide, arrival)
                self._made.append(_Made(made, line, arrived_s, key, ms, before[key]))
        except BaseException as error:
            self._made.clear()
            self._sessions.put_back(before, self._order)
            if isinstance(error, EdgeSnnError):
                return False
            raise
        for _ in group:
            self._waiting.popleft()
        return True

    def _undo(self) -> None:
        """Put the lines back whose predictions have not been given."""
        if not self._made:
            return
        before = {made.key: made.before for made in self._made}
        given = self._together[: -len(self._made)]
        self._sessions.put_back(before, [key for key in self._order if key not in given] + given)
        self._waiting.extendleft((made.line, made.arrived_s) for made in reversed(self._made))
        self._made.clear()

    def _given(self, prediction: Prediction, line: Line) -> Prediction:
        self._lines += 1
        self._tokens += 0 if prediction.tokens is None else prediction.tokens.count
        self._place = line.place
        return prediction

    def _keep(self, line: Line, idle_ms: float | None) -> None:
        if self._tap is not None:
            self._tap.add(line.data, line.origin, idle_ms)

    def _arrival(self, number: int, key: str, stamp_ns: int | None, arrived_s: float, began_s: float) -> Arrival:
        return Arrival(number, None if self._key is None else key, stamp_ns, arrived_s, began_s)

    def _arrived_s(self, arrived_s: float) -> float:
        """Return when a line came; one of a recording does not wait."""
        return arrived_s if self._source is not None and self._source.live else time.monotonic()

    def _key_of(self, line: Line) -> str:
        if self._key is None:
            return ""
        if self._key == "origin":
            return line.origin
        return field_of(line.data.decode("utf-8", "replace"), int(self._key))[:200]

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError("the stream is closed", hint="make a new one")


def _saved_mark(saved: npt.NDArray[Any]) -> Mark | None:
    if saved.size == 0:
        return None
    inode, byte, checksum = (int(number) for number in saved)
    if min(inode, byte, checksum) < 0:
        raise ValueError("a place in no file")
    return inode, byte, checksum


def _heard(one: Keyed, arrived_s: float, live: bool) -> float | None:
    """Return how many milliseconds a key was silent before a line, None where that is not known; it is heard now."""
    idle_ms = None if one.heard_s is None or not live else 1e3 * (arrived_s - one.heard_s)
    one.heard_s = arrived_s
    return idle_ms


def _reset_words(policy: Mapping[str, Any] | None) -> str | None:
    """Return a reset policy as the predictions say it: "tokens:64,idle_ms:500"."""
    if policy is None:
        return None
    words = f"{policy['reset']}:{policy['tokens']}" if policy["tokens"] is not None else str(policy["reset"])
    return words if policy["idle_ms"] is None else f"{words},idle_ms:{policy['idle_ms']}"
