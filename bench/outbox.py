"""The outbox in a file beside the packages persist-queue and diskcache: predictions a second in, and out again.

    python bench/outbox.py [--turns 5] [--folder FOLDER]

All hold the same JSON text of a prediction, commit each before the call returns, and give it back in order:
persist-queue as its queue with acknowledgements, diskcache as its Deque. What is not installed is left out. Times are
by the clock and of the processor, in turns, each turn on a fresh file; the disk is that of --folder.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.common import record
from edgesnn.prediction import Latency, ModelInfo, Prediction, SensorWindow
from edgesnn.publish.outbox_durable import DurableOutbox

ROWS = 1000
PREDICTION = Prediction(
    window=0,
    sensor=SensorWindow(0, 1000, 10, 0),
    decision="label",
    label="hand clap",
    class_index=1,
    confidence=0.5,
    topk=(("hand clap", 0.5),),
    model=ModelInfo("bench", "0" * 64, "int8", "native"),
    latency_us=Latency(1.0, 2.0, 3.0, 6.0),
    node="bench",
    boot_id="0123456789abcdef",
    seq=0,
    ts="2026-01-01T00:00:00.000000Z",
    late=False,
)


class Store(NamedTuple):
    """What is timed: put each of the rows, take all in order and forget them, how long each `put` took."""

    put: Callable[[], list[float]]
    take: Callable[[], list[int]]


@contextmanager
def ours(folder: Path, durability: Any = "process", many: int = 1) -> Iterator[Store]:
    """The outbox, `many` at a time."""
    outbox = DurableOutbox(folder / "outbox.db", durability=durability)
    predictions = [replace(PREDICTION, seq=seq) for seq in range(ROWS)]

    def put() -> list[float]:
        times = []
        for first in range(0, ROWS, many):
            began = time.perf_counter()
            outbox.put_many(predictions[first : first + many])
            times.append(time.perf_counter() - began)
        return times

    def take() -> list[int]:
        seqs = []
        while batch := outbox.next_batch(20):
            seqs += [item.prediction.seq or 0 for item in batch]
            outbox.ack([item.id for item in batch])
        return seqs

    yield Store(put, take)
    outbox.close()


@contextmanager
def persist_queue(folder: Path) -> Iterator[Store]:
    """persist-queue's SQLiteAckQueue."""
    import persistqueue

    queue = persistqueue.SQLiteAckQueue(str(folder), auto_commit=True)

    def take() -> list[int]:
        seqs = []
        for _ in range(ROWS):
            item = queue.get(block=False)
            seqs.append(Prediction.from_dict(json_of(item)).seq or 0)
            queue.ack(item)
        return seqs

    yield Store(lambda: timed(queue.put), take)
    queue.close()


@contextmanager
def diskcache_deque(folder: Path) -> Iterator[Store]:
    """diskcache's Deque, which forgets when it gives."""
    import diskcache

    queue = diskcache.Deque(directory=str(folder))

    def take() -> list[int]:
        return [Prediction.from_dict(json_of(queue.popleft())).seq or 0 for _ in range(ROWS)]

    yield Store(lambda: timed(queue.append), take)
    queue.cache.close()


def json_of(text: str) -> dict[str, Any]:
    """Return the record."""
    return dict(json.loads(text))


def timed(put: Callable[[str], Any]) -> list[float]:
    """Return how long each put took; making the text is part of it, as in the outbox."""
    times = []
    for seq in range(ROWS):
        began = time.perf_counter()
        put(replace(PREDICTION, seq=seq).to_json())
        times.append(time.perf_counter() - began)
    return times


def stores() -> dict[str, Callable[[Path], Any]]:
    """Return what can be run here."""
    found: dict[str, Callable[[Path], Any]] = {
        "outbox": ours,
        "outbox, 20 at a time": lambda folder: ours(folder, many=20),
        "outbox, power, 20 at a time": lambda folder: ours(folder, "power", 20),
    }
    if importlib.util.find_spec("persistqueue"):
        found["persist-queue"] = persist_queue
    if importlib.util.find_spec("diskcache"):
        found["diskcache"] = diskcache_deque
    return found


class Turn(NamedTuple):
    """Seconds: of all puts and of all that was taken, by the clock; both by the processor; of each call of put."""

    put_s: float
    take_s: float
    cpu_s: float
    calls_s: list[float]


def turn(make: Callable[[Path], Any], where: str | None) -> Turn:
    """Run once and check the answer."""
    with tempfile.TemporaryDirectory(dir=where) as folder, make(Path(folder)) as store:
        began, cpu = time.perf_counter(), time.process_time()
        times = store.put()
        middle = time.perf_counter()
        seqs = store.take()
        ended, cpu = time.perf_counter(), time.process_time() - cpu
    if seqs != list(range(ROWS)):
        raise SystemExit("a store lost its order or a row")
    return Turn(middle - began, ended - middle, cpu, times)


def summary(turns: list[Turn]) -> dict[str, float]:
    """Return rates by the median turn, processor time of a put and a take by the best, and the spread of all puts."""
    calls = sorted(seconds for one in turns for seconds in one.calls_s)
    return {
        "put_hz": ROWS / statistics.median(one.put_s for one in turns),
        "take_hz": ROWS / statistics.median(one.take_s for one in turns),
        "cpu_us": min(one.cpu_s for one in turns) / ROWS * 1e6,
        "put_p50_us": calls[len(calls) // 2] * 1e6,
        "put_p99_us": calls[int(len(calls) * 0.99)] * 1e6,
        "put_max_us": calls[-1] * 1e6,
    }


def main() -> None:
    """Run them in turns and print the rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--folder", help="a folder on the disk that is asked; by default that for temporary files")
    options = parser.parse_args()
    runs: dict[str, list[Turn]] = {name: [] for name in stores()}
    for _ in range(options.turns):
        for name, make in stores().items():
            runs[name].append(turn(make, options.folder))
    results = {name: summary(turns) for name, turns in runs.items()}
    for name, rate in results.items():
        print(
            f"{name:27} put {rate['put_hz']:6.0f}/s, take {rate['take_hz']:6.0f}/s, {rate['cpu_us']:4.0f} us of CPU,"
            f" a put: p50 {rate['put_p50_us']:.0f} us, p99 {rate['put_p99_us']:.0f}, most {rate['put_max_us']:.0f}"
        )
    for name in results:
        if not name.startswith("outbox"):
            put, cpu = (results["outbox"][what] / results[name][what] for what in ("put_hz", "cpu_us"))
            print(f"times {name}: {put:.1f} in puts a second, {cpu:.2f} in processor time")
    record("outbox", results)


if __name__ == "__main__":
    main()
