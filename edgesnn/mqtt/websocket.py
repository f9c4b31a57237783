"""MQTT in websocket frames (RFC 6455), as a socket of which paho reads and to which it writes.

paho has a websocket of its own. It keeps a frame until its last byte has come, and the lines of the handshake without
bound: a server that never ends either makes it grow. This one holds a handshake of at most `MOST_HANDSHAKE` bytes, the
head of one frame, and control frames, which RFC 6455 bounds at 125 bytes.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import socket
import ssl
import struct
import time

from edgesnn.broker_url import Broker

MOST_HANDSHAKE = 16_384
_CLOSE, _PING, _PONG, _BINARY = 0x8, 0x9, 0xA, 0x2
_FRAMES_AT_ONCE = 100
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


class WebSocket:
    """A websocket over a connected socket. One thread uses it.

    Args:
        sock: connected, blocking; this owns it.
        broker: for its host, port and path.
        timeout_s: for the handshake, all in all.

    Raises:
        OSError: the server does not speak websockets with MQTT in them, or not in time.
    """

    def __init__(self, sock: socket.socket, broker: Broker, timeout_s: float) -> None:
        self._sock = sock
        self._out = bytearray()  # of a frame that has not gone out yet
        self._taken = 0  # bytes of MQTT in it
        self._head = bytearray()  # of the frame that comes
        self._inside = False  # of a frame whose head has come
        self._opcode = self._left = 0  # its kind, and the bytes that follow of it
        self._control = bytearray()
        self._shake_hands(broker, time.monotonic() + timeout_s)

    def recv(self, n: int) -> bytes:
        """Return up to `n` bytes of MQTT; b"" where the other side closes. Raises BlockingIOError: none are here."""
        for _ in range(_FRAMES_AT_ONCE):
            if not self._inside and not self._next_frame():
                return b""
            if self._opcode >= _CLOSE:
                if not self._read_control():
                    return b""
            elif self._left:
                data = self._sock.recv(min(n, self._left))
                self._left -= len(data)
                self._inside = self._left > 0
                return data
            else:
                self._inside = False
        raise BlockingIOError

    def send(self, data: bytes | bytearray) -> int:
        """Send bytes as one frame; return how many have gone: all, or none yet, and then they are to come again."""
        if not self._out:
            self._out += _frame(_BINARY, bytes(data))
            self._taken = len(data)
        del self._out[: self._sock.send(self._out)]
        return 0 if self._out else self._taken

    def pending(self) -> int:
        """Return how many bytes TLS has read that do not wake poll(2)."""
        return self._sock.pending() if isinstance(self._sock, ssl.SSLSocket) else 0

    def fileno(self) -> int:
        """Return the socket's."""
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        """Say whether to wait."""
        self._sock.setblocking(flag)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    # --- what comes ----------------------------------------------------------------------------------------------

    def _next_frame(self) -> bool:
        """Read the head of a frame; False at the end."""
        while len(self._head) < (wanted := _head_bytes(self._head)):
            data = self._sock.recv(wanted - len(self._head))
            if not data:
                return False
            self._head += data
        first, second = self._head[0], self._head[1]
        size = second & 0x7F
        if size >= 126:
            size = int.from_bytes(self._head[2:], "big")
        self._head.clear()
        self._opcode, self._left = first & 0x0F, size
        if second & 0x80:
            raise ConnectionAbortedError("a masked websocket frame")
        if first & 0x70 or self._opcode not in (0x0, _BINARY, _CLOSE, _PING, _PONG):
            raise ConnectionAbortedError(f"a websocket frame that is not binary (first byte {first:#x})")
        if self._opcode >= _CLOSE and size > 125:
            raise ConnectionAbortedError(f"a websocket control frame of {size} bytes")
        self._inside = True
        return True

    def _read_control(self) -> bool:
        """Read of a control frame, and answer it when it is whole; False where it closes."""
        if self._left:
            data = self._sock.recv(self._left)
            self._control += data
            self._left -= len(data)
            if not data or self._left:
                return bool(data)
        body, self._control, self._inside = bytes(self._control), bytearray(), False
        if self._opcode == _PING and not self._out:
            self._out, self._taken = bytearray(_frame(_PONG, body)), 0
            with contextlib.suppress(OSError):  # the next `send` goes on with it, or says what is wrong
                del self._out[: self._sock.send(self._out)]
        return self._opcode != _CLOSE

    # --- the handshake -------------------------------------------------------------------------------------------

    def _shake_hands(self, broker: Broker, deadline: float) -> None:
        key = base64.b64encode(os.urandom(16))
        host = broker.url.split("/")[2]
        lines = [
            f"GET {broker.path} HTTP/1.1",
            f"Host: {host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key.decode()}",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: mqtt",
        ]
        self._sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("ascii"))
        status, *headers = self._answer(deadline).decode("latin-1").split("\r\n")
        words = status.split(" ", 2)
        if len(words) < 2 or not words[0].startswith("HTTP/1.1") or words[1] != "101":
            raise ConnectionRefusedError(f"no websocket there: {status[:80]!r}")
        found = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in headers)}
        accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest()).decode()
        if found.get("sec-websocket-accept") != accept or found.get("sec-websocket-protocol", "mqtt") != "mqtt":
            raise ConnectionRefusedError("the server takes the websocket, but not for MQTT")

    def _answer(self, deadline: float) -> bytes:
        """Return the head of the server's answer, byte by byte: what follows it is MQTT."""
        answer = bytearray()
        while not answer.endswith(b"\r\n\r\n"):
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("no answer to the websocket's handshake in time")
            self._sock.settimeout(left_s)
            data = self._sock.recv(1)
            if not data:
                raise ConnectionRefusedError("closed in the websocket's handshake")
            answer += data
            if len(answer) > MOST_HANDSHAKE:
                raise ConnectionRefusedError(f"more than {MOST_HANDSHAKE} bytes of answer to the websocket's handshake")
        return bytes(answer[:-4])


def _head_bytes(head: bytearray) -> int:
    """Return how long the head of a frame is, as far as its bytes so far say it."""
    if len(head) < 2:
        return 2
    return 2 + {126: 2, 127: 8}.get(head[1] & 0x7F, 0)


def _frame(opcode: int, data: bytes) -> bytes:
    """Return a whole frame; clients mask theirs (RFC 6455, section 5.3)."""
    size = len(data)
    head = bytes([0x80 | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    else:
        head += bytes([0xFE]) + struct.pack("!H", size) if size < 65536 else bytes([0xFF]) + struct.pack("!Q", size)
    mask = os.urandom(4)
    stream = (mask * (size // 4 + 1))[:size]
    masked = int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")
    return head + mask + masked.to_bytes(size, "big")
