"""The list of filters and their parameters. What each computes stands in docs/filters.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgesnn.errors import UsageError

Unit = Literal["us", "hz", "pixels", "count", "choice"]

_LONGEST_US = 1 << 48


@dataclass(frozen=True)
class Parameter:
    """One parameter of a filter.

    Attributes:
        name: as in `--filter NAME:parameter=value`.
        unit: "us" is a duration ("1ms"), "hz" a rate ("200Hz", "2MHz"), "choice" one of `choices`.
        help: one line.
        low, high: bounds of a number in that unit.
        default: None where it must be given.
        choices: words; native code sees their places.
    """

    name: str
    unit: Unit
    help: str
    low: int = 0
    high: int = 65535
    default: int | str | None = None
    choices: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its name in the JSON form: with its unit, where it has one."""
        return f"{self.name}_{self.unit}" if self.unit in ("us", "hz") else self.name


@dataclass(frozen=True)
class Description:
    """One filter: what it does, in a line, and its parameters."""

    help: str
    parameters: tuple[Parameter, ...] = ()


def _duration(name: str, help: str, default: int | None = None, *, high: int = _LONGEST_US) -> Parameter:
    return Parameter(name, "us", help, 1, high, default)


def _choice(name: str, help: str, *choices: str) -> Parameter:
    return Parameter(name, "choice", help, default=choices[0], choices=choices)


_RECTANGLE = (
    Parameter("x", "pixels", "left column"),
    Parameter("y", "pixels", "top row"),
    Parameter("width", "pixels", "columns", 1, 65536),
    Parameter("height", "pixels", "rows", 1, 65536),
)
_SUPPORT = _duration("dt", "how old the support may be: less than this", 10_000)

FILTERS = {
    "background": Description(
        "drop events without an event at a neighbouring pixel within dt",
        (_SUPPORT, _choice("neighbours", "pixels that count", "8", "4")),
    ),
    "decimate": Description(
        "keep every factor-th event",
        (
            Parameter("factor", "count", "of so many events one passes", 2, 1 << 30),
            _choice("per", "what is counted", "stream", "pixel"),
        ),
    ),
    "downsample": Description(
        "divide the coordinates", (Parameter("factor", "count", "pixels that become one, on each axis", 2, 65536),)
    ),
    "flip": Description("mirror the sensor", (_choice("axis", "coordinate that is mirrored", "x", "y"),)),
    "hot_pixels": Description(
        "learn which pixels fire too often, then drop their events",
        (
            _duration("learn", "sensor time from the first event in which all events pass", 1_000_000, high=1 << 32),
            Parameter("rate", "hz", "events a second above which a pixel is hot", 1, 1_000_000, 1000),
        ),
    ),
    "mask": Description("drop the events inside a rectangle", _RECTANGLE),
    "polarity": Description(
        "keep one polarity, or exchange them",
        (_choice("keep", "what passes; swap: all, exchanged", "on", "off", "swap"),),
    ),
    "rate": Description(
        "limit the rate: of each period the first events pass",
        (
            Parameter("limit", "hz", "events a second", 1, 1_000_000_000),
            _duration("period", "over which events are counted", 1000, high=1 << 32),
        ),
    ),
    "refractory": Description(
        "drop a pixel's events within a period",
        (
            _duration("period", "an event passes if more than this has gone by"),
            _choice("after", "since the last event that passed, or the last at all", "passed", "any"),
        ),
    ),
    "roi": Description("keep the events inside a rectangle, whose corner becomes 0,0", _RECTANGLE),
    "rotate": Description("turn the sensor clockwise", (_choice("degrees", "how far", "90", "180", "270"),)),
    "stcf": Description(
        "drop events with fewer than k of the 8 pixels around theirs active within dt",
        (_SUPPORT, Parameter("k", "count", "pixels that must support an event", 1, 8, 2)),
    ),
    "transpose": Description("exchange x and y"),
}


def names() -> list[str]:
    """Return the names of all filters."""
    return list(FILTERS)


def get(name: str, *, where: str = "filter") -> Description:
    """Return the description of a filter; UsageError names the known ones."""
    if name not in FILTERS:
        raise UsageError("no such filter", where=where, found=repr(name)[:80], expected=f"one of {', '.join(FILTERS)}")
    return FILTERS[name]


def usage() -> str:
    """Return a line for each filter, for `--help`: its text form with its units, and what it does."""
    lines = []
    for name, described in FILTERS.items():
        values = ",".join(f"{one.name}={_example(one)}" for one in described.parameters)
        lines.append(f"  {name}{':' * bool(values)}{values}\n      {described.help}")
    return "\n".join(lines)


def _example(parameter: Parameter) -> str:
    if parameter.choices:
        return "|".join(parameter.choices)
    return {"us": "TIME", "hz": "RATE"}.get(parameter.unit, "N")
