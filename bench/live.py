"""Live sources: million events per second of the reading thread, from a datagram to its packet, lateness of a replay.

    python bench/live.py [--seconds 3]

Sends made-up events (about 100,000 a second of sensor time) to sources on this machine. The events that arrive are
compared with those sent before anything is timed. Rates are by the processor time of the thread that reads and decodes:
who sends is another one. Latencies are by the clock, so a loaded machine shows in them.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import edgesnn  # noqa: E402
from bench.common import record  # noqa: E402
from edgesnn.events.formats.base import EncoderOptions  # noqa: E402
from edgesnn.events.registry import get  # noqa: E402
from edgesnn.events.sources.live import LiveSource  # noqa: E402
from edgesnn.events.types import EVENT, TRIGGER  # noqa: E402

SENSOR = (640, 480)
HOW = "sensor=640x480&format=evt3"
DATAGRAM = 1400
QUEUED = 100  # datagrams that any system's queue holds


def make_events(count: int) -> np.ndarray:
    """Return events with rising times."""
    rng = np.random.default_rng(0)
    events = np.zeros(count, EVENT)
    events["t"] = np.cumsum(rng.integers(0, 20, count))
    events["x"], events["y"] = rng.integers(0, SENSOR[0], count), rng.integers(0, SENSOR[1], count)
    events["p"] = rng.integers(0, 2, count)
    return events


def evt3(events: np.ndarray) -> bytes:
    """Return their words."""
    encoder = get("evt3").encoder(EncoderOptions(SENSOR))  # type: ignore[attr-defined]
    encoder.begin()
    words: bytes = encoder.encode(events, np.zeros(0, TRIGGER), int(events["t"][-1]) + 20_000)
    return words


def spif(events: np.ndarray) -> bytes:
    """Return their words."""
    words = np.zeros((len(events), 2), "<u4")
    words[:, 0] = events["x"].astype("<u4") << 16 | events["p"].astype("<u4") << 15 | events["y"]
    words[:, 1] = events["t"]
    return words.tobytes()


def read_stream(source: LiveSource, send: Callable[[], None], count: int) -> tuple[np.ndarray, float]:
    """Return the events of a sender that waits while nobody reads, and the processor time that reading took."""
    sender = threading.Thread(target=send)
    sender.start()
    parts, got, began_s = [], 0, time.thread_time()
    while got < count:
        packet = source.read(1.0)
        assert packet is not None, source
        parts.append(packet.events)
        got += len(packet.events)
    took_s = time.thread_time() - began_s
    sender.join()
    return np.concatenate(parts), took_s


def read_datagrams(source: LiveSource, data: bytes) -> tuple[np.ndarray, float]:
    """Return the events of datagrams that wait in the queue, some at a time, and the time that reading took."""
    pieces = [data[at : at + DATAGRAM] for at in range(0, len(data), DATAGRAM)]
    parts, took_s = [np.zeros(0, EVENT)], 0.0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for at in range(0, len(pieces), QUEUED):
            for piece in pieces[at : at + QUEUED]:
                sender.sendto(piece, ("127.0.0.1", source.port))
            began_s = time.thread_time()
            while source.counters["datagrams"] < min(at + QUEUED, len(pieces)):
                packet = source.read(1.0)
                assert packet is not None, source
                parts.append(packet.events)
            took_s += time.thread_time() - began_s
    return np.concatenate(parts), took_s


def once(kind: str, events: np.ndarray, folder: str) -> float:
    """Send all events to a source of this kind once; return million events per second after a look at them."""
    data = spif(events) if kind == "spif" else evt3(events)
    if kind in ("udp", "spif"):
        url = f"udp://127.0.0.1:0?{HOW}" if kind == "udp" else "spif://127.0.0.1:0?sensor=640x480"
        with edgesnn.open(url) as source:
            found, took_s = read_datagrams(source, data)
    else:
        path = os.path.join(folder, kind)
        if kind == "pipe":
            os.mkfifo(path)
        url = {"pipe": f"pipe:{path}?{HOW}", "unix": f"unix:{path}?listen&{HOW}"}.get(kind, f"tcp://:0?listen&{HOW}")
        with edgesnn.open(url) as source:
            port = source.port
            found, took_s = read_stream(source, lambda: _send(kind, path, port, data), len(events))
        if kind == "pipe":
            os.unlink(path)
    if found.tobytes() != events.tobytes():
        raise SystemExit(f"{kind}: {len(found)} events arrived, not the {len(events)} that were sent")
    return len(events) / took_s / 1e6


def _send(kind: str, path: str, port: int | None, data: bytes) -> None:
    if kind == "pipe":
        Path(path).write_bytes(data)
        return
    with socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET) as one:
        one.connect(path if kind == "unix" else ("127.0.0.1", port))
        one.sendall(data)


def latency_us(seconds: float) -> list[float]:
    """Return how long single datagrams took from before their sending to their packet."""
    took: list[float] = []
    url = "spif://127.0.0.1:0?sensor=640x480"
    with edgesnn.open(url) as source, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        until_s, number = time.monotonic() + seconds, 0
        while time.monotonic() < until_s:
            number += 1
            timer = threading.Timer(0.005, _timed, (sender, source.port, number, sent := []))
            timer.start()
            while not len((source.read(1.0) or (np.zeros(0, EVENT), 0))[0]):
                pass
            took.append((time.perf_counter() - sent[0]) * 1e6)
            timer.join()
    return took


def _timed(sender: socket.socket, port: int, number: int, sent: list[float]) -> None:
    event = np.zeros(1, EVENT)
    event["t"] = number * 5_000
    sent.append(time.perf_counter())
    sender.sendto(spif(event), ("127.0.0.1", port))


def main() -> None:
    """Check, measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="for the latencies (default: 3)")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    events = make_events(args.events)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("pipe", "tcp", "unix", "udp", "spif"):
            rates = sorted(once(kind, events, folder) for _ in range(args.repeats))
            results[kind] = {"mev_s": {"best": rates[-1], "median": rates[len(rates) // 2]}}
            print(f"{kind}: {rates[len(rates) // 2]:.1f} million events/s (best {rates[-1]:.1f})")
        took = latency_us(args.seconds)
        p50, p99 = np.percentile(took, [50, 99])
        results["latency_us"] = {"p50": p50, "p99": p99, "datagrams": len(took)}
        print(f"from sending a datagram to its packet: p50 {p50:.0f} us, p99 {p99:.0f} us")
        path = os.path.join(folder, "made.raw")
        edgesnn.write(path, events[: len(events) // 4], sensor=SENSOR)
        with edgesnn.open(f"replay:{path}") as source:
            for _ in source:
                pass
            results["replay_late_us"] = late = source.details["jitter_us"]
        print("packets of a replay came late: " + ", ".join(f"{name} {us:.0f} us" for name, us in late.items()))
    print(json.dumps(record("live", results)))


if __name__ == "__main__":
    main()
