"""Syncs the outbox's log beside who writes it, so that folding it into the file finds little to wait for."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

EVERY = 64  # transactions, of some 16 KiB each


class LogSync:
    """Syncs a file in a thread of its own, once in `EVERY` transactions.

    What is lost where that fails is for who folds the log to notice: its own descriptor gets the error too.

    Args:
        path: the log; it is there before the first `wrote`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._since = 0
        self._due = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def wrote(self) -> None:
        """Count a transaction. One thread at a time; never waits for the disk."""
        self._since += 1
        if self._since < EVERY:
            return
        self._since = 0
        self._due.set()
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="edgesnn-outbox", daemon=True)
            with contextlib.suppress(RuntimeError):  # no more threads now: later; who folds the log syncs it himself
                thread.start()
                self._thread = thread

    def close(self) -> None:
        """Let the thread end, when the disk lets it. Twice is once."""
        self._closed = True
        self._due.set()

    def _work(self) -> None:
        with contextlib.suppress(OSError):
            log = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                while self._due.wait() and not self._closed:
                    self._due.clear()
                    os.fdatasync(log)
            finally:
                os.close(log)
