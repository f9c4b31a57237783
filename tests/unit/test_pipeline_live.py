"""`Pipeline` over live sources: the predictions of the same recording, idle decisions on time, an end by `close`."""

from __future__ import annotations

import os
import socket
import threading
import time
from itertools import islice
from pathlib import Path

import pytest

import edgesnn
from edgesnn.errors import UsageError
from edgesnn.events.sources.live import LiveSource
from edgesnn.pipeline import Pipeline, Ring
from tests.live import encoded, made_up
from tests.small_models import small_document
from tests.walks import SENSOR, same, write_recording

HOW = f"format=nmnist&sensor={SENSOR[0]}x{SENSOR[1]}"


@pytest.fixture(scope="module")
def model() -> edgesnn.Model:
    return edgesnn.Model(small_document())


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recording(tmp_path_factory.mktemp("live"))


def words(recording: Path) -> bytes:
    return b"".join(edgesnn.open(recording).chunks())


@pytest.mark.parametrize("threaded", [False, True, Ring(when_full="block", events=1 << 10)])
def test_a_pipe_gives_the_predictions_of_the_recording(
    model: edgesnn.Model, recording: Path, tmp_path: Path, threaded: bool | Ring
) -> None:
    expected = [same(prediction) for prediction in Pipeline(recording, model)]
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with Pipeline(f"pipe:{path}?once&{HOW}", model, threaded=threaded) as pipeline:
        threading.Thread(target=path.write_bytes, args=(words(recording),)).start()
        assert [same(prediction) for prediction in pipeline] == expected
        counters = pipeline.counters
    assert counters["events_in"] == len(edgesnn.open(recording).read())
    assert counters["pending"] == 0


@pytest.mark.parametrize("threaded", [False, True])
def test_a_stream_that_says_another_sensor_than_the_one_taken_is_an_error(
    model: edgesnn.Model, tmp_path: Path, threaded: bool
) -> None:
    """The pipeline was made before the header came: most of the events would be outside, or in another place."""
    edgesnn.write(tmp_path / "a.raw", made_up(5_000), sensor=(640, 480))
    os.mkfifo(tmp_path / "pipe")
    with Pipeline(f"pipe:{tmp_path}/pipe?once&format=evt3", model, threaded=threaded) as pipeline:
        data = (tmp_path / "a.raw").read_bytes()
        threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(data,)).start()
        with pytest.raises(UsageError, match=r"the stream is of another sensor: found 640x480, .*--sensor 640x480"):
            list(pipeline)
        if threaded:
            with pytest.raises(UsageError, match="another sensor"):
                pipeline.poll()


@pytest.mark.parametrize("speed", ["max", "8x"])
def test_a_replay_gives_the_predictions_of_the_recording(model: edgesnn.Model, recording: Path, speed: str) -> None:
    expected = [same(prediction) for prediction in Pipeline(recording, model, sensor=SENSOR)]
    with Pipeline(f"replay:{recording}?speed={speed}&sensor={SENSOR[0]}x{SENSOR[1]}", model) as pipeline:
        assert [same(prediction) for prediction in pipeline] == expected


@pytest.mark.parametrize("when_full", ["drop_oldest", "decimate"])
def test_a_stalled_consumer_loses_nothing_uncounted(model: edgesnn.Model, tmp_path: Path, when_full: str) -> None:
    events = made_up(60_000, sensor=SENSOR)
    source = edgesnn.open(f"udp://127.0.0.1:0?format=evt3&sensor={SENSOR[0]}x{SENSOR[1]}")
    with Pipeline(source, model, threaded=Ring(when_full, events=1 << 13)) as pipeline:
        assert pipeline.poll() is None  # the reader begins
        _send(source, encoded(events))
        until_s = time.monotonic() + 20
        while source.counters["events"] < len(events):
            assert identity_holds(pipeline.counters)
            assert time.monotonic() < until_s, source.counters
            time.sleep(0.01)
        stalled = pipeline.counters
        while pipeline.poll(100) is not None or not pipeline.counters["processed"]:
            assert identity_holds(pipeline.counters)
            assert time.monotonic() < until_s, pipeline.counters
        counters = pipeline.counters
    assert stalled["dropped.ring_full"] > 0
    assert (stalled["dropped.decimated"] > 0) == (when_full == "decimate")
    assert counters["events_in"] == len(events)
    assert identity_holds(counters)


def _send(source: LiveSource, data: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        for at in range(0, len(data), 1400):
            one.sendto(data[at : at + 1400], ("127.0.0.1", source.port))
            time.sleep(0.0002)


def identity_holds(counters: dict[str, int]) -> bool:
    dropped = sum(count for name, count in counters.items() if name.startswith("dropped."))
    return counters["events_in"] == counters["processed"] + dropped + counters["pending"]


def test_a_quiet_sender_gives_idle_decisions_on_time_and_a_dead_one_none(model: edgesnn.Model, recording: Path) -> None:
    source = edgesnn.open(f"tcp://127.0.0.1:0?listen&{HOW}")
    with Pipeline(source, model, threaded=True) as pipeline:
        with socket.create_connection(("127.0.0.1", source.port)) as one:
            one.sendall(words(recording))
            began_s = time.monotonic()
            idle = 0
            while idle < 8:
                prediction = pipeline.poll(1000)
                assert prediction is not None
                idle = idle + 1 if prediction.sensor.events == 0 else 0
            assert 0.25 < time.monotonic() - began_s < 5.0  # hops of 50 ms
        while source.state != "dead" or pipeline.poll(100) is not None:
            assert time.monotonic() - began_s < 10.0
        assert pipeline.poll(300) is None


def test_closing_the_pipeline_ends_a_wait_for_a_sender(model: edgesnn.Model) -> None:
    for threaded in (False, True):
        pipeline = Pipeline(f"udp://127.0.0.1:0?{HOW}", model, threaded=threaded)
        threading.Timer(0.1, pipeline.close).start()
        began_s = time.monotonic()
        if threaded:
            assert pipeline.poll(50) is None
        with pytest.raises((StopIteration, UsageError)):
            next(pipeline)
        assert time.monotonic() - began_s < 5.0


def test_what_a_live_source_cannot_do_is_refused(model: edgesnn.Model) -> None:
    url = f"udp://127.0.0.1:0?{HOW}"
    with pytest.raises(UsageError, match="its own pace"):
        Pipeline(url, model, speed="2x")
    with pytest.raises(UsageError, match="this source cannot wait"):
        Pipeline(url, model, threaded=Ring(when_full="block"))
    with pytest.raises(UsageError, match="live sources skip"):
        Pipeline(url, model, on_corrupt="strict")


def test_a_pipeline_restored_goes_on_with_a_camera_that_has_started_anew(
    model: edgesnn.Model, recording: Path, tmp_path: Path
) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with Pipeline(f"pipe:{path}?once&{HOW}", model) as pipeline:
        threading.Thread(target=path.write_bytes, args=(words(recording),)).start()
        first = list(islice(pipeline, 6))
        blob = pipeline.snapshot()
    with Pipeline(f"pipe:{path}?once&{HOW}", model) as pipeline:
        pipeline.restore(blob)
        threading.Thread(target=path.write_bytes, args=(words(recording),)).start()
        rest = list(pipeline)
    assert rest[0].window == first[-1].window + 1
    assert [one.sensor.t0_us for one in rest] == [rest[0].sensor.t0_us + 50_000 * n for n in range(len(rest))]
    events = [one.sensor.events for one in rest]
    assert sum(events) > len(edgesnn.open(recording).read())  # windows overlap
