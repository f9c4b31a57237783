"""A look at what a lock protects, by who must not wait: a disk that hangs has its lock for as long as it hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_S = 0.25  # longer than a commit and a checkpoint of the file take
AGAIN_S = 0.02  # where the look before this one was in vain
HANGS_S = 2.0


class Glance:
    """Takes a lock where it is to be had soon. Any thread.

    Args:
        lock: of a condition.
    """

    def __init__(self, lock: threading.Condition) -> None:
        self._lock = lock
        self._since_s: float | None = None  # from when on every look was in vain

    @property
    def hangs(self) -> bool:
        """Whether all looks for `HANGS_S` were in vain. Never waits."""
        since_s = self._since_s
        return since_s is not None and time.monotonic() - since_s >= HANGS_S

    @contextmanager
    def __call__(self, wait_s: float | None = None) -> Iterator[bool]:
        """Hold the lock, given True, or do without it, given False, after `wait_s` at most."""
        began_s = time.monotonic()
        if wait_s is None:
            wait_s = PATIENCE_S if self._since_s is None else AGAIN_S
        if not self._lock.acquire(timeout=wait_s):
            if self._since_s is None:
                self._since_s = began_s
            yield False
            return
        self._since_s = None
        try:
            yield True
        finally:
            self._lock.release()
