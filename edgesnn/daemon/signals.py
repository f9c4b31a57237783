"""Signals of the process as things that the main thread waits for."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from typing import Any


class Signals:
    """Signals as things to wait for, the most important first. Of the main thread."""

    def __init__(self, *numbers: int) -> None:
        self._numbers = numbers
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, lambda *_: None) for number in self._numbers}
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)

    def wake(self) -> None:
        """Make a `wait` return None at once. Any thread."""
        with contextlib.suppress(OSError):
            os.write(self._write, b"\0")

    def wait(self, wait_s: float) -> int | None:
        """Return a signal that came, the one that ends before others; None: none came so long, or `wake` was called."""
        poller = select.poll()
        poller.register(self._read, select.POLLIN)
        if not poller.poll(wait_s * 1000):
            return None
        came = os.read(self._read, 1 << 16)  # many of one kind are one
        return next((number for number in self._numbers if number in came), None)
