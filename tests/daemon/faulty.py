"""A service inside the test, and a live source of another package that fails as it is told to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from edgesnn.daemon.reading import read
from edgesnn.daemon.service import Service
from edgesnn.events.sources.address import Address
from edgesnn.events.sources.base import Message, PlainLink
from edgesnn.publish.broker import free_port
from tests.live import made_up

LONGEST_S = 90.0
SENSOR = (128, 128)


def wait_for(found: Callable[[], Any], what: object = "") -> Any:
    deadline = time.monotonic() + LONGEST_S
    while not (value := found()):
        assert time.monotonic() < deadline, what() if callable(what) else what or "what was waited for did not come"
        time.sleep(0.01)
    return value


class Odd:
    """The scheme `odd:NAME` of another package: events of a made-up scene, and what `faults` says.

    Attributes:
        faults: what is called (open, receive, connected, counters, close) -> the exception that it raises.
    """

    name, form, help = "odd", "odd:NAME", "a source that fails"
    options: tuple[tuple[str, str], ...] = ()
    faults: ClassVar[dict[str, BaseException]] = {}

    def open(self, address: Address) -> OddLink:
        if "open" in Odd.faults:
            raise Odd.faults["open"]
        return OddLink()


class OddLink(PlainLink):
    gives_events, format, sensor = True, "odd", SENSOR

    def __init__(self) -> None:
        self._next_us = 1000
        self._begun = False

    def _fail(self, what: str) -> None:
        if what in Odd.faults:
            raise Odd.faults[what]

    @property
    def connected(self) -> bool | None:
        self._fail("connected")
        return True

    @property
    def counters(self) -> dict[str, int]:
        self._fail("counters")
        return {}

    def receive(self, wait_s: float) -> Message | None:
        self._fail("receive")
        time.sleep(0.002)
        events = made_up(400, start_us=self._next_us, sensor=SENSOR)
        self._next_us = int(events["t"][-1]) + 1
        begins, self._begun = not self._begun, True
        return Message(events=np.ascontiguousarray(events), begins=begins)

    def close(self) -> None:
        self._fail("close")


def install(monkeypatch: Any, **kinds: type) -> None:
    """Let these schemes come by entry points."""
    points = {name: SimpleNamespace(load=lambda kind=kind: kind) for name, kind in kinds.items()}
    monkeypatch.setattr("edgesnn.variants.entry_points_of", lambda group: points if "sources" in group else {})


def text_of(*streams: str, url: str = "", more: str = "") -> str:
    head = f'[node]\nname = "gate-1"\n[mqtt]\nurl = "{url or f"mqtt://127.0.0.1:{free_port()}"}"\n'
    return (
        head
        + '[outbox]\ndrain = "1ms"\n' * ("[outbox]" not in more)
        + (more or "[http]\nport = 0\n")
        + "".join(streams)
    )


@contextmanager
def serving(folder: Path, text: str, **environment: str) -> Iterator[Service]:
    """Run the service of a configuration here; `tick` is the test's."""
    path = folder / "config.toml"
    path.write_text(text, "utf-8")
    service = Service(read(str(path)), {"STATE_DIRECTORY": str(folder), **environment})
    service.start()
    try:
        yield service
    finally:
        service.stop()


def runner_of(service: Service, name: str) -> Any:
    return next(runner for runner in service.runners if runner.stream.name == name)


def identity(counters: dict[str, int], into: str = "events_in", done: str = "processed") -> str:
    """Return what is wrong with in = processed + dropped + pending; nothing: it holds."""
    dropped = sum(count for name, count in counters.items() if name.startswith("dropped."))
    came, processed, pending = (counters.get(name, 0) for name in (into, done, "pending"))
    return "" if came == processed + dropped + pending else f"{came} != {processed} + {dropped} + {pending}"
