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
import threading
import time
from typing import Any

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from edgesnn.broker_url import Broker
from edgesnn.errors import ConfigError, PublishError
from edgesnn.mqtt.events import Acknowledged, Connected, Event, Lost, Message, Refused, Subscribed, Will
from edgesnn.mqtt.link import IN_FLIGHT, MOST_BYTES, Link
from edgesnn.mqtt.sockets import TIMEOUT_S as CONNECT_TIMEOUT_S
from edgesnn.mqtt.versions import Versions

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
CERTIFICATE_HINT = "does it want a certificate of ours? mqtt.cert_file, or --mqtt-cert-file"
FALL_BACK_AFTER_S = 2.0  # a 3.1.1 broker may not even close on a CONNECT of version 5 (amqtt, when there is a will)
BACK_OFF_S = (0.2, 30.0)
REST_S = (30.0, 120.0)
BRIEF_S, LASTING_S = 30.0, 300.0
MOST_BRIEF = 6


def make_client_id(node: str, role: str) -> str:
    """Return a client id that no other process has: edgesnn-<node>-<role>-<8 random hex>."""
    return f"edgesnn-{node}-{role}-{secrets.token_hex(4)}"


class Client:
    """One connection to a broker that comes back by itself, with jittered back-off.

    All methods belong to one thread, except `wake`, which any thread may call. Nothing blocks longer than its
    `timeout_s`, save a connection attempt: 5 s for each address, and as long as the system looks for the name.

    Args:
        broker: where, and as whom.
        client_id: from `make_client_id`.
        protocol: "5", "3.1.1", or "auto": 5, and 3.1.1 where the broker does not speak it.
        will: published by the broker when we vanish.
        keepalive_s: a dead link is noticed after one to two times this, or what the broker asks for if that is less.
        patience_s: after a refusal that trying again can hardly mend, try again when this has passed; None: never.
        most_bytes: of a packet that the broker may send; a larger one ends the connection.
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
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.broker = broker
        self._client_id = client_id
        self._versions = Versions(protocol)
        self._ask_again = False  # for version 5
        self._will, self._keepalive_s, self._patience_s = will, keepalive_s, patience_s
        self._most_bytes = most_bytes
        self._link: Link | None = None
        self._accepted, self._accepted_at = False, 0.0
        self._stopped = False
        self._brief = self._rests = 0
        self._refusal: Any = None  # the reason in a CONNACK that refuses
        self._farewell: Any = None  # the reason of a disconnection
        self._events: list[Event] = []
        self._attempt_at = time.monotonic()
        self._connack_by = 0.0
        self._delay_s = BACK_OFF_S[0]
        self._wake_lock = threading.Lock()
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

    @property
    def window(self) -> int:
        """How many messages of QoS 1 are in flight at most: 20, or fewer where the broker says so; others wait here."""
        return IN_FLIGHT if self._link is None else self._link.window

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
        if self._link is None and not self._stopped and time.monotonic() >= self._attempt_at:
            self._connect()
        readable = self._wait(0.0 if self._events else timeout_s)
        if self._link is not None:
            self._serve(self._link, readable)
        events, self._events = self._events, []
        return events

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        expiry_s: int | None = None,
        correlation: bytes | None = None,
    ) -> int:
        """Hand a message to the connection and return its id; call only while `connected`.

        `expiry_s` lets the broker drop it undelivered after that time, `correlation` is the answered request's (MQTT 5;
        3.1.1 has no such fields).
        """
        properties = None
        if self._versions.now == "5" and (expiry_s is not None or correlation is not None):
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            if expiry_s is not None:
                properties.MessageExpiryInterval = expiry_s
            if correlation is not None:
                properties.CorrelationData = correlation
        return self._live().publish(topic, payload, qos, retain, properties).mid

    def subscribe(self, topic: str, qos: int = 1) -> int:
        """Ask for a subscription and return its id; call only while `connected`, again after each `Connected`.

        What is published retained comes marked so, of MQTT 5 also while we are subscribed.
        """
        if self._versions.now == "5":
            options = SubscribeOptions(qos, retainAsPublished=True)
            mid = self._live().subscribe(topic, options=options)[1]
        else:
            mid = self._live().subscribe(topic, qos)[1]
        return -1 if mid is None else mid

    def wake(self) -> None:
        """Make a `poll` that waits return at once. Thread-safe, never blocks."""
        with self._wake_lock, contextlib.suppress(OSError):  # a number that was closed may be another file's by now
            os.write(self._wake_w, b"w")

    def abandon(self, error: PublishError) -> None:
        """Give this connection up, to make a new one; `poll` then returns `error` as `Lost`."""
        if self._link is not None:
            self._link.drop()
            self._link = None
        self._fail(error)

    def close(self, timeout_s: float = 1.0) -> None:
        """Say goodbye and leave; twice is once."""
        client, self._link, self._stopped = self._link, None, True
        if client is not None:
            client.disconnect()
            deadline = time.monotonic() + timeout_s
            while client.want_write() and client.socket() and time.monotonic() < deadline:
                client.loop_write()
                time.sleep(0.001)
            client.drop()
        with self._wake_lock:
            ends = self._wake_r, self._wake_w
            self._wake_r = self._wake_w = -1
            for end in ends:
                with contextlib.suppress(OSError):
                    os.close(end)

    # --- the connection ------------------------------------------------------------------------------------------

    def _live(self) -> Link:
        if self._link is None or not self._accepted:  # what the broker takes is not known before
            raise self._error("not connected")
        return self._link

    def _connect(self) -> None:
        link = Link(self.broker, self._client_id, self._versions.now, self._most_bytes)
        if self._will is not None:
            link.will_set(self._will.topic, self._will.payload, qos=1, retain=True)
        self._set_callbacks(link)
        self._refusal = self._farewell = None
        try:
            link.begin(self._keepalive_s)
        except ssl.SSLCertVerificationError as error:
            self._fail(self._error("the broker's certificate is not accepted", found=error.verify_message), final=True)
        except ConfigError as error:  # a file of certificates, renewed just now or wrong
            self._fail(PublishError(error.what, where=error.where, found=error.found, hint=error.hint), final=True)
        except (OSError, ValueError) as error:
            self._brief = 0
            self._fail(self._error("cannot reach the broker", found=_reason(error), hint="is a broker running there?"))
        else:
            self._link = link
            patience_s = FALL_BACK_AFTER_S if self._versions.may_fall_back else CONNECT_TIMEOUT_S
            self._connack_by = time.monotonic() + patience_s

    def _set_callbacks(self, link: Link) -> None:
        """Install callbacks that only note what happened; they run inside `poll`, in the owner's thread."""
        note = self._note

        def on_connect(_c: Any, _u: Any, _f: Any, reason: Any, properties: Any) -> None:
            if reason.is_failure:
                self._refusal = reason
            elif self._accepted:
                link.trouble = "a second CONNACK"
            elif not self._versions.accepted():
                self._ask_again = True
            else:
                self._accepted, self._accepted_at = True, time.monotonic()
                link.agree(properties)
                note(Connected(self._versions.now))

        def on_disconnect(_c: Any, _u: Any, _f: Any, reason: Any, _p: Any) -> None:
            self._farewell = reason

        def on_publish(_c: Any, _u: Any, mid: int, reason: Any, _p: Any) -> None:
            note(self._refused(mid, reason) if reason.is_failure else Acknowledged(mid, reason.value != NO_ONE))

        def on_message(_c: Any, _u: Any, message: Any) -> None:
            wanted = getattr(message.properties, "ResponseTopic", None)
            correlation = getattr(message.properties, "CorrelationData", None)
            note(Message(message.topic, bytes(message.payload), bool(message.retain), wanted, correlation))

        def on_subscribe(_c: Any, _u: Any, mid: int, codes: Any, _p: Any) -> None:
            refusal = next((code for code in codes if code.is_failure), None)
            note(Subscribed(mid) if refusal is None else self._denied(mid, refusal))

        link.on_connect = on_connect
        link.on_disconnect = on_disconnect
        link.on_publish = on_publish
        link.on_message = on_message
        link.on_subscribe = on_subscribe

    def _note(self, event: Event) -> None:
        self._events.append(event)

    def _refused(self, mid: int, reason: Any) -> Refused:
        hint = "does its access control let this user write below edgesnn/?" if reason.value == NOT_AUTHORISED else None
        error = self._error("the broker refuses what is published", found=str(reason), hint=hint)
        return Refused(mid, error, reason.value in FINAL_ANSWERS)

    def _denied(self, mid: int, reason: Any) -> Refused:
        hint = "does its access control let this user read that?"
        return Refused(mid, self._error("the broker refuses the subscription", found=str(reason), hint=hint), True)

    def _wait(self, timeout_s: float) -> bool:
        """Sleep until the socket, `wake` or a deadline asks for work; say whether the connection may have bytes."""
        poller = select.poll()
        poller.register(self._wake_r, select.POLLIN)
        client = self._link
        sock = client.socket() if client is not None else None
        if client is not None and sock is not None:
            poller.register(sock, select.POLLIN | (select.POLLOUT if client.want_write() else 0))
            if getattr(sock, "pending", int)() > 0:  # bytes that TLS has already read do not wake poll(2)
                timeout_s = 0.0
        if self._stopped:
            limit_s = timeout_s
        elif client is None:
            limit_s = max(0.0, self._attempt_at - time.monotonic())
        else:
            limit_s = min(1.0, client.keepalive / 4)  # a broker gives a ping half a keep-alive of grace
        ready = [fd for fd, _ in poller.poll(max(0.0, min(timeout_s, limit_s)) * 1000.0)]
        if self._wake_r in ready:
            with contextlib.suppress(BlockingIOError):
                while len(os.read(self._wake_r, 4096)) == 4096:
                    pass
        if type(sock) is not socket.socket:
            return True  # TLS and websockets may have read more than they gave
        return sock.fileno() in ready

    def _serve(self, client: Link, readable: bool) -> None:
        alive = client.serve(readable)
        if self._ask_again:
            self._ask_again, self._link = False, None
            client.disconnect()
            client.drop()
        elif not alive:
            self._connection_lost(client)
        elif not self._accepted and time.monotonic() > self._connack_by:
            client.drop()
            self._link = None
            if not self._versions.fall_back(None):
                self._fail(self._error("no answer from the broker", found=f"nothing in {CONNECT_TIMEOUT_S:g} s"))

    def _connection_lost(self, client: Link) -> None:
        client.drop()
        self._link = None
        was_accepted, self._accepted = self._accepted, False
        reason = self._farewell if was_accepted else self._refusal
        value = getattr(reason, "value", None)
        unsaid = value in (None, UNSPECIFIED)
        closed = unsaid and client.reason is None and client.trouble is None
        brief = was_accepted and self._count_brief(closed=closed)
        if was_accepted and time.monotonic() - self._accepted_at > (self._delay_s if unsaid else BRIEF_S):
            self._delay_s = BACK_OFF_S[0]  # a broker that takes us and drops us at once is no reason to hurry
        if not was_accepted and self._versions.fall_back(value):
            return
        if client.trouble is not None:
            self._fail(self._error("the broker sends what cannot be read", found=client.trouble))
        elif value == SESSION_TAKEN_OVER:
            self._rest(f"another client took over the id {self._client_id}")
        elif was_accepted:
            found = (client.reason or "closed without a reason") if unsaid else str(reason)
            if brief:
                self._rest("the connection to the broker is lost again and again", found)
            else:
                self._fail(self._error("the connection to the broker was lost", found=found))
        else:
            hint = CREDENTIALS_HINT if value in CREDENTIAL_REFUSALS else None
            if reason is None and self.broker.tls and self.broker.cert_file is None:
                hint = CERTIFICATE_HINT
            found = str(reason) if reason is not None else client.reason or "closed before it answered"
            error = self._error("the broker refused the connection", found=found, hint=hint)
            self._fail(error, final=value in FINAL_REFUSALS)

    def _count_brief(self, *, closed: bool) -> bool:
        """Note how long this connection lasted; True where the broker closed many in a row soon, and took each at once.

        So it is with two clients of one id: each takes the other's place, and mosquitto does not say so. What ends
        otherwise (`closed` is False) is none of that: reset, silent, or closed with a reason.
        """
        lasted_s = time.monotonic() - self._accepted_at
        if lasted_s > LASTING_S:
            self._brief = self._rests = 0
        elif closed and lasted_s < BRIEF_S:
            self._brief += 1
        return closed and self._brief >= MOST_BRIEF

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


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
