"""Rows of numbers as events: which column is which, units, what is damage. docs/formats.md, "NPY and NPZ"."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgesnn.errors import RecordingError
from edgesnn.events.formats import columns
from edgesnn.events.formats.base import NO_COUNTERS, ReaderOptions, Step, printable
from edgesnn.events.formats.checks import AHEAD_US, TIME_LIMIT_US
from edgesnn.events.seek import Place
from edgesnn.events.types import EVENT, TRIGGER

SAMPLE_ROWS = 500
"""From which the columns are told."""

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


class Rows(Protocol):
    """Rows of a file, column by column, read once from the first to the last.

    Attributes:
        names: of the columns, "" for one that has none.
    """

    names: Sequence[str]

    def read(self) -> tuple[list[Array], int]:
        """Return the next rows as one array a column, all of one length, and the bytes of the file that they took.

        No rows: the end.
        """

    def offset(self, row: int) -> int:
        """Return where a row lies in the file, as nearly as it can be said."""

    def ending(self) -> tuple[str, str, int] | None:
        """At the end: (what is wrong with it, the counter, how much), None if nothing is."""


class TableReader:
    """A pass over a table; see `Reader`. The columns are told by its first rows.

    Args:
        rows, title, options, columns_said: the table, and what is said of it.
        first_row: the number of the first row that `rows` gives, for messages.
        why: what is wrong with a row, where `rows` knows it.
    """

    def __init__(
        self,
        rows: Rows,
        title: str,
        options: ReaderOptions,
        columns_said: str,
        *,
        first_row: int = 0,
        why: Callable[[int], str | None] = lambda _: None,
    ) -> None:
        self._rows = rows
        self._title = title
        self._options = options
        self._first = rows.read()
        self._order = _order(rows.names, self._first[0], columns_said, options.path)
        self._width, self._height = options.sensor or (65536, 65536)
        self._strict = options.on_corrupt == "strict"
        self._guard = _Guard()
        self._row = first_row
        self._why = why
        self._last_us: int | None = None
        self.t_end_us: int | None = None
        self.counters = dict(NO_COUNTERS)

    def __iter__(self) -> Iterator[Step]:
        block, taken = self._first
        while len(block[0]):
            events, error = self._take(block, final=False)
            yield events, taken, error
            if error is not None:
                return
            self.keep()
            block, taken = self._rows.read()
        events, error = self._take([column[:0] for column in block], final=True)
        yield events, taken, error or self._end()

    def keep(self) -> None:
        """Keep this place in the index, where any row can be gone to."""

    def place(self, row_bytes: int) -> Place | None:
        """Return this place, behind rows of so many bytes; None while an event waits."""
        if self._guard.holds or self.t_end_us is None:
            return None
        more = self._row, self._guard.latest_us, self._last_us, dict(self.counters)
        return Place(self.t_end_us, self._row * row_bytes, {}, more)

    def go_on(self, place: Place) -> int:
        """Go on from a place; return its row, which `rows` gives next."""
        self.t_end_us = place.reached_us
        self._row, self._guard.latest_us, self._last_us, counters = place.more
        self.counters = dict(counters)
        return self._row

    def triggers(self) -> Array:
        """Tables have none."""
        return np.zeros(0, TRIGGER)

    def _take(self, block: list[Array], *, final: bool) -> tuple[Array, RecordingError | None]:
        """Return the events of some rows, and in strict the error of the first row that is none."""
        named = {name[0]: (block[at], name) for at, name in enumerate(self._order) if name != "-"}
        scale = columns.SCALES[named["t"][1]]
        plain = self._plain(named["t"][0], named["x"][0], named["y"][0], named["p"][0], scale)
        if plain is not None:
            return plain, None
        t, known = _times(named["t"][0], scale)
        whole = {axis: _whole(named[axis][0]) for axis in "xyp"}
        good = known & whole["x"][1] & whole["y"][1] & whole["p"][1] & (np.abs(whole["p"][0]) <= 1)
        x, y = whole["x"][0], whole["y"][0]
        inside = (x >= 0) & (x < self._width) & (y >= 0) & (y < self._height)
        rows = np.arange(self._row, self._row + len(t))
        self._row += len(t)
        taken = good & inside
        some = slice(None) if taken.all() else taken  # a copy less
        events = np.empty(int(np.count_nonzero(taken)), EVENT)
        for name, values in (("t", t), ("x", x), ("y", y), ("p", whole["p"][0] == 1)):
            events[name] = values[some]
        events, numbers, ahead = self._guard.pass_on(events, rows[some], final=final)
        problems = (
            (rows[~good], "bad_words", "no time, whole x, whole y and polarity of 0, 1 or -1"),
            (rows[good & ~inside], "out_of_range", f"it is outside the {self._width}x{self._height} sensor"),
            (ahead, "bad_words", "its time is more than a second ahead of both its neighbours"),
        )
        error = None
        wrong = [(int(found[0]), what) for found, _, what in problems if len(found)]
        if self._strict and wrong:
            first, what = min(wrong)
            events = events[numbers < first]
            error = self._refuse(first, what, block, first - self._row + len(t))
        for found, counter, _ in () if self._strict else problems:
            self.counters[counter] += len(found)
        self._count(events["t"])
        return events, error

    def _plain(self, t: Array, x: Array, y: Array, p: Array, scale: int) -> Array | None:
        """Return the events of rows that need no care: places inside the sensor, times that rise; else None."""
        from edgesnn import _native

        if len(t) < 2 or t.dtype.kind not in "iuf" or (scale < 0 and t.dtype.kind == "f") or self._guard.holds:
            return None
        if scale and t.dtype.kind != "f":
            t, known = _times(t, scale)
            if not known.all():
                return None
        latest = self._guard.latest_us
        events: Array | None = _native.events.pack_rows(
            t, x, y, p, 10.0**scale, self._width, self._height, latest, AHEAD_US
        )
        if events is None:
            return None
        self._row += len(t)
        self._last_us = self.t_end_us = self._guard.latest_us = int(events["t"][-1])
        return events

    def _count(self, t: Array) -> None:
        if not len(t):
            return
        joined = t if self._last_us is None else np.concatenate([[self._last_us], t])
        self.counters["time_backward"] += int(np.count_nonzero(np.diff(joined) < 0))
        self._last_us = int(t[-1])
        self.t_end_us = max(int(t.max()), int(t[0]) if self.t_end_us is None else self.t_end_us)

    def _refuse(self, row: int, what: str, block: list[Array], at: int) -> RecordingError:
        values = [f"{name}={column[at]}" for name, column in zip(self._order, block, strict=True)] if at >= 0 else []
        why = self._why(row)
        hint = "if the columns are others pass --columns, if the sensor is pass --sensor, to go on --on-corrupt=skip"
        return RecordingError(
            f"{self._title} row {row}: {why or what}",
            where=printable(self._options.path),
            offset=self._rows.offset(row),
            found=" ".join(values) if values and not why else None,
            hint="to go on pass --on-corrupt=skip" if why else hint,
        )

    def _end(self) -> RecordingError | None:
        wrong = self._rows.ending()
        if wrong is None:
            return None
        what, counter, amount = wrong
        if not self._strict:
            self.counters[counter] += amount
            return None
        return RecordingError(
            what,
            where=printable(self._options.path),
            offset=self._rows.offset(self._row),
            hint="to go on pass --on-corrupt=skip",
        )


class _Guard:
    """Leaves out events that stand more than a second ahead of everything before them and of the event after them.

    Attributes:
        latest_us: the largest time of those that were passed on, None before the first.
    """

    def __init__(self) -> None:
        self.latest_us: int | None = None
        self._held = np.zeros(0, EVENT)  # the last event, while it is ahead and the next one is not known
        self._held_row = np.zeros(0, np.int64)

    @property
    def holds(self) -> bool:
        """An event waits for the next one."""
        return len(self._held) > 0

    def pass_on(self, events: Array, rows: Array, *, final: bool) -> tuple[Array, Array, Array]:
        """Return (events, their rows, rows that are left out) of these and the one that was held."""
        if len(self._held):
            events, rows = np.concatenate([self._held, events]), np.concatenate([self._held_row, rows])
        t = events["t"]
        kept = np.ones(len(t), bool)
        end = len(t)
        at = self._next_ahead(t, 0)
        while at < len(t):
            if at + 1 == len(t) and not final:
                end = at
            elif at + 1 < len(t) and t[at] > t[at + 1] + AHEAD_US:
                kept[at] = False
            else:
                self.latest_us = int(t[at])
            at = self._next_ahead(t, at + 1)
        self._held, self._held_row = events[end:].copy(), rows[end:].copy()
        if kept.all():
            return events[:end], rows[:end], rows[:0]
        return events[:end][kept[:end]], rows[:end][kept[:end]], rows[~kept]

    def _next_ahead(self, t: Array, start: int) -> int:
        """Return the next place from start on that is ahead of all before it, len(t) if there is none."""
        if self.latest_us is None:
            return start
        for begin in range(start, len(t), _SEARCH):
            some = t[begin : begin + _SEARCH]
            before = np.maximum.accumulate(np.concatenate([[self.latest_us], some]))
            ahead = np.flatnonzero(some > before[:-1] + AHEAD_US)
            if len(ahead):
                self.latest_us = int(before[ahead[0]])
                return begin + int(ahead[0])
            self.latest_us = int(before[-1])
        return len(t)


_SEARCH = 4096  # events at once: a file of leaps costs this for each of them


def _order(names: Sequence[str], block: list[Array], said: str, where: str) -> list[str]:
    """Return the names of all columns, as `columns.parse` does: as said, by their names, or by their values."""
    known = [columns.known(name) for name in names]
    if said:
        order = columns.parse(said)
        if len(order) != len(names):
            raise RecordingError(
                "another number of columns", where=where, found=f"{len(names)} of them", expected=repr(said)
            )
    elif columns.complete(known):
        order = [name or "-" for name in known]
    else:
        sample = [_sample(column) for column in block]
        decimals = [at for at, column in enumerate(sample) if not _all_whole(column)]
        guess = None if any(names) or len(names) != 4 else columns.guess([list(column) for column in sample], decimals)
        if guess is None:
            raise columns.unknown(where, f"columns named {', '.join(names)}" if any(names) else f"{len(names)} columns")
        order = guess
    if "t" in order:
        at = order.index("t")
        sample_t = _sample(block[at])
        order[at] = columns.unit(_all_whole(sample_t), float(np.nanmax(sample_t, initial=0.0)))
    return order


def _sample(column: Array) -> Array:
    """Return its first values as floats."""
    with np.errstate(invalid="ignore"):  # of a signalling NaN
        return column[:SAMPLE_ROWS].astype(np.float64)


def _all_whole(values: Array) -> bool:
    with np.errstate(invalid="ignore"):
        return bool((np.isnan(values) | (values == np.rint(values))).all())


def _whole(values: Array) -> tuple[Array, Mask]:
    """Return the values as integers, and which of them are whole and small."""
    if values.dtype.kind == "b":
        return values.astype(np.int64), np.ones(len(values), bool)
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            values = values.astype(np.float64)
            known = (np.abs(values) < 1 << 31) & (values == np.rint(values))
    elif values.dtype.itemsize < 8:
        known = np.ones(len(values), bool)
    else:
        known = values < 1 << 31
        known &= values > -(1 << 31) if values.dtype.kind == "i" else True
    whole = values if known.all() else np.where(known, values, 0)
    return whole.astype(np.int64), known


def _times(values: Array, scale: int) -> tuple[Array, Mask]:
    """Return times in microseconds, rounded half to even, and which of them are numbers below 2^60 us."""
    if values.dtype.kind in "fb":
        with np.errstate(all="ignore"):
            us = values.astype(np.float64)
            us = us * 10.0**scale if scale >= 0 else us / 10.0**-scale
            known = np.isfinite(us) & (np.abs(us) < TIME_LIMIT_US)
        return np.rint(np.where(known, us, 0)).astype(np.int64), known
    limit = TIME_LIMIT_US // 10**scale if scale >= 0 else (1 << 62) - 1
    known = values < limit
    known &= values > -limit if values.dtype.kind == "i" else True
    whole = (values if known.all() else np.where(known, values, 0)).astype(np.int64)
    if scale == 0:
        return whole, known
    if scale > 0:
        return whole * 10**scale, known
    unit = 10**-scale
    us, rest = np.divmod(whole, unit)
    us += (2 * rest > unit) | ((2 * rest == unit) & (us % 2 == 1))
    return us, known & (np.abs(us) < TIME_LIMIT_US)
