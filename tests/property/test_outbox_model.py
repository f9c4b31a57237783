"""Both outboxes against a plain list: the same predictions in the same order, late where they must be, all counted."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgesnn.errors import PublishError
from edgesnn.publish import outbox_store
from edgesnn.publish.outbox import LATE_AFTER_S, POLICIES, Outbox
from edgesnn.publish.outbox_durable import DurableOutbox
from edgesnn.publish.outbox_file import OutboxFile
from tests.predictions import BOOT, NODE, make_prediction

MAX_AGE_S = 9.0
STEP_S = 3.0
DOUBTFUL = "disk I/O error, but it was written"
FAULTS = {"full": "database or disk is full", "broken": "disk I/O error", "doubtful": DOUBTFUL}
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # no waiting for a disk: that is other tests' business


class FaultyFile(OutboxFile):
    """A file on a disk that fails when the test says so."""

    fault: str | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._check("open")
        super().__init__(*arguments, **options)

    def write(self, *arguments: Any, **options: Any) -> list[int]:
        if FaultyFile.fault != DOUBTFUL:
            self._check("write")
        return super().write(*arguments, **options)

    @contextmanager
    def _transaction(self, *arguments: Any) -> Iterator[sqlite3.Connection]:
        with super()._transaction(*arguments) as db:
            yield db
        if FaultyFile.fault == DOUBTFUL:
            self._check("commit")

    def after(self, *arguments: Any) -> list[Any]:
        if FaultyFile.fault == "disk I/O error":
            self._check("read")
        return super().after(*arguments)

    def _check(self, _what: str) -> None:
        if FaultyFile.fault:
            raise sqlite3.OperationalError(FaultyFile.fault)


@dataclass
class Held:
    seq: int
    accepted_at: float
    out: bool = False
    late: bool = False


@dataclass
class Model:
    """What an outbox is to hold, as a list."""

    capacity: int
    policy: str
    held: list[Held] = field(default_factory=list)
    seq: int = 0
    gone: int = 0
    highest: int = -1  # ever handed out

    def put(self, now: float) -> bool:
        self.expire(now)
        if len(self.held) >= self.capacity:
            if self.policy != "overwrite_oldest":
                return False
            self.held.remove(next((one for one in self.held if not one.out), self.held[0]))
            self.gone += 1
        self.held.append(Held(self.seq, now))
        self.seq += 1
        return True

    def next(self, n: int, now: float) -> list[tuple[int, bool]]:
        self.expire(now)
        batch = [one for one in self.held if not one.out][:n]
        for one in batch:
            one.late = one.late or one.seq <= self.highest or now - one.accepted_at > LATE_AFTER_S
            self.hand_out(one)
        return [(one.seq, one.late) for one in batch]

    def hand_out(self, one: Held) -> None:
        one.out = True
        self.highest = max(self.highest, one.seq)

    def settle(self, seqs: list[int]) -> None:
        self.gone += len(seqs)
        self.held = [one for one in self.held if one.seq not in seqs]

    def rewind(self, *, restart: bool = False) -> None:
        for one in self.held:
            one.out = False
            one.late = one.late or restart

    def expire(self, now: float) -> None:
        old = [one for one in self.held if not one.out and one.accepted_at < now - MAX_AGE_S]
        self.gone += len(old)
        self.held = [one for one in self.held if one not in old]


class Pair:
    """An outbox and its model, driven alike."""

    def __init__(self, folder: Path, kind: str, capacity: int, policy: str) -> None:
        self.now = 100.0
        self.kind, self.folder = kind, folder
        self.options = {"capacity": capacity, "policy": policy, "block_s": 0.0, "max_age_s": MAX_AGE_S}
        self.model = Model(capacity, policy)
        self.outbox = self.make()
        self.out: dict[int, int] = {}  # id by seq

    def make(self) -> Outbox:
        options: dict[str, Any] = {**self.options, "clock": lambda: self.now, "number": self.number}
        if self.kind == "memory":
            return Outbox(**options)
        return DurableOutbox(self.folder / "outbox.db", wall=lambda: 2e9 + self.now, **options)

    @staticmethod
    def number(prediction: Any, seq: int) -> Any:
        return prediction.numbered(node=NODE, boot_id=BOOT, seq=seq, ts="2026-01-01T00:00:00.000Z")

    def do(self, action: str) -> None:
        if action == "put":
            expected = self.model.seq
            if self.model.put(self.now):
                assert self.outbox.put(make_prediction(0)) == expected
            else:
                with pytest.raises(PublishError, match="full"):
                    self.outbox.put(make_prediction(0))
        elif action == "next":
            batch = self.outbox.next_batch(2)
            if isinstance(self.outbox, DurableOutbox) and self.outbox._file is None:  # what is in it cannot be had
                for seq in (item.prediction.seq for item in batch):
                    self.model.hand_out(next(one for one in self.model.held if one.seq == seq and not one.out))
            else:
                assert [(i.prediction.seq, i.prediction.late) for i in batch] == self.model.next(2, self.now)
            self.out.update((item.prediction.seq, item.id) for item in batch)
        elif action in ("ack", "drop"):
            self.settle(action)
        elif action == "rewind":
            self.outbox.rewind()
            self.model.rewind()
            self.out.clear()
        elif action == "age":
            self.now += STEP_S
        elif action == "restart" and self.kind == "durable":
            self.outbox.close()
            self.outbox = self.make()
            self.model.rewind(restart=True)
            self.out.clear()
        elif action in FAULTS:
            FaultyFile.fault = FAULTS[action]
        elif action == "mended":
            self.mend()

    def settle(self, action: str) -> None:
        out = {one.seq for one in self.model.held if one.out}
        seqs = sorted(out)[:1]
        ids = [self.out[seq] for seq in seqs]
        self.outbox.ack(ids) if action == "ack" else self.outbox.drop(ids, "no_subscriber")
        self.model.settle(seqs)

    def mend(self) -> None:
        FaultyFile.fault = None
        self.outbox._retry_at = float("-inf")  # not to wait for it

    def check(self) -> None:
        stats = self.outbox.stats()
        assert stats["pending"] == len(self.model.held)
        assert stats["accepted"] == self.model.seq
        assert stats["acknowledged"] + sum(stats["dropped"].values()) == self.model.gone
        oldest_s = self.now - min((one.accepted_at for one in self.model.held), default=self.now)
        assert stats["oldest_s"] == pytest.approx(oldest_s)

    def finish(self) -> None:
        self.do("restart")
        self.check()
        self.do("rewind")
        batch = self.outbox.next_batch(1000)
        assert [(i.prediction.seq, i.prediction.late) for i in batch] == self.model.next(1000, self.now)
        self.outbox.close()


ACTIONS = ["put", "put", "next", "ack", "rewind", "drop", "age", "restart"]


@pytest.mark.parametrize("kind", ["memory", "durable"])
@settings(max_examples=60)
@given(st.lists(st.sampled_from(ACTIONS), max_size=50), st.sampled_from(POLICIES), st.integers(1, 5))
def test_an_outbox_is_the_list_that_it_says_it_is(kind, actions, policy, capacity):
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        pair = Pair(Path(folder), kind, capacity, policy)
        for action in actions:
            pair.do(action)
            pair.check()
        pair.finish()


@settings(max_examples=80)
@given(st.lists(st.sampled_from([*ACTIONS[:6], *FAULTS, "mended"]), max_size=50), st.sampled_from(POLICIES))
@example(["doubtful", "put", "next"], "overwrite_oldest")
@example(["doubtful", "put", "broken"], "overwrite_oldest")
@example(["put", "broken", "put", "next", "mended", "next"], "overwrite_oldest")
def test_a_disk_that_fails_and_comes_back_costs_nothing(actions, policy):
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=MEMORY)))
        stack.enter_context(mock.patch.object(outbox_store, "OutboxFile", FaultyFile))
        stack.callback(setattr, FaultyFile, "fault", None)
        pair = Pair(folder, "durable", 1000, policy)
        for action in actions:
            pair.do(action)
            stats = pair.outbox.stats()
            assert stats["accepted"] == pair.model.seq
            assert stats["accepted"] == stats["acknowledged"] + sum(stats["dropped"].values()) + stats["pending"]
        pair.mend()
        pair.outbox.next_batch(0)
        assert pair.outbox.stats()["degraded"] is None
        pair.check()
        pair.finish()
