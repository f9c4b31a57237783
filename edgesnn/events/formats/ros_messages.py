"""The ROS messages that carry events, in both serialisations. docs/formats.md, "ROS messages"."""

from __future__ import annotations

import struct
from typing import NamedTuple

from edgesnn.errors import RecordingError
from edgesnn.events.formats.base import Sensor

MOST_BYTES = 1 << 24
"""Of one message: more is refused."""

PACKETS = ("event_camera_msgs/EventPacket", "event_array_msgs/EventArray")
ARRAYS = ("dvs_msgs/EventArray", "prophesee_event_msgs/EventArray")
"""Types of one layout each."""

ENCODINGS = ("evt3", "mono", "libcaer", "libcaer_cmp")
VERIFIED = ("evt3",)
DVS = "dvs"
"""What the events of an array are called here, beside the encodings of packets."""

_U32 = struct.Struct("<I")
_SIZE = struct.Struct("<II")  # height, width
_NUMBERS = struct.Struct("<QQ")  # seq, time_base
_ROS1_STAMP = struct.Struct("<12xI")  # a number, seconds, nanoseconds; the length of the frame's name
_CDR_STAMP = struct.Struct("<8xI")
_LITTLE_CDR = b"\x00\x01"
_MOST_TEXT = 4096
_MOST_PADDING = 7  # bytes behind the last field of a CDR message
_ROS1_EVENT = 13  # x, y, seconds, nanoseconds, polarity
_CDR_EVENT = 16  # the same, aligned; the first has no padding before its time, the last none behind it
_CDR_LESS = 3


class MessageError(Exception):
    """These bytes are no message of the type; the text says why."""


class EventMessage(NamedTuple):
    """One message.

    Attributes:
        encoding: of `ENCODINGS`, or `DVS`, or what the message says.
        size: (width, height), as it stands there.
        seq: the packet's number, None where it has none.
        base_ns: what the packet's times count from.
        data: the events.
        at: where they begin in the message.
        aligned: an array's events are aligned as CDR has them.
    """

    encoding: str
    size: Sensor
    seq: int | None
    base_ns: int
    data: memoryview
    at: int
    aligned: bool


def plain_type(name: str) -> str:
    """Return a type's name as ROS 1 writes it: without the `msg` of ROS 2."""
    return name.replace("/msg/", "/")


def carries_events(name: str) -> bool:
    """Say whether messages of this type are read."""
    return plain_type(name) in PACKETS + ARRAYS


def parse(kind: str, data: bytes | memoryview, *, cdr: bool) -> EventMessage:
    """Read a message of this type, of ROS 2 (`cdr`) or of ROS 1. Raises MessageError."""
    fields = _Fields(memoryview(data), cdr=cdr)
    try:
        message = _packet(fields) if plain_type(kind) in PACKETS else _array(fields)
    except struct.error:
        raise MessageError("it is cut") from None
    rest = len(data) - message.at - len(message.data)
    if rest < 0:
        raise MessageError("it is cut")
    if rest > (_MOST_PADDING if cdr else 0):
        raise MessageError(f"{rest} bytes follow its events")
    return message


def sensor_of(size: Sensor) -> tuple[Sensor | None, str | None]:
    """Return the sensor that a message says, and what is wrong with it."""
    if all(0 < side <= 65536 for side in size):
        return size, None
    return None, f"{size[0]}x{size[1]}"


def refuse_encoding(encoding: str, where: str) -> None:
    """Raise RecordingError where packets of this encoding are not read."""
    if encoding not in (*ENCODINGS, DVS):
        raise RecordingError(
            "an encoding of EventPacket that is not read",
            where=where,
            found=repr(encoding),
            expected="one of " + ", ".join(ENCODINGS),
        )


class _Fields:
    """Reads fields one after the other. Raises struct.error where the bytes end."""

    def __init__(self, view: memoryview, *, cdr: bool) -> None:
        self.view = view
        self.cdr = cdr
        self.at = 4 if cdr else 0
        if cdr and view[:2] != _LITTLE_CDR:
            raise MessageError("it is not little-endian CDR")

    def numbers(self, layout: struct.Struct, align: int = 4) -> tuple[int, ...]:
        """Return the next numbers; CDR aligns them."""
        if self.cdr:
            self.at += -(self.at - 4) % align
        values = layout.unpack_from(self.view, self.at)
        self.at += layout.size
        return values

    def text(self, length: int) -> str:
        """Return the next text, of so many bytes."""
        start, self.at = self.at, self.at + length
        if length > _MOST_TEXT or self.at > len(self.view):
            raise MessageError("a text in it has an impossible length")
        return bytes(self.view[start : self.at]).rstrip(b"\0").decode("utf-8", "replace")

    def header(self) -> Sensor:
        """Pass over the header; return the (width, height) behind it."""
        self.text(*self.numbers(_CDR_STAMP if self.cdr else _ROS1_STAMP))
        height, width = self.numbers(_SIZE)
        return width, height


def _packet(fields: _Fields) -> EventMessage:
    size = fields.header()
    seq, base_ns = fields.numbers(_NUMBERS, 8)
    encoding = fields.text(*fields.numbers(_U32))
    big_endian = bytes(fields.view[fields.at : fields.at + 1])
    fields.at += 1
    (length,) = fields.numbers(_U32)
    if big_endian != b"\0":
        raise MessageError("its events are big-endian")
    if encoding == DVS:
        raise MessageError(f"its encoding is {encoding!r}")
    data = fields.view[fields.at : fields.at + length]
    if len(data) < length:
        raise MessageError(f"it is cut: {len(data)} of {length} bytes of events")
    return EventMessage(encoding, size, seq, base_ns, data, fields.at, False)


def _array(fields: _Fields) -> EventMessage:
    size = fields.header()
    (count,) = fields.numbers(_U32)
    length = count * _ROS1_EVENT if not fields.cdr else max(count * _CDR_EVENT - _CDR_LESS, 0)
    data = fields.view[fields.at : fields.at + length]
    if len(data) < length:
        raise MessageError(f"it is cut: {len(data)} of {length} bytes of events")
    return EventMessage(DVS, size, None, 0, data, fields.at, fields.cdr)
