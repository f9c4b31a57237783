"""A local broker for the demo and the tests: its own process, on 127.0.0.1, with our configuration and a free port.

mosquitto where it is installed, else amqtt (extra `broker`). The broker's process is watched by a small one of ours
(`broker_process.py`) that ends it when this process ends, however it ends.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from types import TracebackType
from typing import Literal

from edgesnn.broker_url import Broker
from edgesnn.errors import PublishError

Kind = Literal["mosquitto", "amqtt"]
START_S = 10.0
PROGRAM_VARIABLE = "EDGESNN_MOSQUITTO"
HINT = "apt install mosquitto, or pip install 'edgesnn[broker]'"


def find_mosquitto() -> str | None:
    """Return mosquitto's path: EDGESNN_MOSQUITTO if set (empty: none), else on PATH or where root's programs are."""
    named = os.environ.get(PROGRAM_VARIABLE)
    if named is not None:
        return shutil.which(named) if named else None
    search = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin" + os.pathsep + "/usr/local/sbin"
    return shutil.which("mosquitto", path=search)


def available() -> list[Kind]:
    """Return the kinds of broker that can be started here, the preferred one first."""
    kinds: list[Kind] = []
    if find_mosquitto():
        kinds.append("mosquitto")
    if importlib.util.find_spec("amqtt"):
        kinds.append("amqtt")
    return kinds


class LocalBroker:
    """A broker that runs while this context manager is open.

    Args:
        kind: "mosquitto", "amqtt", or None: the first of `available()`.

    Raises:
        PublishError: on entering, when no broker is available or it does not start.
    """

    def __init__(self, kind: Kind | None = None) -> None:
        kinds = available()
        if not kinds or (kind is not None and kind not in kinds):
            raise PublishError("no broker to start", found=", ".join(kinds) or "none", expected=kind, hint=HINT)
        self.kind: Kind = kind or kinds[0]
        self.broker = Broker("127.0.0.1", 0)
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> LocalBroker:
        said = ""
        for _attempt in range(3):  # another process may take the port between our look and the broker's bind
            self.broker = Broker("127.0.0.1", free_port())
            self._process = self._start(self.broker.port)
            if self._answers():
                return self
            said = self._end()
        raise PublishError(f"{self.kind} did not start", found=" ".join(said.split())[-300:] or None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def protocol(self) -> str:
        """What to ask for, so that no client waits for a fall-back: amqtt speaks 3.1.1 only."""
        return "auto" if self.kind == "mosquitto" else "3.1.1"

    @property
    def url(self) -> str:
        """The URL to give to `--mqtt`."""
        return self.broker.url

    def _start(self, port: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "edgesnn.publish.broker_process", self.kind, str(port)]
        if self.kind == "mosquitto":
            command.append(find_mosquitto() or "mosquitto")
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for us: the broker must outlive it until we have said goodbye
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def _answers(self) -> bool:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            try:
                socket.create_connection((self.broker.host, self.broker.port), timeout=0.5).close()
                return True
            except OSError:
                time.sleep(0.01)
        return False

    def _end(self) -> str:
        """Close the pipe that keeps the broker alive, wait, and return what it said."""
        process, self._process = self._process, None
        if process is None:
            return ""
        try:
            return process.communicate(timeout=5.0)[1] or ""
        except subprocess.TimeoutExpired:
            process.kill()
            return process.communicate()[1] or ""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody used a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def reachable(broker: Broker, timeout_s: float = 2.0) -> str | None:
    """Return None if something listens at the broker's address, else why not."""
    try:
        socket.create_connection((broker.host, broker.port), timeout=timeout_s).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def amqtt_configuration(port: int) -> str:
    """Return amqtt's configuration as JSON: 127.0.0.1 only (its own default listens everywhere), nobody asked who."""
    return json.dumps(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
