"""A slow reader of text recordings, written from docs/formats.md, "CSV and TXT": exact fractions, line by line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction

COUNTERS = (
    "bad_words",
    "out_of_range",
    "unplaced_events",
    "time_resyncs",
    "time_backward",
    "truncated_bytes",
    "lost_packets",
)
AHEAD_US = 1_000_000
LONGEST = 4096
UNITS = {
    "t": Fraction(1),
    "t_us": Fraction(1),
    "t_ms": Fraction(1000),
    "t_s": Fraction(10**6),
    "t_ns": Fraction(1, 1000),
}
NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
WORDS = {b"true": 1, b"on": 1, b"false": 0, b"off": 0}

Record = tuple[int, int, int, int]


@dataclass
class Decoded:
    """What the reader found; `problems` are the beginnings of the lines (bytes) that strict refuses, in their order."""

    events: list[Record] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0))
    t_end_us: int | None = None
    problems: list[int] = field(default_factory=list)


def decode_csv(data: bytes, sensor: tuple[int, int], columns: str) -> Decoded:
    """Read all of it as `skip` does."""
    names = (columns or "t,x,y,p").split(",")
    out = Decoded()
    *lines, rest = data.split(b"\n")
    held: tuple[Record, int] | None = None
    last_raw: int | None = None
    position = at = 0
    for line in [*lines, rest]:
        unfinished = line is rest and position + len(line) == len(data)
        at, position = position, position + len(line) + 1
        text = line.strip(b" \t\r")
        if len(line) <= LONGEST and (not text or text.startswith((b"#", b"%", b"//"))):
            continue
        record = read_line(text, names) if len(line) <= LONGEST else None
        cut = unfinished and len(line) <= LONGEST and (record is None or may_be_cut(record, names[-1], last_raw))
        if cut:
            out.counters["truncated_bytes"] += len(line)
            break
        if record is None:
            out.counters["bad_words"] += 1
            out.problems.append(at)
            continue
        last_raw = record[0]
        if held is not None:
            judge(out, held, record[0], sensor)
            held = None
        if out.t_end_us is None or record[0] > out.t_end_us + AHEAD_US:
            held = (record, at)
        else:
            place(out, record, at, sensor)
    if held is not None:
        place(out, held[0], held[1], sensor)
    if out.counters["truncated_bytes"]:
        out.problems.append(at)
    return out


def judge(out: Decoded, held: tuple[Record, int], next_us: int, sensor: tuple[int, int]) -> None:
    """Settle an event far ahead of those before it, by the one after it."""
    if held[0][0] <= next_us + AHEAD_US:
        place(out, held[0], held[1], sensor)
        return
    out.counters["bad_words"] += 1
    out.problems.append(held[1])


def place(out: Decoded, record: Record, at: int, sensor: tuple[int, int]) -> None:
    """Take an event if it is inside the sensor."""
    t, x, y, _ = record
    if not (0 <= x < sensor[0] and 0 <= y < sensor[1]):
        out.counters["out_of_range"] += 1
        out.problems.append(at)
        return
    if out.events and t < out.events[-1][0]:
        out.counters["time_backward"] += 1
    out.events.append(record)
    out.t_end_us = t if out.t_end_us is None else max(out.t_end_us, t)


def may_be_cut(record: Record, last: str, last_raw: int | None) -> bool:
    """Say whether the number that ends the file may lack digits."""
    if last in ("x", "y"):
        return True
    return last.startswith("t") and last_raw is not None and record[0] < last_raw


def read_line(text: bytes, names: list[str]) -> Record | None:
    """Return (t, x, y, p), None where the line is not one of these columns."""
    words = re.split(rb"[ \t\r]*[,;][ \t\r]*|[ \t\r]+", text)
    if len(words) != len(names):
        return None
    values: dict[str, int] = {}
    for name, word in zip(names, words, strict=True):
        if name == "-":
            continue
        value = number(word, UNITS.get(name, Fraction(1)), exact=not name.startswith("t"))
        if name == "p":
            value = WORDS.get(word.lower(), {1: 1, 0: 0, -1: 0}.get(value) if value is not None else None)
        if value is None:
            return None
        values[name[0]] = value
    return values["t"], values["x"], values["y"], values["p"]


def number(word: bytes, unit: Fraction, *, exact: bool) -> int | None:
    """Return the nearest integer of a decimal number in this unit, half to even."""
    if not NUMBER.fullmatch(word):
        return None
    value = Fraction(word.decode()) * unit
    if abs(round(value)) >= 2**60 or (exact and value.denominator != 1):
        return None
    return round(value)
