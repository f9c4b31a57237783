"""What makes a bundle, what keeps it from being made, and how many there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgesnn.daemon import runner as runners
from edgesnn.daemon.bundles import Bundles
from edgesnn.errors import ConfigError, ModelError
from edgesnn.pipeline import Pipeline
from edgesnn.recorder import bundle
from edgesnn.recorder.ring import FlightRing
from tests.flights import Flight, assert_reproduced, files, streamed

__all__ = ["files"]  # a fixture
RECORDING = Path(__file__).resolve().parents[2] / "recordings" / "hand_clap.raw"


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
    data = RECORDING.read_bytes()
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
