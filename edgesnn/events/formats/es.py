"""Event Stream, DVS events. docs/formats.md, "ES"."""

from __future__ import annotations

from edgesnn.errors import RecordingError, UsageError
from edgesnn.events.formats.base import EncoderOptions, FormatEncoder, Head, Header, NativeEncoder, NativeFormat
from edgesnn.events.formats.checks import refuse_compression, refuse_variant

_MAGIC = b"Event Stream"
_HEADER_BYTES = 20
_MAJOR = 2
_DVS = 1
_TYPES = {0: "generic", 1: "dvs", 2: "atis", 3: "asynchronous and modular display", 4: "color"}


class Es(NativeFormat):
    """A magic, a version, a type of stream, the size of the sensor, then events."""

    name = "es"
    title = "ES"
    keeps_triggers = False
    suffixes = (".es",)
    first_time_bits = 32

    def matches(self, head: Head) -> bool:
        """Say whether it begins with the magic."""
        return head.data.startswith(_MAGIC)

    def header(self, head: Head) -> Header:
        """Read version, type and sensor."""
        data = head.data
        if len(data) > 12 and data[12] != _MAJOR:
            found = ".".join(str(part) for part in data[12:15])
            raise RecordingError(
                "a version of ES that is not read", where=head.where, offset=12, found=found, expected=f"{_MAJOR}.x.x"
            )
        if len(data) > 15 and data[15] != _DVS:
            named = _TYPES.get(data[15], f"type {data[15]}")
            raise RecordingError(
                "a type of ES that is not read", where=head.where, offset=15, found=named, expected=_TYPES[_DVS]
            )
        if len(data) < _HEADER_BYTES or not data.startswith(_MAGIC):
            raise RecordingError(
                "the header is damaged",
                where=head.where,
                offset=0,
                found=f"{len(data)} bytes that begin with {data[:12]!r}",
                expected=f"{_HEADER_BYTES} bytes that begin with {_MAGIC!r}",
            )
        sensor = int.from_bytes(data[16:18], "little"), int.from_bytes(data[18:20], "little")
        complaint = None if all(sensor) else f"the header says {sensor[0]}x{sensor[1]}, possible are 1x1 to 65535x65535"
        version = ".".join(str(part) for part in data[12:15])
        return Header(_HEADER_BYTES, sensor if all(sensor) else None, {"version": version}, complaint)

    def encoder(self, options: EncoderOptions) -> FormatEncoder:
        """Make an encoder."""
        refuse_compression(self, options)
        refuse_variant(self, options)
        width, height = options.sensor
        if max(options.sensor) > 65535:
            found = f"{width}x{height}"
            raise UsageError("the sensor is too large", where="sensor", found=found, expected="at most 65535x65535")
        sides = width.to_bytes(2, "little") + height.to_bytes(2, "little")
        return NativeEncoder(self.name, options, _MAGIC + bytes([_MAJOR, 0, 0, _DVS]) + sides)
