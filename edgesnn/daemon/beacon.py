"""The node's own topics besides its status: health, stats, config, discovery. A thread, last values only.

What cannot be sent now is replaced by the next value: nothing here waits, and nothing is kept on disk.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from edgesnn.broker_url import Broker
from edgesnn.errors import PublishError
from edgesnn.mqtt import Client, Connected, Lost, Message, Refused, make_client_id
from edgesnn.publish.publisher import utc_now
from edgesnn.publish.sinks.mqtt import PATIENCE_S
from edgesnn.publish.topics import ROOT
from edgesnn.version import __version__

LASTING_S = 60.0  # a connection that is lost sooner was none: a loss that the log has is not logged again
_log = logging.getLogger("edgesnn.daemon")


class Beacon:
    """Publishes records under `edgesnn/<node>/`. Any thread may call `say` and `send`; `close` leaves.

    Args:
        broker, protocol: as the sink has them.
        client_id: this connection's; None: a random one.
        node, boot_id: of the records.

    Attributes:
        why: what the connection was lost for; None: it is there.
    """

    def __init__(self, broker: Broker, *, node: str, boot_id: str, protocol: str, client_id: str | None = None) -> None:
        self._node, self._boot_id = node, boot_id
        client_id = client_id or make_client_id(node, "node")
        self._client = Client(broker, client_id=client_id, protocol=protocol, patience_s=PATIENCE_S)
        self.why: str | None = None
        self._said: set[str] = set()  # losses that the log has, since a connection lasted
        self._told = False  # the log ends with "connected"
        self._since_s = 0.0
        self._lock = threading.Lock()
        self._retained: dict[str, bytes] = {}
        self._next: dict[str, bytes] = {}
        self._heard: dict[str, Callable[[bytes], None]] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="edgesnn-node", daemon=True)

    def start(self) -> None:
        """Connect, and go on trying."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether its thread is there."""
        return self._thread.is_alive()

    @property
    def connected(self) -> bool:
        """Whether the broker has us."""
        return self._client.connected

    def say(self, kind: str, fields: Mapping[str, Any], *, retain: bool) -> None:
        """Publish a record at `edgesnn/<node>/<kind>`; a retained one again at every connection."""
        head = {"schema": f"edgesnn.{kind}/1", "node": self._node, "boot_id": self._boot_id, "version": __version__}
        record = {**head, "ts": utc_now(), **fields}
        payload = json.dumps(record, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode()
        self.send(f"{ROOT}/{self._node}/{kind}", payload, retain=retain)

    def send(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish at a topic; what is retained again at every connection, b"": what was there is taken away."""
        with self._lock:
            self._next[topic] = payload
            if retain:
                self._retained[topic] = payload
        self._client.wake()

    def listen(self, topic: str, heard: Callable[[bytes], None]) -> None:
        """Call `heard`, in this one's thread, with what is published at a topic, not retained; before `start`."""
        self._heard[topic] = heard

    def close(self, timeout_s: float = 7.0) -> None:
        """Send what waits, if the broker is there, and leave."""
        self._closing.set()
        self._client.wake()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _work(self) -> None:
        said = ""
        while not self._closing.is_set():
            try:
                self._turn(0.5)
            except Exception as error:  # this thread must not die: health would stay as it is, and nobody would know
                if repr(error) != said:
                    said = repr(error)
                    _log.exception("the node's own topics fail: this is a fault of edgesnn: please report it")
                known = PublishError("publishing failed", where=self._client.broker.url, found=repr(error))
                self._client.abandon(known)
        try:
            self._turn(0.0)
        finally:
            self._client.close()

    def _log_loss(self, why: str) -> None:
        """Log a loss; one that the log has, only where the connection had been there for long."""
        if self._since_s and time.monotonic() - self._since_s > LASTING_S:
            self._said.clear()
        self._since_s = 0.0
        if why not in self._said:
            self._said.add(why)
            self._told = False
            _log.warning("%s; trying again", why)

    def _turn(self, wait_s: float) -> None:
        for event in self._client.poll(wait_s):
            if isinstance(event, Connected):
                self.why, self._since_s = None, time.monotonic()
                if not self._told:
                    self._told = True
                    _log.info("%s: connected", self._client.broker.url)
                with self._lock:
                    self._next = {**self._retained, **self._next}
                for topic in self._heard:
                    self._client.subscribe(topic)
            elif isinstance(event, Message):
                if event.topic in self._heard and not event.retained:
                    self._heard[event.topic](event.payload)
            elif isinstance(event, Refused) and str(event.error) not in self._said:
                self._said.add(str(event.error))
                _log.warning("%s", event.error)
            elif isinstance(event, Lost):
                self.why = str(event.error)
                self._log_loss(self.why)
        if not self._client.connected:
            return
        with self._lock:
            told, self._next = self._next, {}
            retained = set(self._retained)
        for topic, payload in told.items():
            self._client.publish(topic, payload, retain=topic in retained)
