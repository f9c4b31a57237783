"""A process that is killed while it puts and sends: nothing that was accepted is lost, and the accounts balance."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from edgesnn.publish.outbox_durable import DurableOutbox

ROOT = Path(__file__).resolve().parents[2]
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(1, 20))]
KILLS = 3

# Says "put SEQ" after each put that returned and "ack SEQ" before each acknowledgement, as a broker would know it.
CHILD = """
import os, random, sys
from edgesnn.publish.outbox_durable import DurableOutbox
from tests.outbox_files import number
from tests.predictions import make_prediction
path, seed, durability = sys.argv[1:]
rng = random.Random(seed)
outbox = DurableOutbox(path, durability=durability, number=number)
say = lambda *words: os.write(1, (" ".join(map(str, words)) + "\\n").encode())
say("up")
while True:
    for seq in outbox.put_many([make_prediction(0) for _ in range(rng.randint(1, 8))]):
        say("put", seq)
    batch = outbox.next_batch(rng.randint(0, 10))
    for item in batch:
        say("ack", item.prediction.seq, int(item.prediction.late))
    outbox.ack([item.id for item in batch])
    if rng.random() < 0.1:
        outbox.rewind()
"""


@pytest.mark.parametrize("durability", ["process", "power"])
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_accepted_is_lost_and_duplicates_are_those_of_the_last_batch(tmp_path, seed, durability):
    path = tmp_path / "outbox.db"
    rng = random.Random(seed)
    accepted: set[int] = set()
    sent: list[int] = []
    for kill in range(KILLS):
        lines = killed(path, f"{seed}-{kill}", durability, after_s=rng.uniform(0.0, 0.6))
        put = [int(words[1]) for words in lines if words[0] == "put"]
        before = max(accepted, default=-1)
        assert put == list(range(put[0], put[0] + len(put)))
        assert before < put[0] <= before + 9, "numbers go on; at most one call of put was not told"
        accepted.update(range(before + 1, put[-1] + 1))
        new = [int(words[1]) for words in lines if words[0] == "ack"]
        late = {int(words[1]) for words in lines if words[0] == "ack" and words[2] == "1"}
        assert new == sorted(new), "in order, each at most once"
        assert {seq for seq in new if seq <= before} <= late
        sent += new
    assert len(sent) - len(set(sent)) <= 10 * KILLS
    assert_balanced(path)
    left = [item.prediction.seq for item in DurableOutbox(path).next_batch(100_000)]
    assert left == sorted(left)
    assert accepted <= set(sent) | set(left)


def killed(path: Path, seed: str, durability: str, after_s: float) -> list[list[str]]:
    """Return what the child said until it was killed."""
    command = [sys.executable, "-c", CHILD, str(path), seed, durability]
    log = path.with_suffix(".log")
    with log.open("wb") as out, subprocess.Popen(command, cwd=ROOT, stdout=out) as child:
        while b"put 1" not in log.read_bytes() and log.read_bytes().count(b"put") < 2:
            assert child.poll() is None
            time.sleep(0.005)
        time.sleep(after_s)
        child.kill()
    text = log.read_text()
    return [line.split() for line in text[: text.rfind("\n") + 1].splitlines()]


def assert_balanced(path: Path) -> None:
    """Read the accounts and count the rows with nothing but SQLite."""
    with closing(sqlite3.connect(path)) as db:
        accounts = dict(db.execute("SELECT name, count FROM account"))
        (rows,) = db.execute("SELECT count(*) FROM prediction").fetchone()
    assert accounts.pop("accepted") == sum(accounts.values()) + rows
