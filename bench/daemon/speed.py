"""The service: how quickly, how steadily, how many, at what cost. `make bench-daemon`; some five minutes.

    python bench/daemon/speed.py [--short]

In a process of its own, with mosquitto on this machine: the way from a window to a subscriber at 200 predictions a
second, beside plain paho-mqtt; the time between decisions while the broker is killed, stopped or slow; how many streams
two processors carry; a service that waits; one that starts. --short: everything in a minute, to see that it runs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from bench.common import record  # noqa: E402
from bench.daemon import intervals, quiet, streams  # noqa: E402
from bench.daemon.rig import Listener  # noqa: E402
from tests.brokers import KillableBroker  # noqa: E402

PAYLOAD_BYTES = 700  # as those of the service
PLAIN = "from bench.daemon.plain import main; main()"
GOALS = {
    "publish_to_subscriber_p999_ms": 10.0,
    "beyond_native_p99_ms": 1.0,
    "interval_ratio": 1.1,
    "idle_cpu_percent": 0.5,
    "resident_mb": 100.0,
    "first_prediction_s": 1.0,
}


def plain(seconds: float, turns: int) -> dict[str, Any]:
    """Return the time from publish to the subscriber of plain paho-mqtt, as it is and with TCP_NODELAY, in turns."""
    waits: dict[str, list[float]] = {"nagle": [], "nodelay": []}
    for _ in range(turns):
        for how, values in waits.items():
            with (
                tempfile.TemporaryDirectory() as name,
                KillableBroker("mosquitto", Path(name)) as broker,
                Listener(broker.broker, "plain/prediction") as listener,
            ):
                numbers = [str(n) for n in (broker.broker.port, intervals.HZ, seconds, PAYLOAD_BYTES)]
                subprocess.run([sys.executable, "-c", PLAIN, *numbers, how], check=True, cwd=ROOT)
                time.sleep(0.2)
                if len(listener.heard) != int(intervals.HZ * seconds):
                    raise SystemExit("plain paho-mqtt lost messages")
                values += [(at_ns - int(payload)) / 1e6 for at_ns, _, payload in listener.heard]
    return {how: intervals.spread_ms(values) for how, values in waits.items()}


def main() -> None:
    """Check, measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    short = parser.parse_args().short
    results: dict[str, Any] = {"start": quiet.start(2 if short else 7)}
    _say("start", results["start"])
    for name, sender in (("waiting", False), ("quiet", True)):
        results[name] = quiet.idle(3.0 if short else 10.0, sender=sender)
        _say(name, results[name])
    results["steady"] = intervals.measure(3.0 if short else 8.0, 1 if short else 2)
    for part in ("wait", "intervals"):
        for name, values in results["steady"][part].items():
            _say(f"{part} {name}, ms", values)
    results["plain paho-mqtt"] = plain(2.0 if short else 8.0, 1 if short else 2)
    _say("plain paho-mqtt, publish to subscriber, ms", results["plain paho-mqtt"])
    for model in streams.HOP_MS:
        results[f"streams of {model}"] = found = streams.most_streams(model, 2.0 if short else 4.0)
        _say(f"streams of {model}", {name: found[name] for name in ("carried", "resident_mb")})
    results["reached"] = reached(results)
    for name, value in results["reached"].items():
        print(f"{name}: {value:.3g}, goal {GOALS[name]:g}{'' if value <= GOALS[name] else ' MISSED'}")
    if not short:
        record("daemon", results)


def reached(results: dict[str, Any]) -> dict[str, float]:
    """Return what the goals are about."""
    steady = results["steady"]
    up = steady["intervals"]["up"]["p99.9"]
    return {
        "publish_to_subscriber_p999_ms": steady["wait"]["publish_to_subscriber"]["p99.9"],
        "beyond_native_p99_ms": steady["wait"]["decided_to_publish"]["p99"],
        "interval_ratio": max(steady["intervals"][state]["p99.9"] / up for state in ("down", "stopped", "slow")),
        "idle_cpu_percent": results["waiting"]["cpu_percent"],
        "resident_mb": max(results[name]["resident_mb"] for name in ("waiting", "quiet")),
        "first_prediction_s": results["start"]["first_prediction_s"]["median"],
    }


def _say(name: str, values: dict[str, Any]) -> None:
    print(f"{name}: {', '.join(f'{key} {value}' for key, value in values.items())}", flush=True)


if __name__ == "__main__":
    main()
