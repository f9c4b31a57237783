"""Writes checkpoints and bundles in a thread of its own: no stream waits for the disk."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

HANGS_S = 10.0
Job = Callable[[], None]
_log = logging.getLogger("edgesnn.daemon")


class Disk:
    """Does jobs one after the other; of each name at most one waits. Any thread."""

    def __init__(self) -> None:
        self._waiting: dict[str, Job] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._doing: str | None = None
        self._since_s = 0.0
        self._thread = threading.Thread(target=self._work, name="edgesnn-disk", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, name: str, job: Job) -> None:
        """Let a job wait, in place of one of this name."""
        with self._changed:
            self._waiting[name] = job
            self._changed.notify_all()

    def offer(self, name: str, job: Job) -> bool:
        """Let a job wait; False where one of this name does, or is being done."""
        with self._changed:
            if name in self._waiting or name == self._doing:
                return False
            self._waiting[name] = job
            self._changed.notify_all()
            return True

    @property
    def hangs_at(self) -> str | None:
        """The job that takes longer than `HANGS_S`; None: there is none."""
        doing = self._doing
        return doing if doing is not None and time.monotonic() - self._since_s > HANGS_S else None

    def close(self, timeout_s: float) -> bool:
        """End after what waits; False where that took longer."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def idle(self, timeout_s: float) -> bool:
        """Wait until nothing waits; False where that took longer."""
        until_s = time.monotonic() + timeout_s
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._waiting and self._doing is None, max(0.0, until_s - time.monotonic())
            )

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                self._doing = next(iter(self._waiting))
                job = self._waiting.pop(self._doing)
                self._since_s = time.monotonic()
            try:
                job()
            except Exception:
                _log.exception("writing failed: this is a fault of edgesnn: please report it")
            with self._changed:
                self._doing = None
                self._changed.notify_all()
