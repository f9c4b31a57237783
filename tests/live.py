"""What the tests of live sources share: waiting with an end, and streams of bytes to send."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from edgesnn.events.formats.base import EncoderOptions
from edgesnn.events.registry import get
from edgesnn.events.sources.live import LiveSource
from edgesnn.events.types import EVENT, TRIGGER

LONGEST_S = 20.0


def made_up(count: int, *, start_us: int = 1_000, seed: int = 0, sensor: tuple[int, int] = (640, 480)) -> np.ndarray:
    """Return events with rising times, about 10 us apart."""
    rng = np.random.default_rng(seed)
    events = np.zeros(count, EVENT)
    events["t"] = start_us + np.cumsum(rng.integers(0, 20, count))
    events["x"], events["y"] = rng.integers(0, sensor[0], count), rng.integers(0, sensor[1], count)
    events["p"] = rng.integers(0, 2, count)
    return events


def encoded(events: np.ndarray, name: str = "evt3", t_end_us: int | None = None) -> bytes:
    """Return the words of these events, without a header."""
    encoder = get(name).encoder(EncoderOptions((640, 480)))
    encoder.begin()
    end_us = int(events["t"][-1]) + 20_000 if t_end_us is None else t_end_us
    return encoder.encode(events, np.zeros(0, TRIGGER), end_us)


def wait_until(source: LiveSource, done: Callable[[], bool]) -> list[np.ndarray]:
    """Read until `done`, and return the events that came; fail after a while."""
    parts = [np.zeros(0, EVENT)]
    until_s = time.monotonic() + LONGEST_S
    while not done():
        assert time.monotonic() < until_s, f"{source}: {source.counters}"
        packet = source.read(0.01)
        if packet is not None:
            parts.append(packet.events)
    return parts


def read_events(source: LiveSource, count: int) -> np.ndarray:
    """Return what comes until there are so many events more."""
    before = source.counters["events"]
    return np.concatenate(wait_until(source, lambda: source.counters["events"] - before >= count))
