"""A kernel with one video device that gives bytes in buffers, for the tests of `v4l2:`. Its layouts are its own."""

from __future__ import annotations

import errno
import os
from collections import deque
from ctypes import Structure, c_char, c_int64, c_uint8, c_uint32, c_uint64, sizeof

CAPTURE, OUTPUT, STREAMING, DEVICE_CAPS = 1, 2, 1 << 26, 1 << 31


class Capability(Structure):
    _fields_ = [
        ("driver", c_char * 16),
        ("card", c_char * 32),
        ("bus_info", c_char * 32),
        ("version", c_uint32),
        ("capabilities", c_uint32),
        ("device_caps", c_uint32),
        ("reserved", c_uint32 * 3),
    ]


class Description(Structure):
    _fields_ = [
        ("index", c_uint32),
        ("type", c_uint32),
        ("flags", c_uint32),
        ("description", c_uint8 * 32),
        ("pixelformat", c_uint32),
        ("mbus_code", c_uint32),
        ("reserved", c_uint32 * 3),
    ]


class Format(Structure):
    _fields_ = [
        ("type", c_uint32),
        ("hole", c_uint32),
        ("width", c_uint32),
        ("height", c_uint32),
        ("pixelformat", c_uint32),
        ("rest", c_uint8 * 188),
    ]


class Request(Structure):
    _fields_ = [(name, c_uint32) for name in ("count", "type", "memory", "capabilities", "flags")]


class Buffer(Structure):
    _fields_ = [
        *((name, c_uint32) for name in ("index", "type", "bytesused", "flags", "field")),
        ("seconds", c_int64),
        ("microseconds", c_int64),
        ("timecode", c_uint8 * 16),
        ("sequence", c_uint32),
        ("memory", c_uint32),
        ("offset", c_uint32),
        ("rest_of_m", c_uint32),
        ("length", c_uint32),
        ("reserved", c_uint32),
        ("request_fd", c_uint64),
    ]


STRUCTURES = {
    "v4l2_capability": Capability,
    "v4l2_fmtdesc": Description,
    "v4l2_format": Format,
    "v4l2_requestbuffers": Request,
    "v4l2_buffer": Buffer,
}


class FakeKernel:
    """One device at /dev/video0.

    Attributes:
        fourcc: what it gives now; `offers`: what it can give.
        size: width and height.
        length: of its buffers.
        waiting: what it has to give: bytes, or (bytes, flags).
        refuses: request number, or "open", -> errno.
        plugged: whether it is there.
        skips: buffers that it drops before the next one.
        queued: buffers that it may fill, in order.
        opened, streaming: how it stands.
    """

    def __init__(self, fourcc: str = "PSE3", size: tuple[int, int] = (1280, 720), length: int = 4096) -> None:
        self.fourcc, self.size, self.length = fourcc, size, length
        self.offers = [fourcc]
        self.capabilities = CAPTURE | STREAMING
        self.waiting: deque[bytes | tuple[bytes, int]] = deque()
        self.refuses: dict[int | str, int] = {}
        self.plugged = True
        self.skips = self.sequence = self.opened = 0
        self.streaming = False
        self.queued: deque[int] = deque()
        self.memory: list[bytearray] = []

    def give(self, data: bytes) -> None:
        """Let it give these bytes in full buffers."""
        self.waiting.extend(data[at : at + self.length] for at in range(0, len(data), self.length))

    def open(self, path: str) -> int:
        if not self.plugged or path != "/dev/video0":
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        self._refuse("open")
        self.opened += 1
        return 1000 + self.opened

    def close(self, fd: int) -> None:
        assert fd > 1000
        self.opened -= 1
        self.streaming = False

    def map(self, fd: int, length: int, offset: int) -> memoryview:
        assert length == self.length
        return memoryview(self.memory[offset // 0x10000]).toreadonly()

    def ready(self, fd: int, wait_s: float) -> bool:
        return not self.plugged or bool(self.waiting and self.queued and self.streaming)

    def ioctl(self, fd: int, request: int, data: bytearray) -> None:
        if not self.plugged:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        self._refuse(request)
        assert (request >> 16) & 0x3FFF == len(data)  # the number says the size
        calls = {
            0: self._capability,
            2: self._enumerate,
            4: self._get,
            5: self._set,
            8: self._request,
            9: self._query,
            15: self._queue,
            17: self._dequeue,
            18: self._on,
            19: self._off,
        }
        calls[request & 0xFF](data)

    def _refuse(self, what: int | str) -> None:
        if what in self.refuses:
            code = self.refuses[what]
            raise OSError(code, os.strerror(code))

    def _capability(self, data: bytearray) -> None:
        view = Capability.from_buffer(data)
        view.driver, view.card = b"fake-dma", b"A fake sensor"
        view.capabilities, view.device_caps = self.capabilities | OUTPUT | DEVICE_CAPS, self.capabilities

    def _enumerate(self, data: bytearray) -> None:
        view = Description.from_buffer(data)
        if view.index >= len(self.offers):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        view.pixelformat = code(self.offers[view.index])

    def _get(self, data: bytearray) -> None:
        view = Format.from_buffer(data)
        assert view.type == 1
        view.width, view.height, view.pixelformat = *self.size, code(self.fourcc)

    def _set(self, data: bytearray) -> None:
        view = Format.from_buffer(data)
        wanted = int(view.pixelformat).to_bytes(4, "little").decode()
        self.fourcc = wanted if wanted in self.offers else self.fourcc
        self._get(data)

    def _request(self, data: bytearray) -> None:
        view = Request.from_buffer(data)
        assert (view.type, view.memory) == (1, 1)
        view.count = min(view.count, 4)
        self.memory = [bytearray(self.length) for _ in range(view.count)]
        self.queued.clear()
        self.sequence = 0

    def _query(self, data: bytearray) -> None:
        view = Buffer.from_buffer(data)
        view.offset, view.length = 0x10000 * view.index, self.length

    def _queue(self, data: bytearray) -> None:
        view = Buffer.from_buffer(data)
        assert view.index not in self.queued
        self.queued.append(view.index)

    def _dequeue(self, data: bytearray) -> None:
        if not (self.streaming and self.waiting and self.queued):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        given = self.waiting.popleft()
        payload, flags = given if isinstance(given, tuple) else (given, 0)
        view = Buffer.from_buffer(data)
        view.index = self.queued.popleft()
        self.memory[view.index][:] = b"\xee" * self.length  # what was there is gone
        self.memory[view.index][: len(payload)] = payload
        self.sequence, self.skips = self.sequence + self.skips, 0
        view.bytesused, view.flags, view.sequence = len(payload), flags, self.sequence
        self.sequence += 1

    def _on(self, data: bytearray) -> None:
        self.streaming = True

    def _off(self, data: bytearray) -> None:
        self.streaming = False


def code(fourcc: str) -> int:
    """Return the number of four characters."""
    return int.from_bytes(fourcc.encode(), "little")


SIZES = {name: sizeof(structure) for name, structure in STRUCTURES.items()}
