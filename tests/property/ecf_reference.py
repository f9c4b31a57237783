"""Prophesee's ECF read and written one element at a time, by docs/formats.md, "ECF"; times may not fall."""

from __future__ import annotations

import struct
from itertools import groupby

import numpy as np

LAYOUTS = {"runs": 0, "x and p": 1, "y, x and p": 2}


def decode(chunk: bytes) -> list[tuple[int, int, int, int]]:
    """Return (t, x, y, p) of all events of a chunk."""
    reader = Bytes(chunk)
    info, t = reader.number("<I"), reader.number("<Q")
    count = info >> 2
    times: list[int] = []
    while len(times) < count:
        step, many = divmod(reader.number("<B"), 16)
        if step < 15:
            t += step
            times += [t] * (reader.number("<H") if many == 15 else many)
            continue
        digits = [many]
        while reader.data[reader.at] >> 4 == 15:
            digits.append(reader.number("<B") & 15)
        t += sum(digit << 4 * place for place, digit in enumerate(digits))
    if info & 2:
        rows = [(v >> 12 & 2047, v >> 1 & 2047, v & 1) for v in groups(reader, count, "<III", 8)]
        return [(t, x, y, p) for t, (y, x, p) in zip(times, rows, strict=False)]
    ys = runs(reader, count, "<H", 5)
    if info & 1:
        pairs = [(v >> 1, v & 1) for v in groups(reader, count, "<HHH", 4)]
        return [(t, x, y, p) for t, y, (x, p) in zip(times, ys, pairs, strict=False)]
    xs: list[int] = []
    while len(xs) < count:
        x, mask = divmod(reader.number("<H"), 32)
        xs += [x] + [x + 1 + j for j in range(5) if mask >> (4 - j) & 1]
    ps = runs(reader, count, "<B", 7)
    assert reader.at == len(chunk)
    return list(zip(times, xs, ys, ps, strict=False))


class Bytes:
    """Numbers one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def number(self, form: str) -> int:
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return int(value)


def runs(reader: Bytes, count: int, form: str, bits: int) -> list[int]:
    """Values, each with how often it comes in its low bits."""
    values: list[int] = []
    while len(values) < count:
        value, many = divmod(reader.number(form), 1 << bits)
        values += [value] * (reader.number("<H") if many == (1 << bits) - 1 else many)
    return values


def groups(reader: Bytes, count: int, form: str, bits: int) -> list[int]:
    """Four numbers of 3 * bits in three words of 4 * bits."""
    values: list[int] = []
    low, middle = (1 << bits) - 1, (1 << 2 * bits) - 1
    while len(values) < count:
        a, b, c = struct.unpack_from(form, reader.data, reader.at)
        reader.at += struct.calcsize(form)
        most = (1 << 3 * bits) - 1
        values += [a >> bits, b >> 2 * bits << bits | a & low, c >> 3 * bits << 2 * bits | b & middle, c & most]
    return values


def encode(events: np.ndarray, layout: str) -> bytes:
    """Return the chunk of these events."""
    t, x, y, p = (events[name].astype(object).tolist() for name in "txyp")
    out = struct.pack("<IQ", len(events) << 2 | LAYOUTS[layout], t[0] if t else 0)
    now = t[0] if t else 0
    for time, many in counted(t):
        step = time - now
        now = time
        if step >= 15:
            while step:
                out += bytes([0xF0 | step & 15])
                step >>= 4
        out += run(step << 4, many, 15, "<B")
    if layout == "y, x and p":
        return out + grouped([b << 12 | a << 1 | c for a, b, c in zip(x, y, p, strict=True)], "<III", 8)
    out += b"".join(run(row << 5, many, 31, "<H") for row, many in counted(y))
    if layout == "x and p":
        return out + grouped([a << 1 | b for a, b in zip(x, p, strict=True)], "<HHH", 4)
    at = 0
    while at < len(x):
        first, mask = x[at], 0
        at += 1
        for j in range(5):
            if at < len(x) and x[at] == first + j + 1:
                mask |= 1 << (4 - j)
                at += 1
        out += struct.pack("<H", first << 5 | mask)
    return out + b"".join(run(one << 7, many, 127, "<B") for one, many in counted(p))


def counted(values: list[int]) -> list[tuple[int, int]]:
    return [(value, len(list(same))) for value, same in groupby(values)]


def run(value: int, many: int, most: int, form: str) -> bytes:
    return struct.pack(form, value | many) if many < most else struct.pack(form, value | most) + struct.pack("<H", many)


def grouped(values: list[int], form: str, bits: int) -> bytes:
    values = values + [0] * (-len(values) % 4)
    low, middle = (1 << bits) - 1, (1 << 2 * bits) - 1
    out = b""
    for at in range(0, len(values), 4):
        a, b, c, d = values[at : at + 4]
        words = (a << bits | b & low, b >> bits << 2 * bits | c & middle, c >> 2 * bits << 3 * bits | d)
        out += struct.pack(form, *words)
    return out
