"""Names and units of columns, and which column of a table is which. docs/formats.md, "Columns"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from edgesnn.errors import RecordingError, UsageError

_TIME = r"t|ts|time|times|timestamp|timestamps"
_UNITS = {
    "s": ("s", "sec", "secs", "second", "seconds"),
    "ms": ("ms", "msec", "millisecond", "milliseconds"),
    "us": ("us", "usec", "microsecond", "microseconds", "\u00b5s", "\u03bcs"),
    "ns": ("ns", "nsec", "nanosecond", "nanoseconds"),
}
_UNIT_OF = {word: unit for unit, words in _UNITS.items() for word in words}
_NAMED_TIME = re.compile(rf"(?:{_TIME})(?:[ _\[(]+({'|'.join(_UNIT_OF)})[\])]?)?")
_PLACES = {
    "x": ("x", "xs", "x_pos", "col", "column", "x_coordinate"),
    "y": ("y", "ys", "y_pos", "row", "y_coordinate"),
    "p": ("p", "ps", "pol", "pols", "polarity", "polarities", "on", "sign"),
}
_SIDE = re.compile(r"([xy])@(\d{1,5})")  # as faery writes the sensor's size
_PLACE_OF = {word: name for name, words in _PLACES.items() for word in words}

SCALES = {"t": 0, "t_us": 0, "t_ms": 3, "t_s": 6, "t_ns": -3}
"""Names of a time column: one of its units is 10^scale us. A plain t leaves the unit to the values."""

ORDERS = ("t,x,y,p", "x,y,p,t", "x,y,t,p", "t,p,x,y", "p,x,y,t")
"""Of four columns without names: the common ones first."""
_MOST_ODD = 0.1  # of times that fall

_EARLIEST_NS = 10**17  # as microseconds that were in the year 5138, as nanoseconds it is 1973


def known(name: str) -> str | None:
    """Return t, t_s, t_ms, t_us, t_ns, x, y or p for the name of a column as people write it, None for another one.

    >>> [known(name) for name in ("Timestamp [us]", "x@640", "Polarity", "speed")]
    ['t_us', 'x', 'p', None]
    """
    word = name.strip().strip("\"'").strip().lower()
    if match := _SIDE.fullmatch(word):
        return match[1]
    if match := _NAMED_TIME.fullmatch(word):
        return f"t_{_UNIT_OF[match[1]]}" if match[1] else "t"
    return _PLACE_OF.get(word)


def sensor(names: Sequence[str]) -> tuple[int, int] | None:
    """Return the size that the names of x and y say, None where they do not.

    >>> sensor(["t", "x@640", "y@480", "on"])
    (640, 480)
    """
    sides = {match[1]: int(match[2]) for name in names if (match := _SIDE.fullmatch(name.strip().lower()))}
    return (sides["x"], sides["y"]) if sides.keys() == {"x", "y"} else None


def complete(names: Sequence[str | None]) -> bool:
    """Say whether these hold time, x, y and p, each once."""
    short = sorted(name[0] for name in names if name)
    return short == ["p", "t", "x", "y"]


def parse(text: str) -> list[str]:
    """Return the columns that a user wrote ("t,x,y,p"; "-" for one that is left out).

    Raises:
        UsageError: not t, x, y and p once each.
    """
    words = [word.strip() for word in text.split(",")]
    names = [known(word) for word in words if word != "-"]
    if None in names or not complete(names):
        raise UsageError(
            "not the columns of events",
            where="columns",
            found=repr(text),
            expected="t (t_s, t_ms, t_us, t_ns), x, y and p once each, - for a column to leave out",
            hint="write for example t,x,y,p",
        )
    return [word if word == "-" else str(known(word)) for word in words]


def guess(values: Sequence[Sequence[float]], decimals: Sequence[int]) -> list[str] | None:
    """Return the order of four columns without names: which one holds polarities, and which one rises as time does.

    Args:
        values: of each column.
        decimals: the columns that are written as decimals; where there are any, the time is one of them.
    """
    for order in ORDERS:
        names = order.split(",")
        time = names.index("t")
        likely = time in decimals or not decimals
        if likely and _rises(values[time]) and set(values[names.index("p")]) <= {-1.0, 0.0, 1.0}:
            return names
    return None


def _rises(values: Sequence[float]) -> bool:
    return sum(after < before for before, after in pairwise(values)) <= _MOST_ODD * len(values)


def unknown(where: str, found: str) -> RecordingError:
    """Return the error of a table whose columns nobody says."""
    return RecordingError(
        "the columns are not known",
        where=where,
        found=found[:200],
        expected="time, x, y and polarity",
        hint="say what the columns are, for example --columns t,x,y,p (t_s for seconds, - to leave one out)",
    )


def unit(whole: bool, largest: float) -> str:
    """Return the name of a time column whose unit nobody says: by its values.

    Args:
        whole: all its values are whole numbers.
        largest: the largest of them.
    """
    if not whole:
        return "t_s"
    return "t_ns" if largest >= _EARLIEST_NS else "t_us"
