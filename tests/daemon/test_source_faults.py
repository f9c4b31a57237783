"""A real service whose sender floods, sends garbage, falls silent, goes away and comes back: policies and counters."""

from __future__ import annotations

import os
import re
import socket
import time
import urllib.request
from typing import Any

import pytest

from edgesnn.publish.broker import free_port
from tests.daemon.test_disk_faults import LONGEST_S, Pages, said, wait_for
from tests.daemon.test_service import configuration, one_broker, run, stream
from tests.live import encoded, made_up
from tests.memory import resident_kib

__all__ = ["one_broker", "run"]  # fixtures


def numbers(pages: Pages, metric: str) -> dict[str, int]:
    """Return a metric's values by its other label than the stream."""
    with urllib.request.urlopen(f"http://127.0.0.1:{pages.port}/metrics", timeout=LONGEST_S) as answer:
        text = answer.read().decode()
    found = re.findall(rf"^edgesnn_{metric}{{(.*)}} (\S+)$", text, re.MULTILINE)
    return {re.sub(r'stream="door",?|"|\w+=|,', "", labels): int(float(value)) for labels, value in found}


def assert_identity(pages: Pages) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{pages.port}/metrics", timeout=LONGEST_S) as answer:
        text = answer.read().decode()

    def total(metric: str) -> float:
        return sum(float(value) for value in re.findall(rf"^edgesnn_{metric}{{.*}} (\S+)$", text, re.MULTILINE))

    into, done, dropped = (total(f"events_{name}_total") for name in ("in", "processed", "dropped"))
    assert into == done + dropped + total("pending"), text


def state(pages: Pages) -> str:
    health = pages.health()
    return str(health["streams"]["door"]["state"]) if "streams" in health else ""


class Sender:
    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", port))
        self._next_us = 1_000
        self._words: list[bytes] = []

    def send(self, data: bytes) -> None:
        try:
            self._socket.send(data)
        except ConnectionRefusedError:  # nobody listens yet
            time.sleep(0.05)

    def events(self, count: int) -> None:
        if self._next_us > 1 << 23:  # EVT3 holds 24 bits of time
            self._next_us = 1_000
        events = made_up(count, start_us=self._next_us, sensor=(128, 128))
        self._next_us = int(events["t"][-1]) + 10
        data = encoded(events, t_end_us=self._next_us)
        for at in range(0, len(data), 1_000):
            self.send(data[at : at + 1_000])


def while_flooding(sender: Sender, pages: Pages, check: Any, seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        for _ in range(5):
            sender.events(20_000)
        check()


@pytest.mark.full
@pytest.mark.parametrize(("policy", "reason"), [("drop_oldest", "ring_full"), ("decimate", "decimated")])
def test_a_sender_that_floods_sends_garbage_falls_silent_and_comes_back(policy, reason, one_broker, run):
    pages, port = Pages(), free_port()
    keys = (f'when_full = "{policy}"', "ring_events = 4096")
    source = f"udp://127.0.0.1:{port}?format=evt3&sensor=128x128&dead_ms=2500&sender=any"
    daemon = run(configuration(one_broker, stream("door", source, *keys), more=f"[http]\nport = {pages.port}\n"))
    sender = Sender(port)
    wait_for(lambda: (sender.events(500), state(pages) == "live")[1], lambda: daemon.log)
    for _ in range(3):
        sender.events(20_000)
    before = resident_kib(daemon.process.pid)
    while_flooding(sender, pages, lambda: assert_identity(pages), 4.0)
    wait_for(
        lambda: (sender.events(20_000), numbers(pages, "events_dropped_total").get(reason, 0) > 0)[1],
        lambda: daemon.log,
    )
    other = "decimated" if reason == "ring_full" else "restarted"
    assert numbers(pages, "events_dropped_total").get(other, 0) == 0
    assert resident_kib(daemon.process.pid) - before < 24 * 1024
    assert pages.health()["stalled"] == []

    bad = numbers(pages, "stream_counter_total").get("source.bad_words", 0)
    for _ in range(50):
        sender.send(os.urandom(1_000))
    wait_for(lambda: (sender.events(100), numbers(pages, "stream_counter_total")["source.bad_words"] > bad)[1])
    assert_identity(pages)

    wait_for(lambda: state(pages) == "dead", lambda: daemon.log)
    assert "stream door: dead" in pages.reasons()
    wait_for(lambda: "degraded: stream door: dead" in daemon.log and "the sender is gone" in daemon.log)
    for _ in range(3):  # once is enough for the log
        wait_for(lambda: (sender.events(500), state(pages) == "live")[1], lambda: daemon.log)
    assert_identity(pages)
    assert numbers(pages, "restarts_total") == {"": 0}
    assert daemon.end() == 0, daemon.log
    assert said(daemon, "degraded: stream door: dead") == 1, daemon.log
    assert said(daemon, "the sender is gone") == 1, daemon.log
    assert len(daemon.log.splitlines()) < 14, daemon.log
