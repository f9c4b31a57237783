"""How many streams of a model two processors carry: none misses a deadline, loses an event or falls behind its pace."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.daemon.rig import RECORDING, Running, any_port, configuration, metrics, stream, wait_for
from tests.brokers import KillableBroker

HOP_MS = {"gestures": 250.0, "digits": 4.0}
FIRST = {"gestures": 4, "digits": 1}
SETTLE_S = 2.0
ON_PACE = 0.98
MOST = 256
LOST = ("events_dropped", "queue_dropped", "restarts")  # nobody subscribes: what the outbox drops is no loss


def most_streams(model: str, seconds: float) -> dict[str, Any]:
    """Return {"carried", "resident_mb", "tried"}: doubled until it is too much, then halved; each held `seconds`."""
    tried: dict[int, dict[str, Any]] = {}
    low, high = 0, MOST + 1
    count = FIRST[model]
    while high - low > max(1, low // 8):
        tried[count] = run(model, count, seconds)
        if tried[count]["carried"]:
            low = count
        else:
            high = count
        count = min(2 * low, MOST) if high > MOST else (low + high) // 2
        if low == MOST:
            break
    return {"carried": low, "resident_mb": tried[low]["resident_mb"] if low else None, "tried": tried}


def run(model: str, count: int, seconds: float) -> dict[str, Any]:
    """Run so many streams at the recording's pace and say whether they were carried."""
    cpus = sorted(os.sched_getaffinity(0))[:2]
    port = any_port()
    streams = [stream(f"s{number}", f"replay:{RECORDING}?loop", model) for number in range(count)]
    with tempfile.TemporaryDirectory() as name, KillableBroker("mosquitto", Path(name)) as broker:
        text = configuration(broker.url, *streams, port=port, more=f"[process]\ncpus = {cpus}\n")
        text = text.replace("[http]", 'no_subscriber = "drop"\n[http]')
        with Running(Path(name), text) as daemon:
            wait_for("the service", lambda: "as node" in daemon.said.read_text())
            time.sleep(SETTLE_S)
            before, began_s = metrics(port), time.monotonic()
            time.sleep(seconds)
            after, took_s = metrics(port), time.monotonic() - began_s
            resident_mb = daemon.resident_mb()
    more = {name: after.get(name, 0.0) - before.get(name, 0.0) for name in ("decisions", "deadlines_missed", *LOST)}
    pace = more["decisions"] / (count * took_s * 1e3 / HOP_MS[model])
    lost = sum(more[name] for name in LOST)
    return {
        "carried": not more["deadlines_missed"] and not lost and pace >= ON_PACE,
        "deadlines_missed": more["deadlines_missed"],
        "lost": lost,
        "pace": round(pace, 4),
        "resident_mb": round(resident_mb, 1),
    }
