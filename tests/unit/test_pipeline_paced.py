"""A replay in a pipeline with threads: packets are handed over before they are due, and come when they are."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.errors import UsageError
from edgesnn.events.sources.base import Schedule
from edgesnn.events.types import EVENT
from edgesnn.pipeline import Pipeline
from edgesnn.pipeline.source import LiveFeed
from tests.live import made_up
from tests.small_models import small_document
from tests.walks import SENSOR, same, write_recording

PACKET_US = 2_000


@pytest.fixture(scope="module")
def model() -> edgesnn.Model:
    return edgesnn.Model(small_document())


@pytest.fixture(scope="module")
def pause(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifth of a second of events, a pause of half a second, another tenth."""
    events = made_up(30_000)
    events["t"][20_000:] += 500_000
    path = tmp_path_factory.mktemp("paced") / "pause.raw"
    edgesnn.write(path, events, sensor=(640, 480))
    return path


@pytest.mark.parametrize("speed", ["2x", "8x"])
def test_it_gives_the_predictions_of_the_recording(model: edgesnn.Model, tmp_path: Path, speed: str) -> None:
    recording = write_recording(tmp_path)
    expected = [same(prediction) for prediction in Pipeline(recording, model, sensor=SENSOR)]
    address = f"replay:{recording}?speed={speed}&sensor={SENSOR[0]}x{SENSOR[1]}"
    with Pipeline(address, model, threaded=True) as pipeline:
        assert [same(prediction) for prediction in pipeline] == expected
        counters = pipeline.counters
    assert counters["events_in"] == len(edgesnn.open(recording).read())


def test_python_is_entered_for_many_packets_at_once(
    model: edgesnn.Model, pause: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = 0
    feed = LiveFeed.feed

    def counted(self: LiveFeed, chain: Any) -> bool:
        nonlocal entries
        entries += 1
        return feed(self, chain)

    monkeypatch.setattr(LiveFeed, "feed", counted)
    with Pipeline(f"replay:{pause}", model, sensor=SENSOR, threaded=True) as pipeline:
        for _ in pipeline:
            pass
        packets = pipeline.counters["packets_in"]
    assert packets > 300_000 / PACKET_US, "packets are as short as ever"
    assert entries < packets / 2


def test_each_packet_has_its_time_and_pauses_pass(pause: Path) -> None:
    expected = edgesnn.open(pause).read()
    parts, quiet, reached_us = [np.zeros(0, EVENT)], 0, int(expected["t"][0])
    began_ns: int | None = None
    with edgesnn.open(f"replay:{pause}") as source:
        while not source.ended:
            schedule = source.ahead()
            if schedule is None:
                packet = source.read(0.1)
                quiet += packet is not None and not len(packet.events)
                parts += [] if packet is None else [packet.events]  # on a busy machine what ends a pause is due by now
                continue
            ends, reaches_us, due_ns = schedule.rows.T
            began_ns = began_ns or int(due_ns[0]) - 1000 * int(reaches_us[0] - expected["t"][0])
            assert np.abs(due_ns - began_ns - 1000 * (reaches_us - expected["t"][0])).max() <= 1000
            assert due_ns[-1] < time.monotonic_ns() + 150_000_000, "a tenth of a second ahead"
            assert schedule.before_us >= reached_us
            for start, end, reach_us in zip([0, *ends], ends, reaches_us, strict=False):
                times = schedule.events["t"][start:end]
                assert times.max() == reach_us
                assert np.ptp(times) < PACKET_US
            reached_us = int(reaches_us[-1])
            parts.append(schedule.events)
            time.sleep(max(0.0, (int(due_ns[-1]) - time.monotonic_ns()) / 1e9))
            source.given(schedule, [0] * len(schedule.rows))
        assert source.counters["events"] == len(expected)
        assert source.details["jitter_us"] is not None
    assert np.concatenate(parts).tolist() == expected.tolist()
    assert quiet > 5, "time passes in the pause"


def test_the_time_reached_is_that_of_what_is_due() -> None:
    schedule = Schedule(np.zeros(3, EVENT), np.array([[1, 10, 100], [2, 20, 200], [3, 25, 300]]), 5)
    assert [schedule.reached_us(now_ns) for now_ns in (99, 100, 250, 300, 999)] == [5, 10, 20, 25, 25]


def test_what_is_written_to_a_file_is_not_handed_over_before(pause: Path, tmp_path: Path) -> None:
    with edgesnn.open(f"replay:{pause}?speed=8x") as source:
        assert source.ahead() is not None
        source.record(tmp_path / "copy.raw")
        assert source.ahead() is None


@pytest.mark.parametrize("address", ["replay:{0}?speed=max", "udp://127.0.0.1:0?format=evt3&sensor=640x480"])
def test_where_nobody_knows_what_comes_there_is_no_schedule(pause: Path, address: str) -> None:
    with edgesnn.open(address.format(pause)) as source:
        assert source.ahead() is None


def test_what_was_known_ahead_and_not_given_when_it_ends_is_not_counted_as_come(
    model: edgesnn.Model, pause: Path
) -> None:
    with edgesnn.open(f"replay:{pause}") as source, Pipeline(source, model, sensor=SENSOR, threaded=True) as pipeline:
        while not pipeline.counters["events_in"]:
            pipeline.poll(1)
        assert source.counters["events"] > pipeline.counters["events_in"], "more is known"
        pipeline.close()
        assert source.counters["events"] == pipeline.counters["events_in"]


def test_a_schedule_of_other_rows_is_refused(model: edgesnn.Model) -> None:
    with Pipeline(None, model, threaded=True) as pipeline:
        for rows in (np.zeros((1, 2)), np.zeros(3)):
            with pytest.raises(UsageError, match="not a schedule"):
                pipeline._chain.push_paced(np.zeros(0, EVENT), rows.astype(np.int64))
