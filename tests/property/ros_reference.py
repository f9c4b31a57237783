"""Events of ROS packets record by record, after docs/formats.md: slow, readable, the oracle. evt3 has its own."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from tests.property.aedat_reference import Clock
from tests.property.evt_reference import Outcome
from tests.property.ros_files import Packet

TURN = 1 << 31


def decode_packets(packets: Iterable[Packet], sensor: tuple[int, int]) -> Outcome:
    """What packets of one encoding, none of them missing, hold."""
    clock = Clock(sensor, packets=True)
    words = Words(clock)
    for packet in packets:
        clock.packet += 1
        if packet.encoding == "dvs":
            for t_ns, x, y, p in packet.data:
                clock.event((nearest(t_ns), x, y, p))
        elif packet.base_ns >= 1 << 62:
            clock.out.counters["bad_words"] += 1
        elif packet.encoding == "mono":
            mono(clock, packet)
        elif packet.encoding == "libcaer":
            libcaer(clock, packet)
        else:
            words.packet(packet)
    clock.believe()
    return clock.out


def nearest(t_ns: int) -> int:
    return (t_ns + 500) // 1000


def records(clock: Clock, packet: Packet, layout: str) -> Iterable[tuple[int, ...]]:
    size = struct.calcsize(layout)
    whole = len(packet.data) // size * size
    yield from struct.iter_unpack(layout, packet.data[:whole])
    clock.out.counters["bad_words"] += whole < len(packet.data)


def mono(clock: Clock, packet: Packet) -> None:
    for (value,) in records(clock, packet, "<Q"):
        t_us = nearest(packet.base_ns + value % 2**32)
        clock.event((t_us, value >> 32 & 0xFFFF, value >> 48 & 0x7FFF, value >> 63))


def libcaer(clock: Clock, packet: Packet) -> None:
    turns, last = 0, 0
    for data, time in records(clock, packet, "<Ii"):
        if time < 0:
            clock.out.counters["bad_words"] += 1
            continue
        turns += last >= TURN * 3 // 4 and time < TURN // 4
        last = time
        t_us = nearest(packet.base_ns) + turns * TURN + time
        clock.event((t_us, data >> 17, data >> 2 & 0x7FFF, data >> 1 & 1))


class Words:
    """libcaer_cmp: what stays from one packet to the next."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.x: int | None = None
        self.row: int | None = None
        self.p = 0

    def packet(self, packet: Packet) -> None:
        high = low = 0
        counters = self.clock.out.counters
        for (word,) in records(self.clock, packet, "<H"):
            kind, value = word >> 12, word & 0xFFF
            t_us = nearest(packet.base_ns) + (high << 12 | low)
            if kind == 0:
                high = value
            elif kind == 1:
                low = value
            elif kind == 2:
                self.x = value & 0x7FF
            elif kind == 3:
                self.event(t_us, value & 0x7FF, value >> 11)
            elif kind == 4:
                self.row, self.p = value & 0x7FF, value >> 11
            elif kind == 5 and self.row is not None:
                for bit in range(8):
                    if value >> bit & 1:
                        self.event(t_us, self.row + bit, self.p)
                self.row = min(self.row + 8, 2048)
            elif kind == 5:
                counters["unplaced_events"] += bin(value & 0xFF).count("1")
            else:
                counters["bad_words"] += 1
        t_us = nearest(packet.base_ns) + (high << 12 | low)
        reached = self.clock.out.t_end_us
        if (high or low) and reached is not None and t_us <= reached + 1_000_000:
            self.clock.out.reach(t_us)

    def event(self, t_us: int, y: int, p: int) -> None:
        if self.x is None:
            self.clock.out.counters["unplaced_events"] += 1
        else:
            self.clock.event((t_us, self.x, y, p))
