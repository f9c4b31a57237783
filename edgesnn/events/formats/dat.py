"""Prophesee DAT: decoded events of eight bytes under a text header. docs/formats.md, "DAT"."""

from __future__ import annotations

import re

from edgesnn.errors import RecordingError
from edgesnn.events.formats import raw_header
from edgesnn.events.formats.base import EncoderOptions, FormatEncoder, Head, Header, NativeEncoder, NativeFormat, Sensor
from edgesnn.events.formats.checks import refuse_compression, refuse_variant

_VERSION = "2"
_EVENT_BYTES = 8
_CD = 12
_TYPES = {0: "2D events", _CD: "CD events"}
_OTHER_TYPES = {14: "external triggers"}
_LIMIT = 1 << 14  # coordinates have 14 bits


class Dat(NativeFormat):
    """A text header, the type and the size of an event, then events."""

    name = "dat"
    title = "DAT"
    needs_sensor = False
    keeps_triggers = False
    suffixes = (".dat",)
    first_time_bits = 32

    def matches(self, head: Head) -> bool:
        """Say whether a text header says it, or names no encoding and stands before the type and size of an event."""
        fields, position = raw_header.split(head.data)
        kind = head.data[position : position + 2]
        typed = position > 0 and len(kind) == 2 and kind[0] in _TYPES and kind[1] == _EVENT_BYTES
        return raw_header.encoding(head) is None and (typed or fields.get("Data", "").startswith("file containing"))

    def header(self, head: Head) -> Header:
        """Read the text header and the type of the events."""
        raw = raw_header.read(head)
        fields, position = raw.fields, raw.data_offset
        if (version := fields.get("Version", _VERSION)) != _VERSION:
            raise RecordingError(
                "a DAT version that is not read", where=head.where, found=f"Version {version}", expected=_VERSION
            )
        kind = head.data[position : position + 2]
        if len(kind) < 2 or kind[0] not in _TYPES or kind[1] != _EVENT_BYTES:
            known = ", ".join(f"{number} ({what})" for number, what in _TYPES.items())
            raise RecordingError(
                "a DAT event type that is not read",
                where=head.where,
                offset=position,
                found=_said(kind),
                expected=f"type {known}, of {_EVENT_BYTES} bytes",
            )
        sensor, complaint = _sensor(fields)
        return Header(position + 2, sensor, fields, complaint)

    def encoder(self, options: EncoderOptions) -> FormatEncoder:
        """Make an encoder of CD events. A sensor beyond 14 bits is not said."""
        refuse_compression(self, options)
        refuse_variant(self, options)
        width, height = options.sensor
        lines = ["Data file containing CD events", f"Version {_VERSION}"]
        if max(options.sensor) <= _LIMIT:
            lines += [f"Width {width}", f"Height {height}"]
        text = "".join(f"% {line}\n" for line in lines).encode("ascii")
        return NativeEncoder(self.name, options, text + bytes([_CD, _EVENT_BYTES]))


def _said(kind: bytes) -> str:
    if len(kind) < 2:
        return "the end of the file"
    what = f" ({_OTHER_TYPES[kind[0]]})" if kind[0] in _OTHER_TYPES else ""
    return f"type {kind[0]}{what}, of {kind[1]} bytes"


def _sensor(fields: dict[str, str]) -> tuple[Sensor | None, str | None]:
    """Return the sensor, None where the header does not say it, and what is wrong with it, None if nothing is."""
    sides = [fields.get(name, "") for name in ("Width", "Height")]
    if not all(re.fullmatch(r"[0-9]{1,9}", side) for side in sides):
        return None, None
    width, height = map(int, sides)
    if 0 < width <= _LIMIT and 0 < height <= _LIMIT:
        return (width, height), None
    return None, f"the header says {width}x{height}, possible are 1x1 to {_LIMIT}x{_LIMIT}"
