"""Steps of one and of two threads: by the clock, as the machine is and beside a process that is always busy, and in
processor time of all threads, which is more with two by what they wait for each other while awake."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import common

from edgesnn.runtime.model import Model

SECONDS = 2.0

Works = dict[str, Callable[[], object]]


def step_ms(model: Model, token: int) -> dict[str, float]:
    """Return the median ms of a step by threads: "1" and "2"; "1 busy", "2 busy"; "1 processor", "2 processor"."""
    works: Works = {str(n): partial(model.session(threads=n).step, token) for n in (1, 2)}
    found = _medians(works, "", time.perf_counter) | _medians(works, " processor", time.process_time)
    with _busy():
        return found | _medians(works, " busy", time.perf_counter)


def _medians(works: Works, suffix: str, clock: Callable[[], float]) -> dict[str, float]:
    times = common.interleaved_ms(works, seconds=SECONDS, clock=clock)
    return {f"{name}{suffix}": t["median"] for name, t in times.items()}


@contextmanager
def _busy() -> Iterator[None]:
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        child.kill()
        child.wait()
