"""AEDAT4 packets: the events that were put in, the same for every split, from a file or a connection."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesnn.events.formats import aedat4_header
from edgesnn.events.formats.aedat4_packets import Packets
from tests.property.aedat_files import aedat4, rising_events
from tests.property.streams import SENSOR, damaged

MAGIC_BYTES = 14
COMPRESSIONS = ("none", "lz4", "zstd")
EXTERNAL = {1: (0, 1), 2: (0, 0), 3: (0, 1), 4: (3, 1), 5: (3, 0)}  # trigger type -> id, p

Result = tuple[list[Any], list[Any], "int | None", dict[str, int], str]


def decode(packets: Packets, data: bytes, cuts: list[int]) -> Result:
    """Feed the data in the pieces between `cuts`."""
    events, message = [], ""
    edges = sorted({0, *(min(cut, len(data)) for cut in cuts), len(data)})
    for start, stop in itertools.pairwise(edges):
        some, _, error = packets.feed(data[start:stop])
        events += some.tolist()
        message = str(error or "")
    if not message:
        some, _, error = packets.finish()
        events += some.tolist()
        message = str(error or "")
    return events, packets.triggers().tolist(), packets.t_end_us, packets.counters, message


def of_file(header: bytes, data: bytes, on_corrupt: str) -> Packets:
    io = aedat4_header.read(header[MAGIC_BYTES:], "a.aedat4", MAGIC_BYTES)
    end = len(header) + len(data)
    return Packets(io, on_corrupt=on_corrupt, where="a.aedat4", offset=len(header), end=end)


def made_up(seed: int, compression: str, packet: int) -> tuple[np.ndarray, list[tuple[int, int]], bytes, bytes]:
    rng = np.random.default_rng(seed)
    events = rising_events(rng, int(rng.integers(0, 400)), SENSOR, int(rng.choice([0, 1_600_000_000_000_000])))
    last = int(events["t"][-1]) if len(events) else 0
    triggers = [(last + 7 * i, int(kind)) for i, kind in enumerate(rng.integers(0, 10, rng.integers(0, 20)))]
    return events, triggers, *aedat4(compression, events, SENSOR, triggers=triggers, packet=packet)


cuts = st.lists(st.integers(0, 9000), max_size=12)


@given(st.integers(0, 2**32 - 1), st.sampled_from(COMPRESSIONS), st.integers(1, 500), cuts)
@settings(max_examples=150)
def test_the_events_and_triggers_that_were_put_in_come_out(
    seed: int, compression: str, packet: int, cuts: list[int]
) -> None:
    events, triggers, header, data = made_up(seed, compression, packet)
    found = decode(of_file(header, data, "strict"), data, cuts)
    assert found[0] == [tuple(event) for event in events.tolist()]
    assert found[1] == [(t, *EXTERNAL[kind]) for t, kind in triggers if kind in EXTERNAL]
    assert found[4] == ""
    assert not any(found[3][name] for name in ("bad_words", "out_of_range", "truncated_bytes", "time_backward"))


@given(st.integers(0, 2**32 - 1), st.sampled_from(COMPRESSIONS), cuts)
@settings(max_examples=100)
def test_a_connection_begins_with_the_io_header(seed: int, compression: str, cuts: list[int]) -> None:
    events, _, header, data = made_up(seed, compression, 50)
    found = decode(Packets(None, where="tcp://camera"), header[MAGIC_BYTES:] + data, cuts)
    assert found[0] == [tuple(event) for event in events.tolist()]
    assert found[4] == ""


@pytest.mark.parametrize("on_corrupt", ["strict", "skip"])
@given(st.integers(0, 2**32 - 1), st.sampled_from(COMPRESSIONS), st.integers(0, 6), cuts)
@settings(max_examples=150)
def test_every_split_of_a_damaged_file_gives_the_same(
    on_corrupt: str, seed: int, compression: str, hits: int, cuts: list[int]
) -> None:
    _, _, header, data = made_up(seed, compression, 60)
    data = damaged(np.random.default_rng(seed), data, hits)
    whole = decode(of_file(header, data, on_corrupt), data, [])
    assert decode(of_file(header, data, on_corrupt), data, cuts) == whole
    assert decode(of_file(header, data, on_corrupt), data, list(range(0, len(data), 13))) == whole


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
@settings(max_examples=100)
def test_a_damaged_connection_neither_fails_nor_leaves_the_sensor(seed: int, hits: int) -> None:
    _, _, header, data = made_up(seed, "lz4", 60)
    data = damaged(np.random.default_rng(seed), data, hits)
    events, _, _, _, message = decode(Packets(None, on_corrupt="skip"), header[MAGIC_BYTES:] + data, [100])
    assert message == ""
    assert all(0 <= x < SENSOR[0] and 0 <= y < SENSOR[1] and p in (0, 1) and t >= 0 for t, x, y, p in events)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_cut_packet_gives_what_is_there(compression: str) -> None:
    events = rising_events(np.random.default_rng(1), 30_000, SENSOR)
    header, data = aedat4(compression, events, SENSOR, packet=30_000)
    found = decode(of_file(header, data, "skip"), data[: len(data) // 2], [1000])
    assert found[0] == [tuple(event) for event in events[: len(found[0])].tolist()]
    assert len(found[0]) > 5_000
    assert found[3]["truncated_bytes"] == len(data) // 2
