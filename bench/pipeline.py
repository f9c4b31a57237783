"""End to end: from the last event of a window to the broker's acknowledgement of its prediction; memory of a replay.

    python bench/pipeline.py [--model gestures] [--recording FILE]

A local mosquitto, one subscriber, QoS 1; at full speed and at the recording's own pace. The answer is checked first:
the predictions that arrive are those of the pipeline alone. "last event" is the arrival of the packet that closed the
window (at full speed a packet is 32 KiB, so the windows in it wait for each other).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import ROOT, one_thread, record

one_thread()

import numpy as np  # noqa: E402
import paho.mqtt.client as paho  # noqa: E402
from paho.mqtt.enums import CallbackAPIVersion  # noqa: E402

import edgesnn  # noqa: E402
from edgesnn.broker_url import Broker  # noqa: E402
from edgesnn.pipeline import Pipeline  # noqa: E402
from edgesnn.prediction import Prediction  # noqa: E402
from edgesnn.publish.broker import LocalBroker  # noqa: E402
from edgesnn.publish.publisher import Publisher, new_boot_id  # noqa: E402
from edgesnn.publish.registry import make_sink  # noqa: E402

STILL = ("window", "sensor", "decision", "label", "class", "confidence", "topk", "spikes", "synops")
PEAK_LIMIT_MB = 120
_MEASURE = (  # VmHWM starts anew at exec; getrusage's ru_maxrss would count this process too
    "import sys; from edgesnn.cli.main import main; main(sys.argv[1:]);"
    "peak = next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM'));"
    "print('PEAK', peak, file=sys.stderr)"
)


def what_it_says(record_: dict[str, Any]) -> list[Any]:
    """Return the fields that may not depend on time or way."""
    return [record_[name] for name in STILL]


class Listener:
    """An independent subscriber."""

    def __init__(self, broker: Broker) -> None:
        self.records: list[dict[str, Any]] = []
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "bench-listener", protocol=paho.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe("edgesnn/+/+/prediction", 1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _c, _u, message: self.records.append(json.loads(message.payload))
        self._client.connect(broker.host, broker.port)

    def __enter__(self) -> Listener:
        self._client.loop_start()
        if not self._ready.wait(10):
            raise SystemExit("no subscription")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def acknowledged_us(make: Callable[[], Pipeline], broker: LocalBroker) -> tuple[list[float], list[dict[str, Any]]]:
    """Play the recording once; return the time to each acknowledgement, and what the listener received."""
    waits: list[float] = []

    def on_ack(prediction: Prediction) -> None:
        total, decided_us = prediction.latency_us.total, prediction.t_mono_us
        assert total is not None
        assert decided_us is not None
        waits.append(time.monotonic_ns() / 1e3 - decided_us + total)

    boot_id = new_boot_id()
    sink = make_sink(
        "mqtt", broker=broker.broker, node="bench", boot_id=boot_id, protocol=broker.protocol, on_ack=on_ack
    )
    with Listener(broker.broker) as listener, Publisher([sink], node="bench", boot_id=boot_id) as publisher:
        with make() as pipeline:
            for prediction in pipeline:
                publisher.write(prediction)
        publisher.finish(30.0)
        deadline = time.monotonic() + 5
        while len(listener.records) < len(waits) and time.monotonic() < deadline:
            time.sleep(0.01)
    return waits, listener.records


def peak_mb(recording: Path, model: str) -> float:
    """Return the peak resident memory of `edgesnn replay` in MB."""
    command = [sys.executable, "-c", _MEASURE, "replay", str(recording), "-m", model, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return int(done.stderr.rpartition("PEAK ")[2]) * 1024 / 1e6


def main() -> None:
    """Check, measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="gestures")
    parser.add_argument("--recording", type=Path, default=ROOT / "edgesnn" / "zoo" / "demo.raw")
    args = parser.parse_args()
    model = edgesnn.load(args.model)
    expected = [what_it_says(p.to_dict()) for p in Pipeline(args.recording, model)]
    expected = json.loads(json.dumps(expected))
    results: dict[str, Any] = {"model": model.name, "recording": args.recording.name, "windows": len(expected)}
    with LocalBroker("mosquitto") as broker:
        for speed in ("max", "1x"):
            waits, received = acknowledged_us(lambda: Pipeline(args.recording, model, speed=speed), broker)  # noqa: B023
            assert [what_it_says(r) for r in received] == expected, "what arrived is not what was predicted"
            p50, p99 = np.percentile(waits, [50, 99], method="inverted_cdf")
            results[speed] = {"p50_us": float(p50), "p99_us": float(p99)}
            print(
                f"speed {speed}: {len(waits)} windows, last event to acknowledgement p50 {p50:.0f} us, p99 {p99:.0f} us"
            )
    results["replay_peak_mb"] = peak_mb(args.recording, args.model)
    print(f"peak resident memory of edgesnn replay: {results['replay_peak_mb']:.0f} MB, goal {PEAK_LIMIT_MB} MB")
    print(json.dumps(record("pipeline", results)))


if __name__ == "__main__":
    main()
