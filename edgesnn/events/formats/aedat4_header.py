"""The IOHeader of AEDAT4, of a file or a connection. docs/formats.md, "AEDAT4"."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from edgesnn.errors import RecordingError
from edgesnn.events.formats.base import Sensor, printable

COMPRESSIONS = ("none", "lz4", "lz4", "zstd", "zstd")  # by number; the second of a pair only packs harder
LIMIT = 32767  # coordinates are int16
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&"))
_PART = re.compile(
    r'<(?P<close>/?)node\b(?:[^<>]{0,200}?\bname="(?P<node>[^"<>]{0,200})")?[^<>]{0,1000}>'
    r'|<attr\b[^<>]{0,200}?\bkey="(?P<key>[^"<>]{0,200})"[^<>]{0,200}>(?P<value>[^<]*)</attr>'
)


@dataclass(frozen=True)
class IoHeader:
    """What an IOHeader says.

    Attributes:
        compression: "none", "lz4" or "zstd".
        table_position: where the file data table begins, -1: there is none.
        fields: every attribute of the streams: "0.typeIdentifier", "0.info.sizeX" ...
        streams: type of each stream, by its number: "EVTS", "TRIG", "FRME", "IMUS" ...
    """

    compression: str
    table_position: int
    fields: dict[str, str] = field(default_factory=dict)
    streams: dict[int, str] = field(default_factory=dict)

    def first(self, kind: str) -> int | None:
        """Return the lowest number of a stream of this type."""
        return min((number for number, type_ in self.streams.items() if type_ == kind), default=None)

    def sensor(self) -> tuple[Sensor | None, str | None]:
        """Return the size of the first event stream, and what is wrong with it."""
        sides = [self.fields.get(f"{self.first('EVTS')}.info.{name}", "") for name in ("sizeX", "sizeY")]
        if not all(re.fullmatch(r"\d{1,9}", side) for side in sides):
            return None, None
        width, height = (int(side) for side in sides)
        if 0 < width <= LIMIT and 0 < height <= LIMIT:
            return (width, height), None
        return None, f"the header says {width}x{height}, possible are 1x1 to {LIMIT}x{LIMIT}"


def damaged(what: str, where: str, offset: int, **facts: str) -> RecordingError:
    """Return the error of a header."""
    return RecordingError(what, where=printable(where), offset=offset, **facts)


def read(buffer: Any, where: str, offset: int, fields: dict[str, str] | None = None) -> IoHeader:
    """Read a length and the flatbuffer behind it, at byte `offset` of the file; RecordingError where it is none.

    `fields`: those that were read from it before.
    """
    from edgesnn import _native

    try:
        compression, table_position, info = _native.events.aedat4_header(buffer)
    except RecordingError as error:
        raise damaged(error.what, where, offset) from None
    if not 0 <= compression < len(COMPRESSIONS):
        raise damaged("an unknown compression", where, offset, found=str(compression), expected="0 to 4")
    fields = _fields(info.decode("utf-8", "replace")) if fields is None else fields
    streams = {
        int(name): type_
        for name, type_ in ((key.partition(".")[0], value) for key, value in fields.items() if _is_type(key))
    }
    if "EVTS" not in streams.values():
        found = ", ".join(sorted(set(streams.values()))) or "no stream"
        raise damaged("no stream of events", where, offset, found=found)
    return IoHeader(COMPRESSIONS[compression], table_position, fields, streams)


def _is_type(key: str) -> bool:
    return re.fullmatch(r"\d{1,9}\.typeIdentifier", key) is not None


def _unescaped(text: str) -> str:
    for entity, sign in _ENTITIES:
        text = text.replace(entity, sign)
    return text


def _fields(xml: str) -> dict[str, str]:
    """Return the attributes by their nodes' names below the outermost one."""
    path: list[str] = []
    fields = {}
    for part in _PART.finditer(xml):
        if part["key"] is not None:
            fields[".".join([*path[1:], part["key"]])] = _unescaped(part["value"])
        elif part["close"]:
            del path[-1:]
        elif not part[0].endswith("/>"):
            path.append(part["node"] or "")
    return fields
