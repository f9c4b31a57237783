"""Formats of records with a time of their own, decoded over the whole list, after docs/formats.md: the oracle."""

from __future__ import annotations

import numpy as np

from tests.property.evt_reference import Outcome

AHEAD_US = 10_000


def decode_dat(data: bytes, sensor: tuple[int, int]) -> Outcome:
    """Decode whole records of DAT; trailing bytes are not part of them."""
    out = Outcome()
    rows = np.frombuffer(data[: len(data) // 8 * 8], "<u4").reshape(-1, 2).tolist()
    out.counters["bad_words"] = sum(word >> 28 > 1 for _, word in rows)
    rows = [(raw, word) for raw, word in rows if word >> 28 <= 1]
    for number, (raw, word) in enumerate(rows):
        t = unwrapped(raw, out.t_end_us)
        following = unwrapped(rows[number + 1][0], out.t_end_us) if number + 1 < len(rows) else t
        ahead = out.t_end_us is None or t > out.t_end_us + AHEAD_US
        if ahead and t > following + AHEAD_US:
            out.counters["bad_words"] += 1
        else:
            place(out, t, word & 0x3FFF, word >> 14 & 0x3FFF, word >> 28, sensor)
    return out


def unwrapped(raw: int, clock: int | None) -> int:
    """The time of 32 bits after the clock: it wraps from the last quarter into the first, and back for late events."""
    if clock is None:
        return raw
    epoch, now = divmod(clock, 2**32)
    quarter = 2**30
    if now >= 3 * quarter and raw < quarter:
        epoch += 1
    elif now < quarter and raw >= 3 * quarter and epoch > 0:
        epoch -= 1
    return epoch * 2**32 + raw


def place(out: Outcome, t: int, x: int, y: int, p: int, sensor: tuple[int, int]) -> None:
    """Take an event, or count that it is outside."""
    if x >= sensor[0] or y >= sensor[1]:
        out.counters["out_of_range"] += 1
        return
    if out.events and t < out.events[-1][0]:
        out.counters["time_backward"] += 1
    out.events.append((t, x, y, p))
    out.reach(t)


def decode_es(data: bytes, sensor: tuple[int, int]) -> Outcome:
    """Decode the events of an ES stream, a cut one at its end left out and counted."""
    out, clock, at = Outcome(), 0, 0
    while at < len(data):
        first, event = data[at], data[at : at + 5]
        if first >= 0xFE:
            clock += 127 * (first == 0xFF)
            out.reach(clock) if clock else None
            at += 1
        elif len(event) < 5:
            out.counters["truncated_bytes"] += len(event)
            break
        else:
            x, y = event[1] | event[2] << 8, event[3] | event[4] << 8
            step = 5 if x < sensor[0] and y < sensor[1] else resumed(data[at : at + 64], sensor)
            if step < 5:
                out.counters["bad_words"] += 1
            else:
                clock += first >> 1
                place(out, clock, x, y, first & 1, sensor)
                out.reach(clock) if clock else None
            at += step
    return out


def resumed(window: bytes, sensor: tuple[int, int]) -> int:
    """How many bytes to leave out where an event lies outside: five, or fewer after which all is inside."""
    times = {step: time_inside(window[step:], sensor) for step in range(4, 0, -1)}
    if time_inside(window[5:], sensor) is not None:
        return 5
    possible = {step: time for step, time in times.items() if time is not None}
    return min(possible, key=lambda step: possible[step], default=5)


def time_inside(data: bytes, sensor: tuple[int, int]) -> int | None:
    """The time that these bytes take, None where one of their events lies outside."""
    time = at = 0
    while at < len(data) and (data[at] >= 0xFE or len(data) - at >= 5):
        if data[at] >= 0xFE:
            time, at = time + 127 * (data[at] == 0xFF), at + 1
            continue
        x, y = data[at + 1] | data[at + 2] << 8, data[at + 3] | data[at + 4] << 8
        if x >= sensor[0] or y >= sensor[1]:
            return None
        time, at = time + (data[at] >> 1), at + 5
    return time
