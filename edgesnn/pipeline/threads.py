"""The threaded mode of a pipeline: who reads beside the decisions, and what happens when it is ahead of them."""

from __future__ import annotations

import operator
import threading
from dataclasses import dataclass
from typing import Any

from edgesnn import _native
from edgesnn.errors import UsageError
from edgesnn.events.recording import Recording
from edgesnn.events.sources.live import LiveSource
from edgesnn.pipeline.source import LiveFeed, RecordingSource, Source

POLICIES = ("block", "drop_oldest", "decimate")
LEAST_EVENTS, MOST_EVENTS = 1 << 10, 1 << 28
_JOIN_S = 1.0


@dataclass(frozen=True)
class Ring:
    """The bounded ring of decoded events between the reader and the decisions (docs/pipeline.md, "Threads").

    Attributes:
        when_full: "block" (the reader waits: a recording, or an iterable that can wait), "drop_oldest", or "decimate";
            None: block for a recording, drop_oldest for everything else.
        events: room, 2**10 to 2**28; 13 bytes each.
        keep_every: decimate: while more than half is in use only every so-many-th event that comes is kept.
    """

    when_full: str | None = None
    events: int = 1 << 20
    keep_every: int = 4

    def __post_init__(self) -> None:
        if self.when_full is not None and self.when_full not in POLICIES:
            expected = ", ".join(POLICIES)
            raise UsageError("no policy of this name", where="when_full", found=repr(self.when_full), expected=expected)
        _check_integer(self.events, "events", LEAST_EVENTS, MOST_EVENTS)
        _check_integer(self.keep_every, "keep_every", 2, 1 << 20)


def ring_of(threaded: bool | Ring, opened: Any) -> Ring | None:
    """Return the ring of what `Pipeline(threaded=)` says, its policy filled in; None: no threads.

    Args:
        threaded: as given.
        opened: what the source is: a `Recording`, a `LiveSource`, an iterable, or None where packets are pushed.
    """
    if threaded is False:
        return None
    ring = Ring() if threaded is True else threaded
    if not isinstance(ring, Ring):
        raise UsageError("not a mode", where="threaded", found=repr(threaded), expected="True, False or a Ring")
    if opened is None and ring.when_full == "block":
        hint = "a push that waits for the thread that polls would wait for itself"
        raise UsageError(
            "pushed packets cannot block", where="when_full", expected="drop_oldest or decimate", hint=hint
        )
    if isinstance(opened, LiveSource) and not opened.can_wait and ring.when_full == "block":
        hint = "what its sender loses meanwhile nobody counts"
        raise UsageError("this source cannot wait", where="when_full", expected="drop_oldest or decimate", hint=hint)
    usual = "block" if isinstance(opened, Recording) else "drop_oldest"
    return Ring(ring.when_full or usual, ring.events, ring.keep_every)


class Threads:
    """The threaded chain of a pipeline and what feeds it: the native reader of a file, or a Python thread.

    Args:
        chain: a `_native.pipeline.Chain`, which is taken over.
        ring: with its policy.
        source: what to read; None: packets are pushed.
    """

    def __init__(self, chain: Any, ring: Ring, source: Source | None) -> None:
        assert ring.when_full is not None
        self.chain = _native.pipeline.ThreadedChain(chain, ring.when_full, ring.events, ring.keep_every)
        self.started = False
        self._source = source
        self._feeder: threading.Thread | None = None
        self._error: BaseException | None = None

    def start(self) -> None:
        """Begin to read; twice is once. Of what a snapshot had read to its end nothing is read again."""
        if self.started or self._source is None or self.chain.finished:
            return
        self.started = True
        if isinstance(self._source, RecordingSource) and not self._source.paced:
            with self._source.open() as file:
                self.chain.read(file.fileno(), True, self._source.name)
            return
        self._feeder = threading.Thread(target=self._feed, name="edgesnn-feeder", daemon=True)
        self._feeder.start()

    def raise_error(self) -> None:
        """Raise what the source raised in its thread, if it did."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """End the threads. One that its source holds fast is left behind, and ends when the source lets it go."""
        self.chain.close()
        if isinstance(self._source, LiveFeed):
            self._source.close()
        if self._feeder is not None:
            self._feeder.join(_JOIN_S)
        elif self._source is not None:
            self._source.close()

    def _feed(self) -> None:
        source = self._source
        assert source is not None
        try:
            while source.feed(self.chain):
                pass
        except BaseException as error:
            self._error = error
        try:
            source.close()
        except BaseException as error:
            self._error = self._error or error
        finally:
            self.chain.finish()  # else who polls would wait for good


def _check_integer(value: Any, name: str, least: int, most: int) -> None:
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if not least <= number <= most:
        raise UsageError("not a usable number", where=name, found=repr(value), expected=f"{least} to {most}")
