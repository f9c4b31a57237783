"""A progress bar on standard error, on a terminal only; how long a run will take, said early everywhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

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


class Remaining:
    """Says once, after the first few steps, how long all of them will take.

    Args:
        report: takes the line.
        least: steps to look at, the first of all left out (it warms up).
        seconds: or as many as fit into this time.
    """

    def __init__(self, report: Callable[[str], None], least: int = 5, seconds: float = 5.0) -> None:
        self._report, self._least, self._seconds = report, least, seconds
        self._seen, self._started, self._said = 0, 0.0, False

    def update(self, left: int) -> None:
        """One more step is done, `left` follow."""
        now = time.monotonic()
        if self._seen == 0:
            self._started = now
        self._seen += 1
        steps, taken = self._seen - 1, now - self._started
        if self._said or not steps or (steps < self._least and taken < self._seconds and left):
            return
        self._said = True
        if left:
            self._report(f"about {in_words(left * taken / steps)} to go, from the first {self._seen} batches")


def in_words(seconds: float) -> str:
    """Return a time for a person to read.

    >>> in_words(12.3), in_words(600)
    ('12 s', '10 min')
    """
    if seconds < 90:
        return f"{max(1.0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
