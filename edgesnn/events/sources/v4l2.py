"""`v4l2:/dev/video0`: a Prophesee sensor behind Linux's video interface. docs/sources.md, "V4L2"."""

from __future__ import annotations

import errno
import glob
import grp
import os
import stat
import time

from edgesnn.errors import RecordingError
from edgesnn.events.formats.base import printable
from edgesnn.events.sources.address import Address
from edgesnn.events.sources.base import Link, Message, failed
from edgesnn.events.sources.devices import DeviceLink, Found, GoneError
from edgesnn.events.sources.video import CAPTURE, STREAMING, Filled, Kernel, PixelFormat, System, Video

FORMATS = {"PSEE": ("evt2", ""), "PSE1": ("evt21", "legacy"), "PSE2": ("evt21", ""), "PSE3": ("evt3", "")}
"""Four characters -> (format, variant)."""
_SENSORS = ((1280, 720), (640, 480), (320, 320), (480, 360), (304, 240))
_SPIN_S = 0.001
_LIST = "`edgesnn info v4l2:` lists those there are"

KERNEL: System = Kernel()


class V4l2:
    """A video device that gives events."""

    name = "v4l2"
    form = "v4l2:/dev/videoN"
    help = "a Prophesee sensor behind Linux's video interface"
    options = (("buffers", "that the driver fills in turn (8)"),)
    nothing = "no /dev/video*; is the sensor's driver loaded (dmesg), and its pipeline set up (media-ctl -p)?"

    def open(self, address: Address) -> Link:
        """Open the device, and let it stream."""
        if address.host is not None or not address.path:
            raise address.wrong("no device", expected="v4l2:/dev/video0", hint="`edgesnn info v4l2:` lists them")
        return V4l2Link(address, KERNEL).start()

    def devices(self) -> list[Found]:
        """Return all video devices, and which of them give events."""
        paths = sorted(glob.glob("/dev/video*"), key=lambda path: (len(path), path))
        return [describe(KERNEL, path) for path in paths]


class V4l2Link(DeviceLink):
    """Buffers of a device, as bytes. A buffer goes back to the device when the next one is asked for.

    Args:
        address: its path.
        system: the kernel.
    """

    def __init__(self, address: Address, system: System) -> None:
        super().__init__(address.url)
        self.counters["broken_buffers"] = 0
        self._address = address
        self._count = address.number("buffers", 8, 2, 32)
        self._system = system
        self._video: Video | None = None
        self._taken: int | None = None
        self._sequence: int | None = None
        self._lost = False

    def _open(self) -> None:
        try:
            self._video = Video(self._system, self._address.path)
            picture = choose(self._video, self._address)
            format, variant = FORMATS.get(picture.fourcc, (self._address.options.get("format"), ""))
            sensor = (picture.width, picture.height)
            self._keep("format", format)
            self._keep("variant", variant)
            self._keep("sensor", sensor if sensor in _SENSORS else None)
            self._video.start(self._count)
        except OSError as error:
            raise refused(self._address, error) from None

    def _read(self, wait_s: float) -> Message | None:
        assert self._video is not None
        try:
            if self._taken is not None:
                taken, self._taken = self._taken, None
                self._video.give_back(taken)
            if not self._video.ready(wait_s):
                return None
            filled = self._video.take()
        except OSError as error:
            raise GoneError(error.strerror or str(error)) from None
        if filled is None:
            time.sleep(min(wait_s, _SPIN_S))
            return None
        return self._message(filled)

    def _message(self, filled: Filled) -> Message | None:
        self._taken = filled.number
        if self._sequence is not None and filled.sequence > self._sequence + 1:
            self.counters["lost_packets"] += filled.sequence - self._sequence - 1
            self._lost = True
        self._sequence = filled.sequence
        if filled.broken:
            self.counters["broken_buffers"] += 1
            self._lost = True
            return None
        if not filled.data:
            return None
        lost, self._lost = self._lost, False
        return Message(filled.data, lost=lost)

    def _release(self) -> None:
        if self._video is not None:
            self._video.close()
        self._video = self._taken = self._sequence = None
        self._lost = False


def choose(video: Video, address: Address) -> PixelFormat:
    """Return the device's format, one that we know where it can give one. Raises RecordingError, OSError."""
    capability = video.capability()
    if not capability.flags & CAPTURE or not capability.flags & STREAMING:
        found = f"{capability.card} ({capability.driver})"
        raise _unfit(address, "not a capture device", found, "another /dev/videoN is: `edgesnn info v4l2:`")
    picture = video.format()
    named = address.options.get("format")
    wanted = [code for code, (format, _) in FORMATS.items() if named in (None, format)]
    if picture.fourcc in wanted:
        return picture
    for code in video.offered():
        if code in wanted and (chosen := video.choose(code)).fourcc == code:
            return chosen
    if picture.fourcc in FORMATS:
        raise address.wrong("the device gives another format", found=FORMATS[picture.fourcc][0], expected=named)
    if named is not None:
        return picture  # the driver has no name for events: the user says what they are
    hint = "set up the sensor's pipeline (media-ctl), or say what its driver passes under that name: ?format=evt3"
    expected = f"one of {', '.join(FORMATS)}"
    raise _unfit(address, "not a format of events", repr(picture.fourcc), hint, expected)


def describe(system: System, path: str) -> Found:
    """Return what a video device is, and what keeps it from giving events."""
    where = f"v4l2:{path}"
    address = Address(where, "v4l2", None, None, path, {})
    video = None
    name = path
    try:
        video = Video(system, path)
        name = video.capability().card
        picture = choose(video, address)
        return Found(where, f"{name}, {FORMATS[picture.fourcc][0]}, {picture.width}x{picture.height}")
    except (OSError, RecordingError) as error:
        problem = refused(address, error) if isinstance(error, OSError) else error
        text = problem.what + (f": {problem.found}" if problem.found else "")
        return Found(where, name, text, problem.hint)
    finally:
        if video is not None:
            video.close()


def refused(address: Address, error: OSError) -> RecordingError:
    """Return the error of what the kernel refused, with what to do about it."""
    path = address.path
    if error.errno in (errno.EACCES, errno.EPERM):
        hint = f"sudo usermod -aG {_group(path)} $USER, and log in again"
        return failed("cannot be opened", address.url, error, hint)
    if error.errno == errno.ENOTTY:
        return _unfit(address, "not a video device", repr(path), _LIST)
    hints = {
        errno.ENOENT: _LIST,
        errno.EBUSY: f"another program uses it: `fuser {path}` says which",
        errno.EPIPE: "the sensor's pipeline is not set up: `media-ctl -p` shows it",
    }
    return failed("cannot be opened", address.url, error, hints.get(error.errno or 0))


def _group(path: str) -> str:
    try:
        status = os.stat(path)
        return grp.getgrgid(status.st_gid).gr_name if status.st_gid and stat.S_ISCHR(status.st_mode) else "video"
    except (OSError, KeyError):
        return "video"


def _unfit(address: Address, what: str, found: str, hint: str, expected: str | None = None) -> RecordingError:
    return RecordingError(what, where=printable(address.url), found=found, expected=expected, hint=hint)
