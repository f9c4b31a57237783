"""`edgesnn.Pipeline`: damage, wrong uses, threads, forks, interrupts; and what is left as it was."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.errors import ModelError, RecordingError, UsageError
from edgesnn.graph import Builder
from edgesnn.runtime import snapshot
from tests.small_models import small_document
from tests.walks import SENSOR, make_events, same, write_recording


@pytest.fixture(scope="module")
def model() -> edgesnn.Model:
    return edgesnn.Model(small_document(), backend="reference")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recording(tmp_path_factory.mktemp("recording"))


def test_damage_ends_a_strict_recording_after_what_came_before(
    model: edgesnn.Model, recording: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.bin"
    cut.write_bytes(recording.read_bytes()[:60_003])
    whole = [same(p) for p in edgesnn.Pipeline(recording, model)]
    pipeline = edgesnn.Pipeline(cut, model)
    found: list[dict[str, Any]] = []
    with pytest.raises(RecordingError, match="byte 60000"):
        found.extend(same(p) for p in pipeline)
    assert 0 < len(found) < len(whole)
    assert found == whole[: len(found)]
    with pytest.raises(RecordingError, match="byte 60000"):
        pipeline.poll()


@pytest.mark.parametrize("threaded", [False, True])
def test_a_stream_that_has_failed_stays_so_after_a_wrong_snapshot_and_not_after_a_right_one(
    model: edgesnn.Model, recording: Path, threaded: bool
) -> None:
    data = recording.read_bytes()
    pipeline = edgesnn.Pipeline(None, model, format="nmnist", on_corrupt="strict", threaded=threaded)
    pipeline.push(data[:40_000])
    expected = [same(p) for p in iter(pipeline.poll, None)]
    good = pipeline.snapshot()
    pipeline.push(b"\xff" * 5 + data[40_000:])
    with pytest.raises(RecordingError, match="byte 40000"):
        list(iter(pipeline.poll, None))
    sections = [*pipeline._sections()]
    arrays = snapshot.decode(good, model.identity, sections)
    arrays["decide/state"] = np.zeros(99, np.int64)
    with pytest.raises(ModelError):
        pipeline.restore(snapshot.encode(arrays, model.identity, sections))
    counters = pipeline.counters
    with pytest.raises(RecordingError, match="byte 40000"):
        pipeline.poll()
    assert pipeline.counters == counters
    pipeline.restore(good)
    pipeline.push(data[40_000:])
    pipeline.flush()
    expected += [same(p) for p in iter(pipeline.poll, None)]
    assert expected == [same(p) for p in edgesnn.Pipeline(recording, model)]


def test_impossible_events_are_counted_or_refused(model: edgesnn.Model) -> None:
    events = make_events(1000)
    events["x"][7] = 500
    lenient = edgesnn.Pipeline(None, model)
    lenient.push(events)
    assert lenient.counters["dropped.impossible_event"] == 1
    strict = edgesnn.Pipeline(None, model, on_corrupt="strict")
    with pytest.raises(RecordingError, match="event 7 of the packet"):
        strict.push(events)
    assert strict.counters["events_in"] == 0


@pytest.mark.parametrize("arguments", [{"variant": "legacy"}, {"columns": "t,x,y,p"}])
def test_what_says_how_bytes_are_read_belongs_to_bytes(model: edgesnn.Model, arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"only pushed bytes have a variant|only a path to a table has columns"):
        edgesnn.Pipeline([make_events(10)], model, **arguments)
    with pytest.raises(UsageError, match=r"only pushed bytes have a variant|only a path to a table has columns"):
        edgesnn.Pipeline(None, model, **arguments)
    with pytest.raises(UsageError, match="no such variant of evt21"):
        edgesnn.Pipeline(None, model, format="evt21", variant="swapped")


def test_wrong_uses_are_refused(model: edgesnn.Model, recording: Path) -> None:
    with pytest.raises(UsageError, match="no source"):
        next(edgesnn.Pipeline(None, model))
    with pytest.raises(UsageError, match="has a source"):
        edgesnn.Pipeline(recording, model).push(make_events(10))
    with pytest.raises(UsageError, match="no format"):
        edgesnn.Pipeline(None, model).push(b"1234")
    with pytest.raises(UsageError, match="not a packet"):
        edgesnn.Pipeline(None, model).push([1, 2])
    with pytest.raises(UsageError, match="layout"):
        edgesnn.Pipeline(None, model).push(np.zeros(3))
    with pytest.raises(UsageError, match="format"):
        edgesnn.Pipeline(None, model, format="evt9")
    with pytest.raises(UsageError, match="not a speed"):
        edgesnn.Pipeline(recording, model, speed="fast")
    flushed = edgesnn.Pipeline(None, model)
    flushed.flush()
    with pytest.raises(UsageError, match="after the end"):
        flushed.push(make_events(10))


@pytest.mark.parametrize(
    "arguments", [{"stamp_ns": "a"}, {"stamp_ns": 1 << 63}, {"t_end_us": 0.5}, {"t_end_us": 1 << 60}]
)
def test_stamps_and_times_that_are_no_usable_numbers_are_refused_and_change_nothing(
    model: edgesnn.Model, arguments: dict[str, Any]
) -> None:
    pipeline = edgesnn.Pipeline(None, model)
    (name,) = arguments
    with pytest.raises(UsageError, match=f"{name}: not a usable number"):
        pipeline.push(make_events(10), **arguments)
    assert pipeline.counters["packets_in"] == 0
    pipeline.push(make_events(10), stamp_ns=np.int64(5), t_end_us=(1 << 60) - 1)


def test_arguments_of_another_type_are_usage_errors(model: edgesnn.Model, recording: Path) -> None:
    with pytest.raises(UsageError, match="not a speed: found 2"):
        edgesnn.Pipeline(recording, model, speed=2)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="not a model: found 4"):
        edgesnn.load(4)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="not a path: found None"):
        edgesnn.open(None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="count: packets need a positive size: found '3'"):
        next(edgesnn.open(recording, sensor=SENSOR).packets(count="3"))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="not a sensor size: found 128"):
        edgesnn.open(recording, sensor=128)  # type: ignore[arg-type]


def test_a_closed_pipeline_refuses_all_but_its_counters(model: edgesnn.Model, recording: Path) -> None:
    with edgesnn.Pipeline(recording, model) as pipeline:
        next(pipeline)
        state = pipeline.snapshot()
    for use in (pipeline.poll, pipeline.flush, pipeline.snapshot, lambda: pipeline.restore(state)):
        with pytest.raises(UsageError, match="the pipeline is closed"):
            use()
    with pytest.raises(UsageError, match="the pipeline is closed"):
        list(pipeline)
    pushed = edgesnn.Pipeline(None, model)
    pushed.close()
    with pytest.raises(UsageError, match="the pipeline is closed"):
        pushed.push(make_events(10))
    assert pipeline.counters["windows"] == 1


def test_too_much_waiting_input_is_refused(model: edgesnn.Model) -> None:
    pipeline = edgesnn.Pipeline(None, model, format="nmnist")
    block = bytes(1 << 25)
    pipeline.push(block)
    pipeline.push(block)
    with pytest.raises(UsageError, match="too much input waits"):
        pipeline.push(block)


def test_models_of_another_kind_are_refused_by_name() -> None:
    builder = Builder(input={"kind": "dense", "shape": [2]})
    tensors = {"weight": np.ones((2, 2), np.float32), "scale": np.ones(2, np.float32), "bias": np.ones(2, np.float32)}
    layer = builder.add("linear", "input", name="fc", attributes={"activations": "float32"}, tensors=tensors)
    dense = edgesnn.Model(builder.document(outputs=[layer]), backend="reference")
    with pytest.raises(ModelError, match="'dense'"):
        edgesnn.Pipeline(None, dense)


def test_two_threads_at_once_are_refused(model: edgesnn.Model) -> None:
    pipeline = edgesnn.Pipeline(None, model)
    pipeline.push(make_events(200_000))
    refused: list[bool] = []
    done = threading.Event()

    def intrude() -> None:
        while not done.is_set():
            try:
                pipeline.poll()
            except UsageError:
                refused.append(True)
                return

    thread = threading.Thread(target=intrude)
    thread.start()
    deadline = time.monotonic() + 20
    while not refused and time.monotonic() < deadline:
        try:
            if pipeline.poll() is None:
                break
        except UsageError:
            refused.append(True)
    done.set()
    thread.join()
    assert refused


def test_a_forked_child_may_not_use_it(model: edgesnn.Model) -> None:
    pipeline = edgesnn.Pipeline(None, model)
    child = os.fork()
    if child == 0:
        try:
            pipeline.poll()
        except UsageError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


class Interrupting:
    """A model backend whose window is interrupted by the user, once."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.left = 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run(self, *args: Any, **kwargs: Any) -> Any:
        if self.left:
            self.left -= 1
            raise KeyboardInterrupt
        return self._session.run(*args, **kwargs)


def test_an_interrupt_goes_through(model: edgesnn.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    make: Callable[..., Any] = edgesnn.Model.session
    monkeypatch.setattr(edgesnn.Model, "session", lambda self, **options: Interrupting(make(self, **options)))
    pipeline = edgesnn.Pipeline(None, model)
    pipeline.push(make_events())
    with pytest.raises(KeyboardInterrupt):
        pipeline.poll()
    assert pipeline.poll() is not None


def test_a_recording_without_events_is_an_error_and_an_empty_iterable_is_not(
    model: edgesnn.Model, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.raw"
    empty.write_bytes(b"% evt 3.0\n% end\n" + b"\x00\xe0" * 40)
    with pytest.raises(RecordingError, match="no event"):
        list(edgesnn.Pipeline(empty, model))
    assert list(edgesnn.Pipeline([], model)) == []
