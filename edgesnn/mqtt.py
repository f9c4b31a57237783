"""The one MQTT client: paho-mqtt behind a small door, driven by its owner's thread.

`Client.poll` does everything: it connects, reads, writes, keeps alive and comes back after a loss, and returns what
happened as a list of events. There is no second thread, so no callback can die or deadlock unseen, and `close` always
ends. Each connection is a new paho client: what was in flight when one is lost is the owner's to send again.

What paho and brokers do that shaped this: `docs/mqtt.md`, "Connection".
"""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import select
import socket
import ssl
import time
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edgesnn.broker_url import Broker
from edgesnn.errors import ConfigError, PublishError
from edgesnn.mqtt_events import Acknowledged, Connected, Event, Lost, Message, Refused, Subscribed, Will
from edgesnn.mqtt_versions import Versions

__all__ = [
    "IN_FLIGHT",
    "Acknowledged",
    "Client",
    "Connected",
    "Event",
    "Lost",
    "Message",
    "Refused",
    "Subscribed",
    "Will",
    "make_client_id",
]

IN_FLIGHT = 20  # a larger window is slower: measured, docs/mqtt.md
NO_ONE = 0x10  # "no matching subscribers"
UNSPECIFIED = 0x80  # what paho says where the other side just closed
SESSION_TAKEN_OVER = 0x8E
NOT_AUTHORISED = 0x87
CREDENTIAL_REFUSALS = {0x86, NOT_AUTHORISED, 0x8C}  # bad user or password, not authorised, bad authentication method
FINAL_REFUSALS = CREDENTIAL_REFUSALS | {0x85, 0x8A}  # and a bad client id, banned: trying again cannot mend these
FINAL_ANSWERS = {NOT_AUTHORISED, 0x90, 0x99}  # to a message; and a topic or payload that the broker does not take
CREDENTIALS_HINT = (
    "name the user in the URL (mqtt://user@host) and give the password in EDGESNN_MQTT_PASSWORD or --mqtt-password-file"
)
CONNECT_TIMEOUT_S = 5.0
FALL_BACK_AFTER_S = 2.0  # a 3.1.1 broker may not even close on a CONNECT of version 5 (amqtt, when there is a will)
BACK_OFF_S = (0.2, 30.0)
REST_S = (30.0, 120.0)
BRIEF_S, LASTING_S = 30.0, 300.0
MOST_BRIEF = 6
MOST_PACKET_BYTES = 1 << 24  # of a message that comes: a broker may say 256 MiB, and all of it would be held
VERSIONS = {"5": paho.MQTTv5, "3.1.1": paho.MQTTv311}


def make_client_id(node: str, role: str) -> str:
    """Return a client id that no other process has: edgesnn-<node>-<role>-<8 random hex>."""
    return f"edgesnn-{node}-{role}-{secrets.token_hex(4)}"


class Client:
    """One connection to a broker that comes back by itself, with jittered back-off.

    All methods belong to one thread, except `wake`, which any thread may call. Nothing blocks longer than its
    `timeout_s`, save a connection attempt (5 s).

    Args:
        broker: where, and as whom.
        client_id: from `make_client_id`.
        protocol: "5", "3.1.1", or "auto": 5, and 3.1.1 where the broker does not speak it.
        will: published by the broker when we vanish.
        keepalive_s: a dead link is noticed after about 1.5 times this.
        patience_s: after a refusal that trying again can hardly mend, try again when this has passed; None: never.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        client_id: str,
        protocol: str = "auto",
        will: Will | None = None,
        keepalive_s: int = 10,
        patience_s: float | None = None,
    ) -> None:
        self.broker = broker
        self._client_id = client_id
        self._versions = Versions(protocol)
        self._ask_again = False  # for version 5
        self._will, self._keepalive_s, self._patience_s = will, keepalive_s, patience_s
        self._paho: paho.Client | None = None
        self._accepted, self._accepted_at = False, 0.0
        self._stopped = False
        self._brief = self._rests = 0
        self._refusal: Any = None  # the reason in a CONNACK that refuses
        self._farewell: Any = None  # the reason of a disconnection
        self._events: list[Event] = []
        self._attempt_at = time.monotonic()
        self._connack_by = 0.0
        self._delay_s = BACK_OFF_S[0]
        self._wake_r, self._wake_w = os.pipe()
        os.set_blocking(self._wake_r, False)
        os.set_blocking(self._wake_w, False)

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the present connection."""
        return self._accepted

    @property
    def protocol(self) -> str:
        """The protocol of the present or next connection, "5" or "3.1.1"."""
        return self._versions.now

    def open(self, timeout_s: float = 10.0) -> None:
        """Poll until connected; the first attempt that fails raises `PublishError`."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for event in self.poll(deadline - time.monotonic()):
                if isinstance(event, Lost):
                    raise event.error
            if self._accepted:
                return
        raise self._error("no answer from the broker", found=f"nothing in {timeout_s:g} s")

    def poll(self, timeout_s: float) -> list[Event]:
        """Do what is due, wait at most `timeout_s` for traffic or `wake`, and return what happened since last time."""
        if self._paho is None and not self._stopped and time.monotonic() >= self._attempt_at:
            self._connect()
        readable = self._wait(0.0 if self._events else timeout_s)
        if self._paho is not None:
            self._serve(self._paho, readable)
        events, self._events = self._events, []
        return events

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, expiry_s: int | None = None
    ) -> int:
        """Hand a message to the connection and return its id; call only while `connected`.

        `expiry_s` lets the broker drop it undelivered after that time (MQTT 5; 3.1.1 has no such field).
        """
        properties = None
        if expiry_s is not None and self._versions.now == "5":
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = expiry_s
        return self._live().publish(topic, payload, qos, retain, properties).mid

    def subscribe(self, topic: str, qos: int = 1) -> int:
        """Ask for a subscription and return its id; call only while `connected`, again after each `Connected`."""
        mid = self._live().subscribe(topic, qos)[1]
        return -1 if mid is None else mid

    def wake(self) -> None:
        """Make a `poll` that waits return at once. Thread-safe, never blocks."""
        with contextlib.suppress(BlockingIOError, OSError):
            os.write(self._wake_w, b"w")

    def abandon(self, error: PublishError) -> None:
        """Give this connection up, to make a new one; `poll` then returns `error` as `Lost`."""
        if self._paho is not None:
            _drop(self._paho)
            self._paho = None
        self._fail(error)

    def close(self, timeout_s: float = 1.0) -> None:
        """Say goodbye and leave; twice is once."""
        client, self._paho, self._stopped = self._paho, None, True
        if client is not None:
            client.disconnect()
            deadline = time.monotonic() + timeout_s
            while client.want_write() and client.socket() and time.monotonic() < deadline:
                client.loop_write()
                time.sleep(0.001)
            _drop(client)
        for end in (self._wake_r, self._wake_w):
            with contextlib.suppress(OSError):
                os.close(end)
        self._wake_r = self._wake_w = -1

    # --- the connection ------------------------------------------------------------------------------------------

    def _live(self) -> paho.Client:
        if self._paho is None:
            raise self._error("not connected")
        return self._paho

    def _connect(self) -> None:
        client = self._make_client()
        self._refusal = self._farewell = None
        try:
            client.connect(self.broker.host, self.broker.port, self._keepalive_s)
        except ssl.SSLCertVerificationError as error:
            self._fail(self._error("the broker's certificate is not accepted", found=error.verify_message), final=True)
        except (OSError, ValueError) as error:
            self._brief = 0
            self._fail(self._error("cannot reach the broker", found=_reason(error), hint="is a broker running there?"))
        else:
            self._paho = client
            patience_s = FALL_BACK_AFTER_S if self._versions.may_fall_back else CONNECT_TIMEOUT_S
            self._connack_by = time.monotonic() + patience_s

    def _make_client(self) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            self._client_id,
            protocol=VERSIONS[self._versions.now],
            reconnect_on_failure=False,
        )
        client.max_inflight_messages_set(IN_FLIGHT)
        client.connect_timeout = CONNECT_TIMEOUT_S
        if self.broker.user is not None:
            client.username_pw_set(self.broker.user, self.broker.password)
        if self.broker.tls:
            self._set_tls(client)
        if self._will is not None:
            client.will_set(self._will.topic, self._will.payload, qos=1, retain=True)
        self._set_callbacks(client)
        return client

    def _set_tls(self, client: paho.Client) -> None:
        try:
            client.tls_set(ca_certs=self.broker.ca_file)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            hint = "name a PEM file of certificate authorities, or leave it out for the system's"
            raise ConfigError(
                "cannot use the certificate authorities", where=self.broker.ca_file, found=_reason(error), hint=hint
            ) from None

    def _set_callbacks(self, client: paho.Client) -> None:
        """Install callbacks that only note what happened; they run inside `poll`, in the owner's thread."""
        note = self._note

        def on_connect(_c: Any, _u: Any, _f: Any, reason: Any, _p: Any) -> None:
            if reason.is_failure:
                self._refusal = reason
            elif not self._versions.accepted():
                self._ask_again = True
            else:
                self._accepted, self._accepted_at = True, time.monotonic()
                note(Connected(self._versions.now))

        def on_disconnect(_c: Any, _u: Any, _f: Any, reason: Any, _p: Any) -> None:
            self._farewell = reason

        def on_publish(_c: Any, _u: Any, mid: int, reason: Any, _p: Any) -> None:
            note(self._refused(mid, reason) if reason.is_failure else Acknowledged(mid, reason.value != NO_ONE))

        def on_message(_c: Any, _u: Any, message: Any) -> None:
            note(Message(message.topic, bytes(message.payload), bool(message.retain)))

        client.on_connect = on_connect
        client.on_disconnect = on_disconnect
        client.on_publish = on_publish
        client.on_message = on_message
        client.on_subscribe = lambda _c, _u, mid, _codes, _p: note(Subscribed(mid))
        client.on_socket_open = _no_delay

    def _note(self, event: Event) -> None:
        self._events.append(event)

    def _refused(self, mid: int, reason: Any) -> Refused:
        hint = "does its access control let this user write below edgesnn/?" if reason.value == NOT_AUTHORISED else None
        error = self._error("the broker refuses what is published", found=str(reason), hint=hint)
        return Refused(mid, error, reason.value in FINAL_ANSWERS)

    def _wait(self, timeout_s: float) -> bool:
        """Sleep until the socket, `wake` or a deadline asks for work; say whether the connection may have bytes."""
        poller = select.poll()
        poller.register(self._wake_r, select.POLLIN)
        client = self._paho
        sock = client.socket() if client is not None else None
        if client is not None and sock is not None:
            poller.register(sock, select.POLLIN | (select.POLLOUT if client.want_write() else 0))
            if getattr(sock, "pending", int)() > 0:  # bytes that TLS has already read do not wake poll(2)
                timeout_s = 0.0
        limit_s = 1.0 if client is not None else max(0.0, self._attempt_at - time.monotonic())
        if self._stopped:
            limit_s = timeout_s
        ready = [fd for fd, _ in poller.poll(max(0.0, min(timeout_s, limit_s)) * 1000.0)]
        if self._wake_r in ready:
            with contextlib.suppress(BlockingIOError):
                while len(os.read(self._wake_r, 4096)) == 4096:
                    pass
        if type(sock) is not socket.socket:
            return True  # TLS and websockets may have read more than they gave
        return sock.fileno() in ready

    def _serve(self, client: paho.Client, readable: bool) -> None:
        try:
            read = client.loop_read() if readable else paho.MQTT_ERR_SUCCESS
            codes = [read, client.loop_write() if client.want_write() else 0, client.loop_misc()]
            self._check_size(client)
        except Exception as error:  # paho-mqtt on bytes that no broker sends
            self.abandon(self._error("the broker sends what cannot be read", found=_reason(error)))
            return
        if self._ask_again:
            self._ask_again, self._paho = False, None
            client.disconnect()
            _drop(client)
        elif any(code != paho.MQTT_ERR_SUCCESS for code in codes) or client.socket() is None:
            self._connection_lost(client)
        elif not self._accepted and time.monotonic() > self._connack_by:
            _drop(client)
            self._paho = None
            if not self._versions.fall_back(None):
                self._fail(self._error("no answer from the broker", found=f"nothing in {CONNECT_TIMEOUT_S:g} s"))

    def _check_size(self, client: paho.Client) -> None:
        coming = client._in_packet["remaining_length"]
        if coming > MOST_PACKET_BYTES:
            raise ValueError(f"a message of {coming} bytes, more than {MOST_PACKET_BYTES}")

    def _connection_lost(self, client: paho.Client) -> None:
        _drop(client)
        self._paho = None
        was_accepted, self._accepted = self._accepted, False
        brief = was_accepted and self._count_brief()
        if was_accepted and time.monotonic() - self._accepted_at > self._delay_s:
            self._delay_s = BACK_OFF_S[0]  # a broker that takes us and drops us at once is no reason to hurry
        reason = self._farewell if was_accepted else self._refusal
        value = getattr(reason, "value", None)
        if not was_accepted and self._versions.fall_back(value):
            return
        if value == SESSION_TAKEN_OVER:
            self._rest(f"another client took over the id {self._client_id}")
        elif was_accepted:
            found = "closed without a reason" if value in (None, UNSPECIFIED) else str(reason)
            if brief:
                self._rest("the connection to the broker is lost again and again", found)
            else:
                self._fail(self._error("the connection to the broker was lost", found=found))
        else:
            hint = CREDENTIALS_HINT if value in CREDENTIAL_REFUSALS else None
            found = str(reason) if reason is not None else "closed before it answered"
            error = self._error("the broker refused the connection", found=found, hint=hint)
            self._fail(error, final=value in FINAL_REFUSALS)

    def _count_brief(self) -> bool:
        """Note how long this connection lasted; True where many in a row were lost soon, and none could not be made.

        So it is with two clients of one id: each takes the other's place, and mosquitto does not say so.
        """
        lasted_s = time.monotonic() - self._accepted_at
        if lasted_s > LASTING_S:
            self._brief = self._rests = 0
        elif lasted_s < BRIEF_S:
            self._brief += 1
        return self._brief >= MOST_BRIEF

    def _rest(self, what: str, found: str | None = None) -> None:
        """Wait, longer each time: two that take each other's place would go on without an end."""
        hint = f"does another client have the id {self._client_id}? each needs its own"
        self._fail(self._error(what, found=found, hint=hint), final=found is None)
        if not self._stopped:
            wait_s = min(REST_S[0] * 2.0**self._rests, REST_S[1])
            self._attempt_at = time.monotonic() + wait_s * random.uniform(0.5, 1.0)
            self._rests += 1

    def _fail(self, error: PublishError, *, final: bool = False) -> None:
        wait_s = self._patience_s if final and self._patience_s is not None else self._delay_s
        final = final and self._patience_s is None
        self._accepted, self._stopped = False, self._stopped or final
        self._attempt_at = time.monotonic() + wait_s * random.uniform(0.5, 1.0)
        self._delay_s = min(self._delay_s * 2, BACK_OFF_S[1])
        self._events.append(Lost(error, final))

    def _error(self, what: str, *, found: str | None = None, hint: str | None = None) -> PublishError:
        return PublishError(what, where=self.broker.url, found=found, hint=hint)


def _no_delay(_client: Any, _userdata: Any, sock: Any) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _drop(client: paho.Client) -> None:
    sock = client.socket()
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.close()


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
