"""`edgesnn.Pipeline`: iterating, pushing, stamps, windows by count, snapshots of a recording half read, pace."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import edgesnn
from edgesnn.encode.points import encode_points
from edgesnn.errors import ModelError, UsageError
from edgesnn.pipeline.pace import Clock, paced
from edgesnn.prediction import Prediction
from edgesnn.runtime.decide import Decide
from edgesnn.runtime.energy import energy_uj
from edgesnn.runtime.windows import encoding_of, readout_of
from edgesnn.schemas import load_schema
from edgesnn.units import parse_speed
from tests.property.ros_files import Packet, bag1
from tests.small_models import small_document
from tests.walks import SENSOR, make_events, polled, same, write_recording


@pytest.fixture(scope="module")
def model() -> edgesnn.Model:
    return edgesnn.Model(small_document(), backend="reference")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recording(tmp_path_factory.mktemp("recording"))


def test_a_recording_gives_one_valid_prediction_a_window(model: edgesnn.Model, recording: Path) -> None:
    with edgesnn.Pipeline(recording, model) as pipeline:
        predictions = list(pipeline)
    assert [p.window for p in predictions] == list(range(len(predictions)))
    assert len(predictions) == (make_events()["t"][-1] - make_events()["t"][0] - 100_000) // 50_000 + 1
    schema = jsonschema.Draft202012Validator(load_schema("prediction-1"))
    for seq, prediction in enumerate(predictions):
        numbered = prediction.numbered(node="n", boot_id="0" * 16, seq=seq, ts="2026-01-01T00:00:00.000Z")
        schema.validate(numbered.to_dict())
    assert {p.decision for p in predictions} <= {"label", "none"}
    assert len({p.topk for p in predictions}) > 1
    counters = pipeline.counters
    assert counters["events_in"] == 20_000 == counters["processed"] + counters["dropped.unfinished_window"]


def without_backend(prediction: Prediction) -> dict[str, Any]:
    return {**same(prediction), "model": None}


@pytest.mark.parametrize("coding", ["rate", "direct"])
def test_backends_agree_and_go_on_from_each_other_s_snapshots(coding: str, recording: Path) -> None:
    models = {name: edgesnn.Model(small_document(coding=coding), backend=name) for name in ("reference", "native")}
    whole = {name: [without_backend(p) for p in edgesnn.Pipeline(recording, m)] for name, m in models.items()}
    assert whole["native"] == whole["reference"]
    for first, second in (("native", "reference"), ("reference", "native"), ("native", "native")):
        half = edgesnn.Pipeline(recording, models[first])
        for _ in range(4):
            next(half)
        other = edgesnn.Pipeline(recording, models[second])
        other.restore(half.snapshot())
        assert [without_backend(p) for p in other] == whole["native"][4:]


def test_bytes_events_and_files_give_the_same_predictions(model: edgesnn.Model, recording: Path) -> None:
    from_file = [same(p) for p in edgesnn.Pipeline(recording, model)]
    events = edgesnn.open(recording, sensor=SENSOR).read()
    from_packets = [same(p) for p in edgesnn.Pipeline(np.array_split(events, 37), model)]
    pushed = edgesnn.Pipeline(None, model, format="nmnist", sensor=SENSOR)
    pushed.push(recording.read_bytes())
    pushed.flush()
    assert from_file == from_packets == [same(p) for p in polled(pushed)]
    assert from_file


@pytest.mark.parametrize(("format", "variant"), [("evt21", "legacy"), ("evt21", ""), ("csv", "p,t_ns,y,x")])
def test_pushed_bytes_may_be_of_a_variant(model: edgesnn.Model, recording: Path, format: str, variant: str) -> None:
    events = edgesnn.open(recording, sensor=SENSOR).read()
    if format == "csv":
        data = "".join(f"{p},{t}000,{y},{x}\n" for t, x, y, p in events.tolist()).encode()
    else:  # the halves of the words in the order of the variant
        head = 0x8 << 28 | events["t"] >> 6
        word = events["p"].astype(np.int64) << 28 | (events["t"] & 63) << 22 | events["x"].astype(np.int64) << 11
        rows = np.stack([head, np.zeros_like(head), word | events["y"], np.ones_like(head)], axis=1).reshape(-1, 2)
        data = (rows if variant == "legacy" else rows[:, ::-1]).astype("<u4").tobytes()
    pushed = edgesnn.Pipeline(None, model, format=format, variant=variant, on_corrupt="strict")
    pushed.push(data)
    pushed.flush()
    assert [same(p) for p in polled(pushed)] == [same(p) for p in edgesnn.Pipeline(recording, model)]


def test_columns_of_a_table_may_be_named(model: edgesnn.Model, recording: Path, tmp_path: Path) -> None:
    events = edgesnn.open(recording, sensor=SENSOR).read()
    path = tmp_path / "a.txt"
    path.write_text("".join(f"{y} {x} {p} {t}\n" for t, x, y, p in events.tolist()))
    named = edgesnn.Pipeline(path, model, columns="y,x,p,t")
    assert [same(p) for p in named] == [same(p) for p in edgesnn.Pipeline(recording, model)]


def test_a_prediction_carries_the_stamp_of_the_packet_that_closed_its_window(model: edgesnn.Model) -> None:
    pipeline = edgesnn.Pipeline(None, model)
    stamps = []
    for number, packet in enumerate(np.array_split(make_events(), 12)):
        pipeline.push(packet, stamp_ns=1_000 + number)
        found = polled(pipeline)
        assert all(p.stamp_ns == 1_000 + number for p in found)
        assert all((p.latency_us.total or -1) >= (p.latency_us.infer or 0) > 0 for p in found)
        stamps += found
    assert len(stamps) >= 9


def test_time_without_events_closes_windows_as_idle(model: edgesnn.Model) -> None:
    pipeline = edgesnn.Pipeline(None, model)
    events = make_events(400, 100_000)
    pipeline.push(events)
    assert polled(pipeline) == []
    pipeline.push(events[:0], t_end_us=int(events["t"][0]) + 300_000)
    found = polled(pipeline)
    assert [p.decision == "idle" for p in found] == [False, False, True, True, True]
    idle = found[-1]
    assert (idle.label, idle.confidence, idle.topk, idle.spikes, idle.energy_uj_estimate) == (None,) * 5


@pytest.mark.parametrize(("count", "hop"), [(500, 200), (500, None), (300, 700)])
def test_windows_by_count_are_those_of_the_readable_parts(model: edgesnn.Model, count: int, hop: int | None) -> None:
    events = make_events(5000)
    pipeline = edgesnn.Pipeline(np.array_split(events, 37), model, window_events=count, hop_events=hop)
    found = list(pipeline)
    encoding, readout = encoding_of(model), readout_of(model)
    session, decide, step = model.session(), Decide(readout), hop or count
    assert len(found) == (5000 - count) // step + 1
    for number, prediction in enumerate(found):
        part = events[number * step : number * step + count]
        window = encode_points(
            part, encoding, SENSOR, number=number, first_event=number * step, t0_us=int(part["t"][0])
        )
        decided = decide.push(session.run(window, keep="last"))
        assert (prediction.window, prediction.sensor.events) == (number, count)
        assert (prediction.sensor.t0_us, prediction.sensor.t1_us) == (part["t"][0], part["t"][-1])
        assert prediction.class_index == decided.active
        assert prediction.topk is not None
        assert prediction.topk[0][1] == float(max(decided.probabilities))
        assert prediction.deadline_missed is None
    assert pipeline.counters["events_in"] == 5000


def test_a_snapshot_of_windows_by_count_goes_on_and_fits_no_other_windows(model: edgesnn.Model) -> None:
    packets = np.array_split(make_events(5000), 37)
    whole = [same(p) for p in edgesnn.Pipeline(packets, model, window_events=500, hop_events=200)]
    half = edgesnn.Pipeline(packets, model, window_events=500, hop_events=200)
    for _ in range(5):
        next(half)
    rest = edgesnn.Pipeline(packets, model, window_events=500, hop_events=200)
    rest.restore(half.snapshot())
    assert [same(p) for p in rest] == whole[5:]
    for windows in ({}, {"window_events": 500}):
        with pytest.raises(ModelError, match=r"snapshot is of other windows: found \[500, 200\]"):
            edgesnn.Pipeline(packets, model, **windows).restore(half.snapshot())
    with pytest.raises(ModelError, match="snapshot is of other windows: found by time"):
        half.restore(edgesnn.Pipeline(packets, model).snapshot())


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        ({"window_events": 0}, "window_events: not a number of events"),
        ({"window_events": "5"}, "window_events: not a number of events"),
        ({"window_events": 1 << 23}, "window_events: not a number of events"),
        ({"window_events": 100, "hop_events": 0}, "hop_events: not a number of events"),
        ({"hop_events": 100}, "hop_events: a hop by count needs"),
        ({"window_events": 19}, "every window would be idle: found 19, expected at least the model's min_events, 20"),
    ],
)
def test_wrong_windows_by_count_are_refused(model: edgesnn.Model, windows: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        edgesnn.Pipeline(None, model, **windows)


def test_a_snapshot_half_way_gives_the_same_rest(model: edgesnn.Model, recording: Path) -> None:
    whole = [same(p) for p in edgesnn.Pipeline(recording, model)]
    for seen in range(len(whole) + 1):
        first = edgesnn.Pipeline(recording, model)
        for _ in range(seen):
            next(first)
        second = edgesnn.Pipeline(recording, model)
        second.restore(first.snapshot())
        assert [same(p) for p in second] == whole[seen:]


def test_a_snapshot_of_pushed_packets_holds_what_still_waits(model: edgesnn.Model) -> None:
    events = make_events()
    first = edgesnn.Pipeline(None, model)
    first.push(events)
    first.flush()
    before = [first.poll() for _ in range(3)]
    second = edgesnn.Pipeline(None, model)
    second.restore(first.snapshot())
    assert before[0] is not None
    assert [same(p) for p in polled(second)] == [same(p) for p in polled(first)]


@pytest.mark.parametrize("options", [{}, {"threaded": True}, {"speed": "50x"}])
def test_the_quiet_stretch_at_the_end_of_a_bag_is_idle_windows_as_that_of_its_words(
    model: edgesnn.Model, tmp_path: Path, options: dict[str, Any]
) -> None:
    edgesnn.write(tmp_path / "a.raw", make_events(), sensor=SENSOR, format="evt3", t_end_us=2_000_000)
    words = b"".join(edgesnn.open(tmp_path / "a.raw").chunks())
    pieces = [words[at : at + 5_000] for at in range(0, len(words), 5_000)]
    (tmp_path / "a.bag").write_bytes(bag1(Packet("evt3", one, seq, 0, SENSOR) for seq, one in enumerate(pieces)))
    expected = [same(p) for p in edgesnn.Pipeline(tmp_path / "a.raw", model)]
    assert [p["decision"] for p in expected].count("idle") > 20
    pipeline = edgesnn.Pipeline(tmp_path / "a.bag", model, **options)
    begun = [same(next(pipeline)) for _ in range(3)]
    rest = edgesnn.Pipeline(tmp_path / "a.bag", model, **options)
    rest.restore(pipeline.snapshot())
    for one in (pipeline, rest):
        assert begun + [same(p) for p in one] == expected


def test_a_snapshot_of_something_else_changes_nothing(model: edgesnn.Model, recording: Path) -> None:
    pipeline = edgesnn.Pipeline(recording, model)
    next(pipeline)
    other = edgesnn.Pipeline(recording, edgesnn.Model(small_document(seed=1), backend="reference"))
    wrong_size = edgesnn.Pipeline(recording, model, sensor=(100, 128))
    pushed = edgesnn.Pipeline(None, model)
    state = pipeline.snapshot()
    for stranger in (other, wrong_size, pushed):
        with pytest.raises(ModelError):
            pipeline.restore(stranger.snapshot())
    for broken in (b"", state[:100], state[:-1]):
        with pytest.raises(ModelError):
            pipeline.restore(broken)
    assert pipeline.snapshot() == state


def test_pace_follows_the_recording(model: edgesnn.Model, recording: Path) -> None:
    began = time.monotonic()
    fast = [same(p) for p in edgesnn.Pipeline(recording, model, speed="4x")]
    took_s = time.monotonic() - began
    assert took_s >= 0.55 / 4
    assert fast == [same(p) for p in edgesnn.Pipeline(recording, model)]


def test_pieces_of_a_paced_stream_shrink_and_grow_with_its_rate() -> None:
    data = bytes(100_000)
    position = 0

    def read(size: int) -> bytes:
        nonlocal position
        piece = data[position : position + size]
        position += len(piece)
        return piece

    pieces = list(paced(read, lambda _: position * 10, Clock(1000.0)))
    assert b"".join(pieces) == data
    assert 100 <= len(pieces[-2]) * 10 / 10 <= 400  # 2 ms of sensor time are 200 bytes here


def test_speeds_and_energy() -> None:
    assert parse_speed("0.5x") == 0.5
    for wrong in ("0x", "1", "-1x", "x", "nanx"):
        with pytest.raises(UsageError):
            parse_speed(wrong)
    assert energy_uj(10**6, 10**6) == pytest.approx(5.5)
