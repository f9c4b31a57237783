"""A real service whose wall clock starts in 1970, and steps an hour back and forth: only `ts` and `clock_synced` tell.

The clock is `wall_clock.py`'s: a library before libc's, in the process of the service alone.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.test_disk_faults import LONGEST_S, Pages, assert_no_gap, said, wait_for
from tests.daemon.test_service import RECORDING, configuration, one_broker, run, stream, subscribed
from tests.daemon.wall_clock import WallClock
from tests.predictions import validated

__all__ = ["one_broker", "run"]  # fixtures
HOUR_S = 3600


@pytest.fixture
def clock(tmp_path) -> WallClock:
    return WallClock(tmp_path)


def year_of(record: dict[str, Any]) -> int:
    return datetime.strptime(record["ts"], "%Y-%m-%dT%H:%M:%S.%fZ").year


def to_1970() -> int:
    return 100 - int(time.time())


def test_the_clock_is_set_for_everything_in_the_process(clock):
    """Else the tests below would prove nothing."""
    code = "import time, datetime; print(int(time.time()), datetime.datetime.now().year, time.monotonic() > 200)"
    clock.set(to_1970())
    ran = subprocess.run([sys.executable, "-c", code], env={**os.environ, **clock.environment}, capture_output=True)
    seconds, year, _ = ran.stdout.split()
    assert (100 <= int(seconds) < 200, year) == (True, b"1970")


def test_it_starts_in_1970_and_the_clock_is_set_then(one_broker, run, clock):
    pages = Pages()
    clock.set(to_1970())
    text = configuration(one_broker, stream("door", f"replay:{RECORDING}?loop"), more=f"[http]\nport = {pages.port}\n")
    with subscribed(one_broker) as subscriber:
        daemon = run(text, clock.environment)
        records = [validated(message) for message in subscriber.wait_for(4, timeout_s=LONGEST_S)]
        assert {year_of(record) for record in records} == {1970}
        assert not any(record["clock_synced"] or record["late"] for record in records)
        clock.set(0)
        before = len(subscriber.of("/prediction"))
        records = [validated(message) for message in subscriber.wait_for(before + 6, timeout_s=LONGEST_S)]
        assert year_of(records[-1]) == datetime.now(timezone.utc).year
        assert not any(record["late"] for record in records)
        assert pages.health()["stalled"] == []
        assert daemon.end() == 0, daemon.log
        assert_no_gap(subscriber)
    assert said(daemon, "degraded") <= 1, daemon.log  # no broker, before it has answered


@pytest.mark.full
def test_an_hour_back_and_forward_changes_nothing_but_the_times_that_are_written(one_broker, run, clock, tmp_path):
    """Through rate limit, watchdog, stats, outage, back-off, ages, expiry and late marks."""
    pages = Pages()
    more = f"[http]\nport = {pages.port}\n"
    text = configuration(one_broker, stream("door", f"replay:{RECORDING}?loop", 'rate_limit = "5Hz"'), more=more)
    text = text.replace("[outbox]", '[outbox]\nmax_age = "1800s"')
    with subscribed(one_broker) as subscriber, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"}
        daemon = run(text, {**clock.environment, **environment})
        subscriber.wait_for(5, timeout_s=LONGEST_S)
        for by_s in (-HOUR_S, 0, HOUR_S, -HOUR_S, 0):
            clock.set(by_s)
            heard(systemd)
            before, began_s = len(subscriber.of("/prediction")), time.monotonic()
            subscriber.wait_for(before + 8, timeout_s=LONGEST_S)
            assert time.monotonic() - began_s > 1.0, "the rate limit went by the wall clock"
            wait_for(lambda: heard(systemd), "the watchdog is not fed")
        assert not any(validated(message)["late"] for message in subscriber.of("/prediction"))
        outage(one_broker, pages, clock, subscriber, daemon)
        assert daemon.end() == 0, daemon.log
        assert_no_gap(subscriber)
    assert said(daemon, "warning") <= 4, daemon.log


def heard(systemd: socket.socket) -> bool:
    """Return whether the watchdog was fed since the last call."""
    fed = False
    while True:
        try:
            fed = systemd.recv(4096) == b"WATCHDOG=1" or fed
        except BlockingIOError:
            return fed


def outage(broker: Any, pages: Pages, clock: WallClock, subscriber: Any, daemon: Any) -> None:
    """The broker is away while the clock steps: nothing expires, and it is found again as soon as ever."""
    broker.kill()
    wait_for(lambda: pages.counter("outbox_pending") > 5, lambda: daemon.log)
    clock.set(HOUR_S)
    waiting = pages.counter("outbox_pending")
    wait_for(lambda: pages.counter("outbox_pending") > waiting + 5, lambda: daemon.log)
    clock.set(-HOUR_S)
    assert pages.counter("outbox_oldest_seconds") < 60
    assert pages.counter('outbox_dropped_total{reason="expired"}') == 0
    before = len(subscriber.of("/prediction"))
    broker.start()
    began_s = time.monotonic()
    wait_for(lambda: len(subscriber.of("/prediction")) > before + waiting + 5, lambda: daemon.log)
    assert time.monotonic() - began_s < 45
    assert pages.counter('outbox_dropped_total{reason="expired"}') == 0


@pytest.mark.full
def test_what_waits_in_the_file_outlives_a_restart_in_1970(one_broker, run, clock, tmp_path):
    """Ages of the same boot go by the clock since boot: a wall clock in 1970 ages nothing."""
    if one_broker.kind != "mosquitto":
        pytest.skip("MQTT 3.1.1 does not say that nobody subscribes")
    pages = Pages()
    text = configuration(one_broker, stream("door", f"replay:{RECORDING}?loop"), more=f"[http]\nport = {pages.port}\n")
    first = run(text, clock.environment)
    wait_for(lambda: pages.counter("outbox_pending") > 5, lambda: first.log)
    first.process.kill()
    first.process.wait()
    clock.set(to_1970())
    with subscribed(one_broker) as subscriber:
        second = run(text, clock.environment)
        records = [validated(message) for message in subscriber.wait_for(8, timeout_s=LONGEST_S)]
        assert records[0]["late"]
        assert second.end() == 0, second.log
        assert_no_gap(subscriber)


def test_what_is_set_aside_in_1970_is_kept(tmp_path):
    """Names of files set aside carry the wall clock's date: the newest may look like the oldest."""
    from edgesnn.publish import outbox_file

    path: Path = tmp_path / "outbox.sqlite"
    for year in (2024, 2025, 2026):
        (tmp_path / f"outbox.sqlite.aside-{year}0101T000000Z").write_bytes(b"older")
    path.write_bytes(b"newest")
    real = time.gmtime
    try:
        time.gmtime = lambda *_: real(100)  # type: ignore[assignment]
        aside = outbox_file.set_aside(path)
    finally:
        time.gmtime = real  # type: ignore[assignment]
    assert aside.read_bytes() == b"newest"
    assert len(list(tmp_path.glob("outbox.sqlite.aside-*"))) == outbox_file.KEPT_ASIDE
