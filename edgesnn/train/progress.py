"""A progress bar on standard error, on a terminal only."""

from __future__ import annotations

import sys
import time

WIDTH = 30


class Progress:
    """`update(done)` redraws at most ten times a second; silent where standard error is not a terminal."""

    def __init__(self, total: int, title: str) -> None:
        self._total, self._title = max(1, total), title
        self._shown = sys.stderr.isatty()
        self._last = 0.0

    def update(self, done: int) -> None:
        """Show that `done` of the total are done."""
        now = time.monotonic()
        if not self._shown or (now - self._last < 0.1 and done < self._total):
            return
        self._last = now
        filled = WIDTH * done // self._total
        print(f"\r{self._title} [{'#' * filled:<{WIDTH}}] {done}/{self._total}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Remove the bar."""
        if self._shown:
            print("\r" + " " * (WIDTH + len(self._title) + 20) + "\r", end="", file=sys.stderr, flush=True)
