"""An outbox file of version 1 is read as `docs/outbox.md` says, and what is written is what that page says."""

from __future__ import annotations

import json
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from edgesnn.publish.outbox_durable import DurableOutbox
from tests.predictions import BOOT, NODE, make_prediction

BOOT_OF_FILE = "5b6f2f2e-0000-4000-8000-000000000001"


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "outbox.db"
    script = Path(__file__).with_name("v1") / "outbox.sql"
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(script.read_text(encoding="utf-8"))
    return path


def opened(path: Path, boot: str) -> DurableOutbox:
    return DurableOutbox(path, clock=lambda: 1100.5, wall=lambda: 1795694500.0, boot=lambda: boot)


@pytest.mark.parametrize(("boot", "oldest_s"), [(BOOT_OF_FILE, 100.0), ("another", 99.75)])
def test_a_file_of_version_1_is_read(file, boot, oldest_s):
    outbox = opened(file, boot)
    assert outbox.stats() | {"size_bytes": 0} == {
        "accepted": 12,
        "acknowledged": 5,
        "rejected": 0,
        "resent": 0,
        "dropped": {"overwritten": 1, "expired": 2, "no_subscriber": 1, "damaged": 0},
        "pending": 3,
        "oldest_s": oldest_s,
        "in_memory": 0,
        "degraded": None,
        "note": None,
        "size_bytes": 0,
    }
    items = outbox.next_batch(9)
    assert [(item.prediction.stream, item.prediction.seq, item.prediction.label) for item in items] == [
        ("gate", 7, "hand clap"),
        ("door", 2, None),
        ("gate", 8, "arm roll"),
    ]
    assert {item.prediction.boot_id for item in items} == {"00000000000000aa"}
    assert all(item.prediction.late for item in items)
    assert [outbox.next_seq(name) for name in ("gate", "door", "new")] == [9, 3, 0]


def test_what_is_written_is_version_1(file):
    outbox = opened(file, "another")
    numbered = make_prediction(5, stream="gate").numbered(node=NODE, boot_id=BOOT, seq=9, ts="2026-11-26T12:01:00.000Z")
    outbox.put(numbered)
    outbox.ack([outbox.next_batch(1)[0].id])
    outbox.close()
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert db.execute("PRAGMA application_id").fetchone() == (0x6564736E,)
        *_, (key, run, clock_s, wall_s, crc32, payload) = db.execute("SELECT * FROM prediction ORDER BY id")
        assert (key, clock_s, wall_s) == (24, 1100.5, 1795694500.0)
        assert crc32 == zlib.crc32(payload)
        assert json.loads(payload) == json.loads(numbered.to_json())
        assert db.execute("SELECT boot FROM run WHERE id = ?", (run,)).fetchone() == ("another",)
        assert dict(db.execute("SELECT * FROM stream")) == {"gate": 10, "door": 3}
        accounts = dict(db.execute("SELECT * FROM account"))
    assert accounts["accepted"] == 13
    assert accounts["acknowledged"] == 6
