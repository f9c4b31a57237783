"""A real service whose disk is full, read-only, damaged, removed or another's, or that has no descriptors left.

Each time: predictions go on and none is lost, memory and processor stay flat, one line of the log and one reason of
health say it, and when the cause goes so does the trouble. What docs/operating.md says to do is what the tests do.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgesnn.clock import boot_clock
from edgesnn.publish.broker import free_port
from edgesnn.publish.outbox_durable import DurableOutbox
from tests.daemon.test_service import RECORDING, Daemon, configuration, one_broker, run, stream, subscribed
from tests.memory import resident_kib
from tests.predictions import make_prediction, validated

__all__ = ["one_broker", "run"]  # fixtures
LONGEST_S = 60.0
SOURCE = f"replay:{RECORDING}?loop"


def wait_for(found: Any, what: Any = "") -> Any:
    deadline = time.monotonic() + LONGEST_S
    while not (value := found()):
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.05)
    return value


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 2.5 MB that belongs to the test."""
    folder = Path(tempfile.mkdtemp(prefix="edgesnn-disk-"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2560k", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)
    folder.rmdir()


class Pages:
    """What the service says of itself."""

    def __init__(self) -> None:
        self.port = free_port()

    def health(self) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=LONGEST_S) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            return dict(json.load(error))
        except OSError:
            return {"reasons": [], "health": "unknown"}

    def reasons(self) -> list[str]:
        return list(self.health()["reasons"])

    def counter(self, name: str) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=LONGEST_S) as answer:
                found = re.search(rf"^edgesnn_{re.escape(name)} (\S+)$", answer.read().decode(), re.MULTILINE)
        except OSError:
            return -1
        return int(float(found[1])) if found else -1

    def decisions(self) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=LONGEST_S) as answer:
                return sum(
                    int(float(n))
                    for n in re.findall(r"^edgesnn_decisions_total{.*} (\S+)$", answer.read().decode(), re.M)
                )
        except OSError:
            return -1


def text_of(broker: Any, pages: Pages, outbox: Path | None = None, keys: str = "") -> str:
    text = configuration(broker, stream("door", SOURCE), more=f"[http]\nport = {pages.port}\n")
    named = "" if outbox is None else f'file = "{outbox}"\n'
    return text.replace("[outbox]\n", f"[outbox]\n{named}{keys}")


def cpu_s(daemon: Daemon) -> float:
    fields = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fill(folder: Path) -> Path:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


def assert_no_gap(subscriber: Any) -> None:
    records = [validated(message) for message in subscriber.of("/prediction")]
    seqs = sorted({record["seq"] for record in records})
    assert seqs == list(range(len(seqs))), "a gap"


def said(daemon: Daemon, words: str) -> int:
    return sum(words in line for line in daemon.log.splitlines())


@pytest.mark.full
def test_a_full_disk(one_broker, run, small_disk):
    pages = Pages()
    with subscribed(one_broker) as subscriber:
        daemon = run(text_of(one_broker, pages, small_disk / "outbox.sqlite", 'max_size = "1MB"\n'))
        subscriber.wait_for(5, timeout_s=LONGEST_S)
        filler = fill(small_disk)
        one_broker.kill()
        wait_for(lambda: any(reason.startswith("outbox: ") for reason in pages.reasons()), lambda: daemon.log)
        before, began_s = resident_kib(daemon.process.pid), pages.decisions()
        wait_for(lambda: pages.decisions() > began_s + 60, lambda: daemon.log)
        assert pages.counter("outbox_in_memory") > 0
        assert resident_kib(daemon.process.pid) - before < 8 * 1024
        assert said(daemon, "degraded: outbox: ") == 1, daemon.log
        assert pages.health()["stalled"] == []
        filler.unlink()
        wait_for(lambda: pages.reasons() == ["no broker"], lambda: daemon.log)
        assert pages.counter("outbox_in_memory") == 0
        one_broker.start()
        wait_for(lambda: "all is well again" in daemon.log, lambda: (pages.reasons(), pages.health(), daemon.log))
        assert daemon.end() == 0, daemon.log
        assert said(daemon, "degraded: outbox: ") == 1, daemon.log
    assert daemon.process.returncode == 0


def test_a_small_disk_holds_the_file_and_its_log(small_disk):
    """A log that may become larger than the disk fills it, and nothing can fold it into the file then."""
    with contextlib.closing(DurableOutbox(small_disk / "outbox.db", max_bytes=1_000_000)) as outbox:
        for window in range(3000):
            outbox.put(make_prediction(window))
            assert outbox.degraded is None
        assert outbox.stats()["dropped"]["overwritten"] > 0


def test_what_waits_in_memory_goes_to_a_small_disk_as_soon_as_it_has_room(small_disk):
    """Three times as much as the file holds, behind a log that could not be folded while the disk was full."""
    now_s = [1000.0]
    with contextlib.closing(
        DurableOutbox(small_disk / "outbox.db", max_bytes=1_000_000, clock=lambda: now_s[0])
    ) as outbox:
        for window in range(200):
            outbox.put(make_prediction(window))
        filler = fill(small_disk)
        for window in range(200, 3200):
            outbox.put(make_prediction(window))
        assert outbox.stats()["in_memory"] > 2900
        filler.unlink()
        now_s[0] += 11.0
        assert outbox.put(make_prediction(3200)) == 3200
        stats = outbox.stats()
        assert (stats["degraded"], stats["in_memory"], stats["accepted"]) == (None, 0, 3201)
        assert stats["pending"] + stats["dropped"]["overwritten"] == 3201
        newest = [item.prediction.seq for item in outbox.next_batch(4000)]
        assert newest == list(range(3201 - len(newest), 3201))
    with contextlib.closing(DurableOutbox(small_disk / "outbox.db", max_bytes=1_000_000)) as outbox:
        assert outbox.stats()["pending"] == len(newest)


def test_what_was_settled_while_a_small_disk_was_full_leaves_the_file_as_soon_as_it_has_room(small_disk):
    now_s = [1000.0]
    path, options = small_disk / "outbox.db", {"max_bytes": 1_000_000, "clock": lambda: now_s[0]}
    with contextlib.closing(DurableOutbox(path, **options)) as outbox:
        for window in range(1500):
            outbox.put(make_prediction(window))
        filler = fill(small_disk)
        for window in range(1500, 2100):
            outbox.put(make_prediction(window))
        assert "full" in outbox.degraded
        while batch := outbox.next_batch(20):
            outbox.ack([item.id for item in batch])
        filler.unlink()
        now_s[0] += 11.0
        outbox.put(make_prediction(2100))
        stats = outbox.stats()
        assert (stats["degraded"], stats["in_memory"], stats["pending"]) == (None, 0, 1)
        assert stats["accepted"] == 2101 == stats["acknowledged"] + stats["dropped"]["overwritten"] + 1
    with contextlib.closing(DurableOutbox(path, **options)) as outbox:
        assert [item.prediction.seq for item in outbox.next_batch(20)] == [2100]


def test_numbers_go_on_from_a_file_on_a_read_only_disk(small_disk):
    with contextlib.closing(DurableOutbox(small_disk / "outbox.db")) as outbox:
        assert [outbox.put(make_prediction(window)) for window in range(10)] == list(range(10))
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with contextlib.closing(DurableOutbox(small_disk / "outbox.db")) as outbox:
        assert outbox.put(make_prediction(0)) == 10
        assert outbox.degraded is not None
        assert outbox.note is None


def test_numbers_go_on_from_a_file_on_a_full_disk(small_disk):
    with contextlib.closing(DurableOutbox(small_disk / "outbox.db")) as outbox:
        assert [outbox.put(make_prediction(window)) for window in range(10)] == list(range(10))
    filler = fill(small_disk)
    now_s = [boot_clock()]
    with contextlib.closing(DurableOutbox(small_disk / "outbox.db", clock=lambda: now_s[0])) as outbox:
        assert [outbox.put(make_prediction(window)) for window in range(3)] == [10, 11, 12]
        assert "full" in outbox.degraded
        filler.unlink()
        now_s[0] += 11.0
        assert outbox.put(make_prediction(3)) == 13
        assert (outbox.degraded, outbox.note) == (None, None)
        assert [item.prediction.seq for item in outbox.next_batch(20)] == list(range(14))


@pytest.mark.parametrize(
    ("megabytes", "name", "room"),
    [(1, "other", "1.6"), (4, "other", "1.6"), (1, "outbox.sqlite", None), (1, "outbox.sqlite-wal", None)],
)
def test_a_disk_without_room_for_the_file_and_its_log_is_told_before(
    one_broker, small_disk, tmp_path, megabytes, name, room
):
    """By `--check`: of 2.6 MB a megabyte is taken, and what the file itself has taken is its own."""
    (small_disk / name).write_bytes(bytes(1 << 20))
    path = tmp_path / "config.toml"
    path.write_text(
        text_of(one_broker, Pages(), small_disk / "outbox.sqlite", f'max_size = "{megabytes}MB"\n'), encoding="utf-8"
    )
    command = [sys.executable, "-m", "edgesnn", "run", "-c", str(path), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"warning: outbox: .* has room for ([\d.]+) MB", done.stderr) == ([room] if room else [])


@pytest.mark.full
def test_a_full_disk_costs_no_prediction(one_broker, run, small_disk):
    """The broker stays: what only memory holds is delivered all the same, and everything after."""
    pages = Pages()
    with subscribed(one_broker) as subscriber:
        fill(small_disk)
        daemon = run(text_of(one_broker, pages, small_disk / "outbox.sqlite", 'max_size = "1MB"\n'))
        subscriber.wait_for(20, timeout_s=LONGEST_S)
        assert [reason.split(":")[0] for reason in pages.reasons()] == ["outbox"]
        (small_disk / "filler").unlink()
        wait_for(lambda: pages.reasons() == [], lambda: daemon.log)
        subscriber.wait_for(len(subscriber.of("/prediction")) + 5, timeout_s=LONGEST_S)
        assert daemon.end() == 0, daemon.log
        assert said(daemon, "degraded: outbox: ") == 1, daemon.log
        assert_no_gap(subscriber)


@pytest.mark.full
def test_a_read_only_disk(one_broker, run, small_disk):
    pages = Pages()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with subscribed(one_broker) as subscriber:
        daemon = run(text_of(one_broker, pages, small_disk / "outbox.sqlite", 'max_size = "1MB"\n'))
        subscriber.wait_for(20, timeout_s=LONGEST_S)
        (reason,) = pages.reasons()
        assert re.match(r"outbox: .*[Rr]ead-only", reason)
        subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
        wait_for(lambda: pages.reasons() == [], lambda: daemon.log)
        assert (small_disk / "outbox.sqlite").exists()
        assert daemon.end() == 0, daemon.log
        assert said(daemon, "degraded: outbox: ") == 1, daemon.log
        assert_no_gap(subscriber)


def damage(path: Path) -> None:
    with path.open("r+b", buffering=0) as file:
        for at in range(0, path.stat().st_size, 512):
            file.seek(at)
            file.write(os.urandom(100))


@pytest.mark.full
@pytest.mark.parametrize("how", ["file", "file and log", "removed", "folder removed", "replaced"])
def test_an_outbox_that_is_damaged_or_removed_while_it_is_used(how, one_broker, run, tmp_path):
    pages, folder = Pages(), tmp_path / "state"
    path = folder / "outbox.sqlite"
    with subscribed(one_broker) as subscriber:
        daemon = run(text_of(one_broker, pages, path))
        subscriber.wait_for(5, timeout_s=LONGEST_S)
        one_broker.kill()
        waiting = "outbox_pending"
        wait_for(lambda: pages.counter(waiting) > 8, lambda: daemon.log)
        if how == "folder removed":
            shutil.rmtree(folder)
        elif how == "removed":
            path.unlink()
        elif how == "replaced":
            other = tmp_path / "other"
            other.write_bytes(os.urandom(50_000))
            os.replace(other, path)
        else:
            damage(path)
            if how == "file and log":
                damage(Path(f"{path}-wal"))
        began = pages.decisions()
        wait_for(lambda: pages.decisions() > began + 20, lambda: daemon.log)
        before = len(subscriber.of("/prediction"))
        one_broker.start()
        wait_for(lambda: len(subscriber.of("/prediction")) > before + 20, lambda: daemon.log)
        wait_for(lambda: pages.reasons() == [], lambda: daemon.log)
        assert daemon.end() == 0, daemon.log
    assert said(daemon, "degraded: outbox: ") <= 1, daemon.log
    assert said(daemon, "a new file was begun") <= 1, daemon.log
    if "removed" in how or how == "replaced":
        assert said(daemon, "a new file was begun") == 1, daemon.log
    assert "this is a fault" not in daemon.log


def powerless() -> list[str]:
    """Return what to begin a command with so that it may not write where others alone may."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("setpriv is not here to take root's power over files away")
    return [setpriv, "--bounding-set", "-dac_override,-dac_read_search"]


@pytest.mark.full
def test_a_folder_that_is_not_ours(one_broker, tmp_path):
    """Predictions go out all the same, and the log says once what is wrong; with the permission all is well."""
    pages, folder, prefix = Pages(), tmp_path / "state", powerless()
    folder.mkdir(mode=0o500)
    if prefix:
        os.chown(folder, 65534, 65534)
    (tmp_path / "config.toml").write_text(text_of(one_broker, pages, folder / "outbox.sqlite"))
    with subscribed(one_broker) as subscriber:
        daemon = Daemon(tmp_path / "config.toml", prefix=prefix)
        try:
            subscriber.wait_for(3, timeout_s=LONGEST_S)
            wait_for(lambda: any("ermission denied" in reason for reason in pages.reasons()), lambda: daemon.log)
            folder.chmod(0o777)
            wait_for(lambda: pages.reasons() == [], lambda: daemon.log)
            assert daemon.end() == 0, daemon.log
        finally:
            daemon.process.kill()
            daemon.process.wait()
        assert said(daemon, "degraded: outbox: ") == 1, daemon.log
        assert_no_gap(subscriber)


@pytest.mark.full
def test_without_descriptors(one_broker, run):
    """None is left while the broker dies and comes back: nothing turns, and all comes back with the descriptors."""
    pages = Pages()
    with subscribed(one_broker) as subscriber:
        daemon = run(text_of(one_broker, pages))
        pid = daemon.process.pid
        subscriber.wait_for(5, timeout_s=LONGEST_S)
        used = max(map(int, os.listdir(f"/proc/{pid}/fd"))) + 1
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]))
        one_broker.kill()
        one_broker.start()
        began_s, busy_s, before = time.monotonic(), cpu_s(daemon), resident_kib(pid)
        time.sleep(6.0)
        share = (cpu_s(daemon) - busy_s) / (time.monotonic() - began_s)
        assert daemon.process.poll() is None, daemon.log
        assert resident_kib(pid) - before < 8 * 1024
        assert len(os.listdir(f"/proc/{pid}/fd")) <= used
        assert share < 0.6
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (1024, 1024))
        wait_for(lambda: pages.health()["health"] == "ok", lambda: daemon.log)
        wait_for(lambda: len(subscriber.of("/prediction")) > 60, lambda: daemon.log)
        assert daemon.end() == 0, daemon.log
        assert_no_gap(subscriber)
    assert len(daemon.log.splitlines()) < 15, daemon.log
    assert "this is a fault" not in daemon.log
