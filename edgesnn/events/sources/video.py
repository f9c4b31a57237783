"""Capture devices as Linux's video interface (V4L2) shows them: ioctl(2) with mapped buffers, single-planar, 64-bit.

`System` is the door to the kernel, so that tests can stand in for it. Layouts and numbers are those of
linux/videodev2.h on 64-bit machines; tests/unit/test_sources_v4l2.py compares them with the header.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import select
import struct
from typing import Any, NamedTuple, Protocol

QUERYCAP, ENUM_FMT, G_FMT, S_FMT = 0x80685600, 0xC0405602, 0xC0D05604, 0xC0D05605
REQBUFS, QUERYBUF, QBUF, DQBUF = 0xC0145608, 0xC0585609, 0xC058560F, 0xC0585611
STREAMON, STREAMOFF = 0x40045612, 0x40045613

CAPABILITY = struct.Struct("=16s32s32s6I")  # driver, card, bus_info, version, capabilities, device_caps, reserved
FMTDESC = struct.Struct("=3I32s5I")  # index, type, flags, description, pixelformat, mbus_code, reserved
FORMAT = struct.Struct("=2I3I188s")  # type, hole, width, height, pixelformat, rest
REQUEST = struct.Struct("=5I")  # count, type, memory, capabilities, flags
BUFFER = struct.Struct("=5I4x2q16s2IQ4I")
"""index, type, bytesused, flags, field, timestamp, timecode, sequence, memory, offset, length, reserved, fd, hole."""

CAPTURE, STREAMING, DEVICE_CAPS = 0x1, 0x0400_0000, 0x8000_0000
BROKEN = 0x40  # a buffer whose data may be damaged
_VIDEO_CAPTURE, _MMAP = 1, 1


class System(Protocol):
    """What is asked of the kernel. Everything raises OSError."""

    def open(self, path: str) -> int:
        """Open a device without blocking."""

    def ioctl(self, fd: int, request: int, data: bytearray) -> None:
        """Call ioctl(2); `data` is read and written."""

    def map(self, fd: int, length: int, offset: int) -> Any:
        """Return a buffer of the device as readable memory."""

    def ready(self, fd: int, wait_s: float) -> bool:
        """Wait until a buffer is filled or the device has something to say."""

    def close(self, fd: int) -> None:
        """Close the device."""


class Kernel:
    """The one that is there."""

    def open(self, path: str) -> int:
        """Open a device."""
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def ioctl(self, fd: int, request: int, data: bytearray) -> None:
        """Call ioctl(2), again where a signal came."""
        while True:
            try:
                fcntl.ioctl(fd, request, data, True)
                return
            except InterruptedError:
                continue

    def map(self, fd: int, length: int, offset: int) -> mmap.mmap:
        """Map a buffer."""
        return mmap.mmap(fd, length, mmap.MAP_SHARED, mmap.PROT_READ, offset=offset)

    def ready(self, fd: int, wait_s: float) -> bool:
        """Wait with poll(2)."""
        poll = select.poll()
        poll.register(fd, select.POLLIN | select.POLLPRI)
        return bool(poll.poll(max(0, round(wait_s * 1000))))

    def close(self, fd: int) -> None:
        """Close the device."""
        os.close(fd)


class Capability(NamedTuple):
    """What a device is."""

    driver: str
    card: str
    flags: int


class PixelFormat(NamedTuple):
    """What a device gives: four characters, and the size of the picture that its driver speaks of."""

    fourcc: str
    width: int
    height: int


class Filled(NamedTuple):
    """A buffer that the device has filled."""

    number: int
    data: memoryview
    broken: bool
    sequence: int


class Video:
    """An open device.

    Args:
        system: the kernel.
        path: of the device. OSError where it cannot be opened.
    """

    def __init__(self, system: System, path: str) -> None:
        self._system = system
        self._fd = system.open(path)
        self._maps: list[memoryview] = []

    def capability(self) -> Capability:
        """Return what it is."""
        data = self._call(QUERYCAP, bytearray(CAPABILITY.size))
        driver, card, _, _, flags, device_flags, *_ = CAPABILITY.unpack(data)
        return Capability(_text(driver), _text(card), device_flags if flags & DEVICE_CAPS else flags)

    def format(self) -> PixelFormat:
        """Return what it gives now."""
        data = self._call(G_FMT, bytearray(FORMAT.pack(_VIDEO_CAPTURE, 0, 0, 0, 0, b"")))
        return _pixel_format(data)

    def choose(self, fourcc: str) -> PixelFormat:
        """Ask for a format, and return the one that it gives then."""
        data = self._call(G_FMT, bytearray(FORMAT.pack(_VIDEO_CAPTURE, 0, 0, 0, 0, b"")))
        data[16:20] = fourcc.encode("latin-1")
        return _pixel_format(self._call(S_FMT, data))

    def offered(self) -> list[str]:
        """Return the formats that it can give."""
        found: list[str] = []
        for index in range(64):
            try:
                data = self._call(ENUM_FMT, bytearray(FMTDESC.pack(index, _VIDEO_CAPTURE, 0, b"", *[0] * 5)))
            except OSError:  # there are no more
                break
            found.append(_fourcc(FMTDESC.unpack(data)[4]))
        return found

    def start(self, count: int) -> int:
        """Map buffers, give them to the device and let it stream; return how many there are."""
        data = self._call(REQBUFS, bytearray(REQUEST.pack(count, _VIDEO_CAPTURE, _MMAP, 0, 0)))
        count = REQUEST.unpack(data)[0]
        for index in range(count):
            fields = BUFFER.unpack(self._call(QUERYBUF, _buffer(index)))
            offset, length = fields[10] & 0xFFFFFFFF, fields[11]
            self._maps.append(memoryview(self._system.map(self._fd, length, offset)))
            self.give_back(index)
        self._call(STREAMON, bytearray(_VIDEO_CAPTURE.to_bytes(4, "little")))
        return count

    def ready(self, wait_s: float) -> bool:
        """Wait for a buffer."""
        return self._system.ready(self._fd, wait_s)

    def take(self) -> Filled | None:
        """Return the next filled buffer, to be given back; None where there is none yet."""
        try:
            fields = BUFFER.unpack(self._call(DQBUF, _buffer(0)))
        except BlockingIOError:
            return None
        index, used, flags, sequence = fields[0], fields[2], fields[3], fields[8]
        return Filled(index, self._maps[index][:used], bool(flags & BROKEN), sequence)

    def give_back(self, index: int) -> None:
        """Let the device fill a buffer again."""
        self._call(QBUF, _buffer(index))

    def close(self) -> None:
        """Stop, and close the device; what still looks into a buffer keeps it mapped."""
        if self._fd < 0:
            return
        with contextlib.suppress(OSError):  # it has gone
            self._call(STREAMOFF, bytearray(_VIDEO_CAPTURE.to_bytes(4, "little")))
        self._maps.clear()
        self._system.close(self._fd)
        self._fd = -1

    def _call(self, request: int, data: bytearray) -> bytearray:
        self._system.ioctl(self._fd, request, data)
        return data


def _buffer(index: int) -> bytearray:
    return bytearray(BUFFER.pack(index, _VIDEO_CAPTURE, 0, 0, 0, 0, 0, b"", 0, _MMAP, 0, 0, 0, 0, 0))


def _pixel_format(data: bytearray) -> PixelFormat:
    _, _, width, height, code, _ = FORMAT.unpack(data)
    return PixelFormat(_fourcc(code), width, height)


def _fourcc(code: int) -> str:
    return code.to_bytes(4, "little").decode("latin-1")


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("latin-1")
