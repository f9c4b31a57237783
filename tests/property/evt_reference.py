"""EVT2, EVT2.1 and EVT3 decoded word by word over the whole list, after docs/formats.md: slow, readable, the oracle.

It sees all words at once and decides a TIME_HIGH by looking at the next one, where the decoder under test must wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

Event = tuple[int, int, int, int]

UNTIMED, LOST = -1, -2  # before the first TIME_HIGH; under a damaged one

COUNTERS = (
    "bad_words",
    "out_of_range",
    "unplaced_events",
    "time_resyncs",
    "time_backward",
    "truncated_bytes",
    "lost_packets",
)


@dataclass
class Outcome:
    """What a stream holds, damage left out."""

    events: list[Event] = field(default_factory=list)
    triggers: list[tuple[int, int, int]] = field(default_factory=list)
    t_end_us: int | None = None
    counters: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0))

    def reach(self, t_us: int) -> None:
        self.t_end_us = t_us if self.t_end_us is None else max(self.t_end_us, t_us)


class Clock:
    """The believed TIME_HIGH words so far."""

    def __init__(self, bits: int) -> None:
        self.period, self.quarter = 1 << bits, 1 << (bits - 2)
        self.second = 1_000_000 >> {12: 12, 28: 6}[bits]
        self.last: int | None = None
        self.epoch = self.resyncs = 0
        self.came = self.came_before = 0  # how often the last word came, and the one before it

    def ahead(self, word: int) -> int:
        assert self.last is not None
        return (word - self.last) % self.period

    def wraps(self, a: int, b: int) -> bool:
        return a >= 3 * self.quarter and b < self.quarter

    def onward(self, a: int, b: int) -> bool:
        return b >= a or self.wraps(a, b)

    @property
    def near(self) -> int:
        return self.second // 16 if self.repeats else self.second

    @property
    def repeats(self) -> bool:
        return self.came > 1 or self.came_before > 1

    def believe(self, word: int) -> int:
        """Take a word; return its value, wraps added."""
        if self.last is not None and self.ahead(word) > 1:
            self.resyncs += 1
        if self.last is not None and self.wraps(self.last, word):
            self.epoch += 1
        if word == self.last:
            self.came += 1
        else:
            self.came, self.came_before = 1, self.came
        self.last = word
        return self.epoch * self.period + word


def high_values(words: list[int], bits: int, counters: dict[str, int]) -> list[int | None]:
    """Return what each TIME_HIGH word means, wraps added; None where it is damaged and nothing tells the right one.

    Takes the words in groups: one that is clear by itself, or an unclear one with all that must wait with it.
    """
    clock, values = Clock(bits), []
    while len(values) < len(words):
        rest = words[len(values) : len(values) + 8]  # no decision looks further
        count = waiting(clock, rest)
        values += settle(clock, rest[:count], rest[count] if count < len(rest) else None)
    counters["bad_words"] += clock_misses(words, values)
    counters["time_resyncs"] += clock.resyncs
    return [value if isinstance(value, int) else value.value for value in values]


@dataclass
class Miss:
    """A word that is not believed, and the value that the words around it agree on, if they do."""

    value: int | None = None


def clock_misses(words: list[int], values: list[int | Miss]) -> int:
    assert len(words) == len(values)
    return sum(isinstance(value, Miss) for value in values)


def waiting(clock: Clock, rest: list[int]) -> int:
    """Return how many of the next words are settled together."""
    if clock.last is None:
        return 1
    if clock.ahead(rest[0]) == 0 or (clock.ahead(rest[0]) == 1 and not clock.repeats):
        return 1
    count = 1
    while (
        count < min(6, len(rest))
        and clock.ahead(rest[count]) > clock.near
        and clock.onward(rest[count - 1], rest[count])
    ):
        count += 1
    return count


def settle(clock: Clock, group: list[int], following: int | None) -> list[int | Miss]:
    """Return the values of one group of words; `following` is the word after it."""
    if clock.last is None:
        (first,) = group
        stands = following is None or following >= first or following + clock.period - first < clock.period // 16
        return [clock.believe(first)] if stands else [Miss()]
    if len(group) == 1 and (clock.ahead(group[0]) == 0 or (clock.ahead(group[0]) == 1 and not clock.repeats)):
        return [clock.believe(group[0])]
    if len(group) == 6 or (following is None and not clock.repeats and clock.onward(clock.last, group[0])):
        return [clock.believe(word) for word in group]
    out: list[int | Miss] = []
    returns = following is not None and clock.ahead(following) <= clock.near
    for word in group:
        if returns and following is not None:
            believed = clock.ahead(word) <= clock.ahead(following)
            agreed = clock.epoch * clock.period + clock.last if following == clock.last else None
        else:
            believed = clock.ahead(word) <= 1 and not any(isinstance(value, Miss) for value in out)
            agreed = None
        out.append(clock.believe(word) if believed else Miss(agreed))
    return out


def spans(words: list[int], is_high: Iterable[bool], bits: int, mask: int, out: Outcome) -> Iterator[tuple[int, int]]:
    """Yield (word, high value, UNTIMED or LOST) for every word; TIME_HIGH words themselves come with their value."""
    flags = list(is_high)
    values = iter(high_values([w & mask for w, f in zip(words, flags, strict=True) if f], bits, out.counters))
    high = UNTIMED
    for word, flag in zip(words, flags, strict=True):
        if flag:
            value = next(values)
            high = LOST if value is None else value
        yield word, high


def place(out: Outcome, t: int, x: int, y: int | None, p: int, sensor: tuple[int, int]) -> None:
    """Take one event, or count why not: first where it is, then when."""
    if t == UNTIMED or y is None:
        out.counters["unplaced_events"] += 1
    elif x >= sensor[0] or y >= sensor[1]:
        out.counters["out_of_range"] += 1
    elif t == LOST:
        out.counters["unplaced_events"] += 1
    else:
        if out.events and t < out.events[-1][0]:
            out.counters["time_backward"] += 1
        out.events.append((t, x, y, p))
        out.reach(t)


def trigger(out: Outcome, t: int, channel: int, edge: int) -> None:
    """Take one trigger where its time is known."""
    if t >= 0:
        out.triggers.append((t, channel, edge))
        out.reach(t)


def at(high: int, shift: int, low: int) -> int:
    """Return the time, UNTIMED or LOST."""
    return high if high < 0 else (high << shift) | low


def decode_evt3(words: list[int], sensor: tuple[int, int]) -> Outcome:
    """Decode 16-bit words; a trailing byte is not part of them."""
    out = Outcome()
    low, y, base, base_p = 0, None, None, 0
    for word, high in spans(words, [w >> 12 == 8 for w in words], 12, 0xFFF, out):
        kind, value = word >> 12, word & 0xFFF
        low = value if kind == 0x6 else low
        t = at(high, 12, low)
        if kind in (0x6, 0x8) and high >= 0:
            out.reach(t if kind == 0x6 else high << 12)
        elif kind == 0x0:
            y = value & 0x7FF
        elif kind == 0x2:
            place(out, t, value & 0x7FF, y, value >> 11, sensor)
        elif kind == 0x3:
            base, base_p = value & 0x7FF, value >> 11
        elif kind in (0x4, 0x5):
            width = 12 if kind == 0x4 else 8
            for k in (k for k in range(width) if value >> k & 1):
                place(out, UNTIMED if base is None else t, (base or 0) + k, y, base_p, sensor)
            base = None if base is None else base + width
        elif kind == 0xA:
            trigger(out, t, value >> 8, value & 1)
        elif kind in (0x1, 0x9, 0xB, 0xC, 0xD):
            out.counters["bad_words"] += 1
    return out


def decode_evt2(words: list[int], sensor: tuple[int, int]) -> Outcome:
    """Decode 32-bit words; trailing bytes are not part of them."""
    out = Outcome()
    for word, high in spans(words, [w >> 28 == 8 for w in words], 28, 0xFFFFFFF, out):
        kind = word >> 28
        t = at(high, 6, word >> 22 & 0x3F)
        if kind == 0x8 and high >= 0:
            out.reach(high << 6)
        elif kind in (0, 1):
            place(out, t, word >> 11 & 0x7FF, word & 0x7FF, kind, sensor)
        elif kind == 0xA:
            trigger(out, t, word >> 8 & 0x1F, word & 1)
        elif kind not in (0x8, 0xE, 0xF):
            out.counters["bad_words"] += 1
    return out


def decode_evt21(words: list[int], sensor: tuple[int, int]) -> Outcome:
    """Decode 64-bit words, an EVT2 word above the mask of 32 columns; trailing bytes are not part of them."""
    out = Outcome()
    heads = [word >> 32 for word in words]
    timed = spans(heads, [head >> 28 == 8 for head in heads], 28, 0xFFFFFFF, out)
    for (head, high), mask in zip(timed, [word & 0xFFFFFFFF for word in words], strict=True):
        kind = head >> 28
        t = at(high, 6, head >> 22 & 0x3F)
        if kind == 0x8 and high >= 0:
            out.reach(high << 6)
        elif kind in (0, 1):
            for k in (k for k in range(32) if mask >> k & 1):
                place(out, t, (head >> 11 & 0x7FF) + k, head & 0x7FF, kind, sensor)
        elif kind == 0xA:
            trigger(out, t, head >> 8 & 0x1F, head & 1)
        elif kind not in (0x8, 0xE, 0xF):
            out.counters["bad_words"] += 1
    return out
