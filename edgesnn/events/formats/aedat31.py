"""AEDAT 3.1 of cAER. docs/formats.md, "AEDAT3.1"."""

from __future__ import annotations

import re

from edgesnn.events.formats import aedat_text
from edgesnn.events.formats.base import Head, Header, NativeFormat, Sensor

_MAGIC = b"#!AER-DAT3.1"
_END = b"!END-HEADER"


class Aedat31(NativeFormat):
    """Files of packets behind a text header."""

    name = "aedat31"
    title = "AEDAT3.1"
    verified = False

    def matches(self, head: Head) -> bool:
        """Say whether the version line is there."""
        return head.data.startswith(_MAGIC)

    def header(self, head: Head) -> Header:
        """Read the text header."""
        lines, position = aedat_text.read(head, _END)
        fields = {name: value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}
        return Header(position, _sensor(fields), fields)


def _sensor(fields: dict[str, str]) -> Sensor | None:
    """Return the size of the first source's camera."""
    sources = sorted((int(name[7:]), value) for name, value in fields.items() if re.fullmatch(r"Source \d{1,5}", name))
    match = re.match(r"(DVS|DAVIS)(\d{3})", sources[0][1]) if sources else None
    return aedat_text.CAMERAS.get(match[0]) if match else None
