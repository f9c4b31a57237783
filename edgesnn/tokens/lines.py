"""Bytes in any pieces to lines, and journal exports to their messages; bounded memory whatever comes."""

from __future__ import annotations

import re
from typing import NamedTuple, Protocol

MOST_BYTES = 1 << 16
"""Of a line; what is beyond is left out and counted."""

MOST_VALUE_BYTES = 1 << 30
"""Of a journal's field; systemd writes less."""

_FIELD = re.compile(rb"[A-Z0-9_]{1,64}")


class Line(NamedTuple):
    """A line without its end.

    Attributes:
        data: its bytes, at most `MOST_BYTES`.
        origin: who sent it: a sender's address, a topic, a host; "" where there is one only.
        place: (text of the source, byte after it) where the source can go back there, else None.
    """

    data: bytes
    origin: str = ""
    place: tuple[int, int] | None = None


class Cut(NamedTuple):
    """A line as a cutter gives it: `end` is the number of bytes of the stream up to and with its end."""

    data: bytes
    origin: str
    end: int


class Cutter(Protocol):
    """Bytes of one stream to lines.

    Attributes:
        counters: what was left out, by name.
    """

    counters: dict[str, int]

    def feed(self, data: bytes) -> list[Cut]:
        """Take more bytes; return the lines that end in them."""

    def finish(self) -> list[Cut]:
        """Return what was begun; a new stream may follow."""


class LineCutter:
    """Lines end with a line feed; a carriage return before it belongs to the end.

    >>> lines = LineCutter()
    >>> [one.data for one in lines.feed(b"a\\r\\nb") + lines.feed(b"c\\n\\nd") + lines.finish()]
    [b'a', b'bc', b'', b'd']
    """

    def __init__(self) -> None:
        self.counters = {"lines_cut": 0, "bytes_cut": 0}
        self._begun = bytearray()
        self._cut = 0
        self._read = 0
        self._open = False

    def feed(self, data: bytes) -> list[Cut]:
        """See `Cutter.feed`."""
        lines = []
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._take(data, start, end)
            lines.append(self._line(self._read + end + 1))
            start = end + 1
        if start < len(data):
            self._take(data, start, len(data))
            self._open = True
        self._read += len(data)
        return lines

    def finish(self) -> list[Cut]:
        """See `Cutter.finish`."""
        lines = [self._line(self._read)] if self._open else []
        self._read = 0
        return lines

    def _take(self, data: bytes, start: int, end: int) -> None:
        room = MOST_BYTES - len(self._begun)
        self._begun += data[start : min(end, start + room)]
        self._cut += max(0, end - start - room)

    def _line(self, end: int) -> Cut:
        data = bytes(self._begun)
        self.counters["lines_cut"] += self._cut > 0
        self.counters["bytes_cut"] += self._cut
        self._begun.clear()
        self._cut, self._open = 0, False
        return Cut(data.removesuffix(b"\r"), "", end)


class JournalCutter:
    """The messages of a systemd journal export (`journalctl -o export`): entries of fields, a blank line between.

    A field is `NAME=value` on a line, or `NAME` on a line, the value's length as eight bytes (little-endian), the value
    and a line feed. The line is `MESSAGE`, its origin `_HOSTNAME`; an entry without a message gives no line.
    """

    WANTED = (b"MESSAGE", b"_HOSTNAME")

    def __init__(self) -> None:
        self.counters = {"lines_cut": 0, "bytes_cut": 0, "bad_fields": 0}
        self._fields: dict[bytes, bytes] = {}
        self._waiting = bytearray()  # of a line or of a length
        self._name: bytes | None = None  # of a value with a length
        self._left = -1  # bytes of that value; -1: its length has not come
        self._skipped = 0  # bytes of this line or value that were left out
        self._read = 0

    def feed(self, data: bytes) -> list[Cut]:
        """See `Cutter.feed`."""
        cuts: list[Cut] = []
        at = 0
        while at < len(data):
            at = self._in_line(data, at, cuts) if self._name is None else self._in_value(data, at)
        self._read += len(data)
        return cuts

    def finish(self) -> list[Cut]:
        """See `Cutter.finish`."""
        cuts: list[Cut] = []
        self._name, self._left, self._skipped = None, -1, 0
        self._waiting.clear()
        self._entry(self._read, cuts)
        self._read = 0
        return cuts

    def _in_line(self, data: bytes, at: int, cuts: list[Cut]) -> int:
        end = data.find(b"\n", at)
        self._keep(data[at : end if end >= 0 else len(data)])
        if end < 0:
            return len(data)
        line, skipped = bytes(self._waiting), self._skipped
        self._waiting.clear()
        self._skipped = 0
        name, equals, value = line.partition(b"=")
        if not line:
            self._entry(self._read + end + 1, cuts)
        elif equals:
            self._field(name, value, skipped)
        elif _FIELD.fullmatch(line):
            self._name, self._left = name, -1
        else:
            self.counters["bad_fields"] += 1
        return end + 1

    def _in_value(self, data: bytes, at: int) -> int:
        if self._left < 0:
            need = 8 - len(self._waiting)
            self._waiting += data[at : at + need]
            if len(self._waiting) == 8:
                self._left = int.from_bytes(self._waiting, "little") + 1
                self._waiting.clear()
                if self._left > MOST_VALUE_BYTES:  # no journal says that: go on with lines
                    self.counters["bad_fields"] += 1
                    self._name = None
            return min(at + need, len(data))
        end = min(at + self._left, len(data))
        self._left -= end - at
        self._keep(data[at:end])
        if self._left == 0:
            self._field(self._name or b"", bytes(self._waiting).removesuffix(b"\n"), max(0, self._skipped - 1))
            self._waiting.clear()
            self._name, self._left, self._skipped = None, -1, 0
        return end

    def _keep(self, data: bytes) -> None:
        room = MOST_BYTES + 16 - len(self._waiting)
        self._waiting += data[:room]
        self._skipped += max(0, len(data) - room)

    def _field(self, name: bytes, value: bytes, skipped: int) -> None:
        if not _FIELD.fullmatch(name):
            self.counters["bad_fields"] += 1
        elif name in self.WANTED:
            skipped += max(0, len(value) - MOST_BYTES)
            if name == b"MESSAGE" and skipped:
                self.counters["lines_cut"] += 1
                self.counters["bytes_cut"] += skipped
            self._fields[name] = value[:MOST_BYTES]

    def _entry(self, end: int, cuts: list[Cut]) -> None:
        fields, self._fields = self._fields, {}
        if b"MESSAGE" in fields:
            origin = fields.get(b"_HOSTNAME", b"")[:200].decode("utf-8", "replace")
            cuts.append(Cut(fields[b"MESSAGE"].replace(b"\n", b" "), origin, end))
