"""`edgesnn.TokenStream`: from lines of text to predictions, one a line, in the caller's process (docs/tokens.md)."""

from __future__ import annotations

import json
import os
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError, UsageError
from edgesnn.graph import fields
from edgesnn.pipeline.token_records import Arrival, TokenRecords, saved_decide
from edgesnn.prediction import Prediction
from edgesnn.runtime import Model, Session, load, snapshot
from edgesnn.runtime.decide import Decide, Readout
from edgesnn.tokens.lines import MOST_BYTES, Line
from edgesnn.tokens.masks import MOST_FIELD, field_of
from edgesnn.tokens.sources.base import LineSource, Mark
from edgesnn.tokens.sources.registry import open_lines
from edgesnn.tokens.surprise import LineScorer

_TICK_S = 0.1
_SECTIONS = ("decide", "session", "source", "tokens")
MOST_SESSIONS = 1 << 16


@dataclass
class _Keyed:
    """What belongs to one key."""

    session: Session
    scorer: LineScorer
    decide: Decide | None
    heard_s: float | None = None


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
        self._key, self._most = _checked_key(key), _checked_count(sessions)
        policy = None if reset is None else fields.reset_policy(reset, "reset", "reset")
        self._states = [replace(state, **(policy or {})) for state in self.model.document.states]
        readout = self.model.readout if threshold is None else None
        if threshold is None and readout is None:
            threshold = self.model.input.get("alert_bits")
        self._readout = None if readout is None else Readout.from_document(readout)
        self._records = TokenRecords(self.model, stream, threshold, publish_text, self._readout, _reset_words(policy))
        self._lines = LineScorer(self.model.session()).lines  # what does not fit is said before anything is opened
        self._keyed: OrderedDict[str, _Keyed] = OrderedDict()
        self._waiting: deque[tuple[Line, float]] = deque()
        self._place: tuple[int, int] | None = None
        self._counts = {"lines": 0, "tokens": 0, "sessions_evicted": 0}
        self._closed = False
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
        self._check_open()
        if self._source is None:
            raise UsageError("the stream has no source", hint="push lines, or give it a source")
        while not self._waiting:
            lines = self._source.read(_TICK_S)
            if lines is None:
                raise StopIteration
            self._waiting.extend((line, time.monotonic()) for line in lines)
        line, arrived_s = self._waiting.popleft()
        live = self._source.live
        made = self._take(line, arrived_s if live else time.monotonic(), live)  # a recorded line does not wait
        self._place = line.place
        return made

    def push(self, line: str | bytes, origin: str = "", *, stamp_ns: int | None = None) -> Prediction:
        """Return the prediction of a line.

        Args:
            line: without its end; beyond 65,536 bytes it is not looked at.
            origin: who sent it, for key="origin".
            stamp_ns: a host time of yours, for the prediction.

        Raises:
            UsageError: the stream has a source, or is closed; a line with a line's end inside.
        """
        self._check_open()
        if self._source is not None:
            raise UsageError("lines are pushed into a stream that has a source", where="push")
        data = line.encode("utf-8", "surrogatepass") if isinstance(line, str) else bytes(line)
        if b"\n" in data:
            raise UsageError("a line holds a line's end", where="push", hint="push line by line")
        return self._take(Line(data[:MOST_BYTES], origin), time.monotonic(), True, stamp_ns)

    @property
    def counters(self) -> dict[str, int]:
        """Counters by name: lines and tokens taken, lines that wait, sessions, and the source's (docs/tokens.md)."""
        source = {} if self._source is None else self._source.counters
        here = {"pending": len(self._waiting), "sessions": len(self._keyed)}
        return {**self._counts, **here, **{f"source.{name}": value for name, value in source.items()}}

    def snapshot(self) -> bytes:
        """Return the whole state between two lines: sessions by key, decisions, and the place in a file."""
        self._check_open()
        mark = None if self._place is None or self._source is None else self._source.mark(self._place)
        arrays: dict[str, npt.NDArray[Any]] = {
            "source/mark": np.array(mark or (), dtype=np.int64),
            "tokens/counts": np.array(list(self._counts.values()), dtype=np.int64),
            "tokens/keys": np.frombuffer(json.dumps(list(self._keyed)).encode(), dtype=np.uint8),
        }
        for number, one in enumerate(self._keyed.values()):
            arrays[f"session/{number}"] = np.frombuffer(one.session.snapshot(), dtype=np.uint8)
            arrays |= {f"tokens/{number}/{name}": array for name, array in one.scorer.save().items()}
            arrays[f"decide/{number}"] = saved_decide(one.decide)
        return snapshot.encode(arrays, self.model.identity, _SECTIONS)

    def restore(self, blob: bytes) -> None:
        """Go on from a snapshot of a stream that was made with the same arguments. A file that is still the same goes
        on after the last line; another one of that name is read from its start, any other source with what comes.

        Raises:
            ModelError: damaged bytes, another model's, a newer version, more sessions than here; nothing changes then.
        """
        self._check_open()
        arrays = snapshot.decode(blob, self.model.identity, _SECTIONS)
        try:
            keys = json.loads(arrays["tokens/keys"].tobytes())
            counts = [int(count) for count in arrays["tokens/counts"]]
            mark = _saved_mark(arrays["source/mark"])
            usable = len(counts) == len(self._counts) and min(counts) >= 0 and len(keys) <= self._most
            if not usable or not isinstance(keys, list) or len({str(key) for key in keys}) != len(keys):
                raise ValueError("other counts or sessions")
            _check_names(arrays, len(keys))
            keyed = OrderedDict((str(key), self._restored(arrays, number)) for number, key in enumerate(keys))
        except (KeyError, ValueError, TypeError, RecursionError) as error:
            raise ModelError("snapshot is of no such stream", where="restore", found=repr(error)[:120]) from None
        self._keyed, self._place = keyed, None if mark is None else mark[:2]
        self._counts = dict(zip(self._counts, counts, strict=True))
        self._waiting.clear()
        if self._source is not None and mark is not None:
            self._source.seek(mark)

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

    def _take(self, line: Line, arrived_s: float, live: bool, stamp_ns: int | None = None) -> Prediction:
        began_s = time.monotonic()
        key = self._key_of(line)
        one = self._session_of(key)
        idle_ms = None if one.heard_s is None or not live else 1e3 * (arrived_s - one.heard_s)
        one.heard_s = arrived_s
        score = one.scorer.line(line.data, idle_ms)
        arrival = Arrival(self._counts["lines"], None if self._key is None else key, stamp_ns, arrived_s, began_s)
        self._counts["lines"] += 1
        self._counts["tokens"] += score.count
        return self._records.make(score, one.decide, arrival)

    def _key_of(self, line: Line) -> str:
        if self._key is None:
            return ""
        if self._key == "origin":
            return line.origin
        return field_of(line.data.decode("utf-8", "replace"), int(self._key))[:200]

    def _session_of(self, key: str) -> _Keyed:
        if key in self._keyed:
            self._keyed.move_to_end(key)
        else:
            if len(self._keyed) == self._most:
                self._keyed.popitem(last=False)
                self._counts["sessions_evicted"] += 1
            self._keyed[key] = self._made()
        return self._keyed[key]

    def _made(self) -> _Keyed:
        session = self.model.session()
        decide = None if self._readout is None else Decide(self._readout)
        return _Keyed(session, LineScorer(session, states=self._states, lines=self._lines), decide)

    def _restored(self, arrays: Mapping[str, npt.NDArray[Any]], number: int) -> _Keyed:
        one = self._made()
        one.session.restore(arrays[f"session/{number}"].tobytes())
        head = f"tokens/{number}/"
        one.scorer.load({name.removeprefix(head): a for name, a in arrays.items() if name.startswith(head)})
        active, misses, candidate, run = (int(value) for value in arrays[f"decide/{number}"])
        if one.decide is not None:
            if max(active, candidate) >= len(one.decide.readout.labels) or min(misses, run) < 0:
                raise ValueError("a decision that the model does not make")
            one.decide.active, one.decide.candidate = (None if at < 0 else at for at in (active, candidate))
            one.decide.misses, one.decide.run = misses, run
        return one

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


def _check_names(arrays: Mapping[str, npt.NDArray[Any]], keys: int) -> None:
    each = ("session/{}", "decide/{}", "tokens/{}/known", "tokens/{}/counts", "tokens/{}/running")
    wanted = {"source/mark", "tokens/counts", "tokens/keys", *(name.format(n) for n in range(keys) for name in each)}
    for name in sorted(arrays.keys() ^ wanted):
        raise ValueError(f"{name} is {'unknown' if name in arrays else 'missing'}")


def _checked_key(key: Any) -> str | int | None:
    if key is None or key == "origin":
        return None if key is None else "origin"
    if type(key) is int and 0 <= key <= MOST_FIELD:
        return key
    expected = f"'origin', or the number of a field, 0 to {MOST_FIELD}"
    raise UsageError("not a key of sessions", where="key", found=repr(key), expected=expected)


def _checked_count(sessions: Any) -> int:
    if type(sessions) is not int or not 1 <= sessions <= MOST_SESSIONS:
        expected = f"1 to {MOST_SESSIONS}"
        raise UsageError("not a number of sessions", where="sessions", found=repr(sessions), expected=expected)
    return sessions


def _reset_words(policy: Mapping[str, Any] | None) -> str | None:
    """Return a reset policy as the predictions say it: "tokens:64,idle_ms:500"."""
    if policy is None:
        return None
    words = f"{policy['reset']}:{policy['tokens']}" if policy["tokens"] is not None else str(policy["reset"])
    return words if policy["idle_ms"] is None else f"{words},idle_ms:{policy['idle_ms']}"
