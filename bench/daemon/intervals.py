"""One run at 200 predictions a second: the way to the subscriber, and how steady decisions are.

States of the broker: `up`: it answers; `down`: killed; `stopped`: SIGSTOP; `slow`: it runs 10 ms in every 200. After
each its backlog is waited for, so that it falls into none. Every prediction arrives, and that is checked first.
"""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import edgesnn
from bench.daemon.rig import RECORDING, Listener, Running, any_port, configuration, metrics, stream, wait_for
from edgesnn.spread import percentile
from tests.brokers import KillableBroker

HZ = 200
MODEL = "digits"  # hops of 4 ms: at 0.8 times the recording's pace 200 a second
STILL = ("window", "sensor", "decision", "label", "class", "confidence", "topk", "spikes", "synops")
SETTLE_S = 2.0
MARGIN_S = 0.1  # what was decided before it has arrived when the broker is stopped
Spans = dict[str, list[tuple[float, float]]]


def measure(seconds: float, turns: int) -> dict[str, Any]:
    """Return {"wait": ..., "intervals": ...}: see `waits` and `intervals`. Each state lasts `seconds` in each turn."""
    spans: Spans = {"up": [], "down": [], "stopped": [], "slow": []}
    port = any_port()
    with tempfile.TemporaryDirectory() as name, KillableBroker("mosquitto", Path(name)) as broker:
        source = f"replay:{RECORDING}?loop&speed=0.8x"
        text = configuration(broker.url, stream("main", source, MODEL), port=port)
        with Listener(broker.broker, "edgesnn/bench/main/prediction") as listener:
            with Running(Path(name), text, Path(name) / "notes"):
                wait_for("the first prediction", lambda: listener.heard)
                time.sleep(SETTLE_S)
                for _ in range(turns):
                    for state, fault in _faults(broker).items():
                        with _span(spans["up"]):
                            time.sleep(seconds)
                        time.sleep(MARGIN_S)
                        with fault(), _span(spans[state]):
                            time.sleep(seconds)
                        wait_for("the end of a backlog", lambda: metrics(port).get("outbox_pending", 1) < 2)
            records = _in_order(listener)
        notes = [json.loads(line) for line in (Path(name) / "notes").read_text().splitlines()]
    taken = _check(records, [from_s for from_s, _ in spans["down"]])
    return {
        "predictions": len(records),
        "acknowledged by a broker that was killed": taken,
        "wait": waits(records, notes, spans["up"]),
        "intervals": {state: intervals(records, times) for state, times in spans.items()},
    }


def waits(
    records: list[tuple[int, dict[str, Any]]], notes: list[tuple[int, int, bool]], up: list[tuple[float, float]]
) -> dict[str, dict[str, float]]:
    """Return spreads in ms of predictions made while the broker answered.

    "decided_to_publish": beyond the native time (the record's `latency_us.total`), until the MQTT client has it;
    "publish_to_subscriber"; "window_to_publish": both, from the window's last event; "native".
    """
    published = {seq: at_ns for seq, at_ns, late in notes if not late}
    found: dict[str, list[float]] = {
        name: [] for name in ("native", "decided_to_publish", "window_to_publish", "publish_to_subscriber")
    }
    for at_ns, record in records:
        decided_ms = record["t_mono_us"] / 1e3
        if record["late"] or record["seq"] not in published or not _within(decided_ms / 1e3, up):
            continue
        publish_ms = published[record["seq"]] / 1e6
        native_ms = record["latency_us"]["total"] / 1e3
        found["native"].append(native_ms)
        found["decided_to_publish"].append(publish_ms - decided_ms)
        found["window_to_publish"].append(publish_ms - decided_ms + native_ms)
        found["publish_to_subscriber"].append(at_ns / 1e6 - publish_ms)
    return {name: spread_ms(values) for name, values in found.items()}


def intervals(records: list[tuple[int, dict[str, Any]]], spans: list[tuple[float, float]]) -> dict[str, float]:
    """Return the spread, in ms, of the time between two decisions of which both fall into one of the spans."""
    pairs = [
        (before["t_mono_us"] / 1e6, record["t_mono_us"] / 1e6)
        for (_, before), (_, record) in itertools.pairwise(records)
        if record["seq"] == before["seq"] + 1
    ]
    return spread_ms([(b - a) * 1e3 for a, b in pairs if any(from_s <= a and b <= to_s for from_s, to_s in spans)])


def spread_ms(values: list[float]) -> dict[str, float]:
    """Return percentiles of values in ms, and how many they are."""
    ordered = sorted(values)
    points = {f"p{point:g}": round(percentile(ordered, point), 3) for point in (50, 99, 99.9)}
    return {**points, "max": round(ordered[-1], 3), "count": len(ordered)}


def _faults(broker: KillableBroker) -> dict[str, Callable[[], Any]]:
    @contextmanager
    def down() -> Iterator[None]:
        broker.kill()
        try:
            yield
        finally:
            broker.start()

    @contextmanager
    def stopped() -> Iterator[None]:
        broker.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            broker.signal(signal.SIGCONT)

    return {"down": down, "stopped": stopped, "slow": lambda: _slowed(broker)}


@contextmanager
def _slowed(broker: KillableBroker) -> Iterator[None]:
    """Let the broker run 10 ms in every 200."""
    assert broker.process is not None
    code = (
        "import os, signal, sys, time\n"
        "while True:\n"
        "    for number, wait_s in ((signal.SIGSTOP, 0.19), (signal.SIGCONT, 0.01)):\n"
        "        os.kill(int(sys.argv[1]), number); time.sleep(wait_s)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(broker.process.pid)]) as hand:
        try:
            yield
        finally:
            hand.kill()
            hand.wait()
            broker.signal(signal.SIGCONT)


@contextmanager
def _span(spans: list[tuple[float, float]]) -> Iterator[None]:
    """Note from when to when, on the clock of the predictions."""
    began_s = time.monotonic()
    yield
    spans.append((began_s, time.monotonic()))


def _within(at_s: float, spans: list[tuple[float, float]]) -> bool:
    return any(from_s <= at_s <= to_s for from_s, to_s in spans)


def _in_order(listener: Listener) -> list[tuple[int, dict[str, Any]]]:
    """Return what came, each prediction once, as it came first, in the order of the stream."""
    first: dict[int, tuple[int, dict[str, Any]]] = {}
    for at_ns, record in listener.records():
        first.setdefault(record["seq"], (at_ns, record))
    return [first[seq] for seq in sorted(first)]


def _check(records: list[tuple[int, dict[str, Any]]], kills_s: list[float]) -> int:
    """Stop where a prediction is not what a pipeline in the caller's thread makes of the recording, or is missing.

    Returns how many a broker acknowledged and took to its grave: those of the second before it was killed.
    """
    missing = 0
    for (_, before), (_, record) in itertools.pairwise(records):
        gap = record["seq"] - before["seq"] - 1
        if gap and not any(kill_s - 1 < before["t_mono_us"] / 1e6 < kill_s + 0.1 for kill_s in kills_s):
            raise SystemExit(f"predictions are missing after {before['seq']}")
        missing += gap
    with edgesnn.Pipeline(RECORDING, MODEL) as pipeline:
        expected = json.loads(json.dumps([prediction.to_dict() for prediction in pipeline]))
    for one, (_, record) in zip(expected, records, strict=False):
        if any(one[name] != record[name] for name in STILL):
            raise SystemExit(f"window {one['window']} is not what a pipeline says")
    return missing
