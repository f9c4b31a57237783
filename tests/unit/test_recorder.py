"""The flight recorder: a bundle gives what was published again, whatever made it; what is altered is found."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import edgesnn
from edgesnn import _native
from edgesnn.cli.main import main
from edgesnn.daemon import runner as runners
from edgesnn.daemon.bundles import Bundles
from edgesnn.daemon.schema import Stream
from edgesnn.errors import ConfigError, ModelError, RecordingError
from edgesnn.pipeline import Pipeline, Ring
from edgesnn.recorder import bundle
from edgesnn.recorder.bundle import Bundle
from edgesnn.recorder.check import Difference, again, differences, model_of
from edgesnn.recorder.ring import FlightRing, tap_bytes
from tests.flights import Flight, resealed
from tests.live import encoded, made_up
from tests.small_models import small_document, spikes_document
from tests.token_models import classifier, writer
from tests.walks import make_events, same, write_recording

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings, a log and models."""
    folder = tmp_path_factory.mktemp("recorder")
    write_recording(folder)
    small_document().save(folder / "points.safetensors")
    spikes_document(hop_steps=20, reset="never").save(folder / "spikes.safetensors")
    writer().save(folder / "writer.safetensors")
    classifier().save(folder / "classifier.safetensors")
    words = np.random.default_rng(0)
    lines = [f"<{n % 5}> line {'abcdefg'[n % 7] * int(words.integers(0, 9))} of it" for n in range(200)]
    (folder / "short.log").write_text("".join(f"{'abcdefgh'[n % 8]}\n" for n in range(80)))
    (folder / "app.log").write_text("\n".join(lines) + "\n")
    return folder


def streamed(files: Path, model: str, source: str = "walk.bin", **keys: Any) -> tuple[Stream, edgesnn.Model]:
    path = files / f"{model}.safetensors"
    source = source if ":" in source else str(files / source)
    stream = Stream(name=keys.pop("name", "door"), source=source, model=str(path), **keys)
    return stream, edgesnn.load(path)


def assert_reproduced(made: Bundle) -> None:
    assert not list(differences(made, model_of(made)))
    assert len(list(again(made, model_of(made)))) == made.about["decisions"] > 0


CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "points": ("points", "walk.bin", {}),
    "by count, filtered": (
        "points",
        "walk.bin",
        {"window_events": 500, "hop_events": 300, "filters": ["refractory:period=1ms"]},
    ),
    "never reset, another sensor": ("spikes", "walk.bin", {"adapt": "downsample", "sensor": "128x128"}),
    "the reference": ("points", "walk.bin", {"backend": "reference"}),
    "fewer published than decided": ("points", "walk.bin", {"speed": "1x", "rate_limit": "10Hz"}),
    "lines": ("writer", "app.log", {"threshold": 5.0}),
    "lines by key": (
        "writer",
        "app.log",
        {"key": 0, "sessions": 3, "publish_text": True, "reset": {"policy": "never", "idle": "5ms"}},
    ),
    "lines that are classified": ("classifier", "app.log", {}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_stream_that_was_stopped_is_reproduced(files, tmp_path, case):
    name, source, keys = CASES[case]
    stream, model = streamed(files, name, source, **keys)
    model = edgesnn.Model(model.document, backend=stream.backend)
    most = 3 if stream.rate_limit else 5
    flight = Flight(tmp_path, stream, model, stop_after=most)
    (made,) = flight.end()
    assert made.about["trigger"] == "stop"
    assert [same(one) for one in made.published] == [same(one) for one in flight.published]
    assert made.about["decisions"] == sum(flight.runner.decisions.values()) >= len(made.published) == most
    if stream.rate_limit:
        assert made.about["decisions"] > len(made.published)
    assert_reproduced(made)


def test_lines_of_several_keys_that_were_done_together_are_reproduced(files, tmp_path, monkeypatch):
    monkeypatch.setattr("edgesnn.pipeline.token_stream._WIDE_BYTES", 0)
    original, groups = edgesnn.TokenStream._make, []

    def counted(self: Any, group: Any) -> bool:
        groups.append(len(group))
        return original(self, group)

    monkeypatch.setattr(edgesnn.TokenStream, "_make", counted)
    stream, model = streamed(files, "writer", "short.log", key=0, threshold=5.0)
    (made,) = Flight(tmp_path, stream, model, stop_after=23).end()
    assert max(groups) > 2
    monkeypatch.undo()
    assert_reproduced(made)


def test_numbers_of_the_readout_are_the_configuration_s(files, tmp_path):
    from edgesnn.daemon.models import Models

    stream, _ = streamed(files, "points", readout={"rejection": 0.9, "temperature": 0.5})
    (made,) = Flight(tmp_path, stream, Models().get(stream), stop_after=4).end()
    assert_reproduced(made)


def test_the_oldest_goes_and_what_is_left_begins_in_the_middle(files, tmp_path):
    """Half a second of span: the first parts are gone, the state stands for them."""
    stream, model = streamed(
        files, "spikes", adapt="downsample", sensor="128x128", source=f"replay:{files / 'walk.bin'}?loop&speed=2x"
    )
    flight = Flight(tmp_path, stream, model, span="200ms", on=["command"])
    flight.wait_for(lambda: len(flight.published) > 30)
    path = flight.recorder.ask().result(60)
    flight.stop()
    made = bundle.read(path)
    assert made.published[0].window > 0
    assert 2 < len(made.published) == made.about["decisions"]
    assert_reproduced(made)


def test_what_the_ring_dropped_is_named_as_it_was(files, tmp_path):
    """A consumer that is late: whole packets go, and the next window says how many events."""
    model = edgesnn.load(files / "points.safetensors")
    events = make_events(60_000)
    taken: list[Any] = []
    with Pipeline(None, model, threaded=Ring("drop_oldest", 1 << 10)) as pipeline:
        tap = pipeline.tap(1 << 20)
        start, expected = tap.freeze(), []
        for number, packet in enumerate(np.array_split(events, 200)):
            pipeline.push(packet)
            if number % 9 == 0:
                expected += [same(one) for one in iter(pipeline.poll, None)]
                taken.append(tap.take())
        assert sum(one["sensor"]["dropped"] for one in expected) > 1000
        assert pipeline.counters["dropped.ring_full"] > 1000
    found = []
    with Pipeline(None, model) as plain:
        plain.restore(start.encode())
        for part in taken:
            at = 0
            for count, t_end_us, lost in part["packets"].tolist():
                t_end = None if t_end_us == -(1 << 63) else t_end_us
                plain.push(part["events"][at : at + count], t_end_us=t_end, lost=lost)
                found += [same(one) for one in iter(plain.poll, None)]
                at += count
    assert found == expected


def test_overload_of_a_live_source_is_reproduced(files, tmp_path, monkeypatch):
    """Datagrams come faster than the stream decides: its ring drops, the bundle holds what was decided on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    address = f"udp://127.0.0.1:{port}?format=evt3&sensor=640x480"
    stream, model = streamed(files, "points", address, ring_events=1 << 10, when_full="drop_oldest")
    slow = runners.Runner._take

    def dawdle(self: Any, prediction: Any) -> None:
        slow(self, prediction)
        time.sleep(0.05)

    monkeypatch.setattr(runners.Runner, "_take", dawdle)
    flight = Flight(tmp_path, stream, model)
    flight.wait_for(lambda: flight.runner.state == "waiting")
    events = made_up(60_000)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for part in np.array_split(events, 300):
            sender.sendto(encoded(part, t_end_us=int(part["t"][-1])), ("127.0.0.1", port))
            time.sleep(0.001)
    flight.wait_for(lambda: len(flight.published) >= 5)
    (made,) = flight.stop()
    assert flight.runner.counters["dropped.ring_full"] > 0
    assert sum(one.sensor.dropped for one in made.published) > 0
    assert_reproduced(made)


@pytest.fixture(scope="module")
def several(files: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Bundle]:
    folder, found = tmp_path_factory.mktemp("several"), []
    for name, source in (("points", "walk.bin"), ("spikes", "walk.bin"), ("writer", "app.log")):
        keys = {"adapt": "downsample", "sensor": "128x128"} if name == "spikes" else {}
        stream, model = streamed(files, name, source, name=name, **keys)
        found += Flight(folder / name, stream, model, stop_after=4).end()
    return found


@pytest.mark.parametrize("arm", _native.executor.arms())
def test_every_arm_reproduces_it(several, arm):
    script = "import sys; from edgesnn.cli.main import main"
    script += "; sys.exit(sum(main(['replay', p, '--check']) for p in sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", script, *(made.path for made in several)],
        capture_output=True,
        text=True,
        env={**os.environ, "EDGESNN_ARM": arm, "PYTHONPATH": str(ROOT)},
        timeout=240,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr.count("4 published predictions of 4 decisions: no differences") == len(several) == 3


def test_streams_that_share_a_model_have_bundles_of_their_own(files, tmp_path):
    flights = []
    _, model = streamed(files, "points")
    for name, keys in (("door", {}), ("yard", {"filters": ["flip:axis=x"]})):
        stream, _ = streamed(files, "points", name=name, **keys)
        flights.append(Flight(tmp_path / name, stream, model, stop_after=4))
    for flight in flights:
        (made,) = flight.end()
        assert made.about["stream"] == flight.runner.stream.name
        assert_reproduced(made)


def test_a_label_makes_one_when_it_comes(files, tmp_path):
    stream, model = streamed(files, "points")
    flight = Flight(tmp_path, stream, model, on=["label"], begin=lambda runner: None)
    made = flight.end()
    labels = [one.label for one in flight.published]
    onsets = [at for at, label in enumerate(labels) if label is not None and (at == 0 or labels[at - 1] != label)]
    assert onsets
    windows = [one.published[-1].window for one in made]
    assert set(windows) <= {flight.published[at].window for at in onsets}
    assert windows[0] == flight.published[onsets[0]].window
    for one in made:
        assert one.about["trigger"] == "label"
        assert_reproduced(one)


def test_only_labels_that_are_named_make_one(files, tmp_path):
    stream, model = streamed(files, "points")
    assert not Flight(tmp_path, stream, model, on=["label"], labels=["none of these"]).end()


def test_low_confidence_makes_one(files, tmp_path):
    stream, model = streamed(files, "points")
    made = Flight(tmp_path / "all", stream, model, on=["low_confidence"], confidence=1.0).end()
    assert made[0].about["trigger"] == "low_confidence"
    assert_reproduced(made[0])
    assert not Flight(tmp_path / "none", stream, model, on=["low_confidence"], confidence=0.0).end()


def test_time_passes_between_two_of_a_stream(files, tmp_path):
    stream, model = streamed(files, "points")
    assert len(Flight(tmp_path, stream, model, on=["low_confidence"], confidence=1.0, apart="1h").end()) == 1


def test_a_stream_that_crashes_leaves_one_with_its_error_and_is_begun_again(files, tmp_path, monkeypatch):
    from edgesnn.daemon.feeds import Feed

    original, count = Feed.next, iter(range(1000))

    def failing(self: Any) -> Any:
        if next(count) == 6:
            raise ModelError("scores are not numbers", where="gate")
        return original(self)

    monkeypatch.setattr(Feed, "next", failing)
    monkeypatch.setattr(runners, "lasting", lambda *_: True)
    stream, model = streamed(files, "points")
    made = Flight(tmp_path, stream, model).end()
    assert [one.about["trigger"] for one in made] == ["crash"]
    assert "scores are not numbers" in made[0].about["why"]
    assert_reproduced(made[0])


def test_a_recording_that_is_damaged_leaves_one(files, tmp_path):
    data = (ROOT / "recordings" / "hand_clap.raw").read_bytes()
    damaged = tmp_path / "damaged.raw"
    damaged.write_bytes(data[:60_000] + b"\xff" * 64 + data[60_064:])
    stream, model = streamed(files, "points", f"{damaged}")
    stream = stream.model_copy(update={"source": str(damaged)})
    (made,) = Flight(tmp_path / "bundles", stream, model).end()
    assert made.about["trigger"] == "crash"
    assert "damaged.raw" in made.about["why"]
    assert_reproduced(made)


def test_a_command_is_answered_with_the_path_or_why_there_is_none(files, tmp_path):
    stream, model = streamed(files, "points", source=f"replay:{files / 'walk.bin'}?loop")
    flight = Flight(tmp_path, stream, model, on=["command"])
    flight.wait_for(lambda: len(flight.published) > 3)
    futures = [flight.recorder.ask() for _ in range(3)]  # asked at once they are answered by one bundle, or refused
    answers = [one.exception(60) or one.result() for one in futures]
    assert isinstance(answers[0], Path)
    assert_reproduced(bundle.read(answers[0]))
    flight.stop()
    with pytest.raises(ConfigError, match="does not run"):
        flight.recorder.ask().result(60)
    other = Flight(tmp_path / "other", stream, model, on=["stop"])
    with pytest.raises(ConfigError, match="on command"):
        other.recorder.ask().result(60)
    other.stop()


def test_a_disk_that_takes_nothing_costs_bundles_only(files, tmp_path, caplog):
    (tmp_path / "file").write_text("not a folder")
    stream, model = streamed(files, "points")
    flight = Flight(tmp_path / "file", stream, model, on=["low_confidence"], confidence=1.0)
    flight.wait_for(lambda: flight.runner.over)
    flight.disk.close(60)
    assert len(flight.published) > 8
    assert flight.recorder.stats["failed"] >= 1
    assert flight.recorder.stats["written"] == 0
    assert caplog.text.count("no bundle") == 1
    assert flight.recorder.why is not None


def test_bundles_are_bounded_in_number_and_bytes_and_nothing_else_is_touched(files, tmp_path):
    folder, outside = tmp_path / "bundles", tmp_path / "outside.bundle"
    folder.mkdir()
    outside.write_text("precious")
    (folder / "000001-link.bundle").symlink_to(outside)
    (folder / "000002-folder.bundle").mkdir()
    (folder / "notes.txt").write_text("mine")
    (folder / ".tmp-000007-door.bundle.x").write_text("of a killed process")
    _, model = streamed(files, "points")
    bundles = Bundles(folder, 3, 1 << 40)
    about = {"stream": "../../door", "trigger": "command", "why": None, "made": "now", "edgesnn": "0", "kind": "events"}
    about |= {"model": {}, "config": {}}
    with Pipeline(files / "walk.bin", model, threaded=True) as pipeline:
        ring = FlightRing(pipeline.tap(1 << 20), most_bytes=1 << 24, span_s=60)
        pipeline.poll(1000)
        recording = ring.recording()
    assert recording is not None
    names = [bundles.write(about, recording).name for _ in range(5)]
    kept = sorted(path.name for path in folder.glob("*door*.bundle"))
    assert kept == names[2:]
    assert bundles.deleted == 2
    size = (folder / names[-1]).stat().st_size
    Bundles(folder, 100, 2 * size + 10).write(about, recording)
    assert len(list(folder.glob("*door*.bundle"))) == 2
    assert outside.read_text() == "precious"
    assert (folder / "notes.txt").exists()
    assert (folder / "000001-link.bundle").is_symlink()
    assert not list(folder.glob(".tmp-*"))
    assert {path.parent for path in folder.glob("*door*.bundle")} == {folder}


class Endless:
    """A tap that always has something, and a state of a size."""

    def __init__(self, state_bytes: int, packet_bytes: int) -> None:
        self.state, self.packet, self.full, self.stopped = state_bytes, packet_bytes, True, False

    def freeze(self) -> Any:
        from edgesnn.pipeline.tap import Frozen

        return Frozen({"session/x": np.zeros(self.state, np.uint8)}, "0" * 64, ("session",))

    def take(self) -> dict[str, Any]:
        return {"packets": np.zeros((1, 3), np.int64), "events": np.zeros(self.packet, np.uint8)}

    def stop(self) -> None:
        self.stopped = True


@given(st.integers(0, 400_000), st.integers(0, 300_000), st.integers(1, 40))
def test_the_ring_stays_within_its_memory(state, packet, turns):
    now = [0.0]
    ring = FlightRing(Endless(state, packet), most_bytes=1_000_000, span_s=1e9, clock=lambda: now[0])
    for _ in range(turns):
        now[0] += 0.1
        ring.add(None)
        ring.turn()
        assert ring.size_bytes <= 1_000_000
    assert (ring.why is not None) == (state > 500_000)
    assert ring.recording() is not None


def test_a_state_that_has_no_room_ends_it_with_a_reason():
    tap = Endless(600_000, 10)
    ring = FlightRing(tap, most_bytes=1_000_000, span_s=10)
    assert "600000 bytes" in (ring.why or "")
    assert tap.stopped
    ring.add(None)
    ring.turn()
    assert ring.recording() is None


def test_one_that_begins_anew_leaves_out_what_was_decided_before(files, tmp_path, monkeypatch):
    """As after a command that resets states: the prediction at hand is of the states before it."""
    original = runners.Runner._take

    def anew(self: Any, prediction: Any) -> None:
        if prediction.window == 3:
            self.flight.begin(self._feed)
        original(self, prediction)

    monkeypatch.setattr(runners.Runner, "_take", anew)
    stream, model = streamed(files, "points")
    (made,) = Flight(tmp_path, stream, model, stop_after=8).end()
    assert [one.window for one in made.published] == [4, 5, 6, 7]
    assert_reproduced(made)


def test_a_recorder_that_cannot_go_on_does_not_end_its_stream(files, tmp_path, monkeypatch, caplog):
    def failing(self: Any) -> None:
        raise ModelError("no state to be had")

    monkeypatch.setattr(FlightRing, "turn", failing)
    stream, model = streamed(files, "points")
    flight = Flight(tmp_path, stream, model)
    assert not flight.end()
    assert (flight.runner.state, len(flight.published) > 8) == ("ended", True)
    assert flight.recorder.why == "no state to be had"
    assert caplog.text.count("no bundle") == 1


def test_a_flood_without_decisions_does_not_grow_the_memory(files):
    """Events that a filter drops: no decision is made for long, and the tap is emptied all the same."""
    model = edgesnn.load(files / "points.safetensors")
    events = make_events(400_000, duration_us=40_000)  # less than a window
    with Pipeline([events] * 20, model, threaded=Ring("block", 1 << 14)) as pipeline:
        ring = FlightRing(pipeline.tap(tap_bytes(1 << 20)), most_bytes=1 << 20, span_s=1e9)
        while not pipeline.ended:
            pipeline.poll(10)
            ring.turn()
            assert ring.size_bytes <= 1 << 20
        assert pipeline.counters["events_in"] == 20 * len(events)
        assert ring.lost + len(events) > 0


@pytest.fixture(scope="module")
def made(files: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    """A bundle of events and one of lines."""
    folder = tmp_path_factory.mktemp("made")
    both = {}
    for kind, name, source in (("events", "points", "walk.bin"), ("tokens", "writer", "app.log")):
        stream, model = streamed(files, name, source)
        (both[kind],) = Flight(folder / kind, stream, model, stop_after=4).end()
    return both


@given(st.sampled_from(["events", "tokens"]), st.floats(0, 1, exclude_max=True), st.integers(0, 7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_one_bit_anywhere_is_found(made, tmp_path, kind, share, bit):
    data = bytearray(Path(made[kind].path).read_bytes())
    data[int(share * len(data))] ^= 1 << bit
    (tmp_path / "flipped.bundle").write_bytes(data)
    with pytest.raises(RecordingError, match=r"flipped\.bundle"):
        bundle.read(tmp_path / "flipped.bundle")


@given(st.sampled_from(["events", "tokens"]), st.floats(0, 1, exclude_max=True))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
def test_one_that_is_cut_is_one_clear_error(made, tmp_path, kind, share):
    data = Path(made[kind].path).read_bytes()
    (tmp_path / "cut.bundle").write_bytes(data[: int(share * len(data))])
    with pytest.raises(RecordingError, match=r"cut\.bundle"):
        bundle.read(tmp_path / "cut.bundle")


def altered(made: Bundle, path: Path, change: Any) -> Bundle:
    """Return the bundle with another published prediction, and the right checksum."""
    records = [json.loads(one.to_json()) for one in made.published]
    change(records[2])
    text = "".join(json.dumps(record) + "\n" for record in records).encode()
    return bundle.read(resealed(made, path, published=np.frombuffer(text, np.uint8)))


def next_float(record: dict[str, Any], name: str) -> None:
    record[name] = float(np.nextafter(record[name], 2.0))


ALTERATIONS: dict[str, Any] = {
    "spikes": lambda r: r.update(spikes=r["spikes"] ^ 1),
    "synops": lambda r: r.update(synops=r["synops"] ^ 1),
    "topk": lambda r: r["topk"][0].__setitem__(1, float(np.nextafter(r["topk"][0][1], 2.0))),
    "sensor": lambda r: r["sensor"].update(dropped=1),
    "decision": lambda r: r.update(decision="idle"),
    "label": lambda r: r.update(label="other"),
    "class": lambda r: r.update({"class": 7}),
    "confidence": lambda r: r.update(confidence=0.123),
    "window": lambda r: r.update(window=1234),
    "model.sha256": lambda r: r["model"].update(sha256="0" * 64),
}


@pytest.mark.parametrize("field", ALTERATIONS)
def test_a_prediction_that_was_forged_is_one_line_with_its_field(made, tmp_path, capsys, field):
    forged = altered(made["events"], tmp_path / "forged.bundle", ALTERATIONS[field])
    found = list(differences(forged, model_of(forged)))
    assert [one.field for one in found] == [field]
    assert main(["replay", forged.path, "--check"]) == 3
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert f": {field}: expected " in out
    assert "1 difference" in err


def test_events_that_were_forged_are_found(made, tmp_path):
    events = made["events"].taken["events"].copy()
    events["x"][: len(events) // 2] ^= 8
    raw = events.view(np.uint8).reshape(-1, 13)
    forged = bundle.read(resealed(made["events"], tmp_path / "forged.bundle", events=raw))
    assert {one.field for one in differences(forged, model_of(forged))} & {"spikes", "topk"}


def test_lines_that_were_forged_are_found(made, tmp_path):
    text = made["tokens"].taken["text"].copy()
    text[4] ^= 1
    forged = bundle.read(resealed(made["tokens"], tmp_path / "forged.bundle", text=text))
    assert {one.field for one in differences(forged, model_of(forged))} >= {"tokens"}


def test_decisions_that_were_not_made_are_a_difference(made, tmp_path):
    forged = bundle.read(resealed(made["events"], tmp_path / "forged.bundle", decisions=400))
    assert list(differences(forged, model_of(forged)))[-1].field == "decisions"
    assert "the stretch: decisions: expected 400" in str(Difference(None, "decisions", 400, 4))


def test_another_model_and_one_whose_weights_have_changed_are_refused(made, files, tmp_path, capsys):
    one = made["events"]
    assert main(["replay", one.path, "--check", "-m", str(files / "spikes.safetensors")]) == 4
    assert "another model than the bundle's" in capsys.readouterr().err
    data = bytearray((files / "points.safetensors").read_bytes())
    weight = edgesnn.load(files / "points.safetensors").document.tensors["deep.weight"].data.tobytes()
    data[data.index(weight) + 100] ^= 1
    other = tmp_path / "points.safetensors"
    other.write_bytes(data)
    assert main(["replay", one.path, "--check", "-m", str(other)]) == 4
    assert "deep.weight" in capsys.readouterr().err
    moved = bundle.read(
        resealed(one, tmp_path / "moved.bundle", model={**one.about["model"], "path": "./gone.safetensors"})
    )
    assert main(["replay", moved.path, "--check"]) == 4
    assert "-m MODEL" in capsys.readouterr().err
    assert main(["replay", moved.path, "--check", "-m", str(files / "points.safetensors")]) == 0


def huge(one: Bundle) -> dict[str, Any]:
    packets = one.taken["packets"].copy()
    packets[0, 0] = 1 << 60
    return {"packets": packets}


def negative(one: Bundle) -> dict[str, Any]:
    packets = one.taken["packets"].copy()
    packets[0, 0], packets[1, 0] = -5, packets[1, 0] + packets[0, 0] + 5
    return {"packets": packets}


HOSTILE: dict[str, Any] = {
    "packets or lines that are not what is there": huge,
    "packets or lines": negative,
    "'packets' is another": lambda one: {"packets": one.taken["packets"].astype(np.int32)},
    "'events' is another": lambda one: {"events": np.zeros((3, 12), np.uint8)},
    "'start' is another": lambda one: {"start": np.zeros((2, 2), np.uint8)},
    "another version": lambda one: {"version": 2},
    "neither events nor tokens": lambda one: {"kind": "frames"},
    "tensor 'events' is unknown": lambda one: {"kind": "tokens"},
    "not a number of decisions": lambda one: {"decisions": 1 << 60},
    "'decisions' is not": lambda one: {"decisions": True},
    "'model' is not": lambda one: {"model": ["x"]},
    "published prediction 0": lambda one: {"published": np.frombuffer(b"{}\n", np.uint8)},
    "published prediction 0 is": lambda one: {"published": np.frombuffer(b"[" * 100_000, np.uint8)},
    "more predictions than decisions": lambda one: {"decisions": 1},
}


@pytest.mark.parametrize("why", HOSTILE)
def test_a_hostile_one_is_one_clear_error(made, tmp_path, capsys, why):
    path = resealed(made["events"], tmp_path / "hostile.bundle", **HOSTILE[why](made["events"]))
    for command in (["replay", str(path), "--check"], ["info", str(path)]):
        assert main(command) == 3
        err = capsys.readouterr().err
        assert why in err, err
        assert err.count("\n") == 1


CONFIGURED: dict[str, Any] = {
    "no sensor": {"config": {}},
    "a filter that writes": {"filters": ["../../etc/passwd"]},
    "no filters": {"filters": 5},
    "a sensor of nothing": {"sensor": [0, 0]},
    "a sensor of words": {"sensor": "wide"},
    "windows without end": {"window_events": 1 << 60},
    "an adapter": {"adapt": {"a": 1}},
}


@pytest.mark.parametrize("case", CONFIGURED)
def test_a_configuration_that_cannot_be_is_one_clear_error(made, tmp_path, capsys, case):
    one, change = made["events"], CONFIGURED[case]
    config = change.get("config", {**one.about["config"], **change})
    path = resealed(one, tmp_path / "hostile.bundle", config=config)
    assert main(["replay", str(path), "--check"]) == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_a_state_that_is_none_is_one_clear_error(made, tmp_path, capsys):
    for start in (b"", b"not a snapshot", os.urandom(4096)):
        path = resealed(made["events"], tmp_path / "hostile.bundle", start=np.frombuffer(start, np.uint8))
        assert main(["replay", str(path), "--check"]) == 3
        assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("kind", ["folder", "fifo", "nothing", "text"])
def test_what_is_no_bundle_is_not_taken_for_one(tmp_path, capsys, kind):
    path = tmp_path / "x.bundle"
    {
        "folder": path.mkdir,
        "fifo": lambda: os.mkfifo(path),
        "nothing": lambda: None,
        "text": lambda: path.write_text("x"),
    }[kind]()
    assert main(["replay", str(path), "--check"]) == 2
    assert "only a bundle is checked" in capsys.readouterr().err
    with pytest.raises(RecordingError):
        bundle.read(path)


def test_flags_that_a_bundle_says_itself_are_refused(made, capsys):
    path = made["events"].path
    for flags in (["--filter", "hot_pixels"], ["--sensor", "10x10"], ["--follow"], ["--stream", "x"]):
        assert main(["replay", path, *flags]) == 2
        assert flags[0] in capsys.readouterr().err


def test_info_says_what_it_is_and_replay_prints_it(made, capsys):
    for kind in ("events", "tokens"):
        path = made[kind].path
        assert main(["info", path]) == 0
        out = capsys.readouterr().out
        assert f"{'trigger':<14} stop" in out
        assert "4, 4 of them published" in out
        assert main(["info", path, "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert (report["kind"], report["published"]) == (kind, 4)
        assert main(["replay", path, "--json"]) == 0
        records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [record["window"] for record in records] == [one.window for one in made[kind].published]


def test_replay_without_a_model_says_so(files, capsys):
    assert main(["replay", str(files / "walk.bin")]) == 2
    assert "no model" in capsys.readouterr().err
