"""The flight recorder of a stream: when what it took in lately is written as a bundle (docs/recorder.md)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from edgesnn.daemon.bundles import Bundles
from edgesnn.daemon.checkpoints import refuse
from edgesnn.daemon.disk import Disk
from edgesnn.daemon.feeds import Feed
from edgesnn.daemon.reloading import AT_ONCE
from edgesnn.daemon.schema import Recorder, Stream
from edgesnn.errors import ConfigError, EdgeSnnError
from edgesnn.events.formats.base import printable
from edgesnn.prediction import Prediction
from edgesnn.publish.publisher import utc_now
from edgesnn.recorder.ring import FlightRing, Recording, tap_bytes
from edgesnn.runtime import Model
from edgesnn.runtime.model import ZOO, locate
from edgesnn.version import __version__

_log = logging.getLogger("edgesnn.daemon")


class FlightRecorder:
    """Of one stream. Its thread uses it; any may `ask` and read `stats`.

    Args:
        section: what the configuration says.
        stream, model: whose.
        disk, bundles: where they are written, and by whom.

    Attributes:
        on_command: whether the configuration lets commands ask.
        stream: as it is configured now.
        why: why the last bundle was not written, or nothing is kept; None: all is well.
    """

    def __init__(self, section: Recorder, stream: Stream, model: Model, disk: Disk, bundles: Bundles) -> None:
        self.why: str | None = None
        self.on_command = "command" in section.on
        self._section, self.stream, self._model = section, stream, model
        self._disk, self._bundles = disk, bundles
        self._model_facts = _model_facts(stream, model)
        self._ring: FlightRing | None = None
        self._config: Mapping[str, Any] = {}
        self._label: str | None = None
        self._due_s = float("-inf")
        self._begun_us = 0
        self._lock = threading.Lock()
        self._asked: list[Future[Path]] = []
        self._counts = {"written": 0, "failed": 0, "skipped": 0}

    @property
    def stats(self) -> dict[str, int]:
        """Return {"held_bytes", "written", "failed", "skipped"}."""
        ring = self._ring
        with self._lock:
            return {"held_bytes": 0 if ring is None else ring.size_bytes, **self._counts}

    def ask(self) -> Future[Path]:
        """Ask for a bundle; the future gives its path, or raises ConfigError, OSError where there is none.

        It is made after the stream's next poll, a quarter of a second at most; wait for it with a timeout.
        """
        future: Future[Path] = Future()
        future.set_running_or_notify_cancel()  # nobody cancels it
        if not self.on_command:
            future.set_exception(ConfigError("no bundle is written on command", where="recorder.on"))
            return future
        with self._lock:
            if self._ring is not None:
                self._asked.append(future)
                return future
        self._refuse([future], "the stream does not run")
        return future

    def begin(self, feed: Feed) -> None:
        """Keep what a feed takes in from now on; again: what was held before is let go of."""
        most = self._section.memory
        self._config = feed.config
        self._ring = FlightRing(feed.tap(tap_bytes(most)), most_bytes=most, span_s=self._section.span / 1e6)
        self._label = None
        self._begun_us = int(time.monotonic() * 1e6)

    def saw(self, prediction: Prediction, published: Prediction | None) -> None:
        """Take note of a decision, and of what was published of it; a bundle of it may be due."""
        if self._ring is None or (prediction.t_mono_us or 0) < self._begun_us:
            return  # made before what is held
        self._ring.add(published)
        trigger = self._trigger(prediction)
        self._label = prediction.label
        if trigger is not None and time.monotonic() >= self._due_s:
            self._save(trigger, None)

    def turn(self) -> None:
        """Keep the bounds, and write what was asked for; called after every poll."""
        if self._ring is None:
            return
        try:
            self._ring.turn()
        except EdgeSnnError as error:
            self._let_go()
            self._complain(str(error))
            return
        if self._ring.why is not None and self.why is None:
            self._complain(self._ring.why)
        if self._asked:
            with self._lock:
                asked, self._asked = self._asked, []
            self._save("command", None, asked)

    def end(self, trigger: str, why: str | None = None) -> None:
        """Write what is held, where the configuration says so: the stream is "stop"ped or has a "crash"."""
        due = trigger == "stop" or time.monotonic() >= self._due_s
        if self._ring is not None and trigger in self._section.on and due:
            self._save(trigger, why)
        self._let_go()

    def _let_go(self) -> None:
        with self._lock:
            self._ring = None
            asked, self._asked = self._asked, []
        self._refuse(asked, "the stream does not run")

    def _trigger(self, prediction: Prediction) -> str | None:
        """Return why a decision is worth a bundle."""
        on, label = self._section.on, prediction.label
        wanted = not self._section.labels or label in self._section.labels
        if "label" in on and label is not None and label != self._label and wanted:
            return "label"
        if "low_confidence" in on and _confidence(prediction) < self._section.confidence:
            return "low_confidence"
        return None

    def _save(self, trigger: str, why: str | None, asked: list[Future[Path]] | None = None) -> None:
        assert self._ring is not None
        asked = asked or []
        recording = self._ring.recording()
        if recording is None:
            self._refuse(asked, self._ring.why or "nothing is held")
            return
        about = {**self._about(), "trigger": trigger, "why": why, "made": utc_now()}
        job = f"bundle {self.stream.name}" + " at its end" * (trigger in ("crash", "stop"))
        if not self._disk.offer(job, lambda: self._write(about, recording, asked)):
            self._count("skipped")
            self._refuse(asked, "the one before it is still being written")
            return
        self._due_s = time.monotonic() + self._section.apart / 1e6

    def _about(self) -> dict[str, Any]:
        """Return the fields of the document that are of the stream."""
        stream, kind = self.stream, "tokens" if self._model.input["kind"] == "tokens" else "events"
        rules = {name: getattr(stream, name) for name in AT_ONCE}
        config = {**self._config, "source": stream.source, **rules}
        facts = {"stream": stream.name, "model": self._model_facts, "config": config}
        return {"kind": kind, "edgesnn": __version__, **facts}

    def _write(self, about: Mapping[str, Any], recording: Recording, asked: list[Future[Path]]) -> None:
        try:
            path = self._bundles.write(about, recording)
        except (OSError, EdgeSnnError) as error:
            self._count("failed")
            self._complain(getattr(error, "strerror", None) or str(error))
            refuse(asked, error)
            return
        self.why = None
        self._count("written")
        _log.info("stream %s: bundle %s", self.stream.name, printable(str(path)))
        for future in asked:
            future.set_result(path)

    def _refuse(self, asked: list[Future[Path]], why: str) -> None:
        refuse(asked, ConfigError("no bundle", where=self.stream.name, found=why))

    def _complain(self, why: str) -> None:
        if why != self.why:
            _log.warning("stream %s: no bundle: %s", self.stream.name, why)
        self.why = why

    def _count(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1


def _model_facts(stream: Stream, model: Model) -> dict[str, Any]:
    path = locate(stream.model)
    return {
        "path": stream.model if path.parent == ZOO else str(path.absolute()),
        "sha256": model.identity,
        "readout": None if stream.readout is None else stream.readout.model_dump(),
    }


def _confidence(prediction: Prediction) -> float:
    """Return how sure a decision is; 1 where it says nothing of it: idle, or a line of a model that only scores."""
    if prediction.confidence is not None:
        return prediction.confidence
    if prediction.tokens is not None or not prediction.topk:
        return 1.0
    return prediction.topk[0][1]
