"""Outbox files that are damaged, newer, somebody else's or locked, and disks that are full or cannot be written."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from edgesnn.errors import PublishError, UsageError
from edgesnn.publish.outbox_durable import DurableOutbox
from edgesnn.publish.outbox_file import KEPT_ASIDE, VERSION, OutboxFile
from tests.predictions import BOOT, NODE, make_prediction

ROOT = Path(__file__).resolve().parents[2]


STARTED = time.monotonic()


def since_import() -> float:
    """A clock that is not far from those of the tests, however long the machine has been up."""
    return time.monotonic() - STARTED


def number(prediction, seq):
    return prediction.numbered(node=NODE, boot_id=BOOT, seq=seq, ts="2026-01-01T00:00:00.000Z")


def opened(path: Path, **options) -> DurableOutbox:
    return DurableOutbox(path, number=number, **{"clock": since_import, **options})


def filled(path: Path, count: int) -> Path:
    outbox = opened(path)
    outbox.put_many([make_prediction(window) for window in range(count)])
    outbox.close()
    return path


def seqs(outbox: DurableOutbox) -> list[int]:
    outbox.rewind()
    return [item.prediction.seq for item in outbox.next_batch(100_000)]


def balanced(outbox: DurableOutbox) -> dict:
    stats = outbox.stats()
    assert stats["accepted"] == stats["acknowledged"] + sum(stats["dropped"].values()) + stats["pending"]
    return stats


def asides(path: Path) -> list[Path]:
    return sorted(name for name in path.parent.glob(f"{path.name}.aside-*") if not name.name.endswith("-wal"))


def test_only_its_owner_may_read_the_file(tmp_path):
    path = filled(tmp_path / "deep" / "outbox.db", 1)
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_an_earlier_process_accepted_comes_first_and_late(tmp_path):
    outbox = opened(filled(tmp_path / "outbox.db", 3))
    assert outbox.next_seq("main") == 3
    assert outbox.put(make_prediction(3)) == 3
    batch = outbox.next_batch(9)
    assert [(item.prediction.seq, item.prediction.late) for item in batch] == [
        (0, True),
        (1, True),
        (2, True),
        (3, False),
    ]
    assert outbox.stats()["resent"] == 0


@pytest.mark.parametrize(
    ("wall_s", "expired"),
    [(1_800_000_000.0 + 50, 1), (1_800_000_000.0 + 30, 0), (1_800_000_000.0 - 3600, 0), (30.0, 0)],
    ids=["too old", "young", "the clock went back", "1970"],
)
def test_after_a_reboot_the_wall_clock_tells_the_age_where_it_can(tmp_path, wall_s, expired):
    path = tmp_path / "outbox.db"
    before = opened(path, clock=lambda: 500.0, wall=lambda: 1_800_000_000.0, boot=lambda: "first")
    before.put(make_prediction(0))
    before.close()
    after = opened(path, clock=lambda: 10.0, wall=lambda: wall_s, boot=lambda: "second", max_age_s=40.0)
    after.next_batch(1)
    assert after.stats()["dropped"]["expired"] == expired


@pytest.mark.parametrize("wall_s", [1_800_003_600.0, 0.0, 1_900_000_000.0])
def test_a_wall_clock_that_is_set_ages_nothing_of_this_boot(tmp_path, wall_s):
    path = tmp_path / "outbox.db"
    before = opened(path, clock=lambda: 500.0, wall=lambda: 1_800_000_000.0)
    before.put(make_prediction(0))
    before.close()
    after = opened(path, clock=lambda: 530.0, wall=lambda: wall_s, max_age_s=40.0)
    assert after.stats()["oldest_s"] == 30.0
    assert len(after.next_batch(9)) == 1


def test_a_second_process_is_refused_and_the_first_goes_on(tmp_path):
    path = tmp_path / "outbox.db"
    outbox = opened(path)
    script = "import sys; from edgesnn.publish.outbox_durable import *; DurableOutbox(sys.argv[1])"
    other = subprocess.run([sys.executable, "-c", script, str(path)], cwd=ROOT, capture_output=True, text=True)
    assert other.returncode == 1
    assert f"PublishError: {path}: another process has this outbox open" in other.stderr
    assert asides(path) == []
    assert outbox.put(make_prediction(0)) == 0
    outbox.close()
    assert seqs(opened(path)) == [0]


def test_a_file_of_a_newer_version_is_set_aside_whole(tmp_path):
    path = filled(tmp_path / "outbox.db", 2)
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    content = path.read_bytes()
    outbox = opened(path)
    assert f"version {VERSION + 1}, newer than version {VERSION}" in outbox.stats()["note"]
    assert [name.read_bytes() for name in asides(path)] == [content]
    assert outbox.put(make_prediction(0)) == 0
    assert outbox.stats()["degraded"] is None


@pytest.mark.parametrize("application", [0, 7])
def test_another_programs_database_is_refused_and_left_alone(tmp_path, application):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE precious (x)")
        db.execute(f"PRAGMA application_id = {application}")
    db.close()
    content = path.read_bytes()
    with pytest.raises(PublishError, match="belongs to another program"):
        opened(path)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\x00", b"\0" * 9000, b"garbage " * 5000])
def test_a_file_that_is_no_database_is_set_aside(tmp_path, content):
    path = tmp_path / "outbox.db"
    path.write_bytes(content)
    outbox = opened(path)
    assert outbox.put(make_prediction(0)) == 0
    assert balanced(outbox)["degraded"] is None
    outbox.close()
    assert [name.read_bytes() for name in asides(path)] == ([content] if content else [])
    assert seqs(opened(path)) == [0]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE prediction SET id = 9223372036854775807 WHERE id = 2",
        "UPDATE prediction SET id = -5 WHERE id = 1",
        "UPDATE stream SET next_seq = 9223372036854775807",
        "UPDATE stream SET next_seq = -1",
        "UPDATE account SET count = 'many'",
        "DROP TABLE stream",
        "ALTER TABLE prediction RENAME COLUMN crc32 TO crc",
        "CREATE TRIGGER greedy AFTER INSERT ON prediction BEGIN DELETE FROM prediction; END",
    ],
)
def test_numbers_and_tables_that_cannot_be_are_set_aside(tmp_path, change):
    path = filled(tmp_path / "outbox.db", 2)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(change)
    outbox = opened(path)
    assert outbox.put(make_prediction(0)) == 0
    assert [item.prediction.seq for item in outbox.next_batch(9)] == [0]
    assert balanced(outbox)["degraded"] is None
    assert len(asides(path)) == 1


@pytest.mark.parametrize(
    ("change", "accepted", "damaged"),
    [
        ("UPDATE prediction SET payload = '{}' WHERE id = 1", 3, 1),
        ("UPDATE prediction SET payload = 7 WHERE id = 1", 3, 1),
        ("UPDATE prediction SET clock_s = 'noon' WHERE id = 1", 3, 1),
        ("DELETE FROM prediction WHERE id = 1", 3, 1),
        ("UPDATE account SET count = 0", 3, 0),
        ("DELETE FROM account", 3, 0),
        ("DELETE FROM run", 3, 0),
    ],
)
def test_what_is_missing_or_wrong_is_counted(tmp_path, change, accepted, damaged):
    path = filled(tmp_path / "outbox.db", 3)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(change)
    outbox = opened(path)
    left = [item.prediction.seq for item in outbox.next_batch(9)]
    assert left == [0, 1, 2][damaged:]
    stats = balanced(outbox)
    assert (stats["accepted"], stats["dropped"]["damaged"], stats["note"]) == (accepted, damaged, None)


@pytest.mark.parametrize("offset", [18, 19, 47, 60, 68, 100], ids=lambda offset: f"byte {offset}")
def test_a_header_that_cannot_be_is_set_aside(tmp_path, offset):
    path = filled(tmp_path / "outbox.db", 2)
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\x77")
    outbox = opened(path)
    assert outbox.put(make_prediction(0)) == 0
    assert balanced(outbox)["degraded"] is None
    assert len(asides(path)) == 1


def test_no_more_than_a_few_damaged_files_are_kept(tmp_path):
    path = tmp_path / "outbox.db"
    for number in range(KEPT_ASIDE + 3):
        path.write_bytes(b"garbage %d " % number * 1000)
        opened(path).close()
    assert len(asides(path)) == KEPT_ASIDE


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(2, 20))])
def test_bytes_that_change_at_random_never_stop_it_nor_pass_for_predictions(tmp_path, seed):
    rng = random.Random(seed)
    original = filled(tmp_path / "original.db", 300)
    true = {item.prediction.seq: item.prediction for item in opened(original).next_batch(300)}
    for case in range(15):
        path = tmp_path / f"{case}.db"
        shutil.copy(original, path)
        data = bytearray(path.read_bytes())
        for _ in range(rng.choice([1, 5, 50])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data[: rng.choice([len(data), rng.randrange(len(data))])])
        outbox = opened(path)
        taken = {item.prediction.seq: item.prediction for item in outbox.next_batch(1000)}
        assert all(true.get(seq) == prediction for seq, prediction in taken.items())
        outbox.put(make_prediction(1000))
        stats = balanced(outbox)
        assert stats["degraded"] is None
        assert len(taken) == 300 or stats["note"] or stats["dropped"]["damaged"]
        outbox.close()
        path.unlink()


def test_a_file_that_breaks_while_it_is_open_is_replaced_and_what_is_lost_is_counted(tmp_path):
    path = tmp_path / "outbox.db"
    outbox = opened(path, max_bytes=1 << 20)
    outbox.put_many([make_prediction(window) for window in range(200)])
    (first,) = outbox.next_batch(1)
    outbox._file._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    outbox._file._db.execute("PRAGMA shrink_memory")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    outbox.rewind()
    while outbox.stats()["note"] is None:
        outbox.next_batch(10)
        outbox.put(make_prediction(0))
    stats = balanced(outbox)
    assert stats["dropped"]["damaged"] > 100
    assert outbox.put(make_prediction(0)) == stats["accepted"]
    outbox.ack([first.id])
    outbox.close()
    assert balanced(opened(path))["pending"] >= 1


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
from tests.attacks.test_outbox_files import balanced, make_prediction, number, seqs
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


@pytest.mark.parametrize("options", [{"durability": "eternal"}, {"max_bytes": 1000}, {"memory": 0}])
def test_wrong_options_are_refused(tmp_path, options):
    with pytest.raises(UsageError):
        opened(tmp_path / "outbox.db", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_closed_outbox_takes_nothing(tmp_path):
    outbox = opened(tmp_path / "outbox.db")
    outbox.close()
    outbox.close()
    with pytest.raises(PublishError, match="the outbox is closed"):
        outbox.put(make_prediction(0))
