"""AEDAT 3.1 of cAER. docs/formats.md, "AEDAT3.1"."""

from __future__ import annotations

import re

from edgesnn.events.formats import aedat_text
from edgesnn.events.formats.base import DecoderOptions, FormatDecoder, Head, Header, Sensor, native_decoder

_MAGIC = b"#!AER-DAT3.1"
_END = b"!END-HEADER"
_SENSORS: dict[str, Sensor] = {
    "DVS128": (128, 128),
    "DAVIS128": (128, 128),
    "DAVIS208": (208, 192),
    "DAVIS240": (240, 180),
    "DAVIS346": (346, 260),
    "DAVIS640": (640, 480),
}


class Aedat31:
    """Files of packets behind a text header."""

    name = "aedat31"
    title = "AEDAT3.1"
    has_magic = True
    native = True
    verified = False

    def matches(self, head: Head) -> bool:
        """Say whether the version line is there."""
        return head.data.startswith(_MAGIC)

    def header(self, head: Head) -> Header:
        """Read the text header."""
        lines, position = aedat_text.read(head, _END)
        fields = {name: value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}
        return Header(position, _sensor(fields), fields)

    def decoder(self, options: DecoderOptions) -> FormatDecoder:
        """Make the native decoder."""
        return native_decoder(self.name, options)


def _sensor(fields: dict[str, str]) -> Sensor | None:
    """Return the size of the first source's camera."""
    sources = sorted((int(name[7:]), value) for name, value in fields.items() if re.fullmatch(r"Source \d{1,5}", name))
    match = re.match(r"(DVS|DAVIS)(\d{3})", sources[0][1]) if sources else None
    return _SENSORS.get(match[0]) if match else None
