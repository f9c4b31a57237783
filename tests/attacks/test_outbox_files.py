"""Outbox files that are damaged, newer, somebody else's or locked; disks that fail: `test_outbox_disks.py`."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from edgesnn.errors import PublishError, UsageError
from edgesnn.publish.outbox_file import KEPT_ASIDE, VERSION
from tests.outbox_files import asides, balanced, filled, opened, seqs
from tests.predictions import make_prediction

ROOT = Path(__file__).resolve().parents[2]


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
