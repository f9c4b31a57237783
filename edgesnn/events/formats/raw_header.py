"""The text header of Prophesee RAW files: lines that begin with "%", before the first word. docs/formats.md, "RAW"."""

from __future__ import annotations

import re

from edgesnn.errors import RecordingError, UsageError
from edgesnn.events.formats.base import HEAD_BYTES, EncoderOptions, Head, Header, Sensor

_MOST_BYTES = HEAD_BYTES - 4096
_LIMIT = 2048  # coordinates have 11 bits
_LINE = re.compile(rb"% ?([\x20-\x7e\t]*)\r?\n")
_GEOMETRY = re.compile(r"(\d{1,9})\s*x\s*(\d{1,9})")
_OPTION = re.compile(r"(width|height)=(\d{1,9})")
# Where the size is not written: the vendor's names of sensor generations.
_GENERATIONS: dict[str, Sensor] = {
    "gen31": (640, 480),
    "gen3": (640, 480),
    "gen41": (1280, 720),
    "gen4": (1280, 720),
    "imx636": (1280, 720),
    "genx320": (320, 320),
}
_VERSIONS = {"2.0": "evt2", "2.1": "evt21", "3.0": "evt3"}


def split(data: bytes) -> tuple[dict[str, str], int]:
    """Return the header's lines (first word -> rest) and where the words begin; ({}, 0) where there is no header."""
    fields: dict[str, str] = {}
    position = 0
    while match := _LINE.match(data, position):
        position = match.end()
        name, _, value = match[1].decode("ascii").strip().partition(" ")
        if name == "end":
            break
        if name:
            fields[name] = value.strip()
    return fields, position


def named_format(head: Head) -> str:
    """Return the format that the header names ("EVT3", "HISTO3D"), "" where it names none."""
    return split(head.data)[0].get("format", "").partition(";")[0].strip().upper()


def encoding(head: Head) -> str | None:
    """Return "evt2", "evt21" or "evt3" as the header says it, None where it does not."""
    fields, _ = split(head.data)
    named = named_format(head).replace(".", "")
    if named in ("EVT2", "EVT21", "EVT3"):
        return named.lower()
    return _VERSIONS.get(fields.get("evt", ""))


def endianness(fields: dict[str, str]) -> str | None:
    """Return the byte order that the header names ("little", "legacy"), None where it names none."""
    options = dict(option.strip().partition("=")[::2] for option in fields.get("format", "").split(";"))
    return options.get("endianness", fields.get("endianness", "")).strip().lower() or None


def lines(version: str, options: EncoderOptions, extra: dict[str, str] | None = None) -> bytes:
    """Return the header of a RAW file in EVT `version` ("2.0"), its last line included.

    Raises:
        UsageError: a sensor that RAW files cannot say, or fields that are no lines of it.
    """
    width, height = options.sensor
    if width > _LIMIT or height > _LIMIT:
        found, most = f"{width}x{height}", f"at most {_LIMIT}x{_LIMIT}"
        raise UsageError("the sensor is too large", where="sensor", found=found, expected=most)
    name = _VERSIONS[version].upper()
    own = {"evt": version, "format": f"{name};height={height};width={width}", "geometry": f"{width}x{height}"}
    own |= extra or {}
    every = {**own, **options.fields}
    text = "".join(f"% {key} {value}\n" for key, value in every.items())
    if own.keys() & options.fields.keys() or split(text.encode()) != (every, len(text)):
        raise UsageError("not lines of a RAW header", where="fields", found=repr(options.fields))
    if len(text) > _MOST_BYTES:
        raise UsageError("the header is too long", where="fields", found=f"{len(text)} bytes", expected="at most 60 KB")
    return f"{text}% end\n".encode("ascii")


def read(head: Head) -> Header:
    """Read the header; a file may also begin with its words at once."""
    fields, position = split(head.data)
    if position == 0 and head.data.startswith(b"% "):
        raise RecordingError("the header is damaged", where=head.where, offset=0, expected="ASCII lines after '% '")
    if position > _MOST_BYTES:
        raise RecordingError("the header has no end", where=head.where, offset=position, expected="at most 60 KB of it")
    sensor = _sensor(fields)
    if sensor is not None and not all(0 < side <= _LIMIT for side in sensor):
        complaint = f"the header says {sensor[0]}x{sensor[1]}, possible are 1x1 to {_LIMIT}x{_LIMIT}"
        return Header(position, None, fields, complaint)
    return Header(position, sensor, fields)


def _sensor(fields: dict[str, str]) -> Sensor | None:
    if match := _GEOMETRY.fullmatch(fields.get("geometry", "").strip()):
        return int(match[1]), int(match[2])
    sides = {name: int(value) for name, value in _OPTION.findall(fields.get("format", ""))}
    if len(sides) == 2:
        return sides["width"], sides["height"]
    words = " ".join(fields.get(name, "") for name in ("sensor_name", "plugin_name")).lower()
    for generation, sensor in _GENERATIONS.items():
        if re.search(rf"(?<![a-z0-9]){generation}(?![0-9])", words):
            return sensor
    return None
