"""What the parts of this bench share: the service in a process of its own, and who listens to it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bench.common import ROOT
from edgesnn.broker_url import Broker
from edgesnn.publish.broker import free_port

RECORDING = ROOT / "recordings" / "hand_clap.raw"
NOTED = "from bench.daemon.noted import main; main()"


class Listener:
    """An independent subscriber, on this machine's clock: (monotonic ns, topic, payload) of all that comes."""

    def __init__(self, broker: Broker, topic: str) -> None:
        self.heard: list[tuple[int, str, bytes]] = []
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, f"bench-{os.getpid()}-{id(self)}", protocol=paho.MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_socket_open = lambda _c, _u, sock: sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, 1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._on_message
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 3600  # so that a broker that is stopped or slow drops nothing for us
        self._client.connect(broker.host, broker.port, 30, clean_start=False, properties=session)

    def __enter__(self) -> Listener:
        self._client.loop_start()
        if not self._ready.wait(10):
            raise SystemExit("no subscription")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client: Any, _userdata: Any, message: paho.MQTTMessage) -> None:
        self.heard.append((time.monotonic_ns(), message.topic, message.payload))

    def records(self) -> list[tuple[int, dict[str, Any]]]:
        """Return when each record came, and what it says."""
        return [(at_ns, json.loads(payload)) for at_ns, _, payload in list(self.heard)]


class Running:
    """`edgesnn run`, until the context ends.

    Args:
        folder: for its configuration, log and outbox.
        text: the configuration.
        notes: a file for the times of its publish calls (`noted.py`); None: it is run as users run it.
    """

    def __init__(self, folder: Path, text: str, notes: Path | None = None) -> None:
        self.said = folder / "service.log"
        path = folder / "config.toml"
        path.write_text(text, "utf-8")
        how = ["-m", "edgesnn"] if notes is None else ["-c", NOTED, str(notes)]
        environment = {**os.environ, "XDG_STATE_HOME": str(folder), "PYTHONPATH": str(ROOT)}
        with self.said.open("wb") as log:
            self.began_ns = time.monotonic_ns()
            self.process = subprocess.Popen(
                [sys.executable, *how, "run", "-c", str(path)], cwd=ROOT, env=environment, stdout=log, stderr=log
            )

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.returncode != 0:
            raise SystemExit(f"the service ended with {self.process.returncode}:\n{self.said.read_text()}")

    def cpu_s(self) -> float:
        """Return the processor time of all its threads so far."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9

    def resident_mb(self) -> float:
        """Return its resident memory."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text())
        return int(found[1]) * 1024 / 1e6 if found else 0.0


def configuration(url: str, *streams: str, port: int | None = None, more: str = "") -> str:
    """Return a configuration; `port`: of its pages."""
    pages = "enabled = false" if port is None else f"port = {port}"
    head = f'[node]\nname = "bench"\n[mqtt]\nurl = "{url}"\n[http]\n{pages}\n[log]\nformat = "text"\n{more}'
    return head + "".join(streams)


def stream(name: str, source: str, model: str) -> str:
    """Return a stream."""
    return f'[[stream]]\nname = "{name}"\nsource = "{source}"\nmodel = "{model}"\n'


def wait_for(what: str, found: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    """Wait until it is found."""
    deadline_s = time.monotonic() + timeout_s
    while not (value := found()):
        if time.monotonic() > deadline_s:
            raise SystemExit(f"{what} did not come")
        time.sleep(0.02)
    return value


def metrics(port: int) -> dict[str, float]:
    """Return the service's numbers, added up over streams: name -> value."""
    sums: dict[str, float] = {}
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            found = re.fullmatch(r"edgesnn_(\w+?)(?:_total)?(?:\{.*\})? (\S+)", line)
            if found:
                sums[found[1]] = sums.get(found[1], 0.0) + float(found[2])
    return sums


def any_port() -> int:
    """Return a free port."""
    return int(free_port())
