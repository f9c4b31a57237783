"""The outbox that outlives its process: predictions lie in a file until the broker has them (`docs/outbox.md`).

Where the disk does not take them (full, read-only, broken) they stay in memory, counted, and go to the file when it
takes them again: `outbox_store.py`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from edgesnn.errors import PublishError
from edgesnn.prediction import Prediction
from edgesnn.publish.outbox import LATE_AFTER_S, Item
from edgesnn.publish.outbox_store import LOWEST, SLICE, Failure, OutboxStore

CLOSE_S = 2.0
HANGS = "the disk hangs"
GROUP_S = 0.02  # with durability "power": one commit in this time


class DurableOutbox(OutboxStore):
    """An outbox in a file, oldest first, with the interface of `Outbox`. Thread-safe; one process a file.

    What `put` returned for is committed: it is handed out again after this process died, marked late. The accounts are
    the file's, over all processes; `rejected` and `resent` are this process's.

    Args:
        path: the file; a damaged one, or one of a newer version, is set aside under another name (`stats()["note"]`).
        durability: "process": survives the death of the process; "power": and of the machine.
        max_bytes: the most that the file takes.
        capacity: the most predictions held.
        memory: the most held in memory while the disk does not take them.
        policy, max_age_s, block_s, number: as `Outbox`.
        clock: seconds since the machine's boot; wall: since 1970; boot: names that boot. Tests replace them.

    Raises:
        PublishError: another process has the file open, or it is no outbox but another program's database.
    """

    _committed_at = float("-inf")

    def put(self, prediction: Prediction) -> int:
        """Accept a prediction and return its seq; it is committed, or counted as `in_memory`, when this returns."""
        with self._changed:
            self._ready()
            try:
                return self._stage(prediction)
            finally:
                self._commit_together()

    def put_many(self, predictions: Sequence[Prediction]) -> list[int | None]:
        """Accept predictions in order, together, and return their seqs; None for one that is refused."""
        with self._changed:
            self._ready()
            try:
                return [self._staged_or_refused(prediction) for prediction in predictions]
            finally:
                self._commit_together()

    def next_batch(self, n: int) -> list[Item]:
        """Hand out the oldest `n` predictions that are not on their way; each stays until `ack` or `rewind`.

        An item's prediction says `late` when it was handed out before, waited long, or is an earlier process's.
        """
        with self._changed:
            self._recover()
            batch: list[Item] = []
            while len(batch) < n and (found := self._read(n - len(batch), self._cursor)):
                self._cursor = found[-1].id
                batch += self._fresh([item for item in found if item.id not in self._on_the_way])
            self._on_the_way.update((item.id, item) for item in batch)
            for item in batch:
                again = item.id <= self._highest or item.sends > 0
                if again or item.id <= self._before or self.clock() - item.accepted_at > LATE_AFTER_S:
                    item.mark_late()
                self._counts["resent"] += again
                item.sends += 1
                self._highest = max(self._highest, item.id)
            return batch

    def ack(self, ids: Iterable[int]) -> None:
        """Forget what the broker has; ids that are not on their way are ignored."""
        with self._changed:
            keys = self._arrived(ids)
            self._counts["acknowledged"] += len(keys)
            self._remove(keys)

    def drop(self, ids: Iterable[int], reason: str) -> None:
        """Forget messages that nobody will get, counted under `reason`."""
        with self._changed:
            keys = self._arrived(ids)
            self._dropped[reason] += len(keys)
            self._remove(keys)

    def rewind(self) -> None:
        """Put everything that is on its way back to the front, to be handed out again in its order."""
        with self._changed:
            self._on_the_way.clear()
            self._moved.clear()
            self._cursor = LOWEST

    def wait_empty(self, timeout_s: float) -> int:
        """As `Outbox.wait_empty`; where the disk hangs, how many were held when it last answered."""
        with self._glance(timeout_s or None) as had:
            return super().wait_empty(timeout_s) if had else self._held()

    def oldest_s(self) -> float:
        """As `Outbox.oldest_s`; where the disk hangs, of what was the oldest when it last answered."""
        with self._glance() as had:
            return self._age_of_oldest() if had else self._age_then()

    def close(self) -> None:
        """Commit what can be, close the file, and say that nothing will be sent any more. Twice is once.

        Where the disk hangs it is left alone after `CLOSE_S`: who waits for it closes the file.
        """
        with self._glance(CLOSE_S) as had:
            if not had:
                self._closed = True
                return
            if not self._closed:
                self._commit()
                self._retry_at = float("-inf")
                self._recover()
                self._let_go()
            super().close()

    def stats(self) -> dict[str, Any]:
        """Return the counters of `Outbox.stats`, and `in_memory`, `degraded`, `note`, `size_bytes`.

        `in_memory`: predictions that only memory has; `degraded`: why, else None; `note`: what became of a file that
        could not be used, else None; `size_bytes`: of the file, None while it cannot be read. Waits for no disk that
        hangs: then they are those of the last time when it answered.
        """
        with self._glance() as had:
            if had or not self._told:
                self._told = self._counted(had)
            else:
                self._told = {**self._told, "oldest_s": self._age_then(), "size_bytes": None}
            return {**self._told, "degraded": self.degraded}

    @property
    def degraded(self) -> str | None:
        """Why the disk takes nothing; None where it does. Never waits."""
        return HANGS if self._glance.hangs else self._degraded

    def _counted(self, had: bool) -> dict[str, Any]:
        size: int | None = None
        if had and self._file is not None:
            with suppress(*Failure):
                size = self._file.size_bytes()
        return {
            **self._counts,
            "dropped": dict(self._dropped),
            "pending": self._held(),
            "oldest_s": self._age_of_oldest() if had else self._age_then(),
            "in_memory": len(self._ring),
            "note": self.note,
            "size_bytes": size,
        }

    def _age_then(self) -> float:
        """Return the age of what was the oldest when the disk last answered."""
        return 0.0 if (at := self._oldest_at) is None else self.clock() - at

    # --- with the lock held: what is accepted --------------------------------------------------------------------

    def _age_of_oldest(self) -> float:
        oldest = self._read(1, LOWEST) if self._held() else []
        self._oldest_at = oldest[0].accepted_at if oldest else None
        return self._age_then()

    def _ready(self) -> None:
        if self._closed:
            raise PublishError("the outbox is closed", where=str(self.path))
        self._recover()

    def _staged_or_refused(self, prediction: Prediction) -> int | None:
        try:
            return self._stage(prediction)
        except PublishError:
            return None

    def _stage(self, prediction: Prediction) -> int:
        self._make_room()
        numbered = self._numbered(prediction)
        self._staged.append(Item(self._next_id, numbered, self.clock()))
        self._next_id += 1
        return numbered.seq or 0

    def _make_room(self) -> None:
        if self._policy == "overwrite_oldest" and self._degraded is None:
            self._expire()  # the file makes room in the transaction that needs it
            return
        if self._full():
            self._commit()
        super()._make_room()

    def _full(self) -> bool:
        if self._closed:
            return True
        if self._degraded is not None or self._file is None:
            return len(self._ring) + len(self._staged) >= self._memory
        if self._held() + len(self._staged) >= self._capacity:
            return True
        with suppress(*Failure):  # what it is will show when it is written to
            return self._file.crowded(0)
        return False

    def _overwrite(self) -> None:
        key = next((key for key in self._ring if key not in self._on_the_way), None)
        self._forget(next(iter(self._ring)) if key is None else key)

    def _forget(self, key: int) -> None:
        del self._ring[key]
        self._on_the_way.pop(key, None)
        self._dropped["overwritten"] += 1

    def _commit_together(self) -> None:
        """Commit what is staged, all threads' at once and at most once in `GROUP_S` with durability "power"."""
        group_s = GROUP_S if self._durability == "power" else 0.0
        last = self._next_id - 1
        while self._staged and self._staged[0].id <= last:
            wait_s = self._committed_at + group_s - time.monotonic()
            if wait_s > 0 and not self._closed:
                self._changed.wait(wait_s)
            else:
                self._commit()
                self._changed.notify_all()

    def _commit(self) -> None:
        items, self._staged = self._staged, []
        self._committed_at = time.monotonic()
        if not items:
            return
        self._counts["accepted"] += len(items)
        if self._degraded is None:
            try:
                while items:
                    part, more = items[:SLICE], items[SLICE:]
                    self._file_items(part, seqs={item.prediction.stream for item in part}, sync=not more)
                    items = more
                return
            except Failure as error:
                self._fail(error)
        self._ring.update((item.id, item) for item in items)
        self._recover()
        while len(self._ring) > self._memory and self._policy == "overwrite_oldest":
            self._overwrite()

    def _recover(self) -> None:
        if self._staged and self._degraded is not None:
            self._commit()  # which comes back here
        else:
            super()._recover()

    # --- with the lock held: what is handed out and settled ------------------------------------------------------

    def _fresh(self, items: Sequence[Item]) -> list[Item]:
        """Return the items that are not too old; the others are dropped and counted."""
        oldest_allowed = self.clock() - self._max_age_s
        old = [item.id for item in items if item.accepted_at < oldest_allowed]
        self._dropped["expired"] += len(old)
        self._remove(old)
        return [item for item in items if item.accepted_at >= oldest_allowed]

    def _expire(self) -> None:
        """Drop what waits and is too old; looks once a second, also whether the file is still there."""
        if self.clock() < self._look_at:
            return
        self._look_at = self.clock() + 1.0
        self._check_place()
        n = 1
        while (items := self._read(n, self._cursor)) and not self._fresh(items):
            n = 100

    def _arrived(self, ids: Iterable[int]) -> list[int]:
        keys = [self._moved.pop(key, key) for key in ids]
        return [key for key in keys if self._on_the_way.pop(key, None) is not None]
