"""paho-mqtt's client, held to bounds: a broker cannot make it grow.

paho gathers a packet of up to 256 MiB and every message of QoS 2 that is begun, queues an answer to each message
whether the broker reads them or not, and passes on what a malformed packet raises. It knows no Receive Maximum, and
leaves a silent broker as long as that broker says. `_sock_recv`, `_create_socket`, `_in_packet`, `_out_packet`,
`_max_inflight_messages` and `_keepalive` are paho's own: `tests/attacks/test_hostile_brokers.py` and
`tests/unit/test_mqtt_limits.py` fail where a version has none.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edgesnn.broker_url import Broker
from edgesnn.mqtt.sockets import TIMEOUT_S, dial
from edgesnn.mqtt.websocket import WebSocket

IN_FLIGHT = 20  # a larger window is slower: measured, docs/mqtt.md
MOST_BYTES = 65_536
MOST_KEEPALIVES = 3  # that a packet may take to come
MOST_ANSWERS = 1000  # that wait for a broker that does not read them
VERSIONS = {"5": paho.MQTTv5, "3.1.1": paho.MQTTv311}
_READ_BYTES = 65_536
_PUBLISH, _QOS_2 = 0x30, 0x04  # MQTT 5, sections 2.1.2 and 3.3.1


class Link(paho.Client):
    """One connection.

    Args:
        broker: where, and as whom.
        client_id: ours.
        version: "5" or "3.1.1".
        most_bytes: of a packet from the broker; MQTT 5 tells it so.

    Attributes:
        trouble: what the broker sent that it may not.
        reason: what the system, or TLS, said when the connection broke.
        window: how many messages of QoS 1 may be in flight.
    """

    def __init__(self, broker: Broker, client_id: str, version: str, most_bytes: int) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, client_id, protocol=VERSIONS[version], reconnect_on_failure=False)
        self.trouble: str | None = None
        self.reason: str | None = None
        self.window = IN_FLIGHT
        self._asked_s = 0  # the keep-alive that we ask for
        self._to, self._most_bytes = broker, most_bytes
        self._coming: Any = None  # the packet that is being read, and since when
        self._coming_since_s = 0.0
        self.max_inflight_messages_set(self.window)
        if broker.user is not None:
            self.username_pw_set(broker.user, broker.password)

    def begin(self, keepalive_s: int) -> None:
        """Reach the broker and ask it to take us.

        Raises:
            ConfigError, OSError, ValueError: as `dial` does, and what paho makes of a wrong will or name.
        """
        self._asked_s = keepalive_s
        properties = None
        if self.protocol == paho.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.MaximumPacketSize = self._most_bytes
        self.connect(self._to.host, self._to.port, keepalive_s, properties=properties)

    def agree(self, properties: Any) -> None:
        """Keep to what the broker's CONNACK says: MQTT 5, sections 3.2.2.3.3 and 3.2.2.3.14.

        Its Server Keep Alive is the longest that we may be silent, and 0 is no limit: pings may come sooner, and ours
        do, since their answers are what tells a silent broker.
        """
        self.window = self._max_inflight_messages = min(IN_FLIGHT, getattr(properties, "ReceiveMaximum", IN_FLIGHT))
        self._keepalive = min(self._asked_s, getattr(properties, "ServerKeepAlive", 0) or self._asked_s)

    def serve(self, readable: bool) -> bool:
        """Read what there is, write and keep alive; False where the connection is over."""
        try:
            read = self.loop_read() if readable else 0
            codes = [read, self.loop_write() if self.want_write() else 0, self.loop_misc()]
        except Exception as error:  # what a malformed packet raises
            self.trouble = self.trouble or f"what is no MQTT ({error!r:.200})"
            return False
        if len(self._out_packet) > MOST_ANSWERS:
            self.trouble = "messages whose answers it does not read"
        if self._packet_s() > MOST_KEEPALIVES * self._asked_s:
            self.trouble = "a packet that does not end"
        return self.trouble is None and not any(codes) and self.socket() is not None

    def drop(self) -> None:
        """Close the socket without a goodbye."""
        sock = self.socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.close()

    def _packet_s(self) -> float:
        """Return how long the packet that comes has been coming: its bytes alone would keep the connection alive."""
        now_s = time.monotonic()
        if self._coming is not self._in_packet or not self._in_packet["command"]:
            self._coming, self._coming_since_s = self._in_packet, now_s
        return now_s - self._coming_since_s

    def _create_socket(self) -> Any:
        sock = dial(self._to)
        if self._to.path is None:
            return sock
        try:
            return WebSocket(sock, self._to, TIMEOUT_S)
        except BaseException:
            sock.close()
            raise

    def _sock_recv(self, bufsize: int) -> bytes:
        packet = self._in_packet
        size, command = packet["remaining_length"], packet["command"]
        if packet["have_remaining"] and size > self._most_bytes:
            self.trouble = f"a packet of {size} bytes, more than {self._most_bytes}"
        elif command & 0xF0 == _PUBLISH and command & _QOS_2:
            self.trouble = "a message of QoS 2, which nobody asked for"
        if self.trouble is not None:
            raise ConnectionAbortedError(self.trouble)
        try:
            return super()._sock_recv(min(bufsize, _READ_BYTES))
        except BlockingIOError:
            raise
        except OSError as error:
            self.reason = getattr(error, "reason", None) or error.strerror or str(error)
            raise
