"""The outboxes, in memory and in a file: order, policies, ages, and that every prediction is accounted for."""

from __future__ import annotations

import random
import threading
import time

import pytest

from edgesnn.errors import PublishError, UsageError
from edgesnn.publish.outbox import LATE_AFTER_S, Outbox
from edgesnn.publish.outbox_durable import DurableOutbox
from edgesnn.publish.outbox_file import OutboxFile
from edgesnn.publish.outbox_store import DURABILITIES
from tests.predictions import BOOT, NODE, make_prediction


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def number(prediction, seq):
    return prediction.numbered(node=NODE, boot_id=BOOT, seq=seq, ts="2026-01-01T00:00:00.000Z")


@pytest.fixture(params=["memory", *DURABILITIES])
def make_outbox(request, tmp_path):
    """Return what makes an outbox of each kind; both keep one contract."""
    made: list[Outbox] = []

    def make(**options) -> Outbox:
        if request.param == "memory":
            return Outbox(number=number, **options)
        path = tmp_path / f"outbox-{len(made)}.db"
        made.append(DurableOutbox(path, durability=request.param, number=number, **options))
        return made[-1]

    yield make
    for outbox in made:
        outbox.close()


def windows(items) -> list[int]:
    return [item.prediction.window for item in items]


def test_seq_counts_each_stream_from_zero(make_outbox):
    outbox = make_outbox()
    assert [outbox.put(make_prediction(0, stream=name)) for name in ("a", "b", "a", "a", "b")] == [0, 0, 1, 2, 1]


def test_a_number_that_the_caller_gave_is_kept(make_outbox):
    assert make_outbox().put(number(make_prediction(0), 41)) == 41


def test_a_number_from_before_does_not_lower_the_next(make_outbox):
    outbox = make_outbox()
    assert [outbox.put(number(make_prediction(0), seq)) for seq in (41, 3)] == [41, 3]
    assert outbox.put(make_prediction(1)) == 42


def test_what_is_handed_out_is_not_handed_out_again_until_rewind(make_outbox):
    outbox = make_outbox()
    for window in range(5):
        outbox.put(make_prediction(window))
    assert windows(outbox.next_batch(2)) == [0, 1]
    assert windows(outbox.next_batch(2)) == [2, 3]
    outbox.rewind()
    assert windows(outbox.next_batch(10)) == [0, 1, 2, 3, 4]
    assert outbox.next_batch(10) == []


def test_an_acknowledged_prediction_is_gone_and_a_second_acknowledgement_is_ignored(make_outbox):
    outbox = make_outbox()
    outbox.put(make_prediction(0))
    (item,) = outbox.next_batch(1)
    outbox.ack([item.id, item.id])
    outbox.rewind()
    assert outbox.next_batch(1) == []
    assert outbox.stats()["acknowledged"] == 1


def test_only_what_is_sent_again_or_waited_long_is_late(make_outbox):
    clock = Clock()
    outbox = make_outbox(clock=clock)
    outbox.put(make_prediction(0))
    clock.now += LATE_AFTER_S + 1
    outbox.put(make_prediction(1))
    assert [item.prediction.late for item in outbox.next_batch(2)] == [True, False]
    outbox.rewind()
    assert [item.prediction.late for item in outbox.next_batch(2)] == [True, True]
    assert outbox.stats()["resent"] == 2


def test_overwrite_oldest_drops_the_oldest_that_is_not_on_its_way(make_outbox):
    outbox = make_outbox(capacity=3)
    for window in range(3):
        outbox.put(make_prediction(window))
    assert windows(outbox.next_batch(1)) == [0]
    assert outbox.put(make_prediction(3)) == 3
    assert windows(outbox.next_batch(9)) == [2, 3]
    outbox.put(make_prediction(4))
    assert outbox.stats()["dropped"]["overwritten"] == 2


def test_reject_new_raises_and_uses_no_number(make_outbox):
    outbox = make_outbox(capacity=1, policy="reject_new")
    assert outbox.put(make_prediction(0)) == 0
    with pytest.raises(PublishError, match="queue of predictions is full: 1 wait for the broker"):
        outbox.put(make_prediction(1))
    outbox.ack([outbox.next_batch(1)[0].id])
    assert outbox.put(make_prediction(2)) == 1
    assert outbox.stats()["rejected"] == 1


def test_of_many_those_without_room_are_refused_one_by_one(make_outbox):
    outbox = make_outbox(capacity=2, policy="reject_new")
    assert outbox.put_many([make_prediction(window) for window in range(4)]) == [0, 1, None, None]
    assert windows(outbox.next_batch(9)) == [0, 1]
    assert outbox.stats()["rejected"] == 2


def test_several_threads_put_at_once(make_outbox):
    outbox = make_outbox()
    seqs: list[int] = []
    threads = [
        threading.Thread(target=lambda: seqs.extend(outbox.put(make_prediction(0)) for _ in range(20)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seqs) == list(range(80))
    assert [item.prediction.seq for item in outbox.next_batch(100)] == list(range(80))


def test_while_threads_put_and_send_the_accounts_balance_at_every_moment(make_outbox):
    outbox = make_outbox(capacity=50)
    done = threading.Event()

    def send() -> None:
        turn = 0
        while not done.is_set():
            batch = outbox.next_batch(7)
            outbox.ack([item.id for item in batch[:5]])
            turn += 1
            if turn % 3 == 0:
                outbox.rewind()

    def put() -> None:
        while not enough.is_set():
            outbox.put(make_prediction(0))

    enough = threading.Event()
    sender = threading.Thread(target=send)
    putters = [threading.Thread(target=put) for _ in range(3)]
    for thread in (sender, *putters):
        thread.start()
    try:
        for _ in range(100):
            stats = outbox.stats()
            assert stats["accepted"] == stats["acknowledged"] + sum(stats["dropped"].values()) + stats["pending"]
            time.sleep(0.001)
    finally:
        enough.set()
        for thread in putters:
            thread.join()
        done.set()
        sender.join()
    assert outbox.stats()["accepted"] > 3


def test_block_waits_for_room(make_outbox):
    outbox = make_outbox(capacity=1, policy="block", block_s=10)
    outbox.put(make_prediction(0))
    (item,) = outbox.next_batch(1)
    threading.Timer(0.05, outbox.ack, [[item.id]]).start()
    assert outbox.put(make_prediction(1)) == 1


def test_block_gives_up_in_the_end_and_at_once_when_closed(make_outbox):
    outbox = make_outbox(capacity=1, policy="block", block_s=0.05)
    outbox.put(make_prediction(0))
    with pytest.raises(PublishError, match=r"none was acknowledged for 0\.05 s"):
        outbox.put(make_prediction(1))
    patient = make_outbox(capacity=1, policy="block", block_s=60)
    patient.put(make_prediction(0))
    threading.Timer(0.05, patient.close).start()
    started = time.monotonic()
    with pytest.raises(PublishError, match="full"):
        patient.put(make_prediction(1))
    assert time.monotonic() - started < 10


def test_what_is_too_old_is_dropped_and_counted(make_outbox):
    clock = Clock()
    outbox = make_outbox(clock=clock, max_age_s=60)
    outbox.put(make_prediction(0))
    clock.now += 61
    outbox.put(make_prediction(1))
    assert windows(outbox.next_batch(9)) == [1]
    assert outbox.stats()["dropped"]["expired"] == 1


def test_the_age_of_the_oldest_is_known(make_outbox):
    clock = Clock()
    outbox = make_outbox(clock=clock)
    assert outbox.stats()["oldest_s"] == 0
    outbox.put(make_prediction(0))
    clock.now += 3
    assert outbox.stats()["oldest_s"] == 3
    outbox.next_batch(1)
    assert outbox.stats()["oldest_s"] == 3


def test_wait_empty_says_what_is_left(make_outbox):
    outbox = make_outbox()
    outbox.put(make_prediction(0))
    assert outbox.wait_empty(0.01) == 1
    threading.Timer(0.05, lambda: outbox.ack([outbox.next_batch(1)[0].id])).start()
    assert outbox.wait_empty(10) == 0


@pytest.mark.parametrize("options", [{"capacity": 0}, {"policy": "forget"}])
def test_wrong_options_are_refused(make_outbox, options):
    with pytest.raises(UsageError):
        make_outbox(**options)


def test_who_follows_closely_reads_nothing_back_from_the_file(tmp_path, monkeypatch):
    outbox = DurableOutbox(tmp_path / "outbox.db", number=number)
    outbox.put(make_prediction(0))
    outbox.ack(item.id for item in outbox.next_batch(20))
    reads: list[int] = []
    monkeypatch.setattr(OutboxFile, "after", lambda _self, key, _n: reads.append(key) or [])
    for window in range(1, 100):
        outbox.put_many([make_prediction(window), make_prediction(window)])
        batch = outbox.next_batch(20)
        assert windows(batch) == [window, window]
        assert [item.payload() for item in batch] == [item.prediction.to_json().encode() for item in batch]
        outbox.ack(item.id for item in batch)
    assert reads == []
    outbox.close()


@pytest.mark.parametrize("seed", range(3))
def test_what_is_remembered_of_the_file_is_what_is_in_it(tmp_path, seed):
    """The oracle is the same outbox that remembers nothing; some are overwritten, some dropped, some sent again."""
    clock, draw = Clock(), random.Random(seed)
    options = {"number": number, "clock": clock, "capacity": 100, "max_age_s": 50.0}
    remembers, reads = (DurableOutbox(tmp_path / f"{name}.db", **options) for name in ("remembers", "reads"))
    reads._recent.after = lambda _key, _n: None
    window = 0
    for _ in range(150):
        clock.now += draw.choice((0.0, 0.1, 3.0))
        what = draw.choice(("put", "put", "send", "send", "rewind"))
        count = draw.choice((1, 3, 90))
        seen = []
        for outbox in (remembers, reads):
            if what == "put":
                seen.append(outbox.put_many([make_prediction(window + n) for n in range(count)]))
            elif what == "rewind":
                outbox.rewind()
            else:
                batch = outbox.next_batch(count)
                seen.append([(item.id, item.prediction, item.payload()) for item in batch])
                outbox.ack([item.id for item in batch[: len(batch) // 2]])
                outbox.drop([item.id for item in batch[-1:]], "no_subscriber")
        window += count
        assert seen[:1] == seen[1:]
        counts = [
            {key: value for key, value in one.stats().items() if key != "size_bytes"} for one in (remembers, reads)
        ]
        assert counts[0] == counts[1]
    for outbox in (remembers, reads):
        outbox.close()
