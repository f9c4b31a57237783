"""The outbox's log is synced beside who writes it: often enough, never in the way, and only where nobody else does."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from edgesnn.publish.outbox_durable import DurableOutbox
from edgesnn.publish.outbox_file import Durability
from edgesnn.publish.outbox_sync import EVERY
from tests.predictions import make_prediction


class Disk:
    """What `os.fdatasync` was asked for; holds who asks until it is `quick`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.synced: list[tuple[str, str]] = []  # file, thread
        self.quick = threading.Event()
        self.quick.set()
        monkeypatch.setattr(os, "fdatasync", self._sync)

    def _sync(self, descriptor: int) -> None:
        self.synced.append((os.readlink(f"/proc/self/fd/{descriptor}"), threading.current_thread().name))
        self.quick.wait(30)


def pass_on(outbox: DurableOutbox, count: int) -> None:
    """Accept and settle predictions one by one: two transactions each."""
    for number in range(count):
        outbox.put_many([make_prediction(number)])
        outbox.ack([item.id for item in outbox.next_batch(20)])


def wait_until(reached: int, disk: Disk) -> None:
    until_s = time.monotonic() + 20
    while len(disk.synced) < reached:
        assert time.monotonic() < until_s, disk.synced
        time.sleep(0.005)


def test_the_log_is_synced_in_a_thread_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    outbox = DurableOutbox(tmp_path / "outbox.db")
    for turn in range(1, 4):
        pass_on(outbox, EVERY // 2)
        wait_until(turn, disk)
    assert set(disk.synced) == {(str(tmp_path / "outbox.db-wal"), "edgesnn-outbox")}
    assert len(disk.synced) == 3
    outbox.close()


def test_a_disk_that_hangs_there_is_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    disk.quick.clear()
    outbox = DurableOutbox(tmp_path / "outbox.db")
    pass_on(outbox, EVERY)
    wait_until(1, disk)
    pass_on(outbox, 2 * EVERY)
    assert len(disk.synced) == 1, "it waits in the first"
    assert outbox.stats()["acknowledged"] == 3 * EVERY
    outbox.close()
    disk.quick.set()
    again = DurableOutbox(tmp_path / "outbox.db")
    assert again.stats()["acknowledged"] == 3 * EVERY
    again.close()


@pytest.mark.parametrize(("durability", "threads"), [("process", 1), ("power", 0)])
def test_its_thread_ends_with_the_outbox(tmp_path: Path, durability: Durability, threads: int) -> None:
    def alive() -> int:
        return sum(thread.name == "edgesnn-outbox" for thread in threading.enumerate())

    outbox = DurableOutbox(tmp_path / "outbox.db", durability=durability)
    outbox.put_many([make_prediction(number) for number in range(2 * EVERY)])
    assert alive() == 0, "one transaction so far"
    pass_on(outbox, EVERY // 2)
    assert alive() == threads
    outbox.close()
    until_s = time.monotonic() + 10
    while alive():
        assert time.monotonic() < until_s
        time.sleep(0.005)


def test_where_no_thread_can_be_started_predictions_are_accepted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    disk = Disk(monkeypatch)
    outbox = DurableOutbox(tmp_path / "outbox.db")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        pass_on(outbox, EVERY)
    assert outbox.stats()["accepted"] == EVERY
    pass_on(outbox, EVERY // 2)
    wait_until(1, disk)  # it is tried again
    outbox.close()
