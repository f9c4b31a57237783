"""Outboxes in files, for tests: made, filled, and looked at."""

from __future__ import annotations

import time
from pathlib import Path

from edgesnn.publish.outbox_durable import DurableOutbox
from tests.predictions import BOOT, NODE, make_prediction

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
