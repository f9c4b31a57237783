"""A live source survives whatever its link gives: bytes, losses, connections, forged times; its time never falls."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgesnn
from edgesnn.events.sources.address import parse
from edgesnn.events.sources.base import Message, PlainLink
from edgesnn.events.sources.live import LiveSource
from edgesnn.events.types import EVENT, TRIGGER
from tests.live import encoded, made_up

SENSOR = (640, 480)
EVENTS = made_up(3_000)
FORMATS = ("evt2", "evt21", "evt3", "dat", "nmnist", "es", "csv", "aedat2", "aedat31")


class GivenLink(PlainLink):
    """Gives what it was given, then the end."""

    connected = True

    def __init__(self, messages: list[Message], datagrams: bool = False) -> None:
        self.counters: dict[str, int] = {}
        self.datagrams = datagrams
        self.drops = 0
        self._messages = [*messages, Message(last=True)]

    def receive(self, wait_s: float) -> Message | None:
        return self._messages.pop(0)

    def drop(self) -> None:
        self.drops += 1

    def close(self) -> None:
        pass


def source(name: str, messages: list[Message], datagrams: bool = False) -> LiveSource:
    return LiveSource(parse(f"given:?format={name}"), GivenLink(messages, datagrams), SENSOR)


def checked(live: LiveSource) -> np.ndarray:
    """Read to the end; return the events."""
    parts, before = [np.zeros(0, EVENT)], None
    for events, t_end_us in live:
        assert before is None or t_end_us >= before
        assert not len(events) or events["t"].max() <= t_end_us
        assert (events["x"] < SENSOR[0]).all()
        assert (events["y"] < SENSOR[1]).all()
        assert (events["p"] <= 1).all()
        before = t_end_us
        parts.append(events.copy())
    events = np.concatenate(parts)
    assert len(events) == live.counters["events"]
    assert live.state == "ended"
    return events


pieces = st.one_of(
    st.binary(max_size=400),
    st.builds(lambda at, size: encoded(EVENTS)[at : at + size], st.integers(0, 12_000), st.integers(0, 3_000)),
    st.builds(lambda high: bytes((high & 255, 0x80 | high >> 8 & 15, 7, 0x60, 9, 0, 3, 0x20)), st.integers(0, 4095)),
)
messages = st.lists(
    st.builds(
        Message,
        data=pieces,
        begins=st.sampled_from([False, False, False, True]),
        lost=st.sampled_from([False, False, False, True]),
        ends=st.sampled_from([False, False, False, True]),
    ),
    max_size=25,
)


@pytest.mark.parametrize("datagrams", [False, True])
@pytest.mark.parametrize("name", FORMATS)
@given(some=messages)
@settings(max_examples=40)
def test_nothing_that_comes_stops_a_source_or_turns_its_time_back(
    name: str, datagrams: bool, some: list[Message]
) -> None:
    checked(source(name, some, datagrams))


@given(some=messages)
@settings(max_examples=60)
def test_nothing_that_comes_stops_a_connection_of_aedat4(some: list[Message]) -> None:
    checked(source("aedat4", some))


@pytest.mark.parametrize("name", ["evt2", "evt3"])
@given(cuts=st.lists(st.integers(0, 14_000), max_size=30))
@settings(max_examples=60)
def test_every_split_of_a_stream_gives_what_the_decoder_gives(name: str, cuts: list[int]) -> None:
    data = encoded(EVENTS, name)
    edges = sorted({0, *(min(cut, len(data)) for cut in cuts), len(data)})
    some = [Message(data[start:stop], begins=start == 0) for start, stop in itertools.pairwise(edges)]
    decoder = edgesnn.Decoder(name, sensor=SENSOR)
    expected = np.concatenate([decoder.feed(data)[0], decoder.finish()[0]])
    live = source(name, some)
    assert checked(live).tolist() == expected.tolist()
    assert live.counters["clock_resyncs"] == 0


events_of_a_link: Any = st.lists(
    st.lists(st.integers(-(1 << 59), 1 << 59), max_size=8).map(
        lambda times: Message(events=np.array([(t, 1, 2, 1) for t in times], EVENT))
    ),
    max_size=12,
)


@given(events_of_a_link)
@settings(max_examples=80)
def test_events_of_any_times_at_all_stay_within_a_second_of_each_other(some: list[Message]) -> None:
    link = GivenLink(some)
    link.gives_events = True
    live = LiveSource(parse("given:"), link, SENSOR)
    events = checked(live)
    if len(events):
        assert (np.abs(np.diff(np.maximum.accumulate(events["t"]))) <= 1_100_000).all()


@pytest.mark.parametrize("begins", [False, True])
def test_triggers_move_with_the_events_of_their_message(begins: bool) -> None:
    first, second = made_up(100, start_us=50_000_000), made_up(100, start_us=1_000)
    edges = np.array([(int(second["t"][-1]), 0, 1)], TRIGGER)
    link = GivenLink([Message(events=first), Message(events=second, triggers=edges, begins=begins)])
    link.gives_events = True
    live = LiveSource(parse("given:"), link, SENSOR)
    events = checked(live)
    assert live.triggers()["t"].tolist() == [events["t"][-1]]
    assert live.counters["clock_resyncs"] == 1


@pytest.mark.parametrize("size", [999, 997, 301])
@pytest.mark.parametrize("name", ["evt2", "evt21", "evt3", "dat"])
def test_lost_datagrams_that_split_words_cost_little_more_than_themselves(name: str, size: int) -> None:
    rng = np.random.default_rng(size)
    events = made_up(20_000)
    data = encoded(events, name)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    kept = [piece for number, piece in enumerate(pieces) if number < 4 or rng.random() > 0.04]
    live = source(name, [Message(piece) for piece in kept], datagrams=True)
    given = checked(live)
    assert len(given) > 0.9 * len(events) * len(kept) / len(pieces)
    right = np.isin(given, events)
    assert right.sum() > 0.94 * len(given)
    assert live.counters["out_of_range"] < 0.001 * len(events)
