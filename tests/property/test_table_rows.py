"""Rows that need no care are packed at once, to the same events, counters and errors as row by row in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn import _native
from edgesnn.events.formats.base import Header, ReaderOptions
from edgesnn.events.formats.table import TableReader

WIDTH, HEIGHT = 320, 240
KINDS = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", ">i4", "f2")
TIMES = {"t_us": ("u4", "i8", "u8", "f8", ">i8"), "t_s": ("f8", "f4", "i4"), "t_ms": ("f8", "i8"), "t_ns": ("f8", "u8")}
UNIT_US = {"t_us": 1, "t_s": 1e6, "t_ms": 1e3, "t_ns": 1e-3}
ODD = (-1, 0.5, 2, 300, 1 << 16, 1 << 31, (1 << 51) - 1, 1 << 51, -(1 << 51), 1 << 60, (1 << 64) - 5, np.nan, np.inf)


class Given:
    """Rows that are there, in blocks."""

    def __init__(self, names: Sequence[str], blocks: list[list[Any]]) -> None:
        self.names = names
        self._blocks = [*blocks, [column[:0] for column in blocks[0]]]

    def read(self) -> tuple[list[Any], int]:
        block = self._blocks.pop(0)
        return block, len(block[0])

    def offset(self, row: int) -> int:
        return row

    def ending(self) -> tuple[str, str, int] | None:
        return None


def result(names: Sequence[str], blocks: list[list[Any]], on_corrupt: str, *, careful: bool) -> tuple[Any, ...]:
    options = ReaderOptions("a.npy", Header(0, None, {}, None, ""), (WIDTH, HEIGHT), on_corrupt, None)
    reader = TableReader(Given(names, blocks), "NPY", options, "")
    if careful:
        reader._plain = lambda *_: None  # type: ignore[method-assign]
    events, message = [], ""
    with np.errstate(all="ignore"):
        for some, _, error in reader:
            events += some.tolist()
            message = str(error or "")
    return events, message, reader.counters, reader.t_end_us


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[Any]]]:
    """Draw columns of any types, times that mostly rise, and a few odd numbers among them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    time = draw(st.sampled_from(sorted(TIMES)))
    count = draw(st.integers(1, 1500))
    t_us = draw(st.sampled_from([0, 1_600_000_000])) + np.cumsum(rng.integers(0, 60, count))
    columns = [
        with_odd(draw, (t_us / UNIT_US[time]), draw(st.sampled_from(TIMES[time]))),
        with_odd(draw, rng.integers(0, draw(st.sampled_from([100, WIDTH])), count), draw(st.sampled_from(KINDS))),
        with_odd(draw, rng.integers(0, draw(st.sampled_from([100, HEIGHT])), count), draw(st.sampled_from(KINDS))),
        with_odd(draw, rng.integers(0, 2, count), draw(st.sampled_from((*KINDS, "?")))),
    ]
    step = draw(st.sampled_from([1, 1, 3]))
    columns = [np.repeat(column, step)[::step] for column in columns]  # with gaps between the rows
    cuts = sorted(draw(st.lists(st.integers(1, count), max_size=3)))
    blocks = [list(block) for block in zip(*(np.split(column, cuts) for column in columns), strict=True)]
    return [time, "x", "y", "p"], [block for block in blocks if len(block[0])]


def with_odd(draw: st.DrawFn, values: Any, dtype: str) -> Any:
    with np.errstate(all="ignore"):
        column = np.asarray(values).astype(dtype)
        for at in draw(st.lists(st.integers(0, len(column) - 1), max_size=draw(st.sampled_from([0, 0, 0, 2])))):
            value = draw(st.sampled_from(ODD))
            if column.dtype.kind == "f":
                column[at] = value
            elif not isinstance(value, float):
                column[at] = value & ((1 << 8 * column.dtype.itemsize - (column.dtype.kind == "i")) - 1)
    return column


@pytest.mark.parametrize("on_corrupt", ["strict", "skip"])
@given(tables())
@settings(max_examples=300)
def test_rows_give_the_same_with_and_without_care(on_corrupt: str, table: tuple[list[str], list[list[Any]]]) -> None:
    names, blocks = table
    assert result(names, blocks, on_corrupt, careful=False) == result(names, blocks, on_corrupt, careful=True)


def pack(t: Any, x: Any = 5, y: Any = 5, p: Any = 1, latest_us: int | None = None) -> Any:
    columns = [np.asarray(column) for column in (t, x, y, p)]
    t, x, y, p = (np.full(len(columns[0]), column) if column.ndim == 0 else column for column in columns)
    return _native.events.pack_rows(t, x, y, p, 1e6, WIDTH, HEIGHT, latest_us, 1_000_000)


def test_times_are_rounded_half_to_even() -> None:
    t_s = np.arange(1, 4096) * 0.5e-6 * (1 + 0.0)
    events = pack(t_s)
    np.testing.assert_array_equal(events["t"], np.rint(t_s * 1e6).astype(np.int64))
    negative = pack(np.array([-1.5, -0.5, 0.5, 1.5]) / 1e6)
    np.testing.assert_array_equal(negative["t"], [-2, 0, 0, 2])


@pytest.mark.parametrize(
    "rows",
    [
        {"t": [1, 2, 1]},
        {"t": [1, 2, 1_000_003]},
        {"t": [5], "latest_us": 6},
        {"t": [1, 2, 3], "x": [0, 0, WIDTH]},
        {"t": [1, 2, 3], "y": np.array([0, -1, 0], "i1")},
        {"t": [1, 2, 3], "p": [0, 1, 2]},
        {"t": [1, 2, 3], "p": np.array([0, 1, 255], "u1")},
        {"t": [1, 2, 3], "x": [0, 0.5, 1]},
        {"t": [1, 2, 3], "x": [0, np.nan, 1]},
        {"t": [np.nan, 1, 2]},
        {"t": np.array([0, 1, 2], ">i8")},
        {"t": np.array([2**64 - 5, 2**64 - 4], "u8")},
        {"t": [1, 2, 3], "x": np.zeros((3, 2))},
        {"t": [1, 2, 3], "x": np.zeros(2)},
    ],
)
def test_rows_that_need_care_are_left(rows: dict[str, Any]) -> None:
    assert pack(**rows) is None
