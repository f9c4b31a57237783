"""Steps of one and of two threads by the clock, on the machine as it is and beside a process that is always busy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import common

from edgesnn.runtime.model import Model

SECONDS = 2.0


def step_ms(model: Model, token: int) -> dict[str, float]:
    """Return the median ms of a step by threads: "1", "2", and "1 busy", "2 busy"."""
    sessions = {count: model.session(threads=count) for count in (1, 2)}
    found = {}
    for suffix, neighbour in (("", nullcontext()), (" busy", _busy())):
        with neighbour:
            works = {f"{n}{suffix}": (lambda s=session: s.step(token)) for n, session in sessions.items()}
            found |= {name: t["median"] for name, t in common.interleaved_ms(works, seconds=SECONDS).items()}
    return found


@contextmanager
def _busy() -> Iterator[None]:
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        child.kill()
        child.wait()
