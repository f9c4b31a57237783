"""AEDAT2 and AEDAT3.1 record by record over all the bytes, after docs/formats.md: slow, readable, the oracle."""

from __future__ import annotations

import struct

from tests.property.aedat_streams import CAMERAS
from tests.property.evt_reference import Outcome

SECOND = 1_000_000
Event = tuple[int, int, int, int]


class Clock:
    """Events of which it is not known yet whether the clock moved, and what became of the others."""

    def __init__(self, sensor: tuple[int, int], *, packets: bool) -> None:
        self.out = Outcome()
        self.sensor = sensor
        self.packets = packets
        self.packet = 0
        self.latest: int | None = None
        self.waiting: list[Event] = []
        self.packets_of_waiting: list[int] = []

    def event(self, event: Event) -> None:
        t_us = event[0]
        if not 0 <= t_us < 1 << 60:
            self.out.counters["bad_words"] += 1
            return
        ahead = self.latest is None or t_us > self.latest + SECOND
        while self.waiting and (not ahead or self.waiting[-1][0] > t_us + SECOND):
            self.waiting.pop()
            self.packets_of_waiting.pop()
            self.out.counters["bad_words"] += 1
        self.waiting.append(event)
        self.packets_of_waiting.append(self.packet)
        pair = self.latest is None and len(self.waiting) > 1 and t_us - self.waiting[-2][0] <= SECOND
        spread = not self.packets or len(set(self.packets_of_waiting)) > 1
        if not ahead or pair or (len(self.waiting) >= 6 and spread):
            self.believe()

    def believe(self) -> None:
        for t_us, x, y, p in self.waiting:
            if self.latest is not None and t_us > self.latest + SECOND:
                self.out.counters["time_resyncs"] += 1
            self.latest = t_us if self.latest is None else max(self.latest, t_us)
            if not (0 <= x < self.sensor[0] and 0 <= y < self.sensor[1]):
                self.out.counters["out_of_range"] += 1
                continue
            if self.out.events and t_us < self.out.events[-1][0]:
                self.out.counters["time_backward"] += 1
            self.out.events.append((t_us, x, y, p))
            self.out.reach(t_us)
        self.waiting, self.packets_of_waiting = [], []

    def trigger(self, t_us: int, id_: int, p: int) -> None:
        self.out.triggers.append((t_us, id_, p))
        if self.out.t_end_us is not None and t_us <= self.out.t_end_us + SECOND:
            self.out.reach(t_us)


def decode_aedat2(data: bytes, sensor: tuple[int, int], camera: str) -> Outcome:
    """Decode records of this camera."""
    width, height = CAMERAS[camera]
    bounds = min(width, sensor[0]), min(height, sensor[1])
    clock = Clock(bounds, packets=False)
    for address, time in struct.iter_unpack(">II", data[: len(data) // 8 * 8]):
        if camera != "dvs128" and address >> 31:
            continue
        if camera == "dvs128" and address >> 16:
            clock.out.counters["bad_words"] += 1
            continue
        t_us = whole_time(clock, time)
        if address >> (15 if camera == "dvs128" else 10) & 1:
            clock.trigger(t_us, 0, 1)
        elif camera == "dvs128":
            clock.event((t_us, 127 - (address >> 1 & 127), 127 - (address >> 8 & 127), 1 - (address & 1)))
        else:
            x, y = width - 1 - (address >> 12 & 1023), height - 1 - (address >> 22 & 511)
            clock.event((t_us, x, y, address >> 11 & 1))
    clock.believe()
    clock.out.counters["truncated_bytes"] = len(data) % 8
    return clock.out


def whole_time(clock: Clock, time: int) -> int:
    """The time with the starts of the 32-bit counter."""
    if clock.latest is None:
        after = clock.waiting and time + 2**32 - clock.waiting[-1][0] <= SECOND
        return time + 2**32 if after else time
    epoch, last = divmod(clock.latest, 2**32)
    if last >= 3 * 2**30 and time < 2**30:
        epoch += 1
    elif last < 2**30 and time >= 3 * 2**30 and epoch:
        epoch -= 1
    return epoch * 2**32 + time


def decode_aedat31(data: bytes, sensor: tuple[int, int]) -> Outcome:
    """Decode packets; undamaged ones only."""
    clock = Clock(sensor, packets=True)
    at, source = 0, None
    while at < len(data):
        kind, from_, size, _, overflow, capacity, number, _ = struct.unpack_from("<hhiiiiii", data, at)
        clock.packet += 1
        source = from_ if source is None and kind == 1 else source
        for i in range(number if kind < 2 and source in (None, from_) else 0):
            value, time = struct.unpack_from("<Ii", data, at + 28 + 8 * i)
            if value & 1:
                special_or_polarity(clock, kind, value, (overflow << 31) + time)
        at += 28 + size * capacity
    clock.believe()
    return clock.out


SPECIAL = {2: (0, 1), 3: (0, 0), 4: (0, 1), 6: (1, 1), 7: (1, 0), 8: (1, 1), 9: (2, 1), 10: (2, 0), 11: (2, 1)}
SPECIAL |= {12: (3, 1), 13: (3, 0)}


def special_or_polarity(clock: Clock, kind: int, value: int, t_us: int) -> None:
    if kind == 1:
        clock.event((t_us, value >> 17, value >> 2 & 0x7FFF, value >> 1 & 1))
    elif (value >> 1 & 127) in SPECIAL:
        clock.trigger(t_us, *SPECIAL[value >> 1 & 127])
