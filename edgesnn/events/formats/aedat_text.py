"""The text header of AEDAT 2 and 3, lines that begin with "#"; the cameras that it names. docs/formats.md, "AEDAT2"."""

from __future__ import annotations

import re

from edgesnn.errors import RecordingError
from edgesnn.events.formats.base import Head, Sensor, printable

MOST_BYTES = 1 << 22  # jAER writes the camera's preferences into it
CAMERAS: dict[str, Sensor] = {
    "DVS128": (128, 128),
    "DAVIS128": (128, 128),
    "DAVIS208": (208, 192),
    "DAVIS240": (240, 180),
    "DAVIS346": (346, 260),
    "DAVIS640": (640, 480),
}
_LINE = re.compile(rb"#([\t\x20-\x7e\x80-\xff]*)\r?\n")


def read(head: Head, last: bytes) -> tuple[list[str], int]:
    """Return the lines without their "#", and where the data begin.

    They begin after the line `last`, else before the first byte that does not begin such a line.

    Raises:
        RecordingError: it has no end in the first 4 MiB.
    """
    data = head.data
    while True:
        lines, position, ended = _split(data, last)
        if ended or len(data) >= head.size or position < len(data) - 4096:
            break
        if len(data) >= MOST_BYTES:
            raise RecordingError(
                "the header has no end", where=printable(head.where), offset=position, expected="at most 4 MiB of it"
            )
        data = _more(head, len(data) * 4)
    return [line.decode("latin-1").strip() for line in lines], position


def value_of(lines: list[str], name: str) -> str | None:
    """Return what follows `name:` in the first line that begins so."""
    return next((line[len(name) + 1 :].strip() for line in lines if line.startswith(name + ":")), None)


def _split(data: bytes, last: bytes) -> tuple[list[bytes], int, bool]:
    lines: list[bytes] = []
    position = 0
    while match := _LINE.match(data, position):
        position = match.end()
        if match[1].strip() == last:
            return lines, position, True
        lines.append(match[1])
    return lines, position, False


def _more(head: Head, size: int) -> bytes:
    try:
        with open(head.where, "rb") as file:
            data = file.read(min(size, head.size, MOST_BYTES))
    except OSError as error:
        raise RecordingError(f"cannot be read: {error.strerror}", where=printable(head.where)) from None
    if len(data) <= len(head.data):
        raise RecordingError("the header is cut", where=printable(head.where), offset=len(data))
    return data
