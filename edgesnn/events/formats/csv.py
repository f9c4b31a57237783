"""Text with one event a line. docs/formats.md, "CSV and TXT"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from edgesnn.errors import RecordingError
from edgesnn.events.formats import columns as table
from edgesnn.events.formats.base import (
    EncoderOptions,
    FormatEncoder,
    Head,
    Header,
    NativeFormat,
    Sensor,
)
from edgesnn.events.formats.checks import Jumps, check_events, refuse_compression

Array = npt.NDArray[Any]


_COMMENT = ("#", "%", "//")
_SEPARATOR = re.compile(r"[ \t]*[,;][ \t]*|[ \t]+")
_SIZE = re.compile(r"(?:sensor|geometry|resolution)\W+(\d{1,5})\s*[x, ]\s*(\d{1,5})", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_POLARITIES = {"true": 1.0, "on": 1.0, "false": 0.0, "off": 0.0}
_MOST_LINES = 500
_MOST_ODD = 0.1  # of times that fall


class Csv(NativeFormat):
    """Lines of numbers between commas, semicolons, spaces or tabs; the columns are named, or found by their values."""

    name = "csv"
    title = "CSV, TXT"
    has_magic = False
    takes_columns = True
    needs_sensor = False
    keeps_triggers = False
    suffixes = (".csv", ".txt")

    def matches(self, head: Head) -> bool:
        """Say whether the file begins with lines of at least four numbers, or names such columns."""
        text = _split(head)
        if text is None:
            return False
        if _complete(text.names):
            return True
        numbers = [row for row in text.rows[:20] if len(row) >= 4 and all(_number(word) is not None for word in row)]
        return len(numbers) > 0.9 * len(text.rows[:20])

    def header(self, head: Head) -> Header:
        """Read the lines before the first event; find out what the columns are."""
        text = _split(head)
        if text is None:
            raise RecordingError(
                "not a text", where=head.where, found=repr(head.data[:16]), expected="lines of numbers"
            )
        fields = {"columns": ",".join(text.names)} if text.names else {}
        variant = ",".join(_columns(head, text))
        sensor = text.sensor or _checked(table.sensor(text.names))
        return Header(text.offset, sensor, {**fields, "layout": variant}, None, variant)

    def encoder(self, options: EncoderOptions) -> FormatEncoder:
        """Make an encoder of lines under their names; the variant names the columns, t,x,y,p where it is empty."""
        refuse_compression(self, options)
        return _Encoder(options)


class _Encoder:
    """Lines of integers. Refused are events that the reader would take for damage."""

    def __init__(self, options: EncoderOptions) -> None:
        self._sensor = options.sensor
        self._columns = ",".join(table.parse(options.variant or "t,x,y,p"))
        self._jumps = Jumps()

    def begin(self) -> bytes:
        return self._columns.replace("-", "").encode() + b"\n"

    def encode(self, events: Array, triggers: Array, t_end_us: int | None, /) -> bytes:
        check_events(events, self._sensor)
        self._jumps.check(events["t"])
        from edgesnn import _native

        return _native.events.encode_csv(events, self._columns)

    def finish(self) -> tuple[bytes, list[tuple[int, bytes]]]:
        return b"", []


@dataclass(frozen=True)
class _Text:
    """The beginning of a text: where its events begin, the names over them, the words of its first lines."""

    offset: int
    names: list[str]
    sensor: Sensor | None
    rows: list[list[str]]


def _split(head: Head) -> _Text | None:
    """Return the beginning of this file as lines, None where it is no text."""
    data = head.data.removeprefix(b"\xef\xbb\xbf")
    start = len(head.data) - len(data)
    whole = data if len(head.data) >= head.size else data[: data.rfind(b"\n") + 1]
    strange = sum(byte < 9 or 13 < byte < 32 for byte in whole[:4096])
    if not whole or strange > 0.01 * len(whole[:4096]):
        return None
    lines = whole.decode("latin-1").split("\n")
    names: list[str] = []
    sensor = None
    offset = start
    for number, line in enumerate(lines):
        words = _words(line)
        comment = line.lstrip().startswith(_COMMENT)
        if comment or not words:
            sensor = _size(line) or sensor
            named = _names(line.lstrip(" #%/\t"))
        elif not any(_NUMBER.fullmatch(word) for word in words) or _complete(_names(line)):  # "Unnamed: 0" is a name
            named = _names(line)
        elif len(words) == 2 and sensor is None and not names and _is_size(words):
            sensor, named = (int(words[0]), int(words[1])), []
        else:
            rows = [_words(row) for row in lines[number : number + _MOST_LINES]]
            return _Text(offset, names, sensor, [row for row in rows if row])
        if (not comment and named) or _complete(named):
            names = named
        offset += len(line) + 1
    return _Text(min(offset, len(head.data)), names, sensor, [])


def _words(line: str) -> list[str]:
    return _SEPARATOR.split(line.strip()) if line.strip() else []


def _names(line: str) -> list[str]:
    """Split a line of names, which may hold spaces where something else stands between them."""
    return [word.strip() for word in re.split("[,;\t]", line)] if set(line) & set(",;\t") else line.split()


def _complete(names: list[str]) -> bool:
    return table.complete([table.known(name) for name in names])


def _size(line: str) -> Sensor | None:
    match = _SIZE.search(line[:200])
    return _checked((int(match[1]), int(match[2]))) if match else None


def _is_size(words: list[str]) -> bool:
    return all(re.fullmatch("[1-9][0-9]{0,3}", word) for word in words)


def _checked(sensor: Sensor | None) -> Sensor | None:
    return sensor if sensor is not None and all(0 < side <= 65536 for side in sensor) else None


def _number(word: str) -> float | None:
    return float(word) if _NUMBER.fullmatch(word) else _POLARITIES.get(word.lower())


def _columns(head: Head, text: _Text) -> list[str]:
    """Return the names of all columns as the decoder knows them, the unit of the time among them."""
    if head.columns is not None:
        names = table.parse(head.columns)
    elif text.names:
        found = [table.known(name) for name in text.names]
        if not table.complete(found):
            raise table.unknown(head.where, f"columns named {', '.join(text.names)}")
        names = [name or "-" for name in found]
    else:
        names = _guess(head, text)
    if "t" in names:
        at = names.index("t")
        values = [value for row in text.rows if len(row) > at and (value := _number(row[at])) is not None]
        whole = all(value.is_integer() for value in values)
        names[at] = table.unit(whole, max(values, default=0.0))
    return names


def _guess(head: Head, text: _Text) -> list[str]:
    """Return the order of four columns without names: which of them are polarities, which one rises as time does."""
    rows = [row for row in text.rows if len(row) == 4 and all(_number(word) is not None for word in row)]
    if not rows or len(rows) < (1 - _MOST_ODD) * len(text.rows):
        widths = sorted({len(row) for row in text.rows})
        raise table.unknown(head.where, f"lines of {', '.join(map(str, widths[:5]))} columns without names")
    values = [[_number(word) or 0.0 for word in column] for column in zip(*rows, strict=True)]
    decimals = [at for at in range(4) if any(set(row[at]) & set(".eE") and _NUMBER.fullmatch(row[at]) for row in rows)]
    names = table.guess(values, decimals)
    if names is None:
        raise table.unknown(head.where, f"four columns in no common order: {' '.join(rows[0])[:80]}")
    return names
