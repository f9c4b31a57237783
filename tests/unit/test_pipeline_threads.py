"""`Pipeline(threaded=)`: the same predictions, drops that are counted, errors and ends that reach the caller."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.errors import ModelError, RecordingError, UsageError
from edgesnn.pipeline import Pipeline, Ring
from tests.small_models import small_document
from tests.walks import SENSOR, make_events, same, write_recording

PACKETS = 37


@pytest.fixture(scope="module", params=["native", "reference"])
def model(request: pytest.FixtureRequest) -> edgesnn.Model:
    return edgesnn.Model(small_document(), backend=request.param)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recording(tmp_path_factory.mktemp("threads"))


def packets() -> list[Any]:
    return np.array_split(make_events(), PACKETS)


def identity_holds(counters: dict[str, int]) -> bool:
    dropped = sum(count for name, count in counters.items() if name.startswith("dropped."))
    return counters["events_in"] == counters["processed"] + dropped + counters["pending"]


def test_a_recording_gives_the_predictions_and_counters_of_the_callers_thread(
    model: edgesnn.Model, recording: Path
) -> None:
    plain = Pipeline(recording, model)
    expected = [same(p) for p in plain]
    for speed in ("max", "8x"):
        with Pipeline(recording, model, threaded=Ring(events=1 << 10), speed=speed) as pipeline:
            found = [same(p) for p in pipeline]
        assert found == expected
        counters = pipeline.counters
        for name, count in plain.counters.items():
            assert name == "packets_in" or counters[name] == count, name


def test_filters_stand_behind_the_ring(model: edgesnn.Model, recording: Path) -> None:
    filters = ["refractory:period=1ms"]
    plain = Pipeline(recording, model, filters=filters)
    expected = [same(p) for p in plain]
    with Pipeline(recording, model, filters=filters, threaded=True) as pipeline:
        assert [same(p) for p in pipeline] == expected
        assert pipeline.counters["dropped.refractory"] == plain.counters["dropped.refractory"] > 0
        assert identity_holds(pipeline.counters)


def test_an_iterable_is_fed_by_a_thread_and_its_exception_reaches_the_caller(model: edgesnn.Model) -> None:
    expected = [same(p) for p in Pipeline(packets(), model)]
    with Pipeline(packets(), model, threaded=True) as pipeline:
        assert [same(p) for p in pipeline] == expected

    def torn() -> Iterator[Any]:
        yield from packets()[:20]
        raise KeyError("the camera is gone")

    found: list[Any] = []
    with Pipeline(torn(), model, threaded=True) as pipeline, pytest.raises(KeyError, match="camera"):
        found.extend(same(prediction) for prediction in pipeline)
    assert found
    assert found == expected[: len(found)]


def test_one_thread_pushes_while_another_polls(model: edgesnn.Model) -> None:
    expected = [same(p) for p in Pipeline(packets(), model)]
    with Pipeline(None, model, threaded=True) as pipeline:

        def push() -> None:
            for number, packet in enumerate(packets()):
                pipeline.push(packet, stamp_ns=number)
            pipeline.flush()

        thread = threading.Thread(target=push)
        thread.start()
        found = []
        while len(found) < len(expected):
            prediction = pipeline.poll(wait_ms=5000)
            assert prediction is not None
            assert prediction.stamp_ns is not None
            found.append(same(prediction))
            assert identity_holds(pipeline.counters)
        thread.join()
        assert pipeline.poll(wait_ms=5000) is None  # at once: the stream has ended
    assert found == expected


@pytest.mark.parametrize("when_full", ["drop_oldest", "decimate"])
def test_a_stalled_consumer_drops_by_the_policy_and_counts(model: edgesnn.Model, when_full: str) -> None:
    events = make_events()
    with Pipeline(None, model, threaded=Ring(when_full, events=8192, keep_every=5)) as pipeline:
        for packet in np.array_split(events, 200):
            pipeline.push(packet)
            assert identity_holds(pipeline.counters)
        pipeline.flush()
        predictions = []
        while (prediction := pipeline.poll(wait_ms=1000)) is not None:
            predictions.append(prediction)
        counters = pipeline.counters
    assert identity_holds(counters)
    assert counters["events_in"] == len(events)
    assert counters["pending"] == 0
    lost = counters["dropped.ring_full"] + counters["dropped.decimated"]
    assert lost >= len(events) - 8192
    assert (counters["dropped.decimated"] > 0) == (when_full == "decimate")
    assert 0 < sum(p.sensor.dropped for p in predictions if p.sensor is not None) <= lost
    if when_full == "drop_oldest":  # what is left is the newest
        assert predictions[0].sensor is not None
        assert predictions[0].sensor.t0_us > events["t"][len(events) // 2]


def test_snapshots_of_a_thread_that_reads_go_on_in_both_modes(model: edgesnn.Model, recording: Path) -> None:
    expected = [same(p) for p in Pipeline(recording, model)]
    for cut in (0, 1, 5):
        with Pipeline(recording, model, threaded=Ring(events=1 << 12)) as first:
            begun = [same(next(first)) for _ in range(cut)]
            blob = first.snapshot()
            with pytest.raises(UsageError, match="reads the source already") if cut else pytest.raises(ModelError):
                first.restore(blob if cut else b"no snapshot")
        for threaded in (False, True):
            with Pipeline(recording, model, threaded=threaded) as second:
                second.restore(blob)
                assert begun + [same(p) for p in second] == expected
    plain = Pipeline(recording, model)
    begun = [same(next(plain)) for _ in range(4)]
    with Pipeline(recording, model, threaded=True) as second:
        second.restore(plain.snapshot())
        assert begun + [same(p) for p in second] == expected


@pytest.mark.parametrize("threaded", [False, True])
def test_a_snapshot_of_a_stream_that_has_ended_keeps_what_waits_before_its_end(
    model: edgesnn.Model, recording: Path, threaded: bool
) -> None:
    expected = [same(p) for p in Pipeline(recording, model)]
    pushed = Pipeline(None, model, sensor=SENSOR, threaded=True)
    for packet in packets():
        pushed.push(packet)
    pushed.flush()
    with Pipeline(None, model, sensor=SENSOR, threaded=threaded) as second:
        second.restore(pushed.snapshot())
        assert [same(p) for p in iter(second.poll, None)] == expected
    with Pipeline(recording, model, threaded=True) as first:
        begun = [same(next(first))]
        while not first._chain.finished:
            time.sleep(0.001)
        with Pipeline(recording, model, threaded=threaded) as second:
            second.restore(first.snapshot())
            assert begun + [same(p) for p in second] == expected


def test_damage_comes_after_all_predictions_before_it(model: edgesnn.Model, tmp_path: Path) -> None:
    data = bytearray(write_recording(tmp_path).read_bytes())
    data[len(data) // 2 // 5 * 5] = 255  # x of an event in the middle: outside the sensor
    damaged = tmp_path / "damaged.bin"
    damaged.write_bytes(data)

    def read(threaded: bool) -> tuple[list[Any], str]:
        found = []
        with Pipeline(damaged, model, sensor=SENSOR, threaded=threaded) as pipeline:
            try:
                for prediction in pipeline:
                    found.append(same(prediction))
            except RecordingError as error:
                with pytest.raises(RecordingError):
                    pipeline.snapshot()
                return found, str(error)
        raise AssertionError("no error")

    assert read(True) == read(False)


@pytest.mark.timeout(60)
def test_close_ends_at_once_whatever_the_threads_wait_for(model: edgesnn.Model, recording: Path) -> None:
    held = threading.Event()

    def silent() -> Iterator[Any]:
        yield packets()[0]
        held.wait(30)

    started = time.monotonic()
    for source in (recording, silent(), packets()):
        pipeline = Pipeline(source, model, threaded=Ring("block", events=1 << 10))
        pipeline.poll()
        pipeline.close()
        pipeline.close()
        with pytest.raises(UsageError, match="closed"):
            next(pipeline)
        assert identity_holds(pipeline.counters)
    assert time.monotonic() - started < 10
    held.set()


@pytest.mark.timeout(60)
def test_ctrl_c_ends_a_wait(model: edgesnn.Model) -> None:
    with Pipeline(None, model, threaded=True) as pipeline:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            pipeline.poll(wait_ms=50_000)


@pytest.mark.timeout(60)
def test_a_forked_child_is_refused_and_ends(model: edgesnn.Model, recording: Path) -> None:
    pipeline = Pipeline(recording, model, threaded=Ring(events=1 << 10))
    next(pipeline)
    child = os.fork()
    if child == 0:
        try:
            pipeline.poll()
        except UsageError:
            pipeline.close()
            del pipeline
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    pipeline.close()


def test_wrong_modes_are_refused(model: edgesnn.Model, recording: Path) -> None:
    for make in (
        lambda: Ring("drop_newest"),
        lambda: Ring(events=10),
        lambda: Ring(events="many"),  # type: ignore[arg-type]
        lambda: Ring(keep_every=1),
        lambda: Pipeline(None, model, threaded=Ring("block")),
        lambda: Pipeline(None, model, threaded="yes"),  # type: ignore[arg-type]
        lambda: Pipeline(None, model).poll(wait_ms=5),
    ):
        with pytest.raises(UsageError):
            make()
    with Pipeline(None, model, threaded=True) as pipeline:
        with pytest.raises(UsageError, match="wait_ms"):
            pipeline.poll(wait_ms=1.5)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="no format"):
            pipeline.push(b"1234")
        pipeline.flush()
        with pytest.raises(UsageError, match="end of the stream"):
            pipeline.push(packets()[0])
