"""What a service says to systemd (sd_notify(3)): a datagram to the socket that NOTIFY_SOCKET names."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Says how the service stands; does nothing where nobody listens.

    Args:
        environment: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID.

    Attributes:
        watchdog_s: systemd wants to hear from us at least so often; None: it does not.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._status = ""
        self.watchdog_s = _watchdog_s(environment)

    def ready(self) -> None:
        """The service is up, or its reload is done."""
        self._send("READY=1")

    def alive(self) -> None:
        """The streams go on."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Say one line; the same again is not sent."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={' '.join(text.split())}")

    def reloading(self) -> None:
        """The configuration is read again; `ready` follows."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The service ends."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
        ):
            sock.settimeout(1.0)
            sock.sendto(text.encode(), self._address)


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    micros, process = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not micros.isdecimal() or (process and process != str(os.getpid())):
        return None
    return int(micros) / 1e6 or None
