"""Durations, rates, speeds and sizes with their units. A duration in a config or on the command line carries one."""

from __future__ import annotations

import re
from collections.abc import Mapping

from edgesnn.errors import UsageError

_US = {"us": 1, "ms": 1_000, "s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_HZ = {"Hz": 1, "kHz": 1_000, "MHz": 1_000_000}
_BYTES = {"B": 1, "kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}
_NUMBER = r"(\d{1,30}(?:\.\d{1,30})?)"
_QUANTITY = re.compile(rf"\s*{_NUMBER}\s*([A-Za-z]+)\s*", re.ASCII)
_SPEED = re.compile(rf"{_NUMBER}x", re.ASCII)
_SENSOR = re.compile(r"\s*(\d{1,5})\s*[xX]\s*(\d{1,5})\s*")


def parse_duration_us(text: str, *, where: str = "duration") -> int:
    """Return the microseconds that `text` says; a bare number is an error.

    >>> parse_duration_us("20ms")
    20000
    """
    return _whole(text, _US, "duration", "20ms", where)


def parse_rate_hz(text: str, *, where: str = "rate") -> int:
    """Return the whole events a second that `text` says; a bare number is an error.

    >>> parse_rate_hz("2.5MHz")
    2500000
    """
    return _whole(text, _HZ, "rate", "500kHz", where)


def parse_size_bytes(text: str, *, where: str = "size") -> int:
    """Return the whole bytes that `text` says; a bare number is an error.

    >>> parse_size_bytes("100MB")
    100000000
    """
    return _whole(text, _BYTES, "size", "100MB", where)


def _whole(text: str, units: Mapping[str, int], what: str, example: str, where: str) -> int:
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in units:
        raise UsageError(
            f"not a {what}",
            where=where,
            found=repr(text),
            expected=f"a number and a unit, one of {', '.join(units)}",
            hint=f"write for example {example}",
        )
    return round(float(match[1]) * units[match[2]])


def format_duration_us(duration_us: float) -> str:
    """Return a duration for a person to read.

    >>> format_duration_us(1500)
    '1.5 ms'
    """
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if abs(duration_us) >= size:
            return f"{duration_us / size:.3g} {unit}"
    return f"{duration_us:.3g} us"


def parse_sensor(text: str, *, where: str = "--sensor") -> tuple[int, int]:
    """Return (width, height) of a text such as "640x480".

    >>> parse_sensor("640x480")
    (640, 480)
    """
    match = _SENSOR.fullmatch(text)
    if match is None or not (0 < int(match[1]) <= 65536 and 0 < int(match[2]) <= 65536):
        raise UsageError("not a sensor size", where=where, found=repr(text), expected="WxH, for example 640x480")
    return int(match[1]), int(match[2])


def parse_speed(text: str, *, where: str = "speed") -> float | None:
    """Return the factor of "1x", "0.5x", "4x"; None for "max". Raises UsageError.

    >>> parse_speed("4x"), parse_speed("max")
    (4.0, None)
    """
    if text == "max":
        return None
    match = _SPEED.fullmatch(text) if isinstance(text, str) else None
    if match is None or float(match[1]) <= 0:
        raise UsageError("not a speed", where=where, found=repr(text), expected="max, or a factor such as 1x or 4x")
    return float(match[1])
