"""The queue between the thread that predicts and the broker: what was accepted stays until the broker has it.

`Outbox` lives in memory; `outbox_durable.py` keeps the same in a file. Identity, held by a test at every moment:
accepted = acknowledged + dropped (overwritten, expired, no_subscriber, damaged) + pending.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

from edgesnn.errors import PublishError, UsageError
from edgesnn.prediction import Prediction

Policy = Literal["overwrite_oldest", "reject_new", "block"]
POLICIES = ("overwrite_oldest", "reject_new", "block")
LATE_AFTER_S = 5.0  # a message that waited longer than this is history when it is sent


@dataclass
class Item:
    """One accepted prediction. `sends` counts how often it was handed out before now."""

    id: int
    prediction: Prediction
    accepted_at: float
    sends: int = 0
    text: bytes | None = None

    def payload(self) -> bytes:
        """Return the prediction as JSON; made once, where it was made for a file."""
        return self.prediction.to_json().encode() if self.text is None else self.text

    def mark_late(self) -> None:
        """Let the prediction say that it is history."""
        self.prediction, self.text = replace(self.prediction, late=True), None


class Outbox:
    """A bounded queue of predictions, oldest first. Thread-safe.

    `note`: what its owner should know of it, else None.

    Args:
        capacity: the most predictions held.
        policy: what happens when it is full: "overwrite_oldest" drops the oldest that is not on its way (live),
            "reject_new" raises, "block" waits up to `block_s` and then raises (replay).
        max_age_s: older predictions are dropped instead of sent.
        block_s: the longest wait of `put` with policy "block".
        number: gives a prediction without seq its numbers; None where the caller gives all but seq.
        clock: seconds, monotonic; tests replace it.
    """

    def __init__(
        self,
        *,
        capacity: int = 10_000,
        policy: Policy = "overwrite_oldest",
        max_age_s: float = 86_400.0,
        block_s: float = 30.0,
        number: Callable[[Prediction, int], Prediction] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if capacity < 1:
            raise UsageError("an outbox needs room", where="capacity", found=str(capacity), expected="at least 1")
        if policy not in POLICIES:
            raise UsageError("no such policy", found=repr(policy), expected=f"one of {', '.join(POLICIES)}")
        self.note: str | None = None
        self._capacity = capacity
        self._policy = policy
        self._max_age_s = max_age_s
        self._block_s = block_s
        self._number = number
        self.clock = clock
        self._changed = threading.Condition()
        self._waiting: OrderedDict[int, Item] = OrderedDict()
        self._on_the_way: OrderedDict[int, Item] = OrderedDict()
        self._closed = False
        self._next_id = 0
        self._next_seq: dict[str, int] = {}
        self._counts = {"accepted": 0, "acknowledged": 0, "rejected": 0, "resent": 0}
        self._dropped = {"overwritten": 0, "expired": 0, "no_subscriber": 0, "damaged": 0}

    def next_seq(self, stream: str) -> int:
        """Return the number that the stream's next prediction gets here."""
        with self._changed:
            return self._next_seq.get(stream, 0)

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams that have a number here, those that a file remembers too."""
        with self._changed:
            return tuple(self._next_seq)

    def totals(self) -> tuple[int, int]:
        """Return how many were accepted in all, and how many are pending."""
        with self._changed:
            return self._counts["accepted"], self._held()

    def put_many(self, predictions: Sequence[Prediction]) -> list[int | None]:
        """Accept predictions in order and return their seqs; None for one that is refused, counted as `rejected`."""
        seqs: list[int | None] = []
        for prediction in predictions:
            try:
                seqs.append(self.put(prediction))
            except PublishError:
                seqs.append(None)
        return seqs

    def put(self, prediction: Prediction) -> int:
        """Accept a prediction and return its seq; it is held when this returns.

        Raises:
            PublishError: the outbox is full and the policy is "reject_new", or "block" and nothing left in time.
        """
        with self._changed:
            self._make_room()
            numbered = self._numbered(prediction)
            item = Item(self._next_id, numbered, self.clock())
            self._next_id += 1
            self._counts["accepted"] += 1
            self._waiting[item.id] = item
            return numbered.seq or 0

    def next_batch(self, n: int) -> list[Item]:
        """Hand out the oldest `n` predictions that are not on their way yet; each stays until `ack` or `rewind`.

        An item's prediction says `late` when it was handed out before or waited long.
        """
        with self._changed:
            self._expire()
            batch = list(islice(self._waiting.values(), n))
            for item in batch:
                del self._waiting[item.id]
                self._on_the_way[item.id] = item
                if item.sends or self.clock() - item.accepted_at > LATE_AFTER_S:
                    item.mark_late()
                self._counts["resent"] += bool(item.sends)
                item.sends += 1
            return batch

    def ack(self, ids: Iterable[int]) -> None:
        """Forget what the broker has; ids that are not on their way are ignored."""
        with self._changed:
            for key in ids:
                if self._on_the_way.pop(key, None) is not None:
                    self._counts["acknowledged"] += 1
            self._changed.notify_all()

    def drop(self, ids: Iterable[int], reason: str) -> None:
        """Forget messages that nobody will get, counted under `reason`."""
        with self._changed:
            for key in ids:
                if self._on_the_way.pop(key, None) is not None:
                    self._dropped[reason] += 1
            self._changed.notify_all()

    def rewind(self) -> None:
        """Put everything that is on its way back to the front, to be handed out again in its order."""
        with self._changed:
            for key in reversed(self._on_the_way):
                self._waiting[key] = self._on_the_way[key]
                self._waiting.move_to_end(key, last=False)
            self._on_the_way.clear()

    def wait_empty(self, timeout_s: float) -> int:
        """Wait until nothing is held, at most `timeout_s`; return how many predictions are."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._held(), timeout_s)
            return self._held()

    def close(self) -> None:
        """Say that nothing will be sent any more: a `put` that waits for room stops waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def oldest_s(self) -> float:
        """Return for how long the oldest has been held; 0 where there is none."""
        with self._changed:
            return self._age_of_oldest()

    @property
    def degraded(self) -> str | None:
        """Why the disk takes nothing; None where it does, or there is none. Never waits."""
        return None

    def stats(self) -> dict[str, Any]:
        """Return the counters: accepted, acknowledged, rejected, resent, dropped{...}, pending, oldest_s."""
        with self._changed:
            counts = {**self._counts, "dropped": dict(self._dropped), "pending": self._held()}
            return {**counts, "oldest_s": self._age_of_oldest()}

    # --- with the lock held --------------------------------------------------------------------------------------

    def _age_of_oldest(self) -> float:
        first = [next(iter(queue.values())) for queue in (self._on_the_way, self._waiting) if queue]
        return self.clock() - min(item.accepted_at for item in first) if first else 0.0

    def _held(self) -> int:
        return len(self._waiting) + len(self._on_the_way)

    def _full(self) -> bool:
        return self._held() >= self._capacity

    def _overwrite(self) -> None:
        queue = self._waiting or self._on_the_way
        queue.popitem(last=False)
        self._dropped["overwritten"] += 1

    def _make_room(self) -> None:
        self._expire()
        if not self._full():
            return
        if self._policy == "overwrite_oldest":
            self._overwrite()
            return
        waited_s = self._block_s if self._policy == "block" else 0.0
        self._changed.wait_for(lambda: self._closed or not self._full(), waited_s)
        if self._full():
            self._counts["rejected"] += 1
            waited = f", and none was acknowledged for {waited_s:g} s" if waited_s else ""
            raise PublishError(
                f"the queue of predictions is full: {self._held()} wait for the broker{waited}",
                hint="is the broker still running?",
            )

    def _numbered(self, prediction: Prediction) -> Prediction:
        seq = prediction.seq
        if seq is None:
            seq = self._next_seq.get(prediction.stream, 0)
            number = self._number
            prediction = replace(prediction, seq=seq) if number is None else number(prediction, seq)
        self._next_seq[prediction.stream] = max(seq + 1, self._next_seq.get(prediction.stream, 0))
        return prediction

    def _expire(self) -> None:
        oldest_allowed = self.clock() - self._max_age_s
        while self._waiting and next(iter(self._waiting.values())).accepted_at < oldest_allowed:
            self._waiting.popitem(last=False)
            self._dropped["expired"] += 1
