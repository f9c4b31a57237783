"""Disks of an outbox that are full, cannot be written, fail, or lose the file; and how much of one it takes."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from edgesnn.errors import PublishError
from edgesnn.publish.outbox_file import OutboxFile
from tests.outbox_files import asides, balanced, filled, opened, seqs
from tests.predictions import make_prediction

ROOT = Path(__file__).resolve().parents[2]


def test_a_folder_that_cannot_be_written_leaves_memory_and_says_so(tmp_path):
    """The folder's name is a file's, so that root, too, cannot write there."""
    blocker = tmp_path / "file"
    blocker.write_text("")
    path = blocker / "outbox.db"
    now = [0.0]
    outbox = opened(path, memory=3, clock=lambda: now[0])
    assert [outbox.put(make_prediction(window)) for window in range(5)] == [0, 1, 2, 3, 4]
    stats = balanced(outbox)
    assert "Not a directory" in stats["degraded"] or "File exists" in stats["degraded"]
    assert (stats["in_memory"], stats["dropped"]["overwritten"], stats["size_bytes"]) == (3, 2, None)
    out = outbox.next_batch(2)
    assert [item.prediction.seq for item in out] == [2, 3]
    handed_out = [item.id for item in out]  # these change when the file is there
    blocker.unlink()
    filled(path, 4)  # what an earlier process had left there
    now[0] += 60
    assert outbox.put(make_prediction(5)) == 5
    assert balanced(outbox)["degraded"] is None
    outbox.ack(handed_out)
    assert balanced(outbox)["pending"] == 6
    assert seqs(outbox) == [0, 1, 2, 3, 4, 5]
    outbox.close()
    assert seqs(opened(path)) == [0, 1, 2, 3, 4, 5]


def test_rows_that_vanish_while_the_file_is_closed_are_counted(tmp_path, monkeypatch):
    path = tmp_path / "outbox.db"
    now = [0.0]
    outbox = opened(path, clock=lambda: now[0])
    outbox.put_many([make_prediction(window) for window in range(5)])
    with monkeypatch.context() as patch:
        patch.setattr(OutboxFile, "after", raise_io_error)
        assert outbox.next_batch(1) == []
    assert balanced(outbox)["degraded"] == "disk I/O error"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM prediction WHERE id IN (1, 3)")
    now[0] += 60
    assert [item.prediction.seq for item in outbox.next_batch(9)] == [1, 3, 4]
    stats = balanced(outbox)
    assert (stats["degraded"], stats["pending"], stats["dropped"]["damaged"]) == (None, 3, 2)


def raise_io_error(*_: object, **_options: object) -> list[object]:
    raise sqlite3.OperationalError("disk I/O error")


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_somebody_removes_is_begun_anew(tmp_path, replaced):
    path = tmp_path / "outbox.db"
    now = [0.0]
    outbox = opened(path, clock=lambda: now[0])
    outbox.put_many([make_prediction(window) for window in range(5)])
    (first, second) = outbox.next_batch(2)
    outbox.ack([first.id])
    for name in tmp_path.iterdir():
        name.unlink()
    if replaced:
        filled(path, 9)
    now[0] += 2
    assert outbox.put(make_prediction(5)) == 5
    stats = balanced(outbox)
    assert (stats["degraded"], stats["pending"], stats["dropped"]["damaged"]) == (None, 2, 3)
    assert "somebody removed it" in stats["note"]
    assert len(asides(path)) == replaced
    outbox.ack([second.id])  # it was on its way, and so in memory
    outbox.close()
    assert seqs(opened(path)) == [5]


@pytest.mark.parametrize("left", ["closed", "killed"])
def test_numbers_go_on_where_the_file_cannot_be_written_at_the_start(tmp_path, monkeypatch, left):
    """Those that only the log of a killed process has, too."""
    path = tmp_path / "outbox.db"
    if left == "closed":
        filled(path, 10)
    else:
        outbox = opened(tmp_path / "running.db")
        outbox.put_many([make_prediction(window) for window in range(10)])
        for suffix in ("", "-wal"):
            shutil.copy(tmp_path / f"running.db{suffix}", f"{path}{suffix}")
    now = [0.0]
    with monkeypatch.context() as patch:
        patch.setattr(OutboxFile, "_begin_run", raise_io_error)
        outbox = opened(path, clock=lambda: now[0])
        assert [outbox.put(make_prediction(window)) for window in range(3)] == [10, 11, 12]
        assert balanced(outbox)["degraded"] == "disk I/O error"
    now[0] += 60
    assert outbox.put(make_prediction(3)) == 13
    assert outbox.note is None
    assert seqs(outbox) == list(range(14))
    balanced(outbox)


def test_numbers_that_cannot_be_read_begin_at_0_which_is_told_and_go_on_from_the_higher(tmp_path, monkeypatch):
    path = filled(tmp_path / "outbox.db", 10)
    now = [0.0]
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", raise_io_error)
        outbox = opened(path, clock=lambda: now[0])
        assert [outbox.put(make_prediction(window)) for window in range(3)] == [0, 1, 2]
        assert outbox.note == f"{path}: disk I/O error; numbers begin at 0, since those in the file cannot be read"
    now[0] += 60
    assert outbox.put(make_prediction(3)) == 10
    assert seqs(outbox) == [*range(10), 0, 1, 2, 10]
    assert "numbers begin at 0" in balanced(outbox)["note"]
    outbox.close()
    assert opened(path).put(make_prediction(4)) == 11


def test_a_disk_that_fails_again_and_again_is_tried_less_and_less_often(tmp_path, monkeypatch):
    now, tries = [0.0], []

    def fails(*_: object, **__: object) -> list[int]:
        tries.append(now[0])
        raise sqlite3.OperationalError("database or disk is full")

    outbox = opened(tmp_path / "outbox.db", clock=lambda: now[0])
    monkeypatch.setattr(OutboxFile, "write", fails)
    for _ in range(600):
        outbox.put(make_prediction(0))
        now[0] += 0.1
    assert 6 <= len(tries) <= 12
    monkeypatch.undo()
    now[0] += 11
    assert [item.prediction.seq for item in outbox.next_batch(1000)] == list(range(600))
    assert balanced(outbox)["degraded"] is None


FILL = """
import json, resource, signal, sys
from edgesnn.publish.outbox_durable import DurableOutbox
from tests.outbox_files import balanced, number, seqs
from tests.predictions import make_prediction
now = [0.0]
outbox = DurableOutbox(sys.argv[1], number=number, clock=lambda: now[0], memory=500)
for window in range(200):
    outbox.put(make_prediction(window))
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
while outbox.stats()["degraded"] is None:
    outbox.put(make_prediction(window := window + 1))
for window in range(window + 1, window + 101):
    outbox.put(make_prediction(window))
out = outbox.next_batch(50)
outbox.ack([item.id for item in out])
told = balanced(outbox)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
now[0] += 60
outbox.put(make_prediction(window + 1))
print(json.dumps([told, balanced(outbox), [item.prediction.seq for item in out], seqs(outbox)]))
"""


def test_a_file_that_may_not_grow_is_a_full_disk(tmp_path):
    path = tmp_path / "outbox.db"
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    told, after, taken, left = json.loads(done.stdout)
    assert told["degraded"]
    assert told["in_memory"] >= 100
    assert told["dropped"]["overwritten"] == 0
    assert (after["degraded"], after["in_memory"]) == (None, 0)
    assert sorted(taken + left) == list(range(after["accepted"]))
    assert left == sorted(left)
    assert seqs(opened(path)) == left


def test_a_full_disk_is_survived_and_left_by_itself(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "none", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"a file system of its own cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        now = [0.0]
        outbox = opened(folder / "outbox.db", clock=lambda: now[0], memory=5000)
        ballast = folder / "ballast"
        ballast.write_bytes(bytes(200_000))
        count = 0
        while outbox.stats()["degraded"] is None:
            assert outbox.put(make_prediction(count)) == count
            count += 1
        assert "full" in balanced(outbox)["degraded"]
        for window in range(50):
            assert outbox.put(make_prediction(window)) == count + window
        taken = outbox.next_batch(100)
        outbox.ack([item.id for item in taken])
        ballast.unlink()
        now[0] += 60
        outbox.put(make_prediction(0))
        assert balanced(outbox)["degraded"] is None
        assert sorted([item.prediction.seq for item in taken] + seqs(outbox)) == list(range(count + 51))
        outbox.close()
        assert len(seqs(opened(folder / "outbox.db"))) == count + 51 - len(taken)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("policy", ["overwrite_oldest", "reject_new"])
def test_the_file_stays_within_its_bytes(tmp_path, policy):
    path = tmp_path / "outbox.db"
    outbox = opened(path, max_bytes=1 << 18, policy=policy)
    refused = 0
    for window in range(2000):
        try:
            outbox.put(make_prediction(window, "x" * (window % 900)))
        except PublishError:
            refused += 1
        if window % 100 == 0:
            assert outbox.stats()["size_bytes"] <= 1 << 18
    stats = balanced(outbox)
    assert stats["degraded"] is None
    assert (refused > 1000) == (policy == "reject_new") == (stats["rejected"] > 1000)
    assert (stats["dropped"]["overwritten"] > 1000) == (policy == "overwrite_oldest")
    held = seqs(outbox)
    assert held == list(range(held[0], held[0] + stats["pending"]))
    outbox.close()
    assert path.stat().st_size <= 1 << 18
    assert not Path(f"{path}-wal").exists()
