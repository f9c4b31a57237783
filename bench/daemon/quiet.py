"""A service that has nothing to do, and one that starts."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

import edgesnn
from bench.daemon.rig import RECORDING, Listener, Running, any_port, configuration, stream, wait_for
from tests.brokers import KillableBroker

MODEL = "gestures"
SETTLE_S = 3.0


def idle(seconds: float, *, sender: bool) -> dict[str, float]:
    """Return {"cpu_percent", "resident_mb"} of a service whose one camera has not come yet, or sees nothing."""
    udp = any_port()
    source = f"udp://127.0.0.1:{udp}?format=evt3&sensor=128x128&dead_ms=3600000"
    with tempfile.TemporaryDirectory() as name, KillableBroker("mosquitto", Path(name)) as broker:
        text = configuration(broker.url, stream("main", source, MODEL), port=any_port())
        with (
            Listener(broker.broker, "edgesnn/bench/main/prediction") as listener,
            Running(Path(name), text) as daemon,
        ):
            wait_for("the connection", lambda: ": connected" in daemon.said.read_text())
            if sender:
                _send(udp)
                wait_for("a prediction", lambda: listener.heard)
            time.sleep(SETTLE_S)
            cpu_s, began_s, heard = daemon.cpu_s(), time.monotonic(), len(listener.heard)
            time.sleep(seconds)
            cpu_s, took_s, heard = daemon.cpu_s() - cpu_s, time.monotonic() - began_s, len(listener.heard) - heard
            if bool(heard) is not sender:
                raise SystemExit(f"{heard} predictions of a sender that is {'there' if sender else 'absent'}")
            return {"cpu_percent": round(100 * cpu_s / took_s, 3), "resident_mb": round(daemon.resident_mb(), 1)}


def start(times: int) -> dict[str, Any]:
    """Return seconds from the command to the first prediction at a subscriber, and to the service's end of starting."""
    firsts, readies = [], []
    with tempfile.TemporaryDirectory() as name, KillableBroker("mosquitto", Path(name)) as broker:
        text = configuration(broker.url, stream("main", str(RECORDING), MODEL), port=any_port())
        for _ in range(times):
            with (
                Listener(broker.broker, "edgesnn/bench/main/prediction") as listener,
                socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
            ):
                systemd.bind(f"{name}/notify")
                systemd.settimeout(60)
                os.environ["NOTIFY_SOCKET"] = f"{name}/notify"
                with Running(Path(name), text) as daemon:
                    while systemd.recv(4096) != b"READY=1":
                        pass
                    readies.append((time.monotonic_ns() - daemon.began_ns) / 1e9)
                    wait_for("the first prediction", lambda: listener.heard)
                    firsts.append((listener.heard[0][0] - daemon.began_ns) / 1e9)
                del os.environ["NOTIFY_SOCKET"]
                os.remove(f"{name}/notify")
    return {"first_prediction_s": _spread(firsts), "ready_s": _spread(readies)}


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {"best": round(ordered[0], 3), "median": round(ordered[len(ordered) // 2], 3), "max": round(ordered[-1], 3)}


def _send(port: int) -> None:
    """Send the recording's first second, as a camera would."""
    data = edgesnn.open(str(RECORDING)).open_data(0).read()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for at in range(0, len(data) - 1000, 1000):
            sender.sendto(data[at : at + 1000], ("127.0.0.1", port))
            time.sleep(0.01)
