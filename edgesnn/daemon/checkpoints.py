"""Checkpoints: the state of a stream on the disk, from which the next process goes on (docs/snapshot.md)."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.daemon.disk import Disk
from edgesnn.daemon.feeds import Feed
from edgesnn.daemon.schema import Stream
from edgesnn.errors import EdgeSnnError, ModelError
from edgesnn.events.formats.base import printable
from edgesnn.graph import container
from edgesnn.graph.document import canonical
from edgesnn.pipeline.tap import Frozen
from edgesnn.recorder import sealed
from edgesnn.runtime import Model
from edgesnn.runtime.snapshot import KEY as SNAPSHOT

VERSION = 1
KEY = "edgesnn.checkpoint"
SHARE = 50  # of the time a stream spends at most a fiftieth in making them
KEPT_ASIDE = 3
HEAD_BYTES = 1 << 16
MOST_TRIES = 3
"""So many processes in a row may end before one has gone on from a checkpoint for `SAFE_S`."""
SAFE_S = 60.0
SAME = ("source", "format", "sensor", "columns", "filters", "adapt", "window_events", "hop_events", "key", "reset")
"""Keys of a stream that its checkpoints belong to."""
_log = logging.getLogger("edgesnn.daemon")


def refuse(asked: Iterable[Future[Any]], why: Exception) -> None:
    """Tell who asked for something that it is not to be had."""
    for one in asked:
        one.set_exception(why)


def wanted(stream: Stream, model: Model) -> bool:
    """Say whether a stream has checkpoints: as it says, else where a state of its model is never reset."""
    if stream.checkpoint is not None:
        return stream.checkpoint
    if model.input["kind"] != "tokens":
        return any(state.reset != "window" for state in model.document.states)
    if stream.reset is not None:
        return stream.reset.policy == "never"
    return any(state.reset == "never" for state in model.document.states)


def file_name(stream: str) -> str:
    """Return a name for files of a stream, whatever its own is.

    >>> file_name("../door 1")
    '___door_1-fbb8dfcc8d35'
    """
    readable = re.sub("[^A-Za-z0-9_-]", "_", stream)[:60]
    return f"{readable}-{hashlib.sha256(stream.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


class Checkpoints:
    """Those of one stream. Its thread uses it; `stats` any.

    Args:
        folder: where they are.
        stream, model: whose.
        disk: writes them.
        period_s: from one to the next.
        most_bytes: a larger one is not written.
    """

    def __init__(
        self, folder: Path, stream: Stream, model: Model, disk: Disk, *, period_s: float, most_bytes: int
    ) -> None:
        self.path = folder / f"{file_name(stream.name)}.checkpoint"
        self._tries = folder / f"{file_name(stream.name)}.tries"
        self.why: str | None = None
        self._stream, self._model, self._disk = stream, model, disk
        self._period_s, self._most_bytes = period_s, most_bytes
        self._due_s = time.monotonic() + period_s
        self._lock = threading.Lock()
        self._written_s: float | None = None
        self._counts = {"written": 0, "failed": 0, "set_aside": 0, "restored": 0}
        self._of = _belongs(stream, model)
        self._unproven = False  # restored, and none written since
        self._marked = False  # this process counts as one that tried it
        self._safe_s = float("inf")
        self._taken = 0
        self._asked: list[tuple[int, Future[Path]]] = []  # with the number of the one that they wait for

    @property
    def stats(self) -> dict[str, Any]:
        """Return {"age_s", "written", "failed", "set_aside", "restored"}."""
        with self._lock:
            age_s = None if self._written_s is None else round(time.monotonic() - self._written_s, 3)
            return {"age_s": age_s, **self._counts}

    def restore(self, feed: Feed) -> None:
        """Let a feed that has not begun go on from the last checkpoint. What cannot be used is set aside, logged."""
        self._disk.idle(1.0)  # a stream that is begun again wants its latest
        if self._unproven:  # it failed before the next one: perhaps by what this one holds
            self._unproven = False
            self._set_aside("the stream failed after it")
            return
        if not self._may_try():
            self._set_aside(f"the service ended {MOST_TRIES} times within {SAFE_S:g} s after it")
            return
        try:
            data = sealed.load(self.path, self._most_bytes + container.MAX_HEADER_BYTES)
            self._check(data)
            feed.restore(data.tobytes())
        except FileNotFoundError:
            return
        except OSError as error:
            self._set_aside(error.strerror or str(error))
        except EdgeSnnError as error:
            self._set_aside(str(error))
        else:
            self._unproven = True
            self._count("restored")
            _log.info("stream %s: goes on from %s", self._stream.name, printable(str(self.path)))

    def look(self) -> None:
        """Note that the stream goes on; called often."""
        if time.monotonic() >= self._safe_s:
            self._forgive()

    def _may_try(self) -> bool:
        """Count this process among those that tried a checkpoint that is there; False where too many did and ended."""
        if self._marked or not self.path.exists():
            return True
        tries = _number(self._tries)
        if tries >= MOST_TRIES:
            return False
        self._marked, self._safe_s = True, time.monotonic() + SAFE_S
        with contextlib.suppress(OSError):  # a disk that takes nothing: then it is not counted
            sealed.write(self._tries, [f"{tries + 1}".encode()])
        return True

    def _forgive(self) -> None:
        """Count from none again: what is here has been gone on from, or ended as it should."""
        self._safe_s = float("inf")
        self._disk.put(f"tries {self._stream.name}", self._remove_tries)

    def _remove_tries(self) -> None:
        with contextlib.suppress(OSError):
            self._tries.unlink()

    @property
    def due(self) -> bool:
        """Whether the period has passed."""
        return time.monotonic() >= self._due_s

    def take(self, feed: Feed, asked: Sequence[Future[Path]] = ()) -> None:
        """Hand the state of a feed to the disk; the stream waits for a copy in memory, and that is done less often
        where it takes long. Who `asked` gets the path when it is written, or what kept it from being so."""
        began_s = time.monotonic()
        self._due_s = began_s + self._period_s
        try:
            frozen = feed.freeze()
        except EdgeSnnError as error:  # it has failed, and says so behind its last prediction
            refuse(asked, error)
            return
        now_s = time.monotonic()
        self._due_s = now_s + max(self._period_s, SHARE * (now_s - began_s))
        self._taken += 1
        number = self._taken
        with self._lock:
            self._asked += [(number, one) for one in asked]
        self._disk.put(f"checkpoint {self._stream.name}", lambda: self._write(frozen, now_s, number))

    def keep(self, feed: Feed) -> None:
        """Make the last one, of a stream that is told to end."""
        self._forgive()
        self.take(feed)

    def forget(self) -> None:
        """Remove it: the stream has ended."""
        self._forgive()
        self._disk.put(f"checkpoint {self._stream.name}", self._remove)

    def _remove(self) -> None:
        with contextlib.suppress(OSError):
            self.path.unlink()

    def _check(self, data: npt.NDArray[np.uint8]) -> None:
        metadata, _ = sealed.unseal(data, printable(str(self.path)))
        about = container.parse_json(metadata.get(KEY, "{}"), KEY)
        if about.get("version") != VERSION:
            raise ModelError("another version", found=str(about.get("version"))[:20], expected=str(VERSION))
        of = about.get("of")
        if not isinstance(of, dict) or about.get("stream") != self._stream.name:
            raise ModelError("another stream's")
        for name in (*SAME, "file"):
            if of.get(name) != self._of.get(name):
                found, expected = (str(one.get(name))[:80] for one in (of, self._of))
                raise ModelError(f"of another {name}", found=found, expected=expected)

    def _write(self, frozen: Frozen, taken_s: float, number: int) -> None:
        about = canonical({"version": VERSION, "stream": self._stream.name, "of": self._of})
        try:
            if frozen.size_bytes > self._most_bytes:
                raise OSError(0, f"{frozen.size_bytes} bytes, more than checkpoint.max_size")
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            sealed.remove_temporary(self.path.parent, self.path.name)
            sealed.write(self.path, sealed.seal(frozen.arrays, {SNAPSHOT: frozen.about, KEY: about}))
        except OSError as error:
            self._count("failed")
            refuse(self._who_asked(number), error)
            why = f"{printable(str(self.path))}: {error.strerror or error}"
            if why != self.why:
                _log.warning("stream %s: no checkpoint: %s", self._stream.name, why)
            self.why = why
            return
        self._unproven, self.why = False, None
        with self._lock:
            self._written_s = taken_s
            self._counts["written"] += 1
        for one in self._who_asked(number):
            one.set_result(self.path)

    def _who_asked(self, number: int) -> list[Future[Path]]:
        """Return who asked for this checkpoint, or for one before it that it took the place of."""
        with self._lock:
            found = [one for of, one in self._asked if of <= number]
            self._asked = [(of, one) for of, one in self._asked if of > number]
        return found

    def _set_aside(self, why: str) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        aside = self.path.with_name(f"{self.path.name}.aside-{stamp}")
        try:
            os.replace(self.path, aside)
            others = [name for name in self.path.parent.glob(f"{self.path.name}.aside-*") if name != aside]
            for old in sorted(others)[: 1 - KEPT_ASIDE]:  # in 1970 the newest name would be the first
                old.unlink()
        except OSError as error:
            aside = Path(f"not set aside, {error.strerror or error}")
        self._remove_tries()
        self._count("set_aside")
        name = printable(aside.name)
        _log.warning("stream %s: its checkpoint cannot be used, it begins anew: %s (%s)", self._stream.name, why, name)

    def _count(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1


def _belongs(stream: Stream, model: Model) -> Mapping[str, Any]:
    """Return what a checkpoint is tied to besides the model; the place in a log has a mark of its own."""
    # pydantic warns of types that are read from texts: a log would have that at every start
    keys: dict[str, Any] = json.loads(stream.model_dump_json(include=set(SAME), warnings=False))
    return {**keys, "file": None if model.input["kind"] == "tokens" else _file(stream.source)}


def _number(path: Path) -> int:
    """Return the number that a file holds; 0 where it holds none."""
    try:
        with path.open("rb") as file:
            return int(file.read(4))
    except (OSError, ValueError):
        return 0


def _file(source: str) -> list[Any] | None:
    """Return the size of a recording and the checksum of its beginning; None of an address."""
    try:
        if not Path(source).is_file():
            return None
        with open(source, "rb") as file:
            return [os.fstat(file.fileno()).st_size, hashlib.sha256(file.read(HEAD_BYTES)).hexdigest()]
    except OSError:
        return None
