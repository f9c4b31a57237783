"""Where the predictions of a durable outbox lie: in the file, in memory while the disk takes none, and on their way.

`outbox_durable.py` is the door; everything here runs with its lock held.
"""

from __future__ import annotations

import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from edgesnn.clock import boot_clock, boot_name
from edgesnn.errors import PublishError, UsageError
from edgesnn.prediction import Prediction
from edgesnn.publish.glance import Glance
from edgesnn.publish.outbox import Item, Outbox, Policy
from edgesnn.publish.outbox_file import (
    LEAST_BYTES,
    LOCK_WAIT_S,
    Durability,
    OutboxFile,
    Overwrite,
    Row,
    is_damage,
    read_numbers,
    set_aside,
)
from edgesnn.publish.outbox_recent import Recent
from edgesnn.publish.outbox_rows import Rows

DURABILITIES = ("process", "power")
T = TypeVar("T")
LOWEST = -(2**62)
UNFILED = -(2**40)  # ids while no file was ever open; those in a file are positive
RETRY_S = (1.0, 10.0)  # how often a disk that failed is tried
SLICE = 32  # predictions in a transaction: the log grows by no more before it can be folded into the file
ACCOUNTS = ("accepted", "acknowledged")
Failure = (sqlite3.Error, OSError, PublishError, UnicodeDecodeError)  # the last: SQLite says what it cannot read


class OutboxStore(Outbox):
    """The places of a durable outbox's predictions, and how they get from one to the other. See `DurableOutbox`."""

    def __init__(
        self,
        path: str | Path,
        *,
        durability: Durability = "process",
        max_bytes: int = 64 * 1024 * 1024,
        capacity: int = 1_000_000,
        memory: int = 10_000,
        policy: Policy = "overwrite_oldest",
        max_age_s: float = 86_400.0,
        block_s: float = 30.0,
        number: Callable[[Prediction, int], Prediction] | None = None,
        clock: Callable[[], float] = boot_clock,
        wall: Callable[[], float] = time.time,
        boot: Callable[[], str] = boot_name,
    ) -> None:
        super().__init__(
            capacity=capacity, policy=policy, max_age_s=max_age_s, block_s=block_s, number=number, clock=clock
        )
        if durability not in DURABILITIES:
            raise UsageError("no such durability", found=repr(durability), expected=" or ".join(DURABILITIES))
        if max_bytes < LEAST_BYTES or memory < 1:
            expected = f"at least {LEAST_BYTES} bytes on disk and 1 prediction in memory"
            raise UsageError("an outbox needs room", found=f"{max_bytes} bytes, {memory}", expected=expected)
        self.path = Path(path)
        self._durability, self._max_bytes, self._memory = durability, max_bytes, memory
        self._rows = Rows(clock, wall, boot())
        self._file: OutboxFile | None = None
        self._known = False  # whether the file's accounts are in ours
        self._unseen = 0  # rows in the file while it is not open
        self._filed = 0  # the highest id in the file
        self._recent = Recent()
        self._staged: list[Item] = []  # not committed yet
        self._ring: OrderedDict[int, Item] = OrderedDict()  # in memory only: the disk did not take them
        self._gone: set[int] = set()  # settled, but the disk did not take that
        self._moved: dict[int, int] = {}  # ids that were handed out, and what they are in the file
        self._cursor = self._highest = self._before = LOWEST  # handed out up to; ever; an earlier process's up to
        self._look_at = self._retry_at = float("-inf")
        self._retry_s = RETRY_S[0]
        self._degraded: str | None = None
        self._glance = Glance(self._changed)
        self._told: dict[str, Any] = {}  # what the last look saw
        self._oldest_at: float | None = None  # when the oldest was accepted, then
        self._begin()

    def _held(self) -> int:
        rows = self._unseen if self._file is None else self._file.rows
        return rows - len(self._gone) + len(self._ring)

    def _read(self, n: int, after: int) -> list[Item]:
        """Return the first items with an id above `after`: `n`, or as many as there are."""
        items = self._recent.after(after, n) if self._file is not None else []
        if items is None:
            items = self._read_file(n, after)
        more = (item for key, item in self._ring.items() if key > after)
        return items + list(islice(more, n - len(items)))

    def _read_file(self, n: int, after: int) -> list[Item]:
        items: list[Item] = []
        seen = after
        try:
            while self._file is not None and len(items) < n and (rows := self._file.after(seen, n - len(items))):
                seen = rows[-1].id
                items += self._whole([row for row in rows if row.id <= self._filed and row.id not in self._gone])
        except Failure as error:
            self._fail(error)
            self._let_go()
        return items

    def _whole(self, rows: Sequence[Row]) -> list[Item]:
        """Return the rows as items; those that are damaged are dropped and counted."""
        items = [self._rows.item(row) for row in rows]
        damaged = [row.id for row, item in zip(rows, items, strict=True) if item is None]
        self._dropped["damaged"] += len(damaged)
        self._remove(damaged)
        return [item for item in items if item is not None]

    def _remove(self, keys: Sequence[int]) -> None:
        """Take settled predictions, which the counters have, out of memory and file."""
        filed = [key for key in keys if self._ring.pop(key, None) is None]
        self._recent.forget(filed)
        self._gone.update(filed)
        if self._degraded is None and filed and self._file is not None:
            try:
                self._file.write(gone=filed, counts=self._totals())
                self._gone.difference_update(filed)
            except Failure as error:
                self._fail(error)
        self._changed.notify_all()

    def _totals(self) -> dict[str, int]:
        return {**{name: self._counts[name] for name in ACCOUNTS}, **self._dropped}

    def _file_items(self, items: Sequence[Item], *, seqs: Iterable[str], **options: Any) -> None:
        """Write items into the file, in one transaction with the numbers of the streams `seqs`."""
        assert self._file is not None
        options.setdefault("counts", {"accepted": self._counts["accepted"]})
        if self._policy == "overwrite_oldest":
            options["overwrite"] = Overwrite(self._capacity, self._cursor, self._dropped["overwritten"])
        rows = [self._rows.row(item) for item in items]
        overwritten = self._file.write(rows, seqs={name: self._next_seq[name] for name in seqs}, **options)
        self._dropped["overwritten"] += len(overwritten)
        for key in overwritten:
            self._on_the_way.pop(key, None)
        if rows:
            self._filed = rows[-1].id
        self._recent.add(items)
        self._recent.forget(overwritten)

    # --- a file that opens, fails, and comes back ----------------------------------------------------------------

    def _open(self, lock_wait_s: float) -> OutboxFile:
        options: dict[str, Any] = {"durability": self._durability, "max_bytes": self._max_bytes}
        return OutboxFile(self.path, boot=self._rows.boot, lock_wait_s=lock_wait_s, **options)

    def _begin(self) -> None:
        """Open the file; raises only where it is another's."""
        try:
            self._file = self._open(LOCK_WAIT_S)
            self._adopt(self._file)
        except PublishError:
            raise
        except Failure as error:
            self._next_id = UNFILED
            self._fail(error)
            self._recover()
            if not self._known:
                self._take_numbers()

    def _take_numbers(self) -> None:
        """Number on from a file that can be read, though not written: what is in it has the numbers before."""
        try:
            self._next_seq = read_numbers(self.path)
        except FileNotFoundError:
            return
        except Failure:
            self.note = f"{self.path}: {self._degraded}; numbers begin at 0, since those in the file cannot be read"

    def _adopt(self, file: OutboxFile) -> None:
        """Take over what the file says, and give what is in memory ids above those in the file."""
        streams, accounts, last = file.load()
        self._next_seq = {**self._next_seq, **{k: max(n, self._next_seq.get(k, 0)) for k, n in streams.items()}}
        for counts in (self._counts, self._dropped):
            counts.update((name, counts[name] + accounts.get(name, 0)) for name in counts)
        settled = sum(self._dropped.values()) + self._counts["acknowledged"] + file.rows + len(self._ring)
        self._dropped["damaged"] += max(0, self._counts["accepted"] - settled)
        self._counts["accepted"] = max(self._counts["accepted"], settled)
        self._filed = self._before = last
        self._recent.begin(last)
        self._unseen, self._known = 0, True
        items, self._ring, on_the_way = list(self._ring.values()), OrderedDict(), self._on_the_way
        self._on_the_way, self._cursor, self._highest = OrderedDict(), LOWEST, LOWEST
        for new, item in enumerate(items, last + 1):
            if on_the_way.pop(item.id, None) is not None:
                self._moved[item.id] = new
                self._on_the_way[new] = item
            item.id = new
            self._ring[new] = item
        self._next_id = last + 1 + len(items)

    def _fail(self, error: Exception) -> None:
        """Go on in memory; a file that is damaged is set aside."""
        self._degraded = " ".join(str(error).split()) or type(error).__name__
        self._retry_at = self.clock() + self._retry_s
        self._retry_s = min(2 * self._retry_s, RETRY_S[1])
        if is_damage(error):
            self._let_go()
            self._set_aside()

    def _check_place(self) -> None:
        """Begin a new file where somebody has removed or replaced this one: what was in it is lost, and counted."""
        if self._file is not None and not self._file.is_there():
            self._fail(FileNotFoundError("somebody removed it"))
            self._let_go()
            self._set_aside()
            self._recover()

    def _let_go(self) -> None:
        """Close the file, to open it anew."""
        if self._file is not None:
            self._unseen, file = self._file.rows, self._file
            self._file = None
            self._recent.begin(self._filed)
            file.close()

    def _set_aside(self) -> None:
        held = self._held()
        try:
            aside = set_aside(self.path)
        except OSError:
            return
        rescued = [(key, item) for key, item in self._on_the_way.items() if key not in self._ring]
        self._ring = OrderedDict(sorted([*rescued, *self._ring.items()], key=lambda pair: pair[0]))
        self._dropped["damaged"] += held - len(self._ring)
        self._gone.clear()
        self._unseen = self._filed = 0
        self._recent.begin(0)
        where = f"set aside as {aside.name}, " if aside.exists() else ""
        self.note = f"{self.path}: {self._degraded}; {where}a new file was begun"
        self._retry_at = float("-inf")

    def _recover(self) -> None:
        """Try, when it is time, to bring the file up to date with memory."""
        if self._degraded is None or self.clock() < self._retry_at:
            return
        held = self._held()
        try:
            if self._file is None:
                self._file, self._cursor = self._open(0.0), LOWEST  # what is in it may not have been handed out
            if not self._known:
                self._adopt(self._file)
                held = self._held()
            self._catch_up(held)
        except Failure as error:
            self._fail(error)
            if "full" not in str(error):  # of a full disk what is there can be read
                self._let_go()
            return
        self._degraded, self._retry_s = None, RETRY_S[0]

    def _catch_up(self, held: int) -> None:
        """Delete what was settled, then write what only memory has; rows that are missing of `held` are damaged."""
        parts: list[tuple[list[int], list[Item]]] = [(gone, []) for gone in sliced(sorted(self._gone))]
        parts += [([], items) for items in sliced(list(self._ring.values()))] or [([], [])]
        known: int | None = self._filed
        for number, (gone, items) in enumerate(parts, 1):
            overwritten, last = self._dropped["overwritten"], number == len(parts)
            options: dict[str, Any] = {"gone": gone, "counts": self._totals(), "known": known, "sync": last}
            self._file_items(items, seqs=self._next_seq, **options)
            known = None
            for item in items:
                del self._ring[item.id]
            self._gone.difference_update(gone)
            held -= self._dropped["overwritten"] - overwritten
            self._dropped["damaged"] += max(0, held - self._held())
            held = self._held()


def sliced(whole: list[T]) -> list[list[T]]:
    """Return it in parts of `SLICE`.

    >>> [len(part) for part in sliced([0] * 70)]
    [32, 32, 6]
    """
    return [whole[at : at + SLICE] for at in range(0, len(whole), SLICE)]
