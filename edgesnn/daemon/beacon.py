"""The node's own topics besides its status: health, stats, config. A connection and a thread, last values only.

What cannot be sent now is replaced by the next value: nothing here waits, and nothing is kept on disk.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from typing import Any

from edgesnn.broker_url import Broker
from edgesnn.mqtt import Client, Connected, Lost, make_client_id
from edgesnn.publish.publisher import utc_now
from edgesnn.publish.sinks.mqtt import PATIENCE_S
from edgesnn.publish.topics import ROOT
from edgesnn.version import __version__

_log = logging.getLogger("edgesnn.daemon")


class Beacon:
    """Publishes records under `edgesnn/<node>/`. Any thread may call `say`; `close` leaves.

    Args:
        broker, protocol: as the sink has them.
        node, boot_id: of the records.

    Attributes:
        why: what the connection was lost for; None: it is there.
    """

    def __init__(self, broker: Broker, *, node: str, boot_id: str, protocol: str) -> None:
        self._node, self._boot_id = node, boot_id
        self._client = Client(broker, client_id=make_client_id(node, "node"), protocol=protocol, patience_s=PATIENCE_S)
        self.why: str | None = None
        self._said: set[str] = set()  # since it was connected last
        self._lock = threading.Lock()
        self._retained: dict[str, bytes] = {}
        self._next: dict[str, bytes] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="edgesnn-node", daemon=True)

    def start(self) -> None:
        """Connect, and go on trying."""
        self._thread.start()

    @property
    def connected(self) -> bool:
        """Whether the broker has us."""
        return self._client.connected

    def say(self, kind: str, fields: Mapping[str, Any], *, retain: bool) -> None:
        """Publish a record at `edgesnn/<node>/<kind>`; a retained one again at every connection."""
        head = {"schema": f"edgesnn.{kind}/1", "node": self._node, "boot_id": self._boot_id, "version": __version__}
        record = {**head, "ts": utc_now(), **fields}
        payload = json.dumps(record, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode()
        with self._lock:
            self._next[kind] = payload
            if retain:
                self._retained[kind] = payload
        self._client.wake()

    def close(self, timeout_s: float = 2.0) -> None:
        """Send what waits, if the broker is there, and leave."""
        self._closing.set()
        self._client.wake()
        if self._thread.is_alive():
            self._thread.join(timeout_s + 5.0)

    def _work(self) -> None:
        try:
            while not self._closing.is_set():
                self._turn(0.5)
            self._turn(0.0)
        except Exception:
            _log.exception("the node's own topics end: this is a fault of edgesnn: please report it")
        finally:
            self._client.close()

    def _turn(self, wait_s: float) -> None:
        for event in self._client.poll(wait_s):
            if isinstance(event, Connected):
                self.why = None
                self._said.clear()
                _log.info("%s: connected", self._client.broker.url)
                with self._lock:
                    self._next = {**self._retained, **self._next}
            elif isinstance(event, Lost):
                self.why = str(event.error)
                if self.why not in self._said:
                    self._said.add(self.why)
                    _log.warning("%s; trying again", event.error)
        if not self._client.connected:
            return
        with self._lock:
            told, self._next = self._next, {}
            retained = set(self._retained)
        for kind, payload in told.items():
            self._client.publish(f"{ROOT}/{self._node}/{kind}", payload, retain=kind in retained)
