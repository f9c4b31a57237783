"""After a return from a newer release: its outbox is set aside whole, and a way back to it stays."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edgesnn.publish.outbox_durable import DurableOutbox
from tests.predictions import make_prediction

NEWER = {
    "another version": "PRAGMA user_version = 2",
    "another version with tables of its own": "PRAGMA user_version = 2; CREATE TABLE batch (id INTEGER, first INTEGER)",
    "a column more": "PRAGMA user_version = 2; ALTER TABLE prediction ADD COLUMN codec INTEGER DEFAULT 1",
    "tables of its own, version 1": "CREATE TABLE batch (id INTEGER, first INTEGER)",
}


@pytest.mark.parametrize("change", NEWER.values(), ids=NEWER)
def test_it_is_set_aside_whole_and_can_be_had_back(tmp_path: Path, change: str) -> None:
    path = tmp_path / "outbox.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript((Path(__file__).with_name("v1") / "outbox.sql").read_text(encoding="utf-8"))
        db.executescript(change)
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT count(*) FROM prediction").fetchone()[0]
    content = path.read_bytes()

    outbox = DurableOutbox(path)
    (aside,) = tmp_path.glob("outbox.db.aside-*")
    assert aside.read_bytes() == content
    assert aside.name in outbox.stats()["note"]
    assert outbox.put(make_prediction(0)) == 0
    assert [item.prediction.seq for item in outbox.next_batch(9)] == [0]
    outbox.close()

    # the newer release again: what was set aside goes back to its place and is what it was
    path.unlink()
    aside.rename(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM prediction").fetchone()[0] == rows
