"""Events on their way to a broker that takes them, refuses them, is silent or gone: order, age and accounts."""

from __future__ import annotations

import random

import pytest

from edgesnn.publish.sinks.stream_events import AGAIN_S, EXPIRY_S, MOST_WAITING, StreamEvents


class Line:
    """Events 0, 1, ... and what went over the connection, under a clock of the test."""

    def __init__(self, *, keep: bool = True) -> None:
        self.now = 0.0
        self.sent: list[tuple[int, int, int]] = []  # message id, event, expiry in seconds
        self.got: list[int] = []
        self.made = 0
        self.events = StreamEvents(self._publish, keep=keep, clock=lambda: self.now)

    def _publish(self, payload: bytes, expiry_s: int) -> int:
        self.sent.append((len(self.sent), int(payload), expiry_s))
        return len(self.sent) - 1

    def put(self, count: int = 1) -> None:
        for _ in range(count):
            self.events.put(str(self.made).encode())
            self.made += 1

    def answer(self, at: int, taken: bool) -> None:
        mid, event, _ = self.sent[at]
        assert self.events.answered(mid, taken)
        if taken:
            self.got.append(event)

    @property
    def numbers(self) -> list[int]:
        return [event for _, event, _ in self.sent]

    @property
    def counts(self) -> tuple[int, int]:
        return self.events.expired, self.events.not_taken


def test_what_was_on_its_way_goes_first_over_the_next_connection_and_expires_when_it_would_have():
    line = Line()
    line.put(3)
    line.events.send(True)
    line.answer(0, True)
    line.events.lost()
    line.now = 4.0
    line.put()
    line.events.send(False)
    assert line.numbers == [0, 1, 2]
    line.events.send(True)
    assert line.sent[3:] == [(3, 1, 6), (4, 2, 6), (5, 3, 10)]
    assert line.counts == (0, 0)


def test_what_is_ten_seconds_old_at_the_next_connection_is_counted():
    line = Line()
    line.put(2)
    line.events.send(True)
    line.events.lost()
    line.now = EXPIRY_S
    line.put()
    line.events.send(True)
    assert (line.numbers, line.counts) == ([0, 1, 2], (2, 0))
    assert not line.events.answered(0, True)  # of the connection before


def test_where_nobody_subscribes_one_asks_now_and_then_and_the_rest_follow_in_order():
    line = Line()
    line.put(2)
    line.events.send(True)
    line.answer(0, False)
    line.put()
    line.events.send(True)
    assert line.numbers == [0, 1]  # until both are answered
    line.answer(1, False)
    line.events.send(True)
    assert line.numbers == [0, 1]
    line.now += AGAIN_S
    line.events.send(True)
    line.events.send(True)
    assert line.numbers == [0, 1, 0]
    line.answer(2, True)
    line.events.send(True)
    assert line.numbers == [0, 1, 0, 1, 2]
    assert line.counts == (0, 0)


def test_where_nobody_subscribes_for_ten_seconds_they_are_counted_apart():
    line = Line()
    line.put(3)
    for second in range(11):
        line.now = float(second)
        line.events.send(True)
        while len(line.sent) > len(line.got):
            line.got.append(-1)
            line.events.answered(len(line.got) - 1, False)
    assert len(line.sent) == 3 + 9
    assert line.counts == (0, 3)


def test_without_keep_what_is_not_taken_is_counted_at_once():
    line = Line(keep=False)
    line.put(2)
    line.events.send(True)
    line.answer(0, False)
    line.answer(1, True)
    line.put()
    line.events.send(True)
    assert (line.numbers, line.counts) == ([0, 1, 2], (0, 1))


def test_what_a_later_one_has_overtaken_is_counted_and_not_sent_out_of_order():
    line = Line()
    line.put(2)
    line.events.send(True)
    line.answer(0, False)
    line.answer(1, True)
    line.now += AGAIN_S
    line.events.send(True)
    assert (line.numbers, line.counts) == ([0, 1], (0, 1))


def test_very_many_that_wait_are_bounded_and_counted():
    line = Line()
    line.put(MOST_WAITING + 7)
    assert line.counts == (7, 0)
    line.events.end()
    assert line.counts == (MOST_WAITING + 7, 0)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("keep", [True, False])
def test_whatever_happens_each_is_taken_in_order_or_counted(seed, keep):
    rng, line = random.Random(seed), Line(keep=keep)
    begin = 0  # of the connection's messages
    for _ in range(400):
        what = rng.choice(["put", "send", "send", "answer", "answer", "lost", "wait"])
        if what == "put":
            line.put(rng.randint(1, 3))
        elif what == "send":
            line.events.send(rng.random() < 0.9)
        elif what == "answer" and begin < len(line.sent):
            line.answer(begin, rng.random() < 0.6)
            begin += 1
        elif what == "lost" and rng.random() < 0.3:
            line.events.lost()
            begin = len(line.sent)
        else:
            line.now += rng.choice([0.1, 0.5, 1.0, 3.0])
        assert all(0 < expiry_s <= EXPIRY_S for _, _, expiry_s in line.sent)
    line.events.end()
    assert line.got == sorted(set(line.got))
    assert line.made == len(line.got) + sum(line.counts)
