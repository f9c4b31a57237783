"""Brokers that tests start, kill and start again on the same port; and an independent subscriber."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edgesnn.broker_url import Broker
from edgesnn.publish.broker import amqtt_configuration, find_mosquitto, free_port, reachable


class KillableBroker:
    """A broker run by the test itself, so that it can be killed with SIGKILL, stopped, and started again.

    With `persistent` what it holds outlives it, as it stood at the last `save`: mosquitto's sessions, above all.
    """

    def __init__(
        self,
        kind: str,
        folder: Path,
        password: tuple[str, str] | None = None,
        access: str = "",
        *,
        persistent: bool = False,
        more: str = "",
    ) -> None:
        self.kind = kind
        self.folder = folder
        self.broker = Broker("127.0.0.1", free_port())
        self.password = password
        self.access = access  # the text of mosquitto's access list
        self.persistent = persistent
        self.store = folder  # where it keeps what outlives it
        self.more = more  # lines of mosquitto's configuration, such as a second listener
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> KillableBroker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        return self.broker.url

    def start(self) -> None:
        self.process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while reachable(self.broker) is not None:
            assert self.process.poll() is None, "the broker ended"
            assert time.monotonic() < deadline, "the broker does not answer"
            time.sleep(0.01)

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def save(self) -> None:
        """Make mosquitto write what it holds."""
        self.signal(signal.SIGUSR1)
        deadline = time.monotonic() + 10
        while not (self.store / "mosquitto.db").exists():
            assert time.monotonic() < deadline, "the broker does not save"
            time.sleep(0.01)

    def _command(self) -> list[str]:
        if self.kind == "amqtt":
            return [sys.executable, "-c", _AMQTT, amqtt_configuration(self.broker.port)]
        mosquitto = find_mosquitto()
        assert mosquitto is not None
        lines = [f"listener {self.broker.port} 127.0.0.1", "set_tcp_nodelay true", "log_dest none"]
        if self.persistent:
            lines += ["persistence true", f"persistence_location {self.store}/", "autosave_interval 0"]
        if not self.access:  # with both mosquitto closes the connection instead of refusing a message
            lines.append("max_queued_messages 0")  # else it acknowledges and drops what a slow subscriber has not taken
        lines += self._authentication(Path(mosquitto))
        if self.access:
            (self.folder / "access").write_text(self.access)
            lines.append(f"acl_file {self.folder / 'access'}")
        lines += self.more.splitlines()
        if os.geteuid() == 0:
            lines.append("user root")  # it must be able to read the password file of a private folder
        configuration = self.folder / "mosquitto.conf"
        configuration.write_text("\n".join(lines) + "\n")
        return [mosquitto, "-c", str(configuration)]

    def _authentication(self, mosquitto: Path) -> list[str]:
        if self.password is None:
            return ["allow_anonymous true"]
        passwords = self.folder / "passwords"
        tool = next(p for p in (mosquitto.parent, mosquitto.parent.parent / "bin") if (p / "mosquitto_passwd").exists())
        subprocess.run([tool / "mosquitto_passwd", "-b", "-c", passwords, *self.password], check=True)
        return ["allow_anonymous false", f"password_file {passwords}"]


_AMQTT = """
import asyncio, json, logging, sys
from amqtt.broker import Broker
logging.disable(logging.CRITICAL)
async def serve():
    await Broker(json.loads(sys.argv[1])).start()
    await asyncio.Event().wait()
asyncio.run(serve())
"""


class Subscriber:
    """Collects everything under a topic, with paho's own loop and none of our code; comes back after a loss.

    With a `session`, its client id, the broker keeps for it what comes while it is away.
    """

    def __init__(
        self,
        broker: Broker,
        topic: str = "edgesnn/#",
        *,
        v5: bool = True,
        session: str | None = None,
        keepalive_s: int = 5,
    ) -> None:
        self.messages: list[paho.MQTTMessage] = []
        self._topic = topic
        self._ready = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            session or f"test-{os.getpid()}-{id(self)}",
            protocol=paho.MQTTv5 if v5 else paho.MQTTv311,
            clean_session=None if v5 else session is None,
        )
        self._client.reconnect_delay_set(0.2, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(self._topic, 1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_disconnect = lambda *_: self._ready.clear()
        self._client.on_message = lambda _client, _user, message: self.messages.append(message)
        self._broker, self._options, self._keepalive_s = broker, {}, keepalive_s
        if v5 and session is not None:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 3600
            self._options = {"clean_start": False, "properties": properties}

    def __enter__(self) -> Subscriber:
        self.come()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def come(self) -> None:
        """Connect and subscribe; again after `leave`."""
        self._client.connect(self._broker.host, self._broker.port, self._keepalive_s, **self._options)
        self._client.loop_start()
        self.wait()

    def wait(self) -> None:
        """Wait until it is subscribed."""
        assert self._ready.wait(20), "no subscription"

    def leave(self) -> None:
        """Say goodbye; a session stays at the broker."""
        self._client.disconnect()
        self._client.loop_stop()
        self._ready.clear()

    def wait_for(self, count: int, suffix: str = "/prediction", timeout_s: float = 60.0) -> list[paho.MQTTMessage]:
        """Return the messages whose topic ends with `suffix`, at least `count` of them."""
        deadline = time.monotonic() + timeout_s
        while len(self.of(suffix)) < count:
            assert time.monotonic() < deadline, f"{len(self.of(suffix))} of {count} messages arrived"
            time.sleep(0.01 + len(self.messages) / 100_000)  # a look at very many keeps the client from its work
        return self.of(suffix)

    def of(self, suffix: str) -> list[paho.MQTTMessage]:
        return [message for message in self.messages if message.topic.endswith(suffix)]
