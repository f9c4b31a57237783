"""`spif://`: the datagrams of SPIF, against a reading word by word."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgesnn
from edgesnn import _native
from edgesnn.events.sources.live import LiveSource
from edgesnn.events.types import EVENT
from tests.live import made_up, read_events, wait_until

NOW_US = 77
PER_DATAGRAM = 150


def datagrams(events: np.ndarray, timed: bool = True) -> list[bytes]:
    words = [
        int(x) << 16 | int(p) << 15 | int(y) | (0 if timed else 1 << 31) for x, y, p in events[["x", "y", "p"]].tolist()
    ]
    times = [int(t) & 0xFFFFFFFF for t in events["t"]]
    packed = [struct.pack("<II", *pair) if timed else struct.pack("<I", pair[0]) for pair in zip(words, times)]  # noqa: B905
    return [b"".join(packed[at : at + PER_DATAGRAM]) for at in range(0, len(packed), PER_DATAGRAM)]


class Slow:
    """The rules of docs/sources.md, one word after the other."""

    def __init__(self, sensor: tuple[int, int] | None) -> None:
        self.sensor = sensor or (1 << 15, 1 << 15)
        self.t_us: int | None = None
        self.outside = self.cut = 0

    def read(self, data: bytes) -> list[tuple[int, int, int, int]]:
        events = []
        while len(data) >= 4:
            (word,) = struct.unpack("<I", data[:4])
            size, t_us = (4, NOW_US) if word >> 31 else (8, None)
            if len(data) < size:
                break
            if t_us is None:
                t_us = self.t_us = self.nearest(struct.unpack("<I", data[4:8])[0])
            data = data[size:]
            x, p, y = word >> 16 & 0x7FFF, word >> 15 & 1, word & 0x7FFF
            if x < self.sensor[0] and y < self.sensor[1]:
                events.append((t_us, x, y, p))
            else:
                self.outside += 1
        self.cut += len(data)
        return events

    def nearest(self, low: int) -> int:
        if self.t_us is None:
            return low
        turn = self.t_us >> 32
        # half a turn away is before: the difference is a signed number of 32 bits
        choices = [(one << 32) + low for one in (turn - 1, turn, turn + 1)]
        near = [one for one in choices if -(1 << 31) <= one - self.t_us < 1 << 31]
        return near[0] if near[0] >= 0 else low


words = st.one_of(st.binary(max_size=60), st.lists(st.integers(0, 2**32 - 1), max_size=30).map(
    lambda numbers: b"".join(struct.pack("<I", number) for number in numbers)
))  # fmt: skip


@given(st.lists(words, max_size=8), st.sampled_from([None, (640, 480), (32768, 1)]))
def test_any_datagrams_give_what_the_rules_say(some: list[bytes], sensor: tuple[int, int] | None) -> None:
    slow, fast = Slow(sensor), _native.events.Spif(*(sensor or (0, 0)))
    expected = []
    for datagram in some:
        expected += slow.read(datagram)
        fast.feed(datagram, NOW_US)
    assert fast.take().tolist() == expected
    assert fast.counters == {"out_of_range": slow.outside, "truncated_bytes": slow.cut}
    assert len(fast.take()) == 0


@pytest.fixture
def spif() -> Iterator[LiveSource]:
    with edgesnn.open("spif://127.0.0.1:0?sensor=640x480&dead_ms=300") as source:
        yield source


def send(source: LiveSource, some: list[bytes]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        for datagram in some:
            one.sendto(datagram, ("127.0.0.1", source.port))


def test_events_with_times_come_as_they_were_sent_over_the_turn_of_their_time(spif: LiveSource) -> None:
    events = made_up(6_000, start_us=(1 << 32) - 20_000)
    some = datagrams(events)
    send(spif, some)
    got = read_events(spif, len(events))
    assert got.tolist() == events.tolist()
    counters = spif.counters
    assert (counters["clock_resyncs"], counters["datagrams"], counters["connections"]) == (0, len(some), 1)
    assert counters["bytes"] == sum(map(len, some))


def test_events_without_times_take_the_time_of_their_coming(spif: LiveSource) -> None:
    events = made_up(1_000)
    began_us = time.monotonic_ns() // 1000
    send(spif, datagrams(events, timed=False))
    got = read_events(spif, len(events))
    assert got[["x", "y", "p"]].tolist() == events[["x", "y", "p"]].tolist()
    assert began_us <= got["t"].min()
    assert got["t"].max() <= time.monotonic_ns() // 1000
    assert (np.diff(got["t"]) >= 0).all()


def test_the_same_events_without_times_are_other_events(spif: LiveSource) -> None:
    blinking = datagrams(made_up(16), timed=False)
    send(spif, [*blinking * 20, *datagrams(made_up(16)) * 2])
    assert len(read_events(spif, 20 * 16 + 16)) == 20 * 16 + 16
    wait_until(spif, lambda: spif.counters["duplicate_datagrams"] == 1)


def test_damage_is_counted_and_a_sender_that_comes_back_goes_on(spif: LiveSource) -> None:
    events = made_up(300)
    outside = np.zeros(1, EVENT)
    outside["x"] = 640
    send(spif, [*datagrams(events), datagrams(outside)[0] + b"abc"])
    wait_until(spif, lambda: spif.counters["truncated_bytes"] == 3)
    assert (spif.counters["out_of_range"], spif.counters["events"]) == (1, 300)
    reached_us = spif.t_end_us
    wait_until(spif, lambda: spif.state == "dead")
    send(spif, datagrams(events))
    got = read_events(spif, len(events))
    assert got["t"][0] >= reached_us - 1_000_000
    assert spif.counters["connections"] == 2
