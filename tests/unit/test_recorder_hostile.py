"""Bundles from elsewhere, and streams that would have the recorder do harm: bounded, and said in one line."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesnn.cli.main import main
from edgesnn.daemon.bundles import Bundles
from edgesnn.daemon.checkpoints import Checkpoints
from edgesnn.daemon.disk import Disk
from edgesnn.daemon.feeds import Feed
from edgesnn.errors import ModelError
from edgesnn.recorder import bundle, sealed
from edgesnn.recorder.bundle import Bundle
from edgesnn.recorder.check import differences, model_of
from edgesnn.recorder.ring import FlightRing
from tests.flights import Flight, files, resealed, streamed

__all__ = ["files"]  # a fixture
MEASURED = r"""
import re, sys
from edgesnn.cli.main import main
code = main(sys.argv[1:])
print(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1], file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def made(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    (one,) = Flight(tmp_path_factory.mktemp("made"), *streamed(files), stop_after=4).end()
    return one


def published(one: Bundle, **changes: Any) -> dict[str, Any]:
    """Return the tensor with the first prediction changed."""
    records = [json.loads(prediction.to_json()) for prediction in one.published]
    records[0].update(changes)
    return {"published": np.frombuffer("".join(f"{json.dumps(record)}\n" for record in records).encode(), np.uint8)}


def of_model(one: Bundle, **changes: Any) -> dict[str, Any]:
    return {"model": {**one.about["model"], **changes}}


def of_config(one: Bundle, **changes: Any) -> dict[str, Any]:
    return {"config": {**one.about["config"], **changes}}


CASES: dict[str, tuple[int, str, Any]] = {
    "a window of 401 digits": (3, "prediction 0 is none", lambda one: published(one, window=10**400)),
    "a confidence of 401 digits": (3, "prediction 0 is none", lambda one: published(one, confidence=10**400)),
    "a stream's name that is no topic": (3, "stream name", lambda one: {"stream": "a/#"}),
    "a model without a readout": (3, "names no model", lambda one: {"model": {"path": "x.safetensors", "sha256": "0"}}),
    "a window below nothing": (3, "prediction 0 is none", lambda one: published(one, window=-1)),
    "a model's name that no folder takes": (4, "no such model", lambda one: of_model(one, path="a" * 100_000)),
    "a temperature of words": (3, "readout.temperature", lambda one: of_model(one, readout={"temperature": "warm"})),
    "filters without end": (3, "too many filters", lambda one: of_config(one, filters=["polarity"] * 65)),
    "a filter that names a file": (3, "names a file", lambda one: of_config(one, filters=["bitmap:pixels=/etc/x"])),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_one_clear_error(made, tmp_path, capsys, case):
    code, said, change = CASES[case]
    path = resealed(made, tmp_path / "hostile.bundle", **change(made))
    assert main(["replay", str(path), "--check"]) == code
    err = capsys.readouterr().err
    assert said in err, err
    assert err.count("\n") == 1
    assert len(err) < 1000


STEERS: dict[str, Any] = {
    "trigger": lambda one: {"trigger": "\x1b[2J"},
    "why": lambda one: {"why": "\x1b]0;mine\x07\n"},
    "made": lambda one: {"made": "\x9b2J"},
    "stream": lambda one: {"stream": "\x1b[2J"},
    "model": lambda one: of_model(one, path="\x1b[2J"),
    "adapt": lambda one: of_config(one, adapt="\x1b[2J"),
}


@pytest.mark.parametrize("field", STEERS)
def test_nothing_of_it_steers_a_terminal(made, tmp_path, capsys, field):
    path = resealed(made, tmp_path / "hostile.bundle", **STEERS[field](made))
    for command in (["info"], ["replay"], ["replay", "--check"]):
        main([*command, str(path)])
        said = capsys.readouterr()
        assert not {letter for letter in said.out + said.err if not letter.isprintable()} - {"\n"}


@pytest.mark.parametrize(("kind", "most_kb"), [("lines of nothing", 300_000), ("packets of nothing", 110_000)])
def test_memory_is_bounded_by_the_file_s_size(made, tmp_path, kind, most_kb):
    """A few copies of it, not a Python object for each byte or row."""
    nothing = np.array([0, -(1 << 63), 0])
    changes = {
        "lines of nothing": {"published": np.full(60_000_000, ord("\n"), np.uint8)},
        "packets of nothing": {
            "packets": np.concatenate([made.taken["packets"], np.tile(nothing, (400_000, 1))]),
            "decisions": made.about["decisions"] + 1,
        },
    }
    path = resealed(made, tmp_path / "hostile.bundle", **changes[kind])
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "replay", str(path), "--check"], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 3
    assert int(done.stderr.split()[-1]) < most_kb


def test_predictions_that_stand_twice_are_a_difference(made, tmp_path):
    lines = [prediction.to_json() for prediction in made.published]
    twice = np.frombuffer("".join(f"{line}\n" for line in [lines[0], *lines[:-1]]).encode(), np.uint8)
    one = bundle.read(resealed(made, tmp_path / "twice.bundle", published=twice))
    (found,) = differences(one, model_of(one))
    assert (found.expected, found.found) == (len(lines), len(lines) - 1)


def test_a_stretch_without_a_decision_is_none(made, tmp_path):
    """Its state may hold windows that nobody has asked for yet."""
    nothing = np.zeros(0, np.uint8)
    one = bundle.read(resealed(made, tmp_path / "none.bundle", decisions=0, published=nothing))
    assert not list(differences(one, model_of(one)))


def test_a_picture_stands_in_the_bundle_itself(files, tmp_path):
    """The file that the configuration names may be another one by then, or on another machine."""
    picture = tmp_path / "mask.txt"
    picture.write_text("\n".join(["01" * 64] * 128))
    stream, model = streamed(files, filters=[f"bitmap:pixels={picture}"])
    (one,) = Flight(tmp_path / "bundles", stream, model, stop_after=4).end()
    picture.unlink()
    assert not list(differences(one, model_of(one)))
    assert str(picture) not in json.dumps(one.about)


def test_lines_of_control_characters_cost_no_bundle(files, tmp_path):
    """Each takes six bytes in a published text: a sender could have had all bundles deleted."""
    log = tmp_path / "app.log"
    log.write_bytes((b"\x01" * 4000 + b"\n") * 150)
    stream, model = streamed(files, source=str(log), model="writer", publish_text=True)
    folder = tmp_path / "bundles"
    folder.mkdir()
    (folder / "000001-old-stop.bundle").write_bytes(b"old")
    bundles = Bundles(folder, 50, 2_000_000)
    flight = Flight(folder, stream, model, stop_after=120, memory="1MB", bundles=bundles)
    flight.wait_for(lambda: flight.runner.over)
    assert flight.disk.close(60)
    assert (flight.recorder.stats["written"], bundles.deleted) == (1, 0)
    (path,) = folder.glob("000002-*")
    one = bundle.read(path)
    assert one.published
    assert not list(differences(one, model_of(one)))


def test_one_that_is_larger_than_all_may_be_takes_no_other_s_place(made, files, tmp_path):
    stream, model = streamed(files)
    (tmp_path / "000001-old-stop.bundle").write_bytes(b"old")
    bundles = Bundles(tmp_path, 50, 1000)
    flight = Flight(tmp_path, stream, model, stop_after=4, bundles=bundles)
    flight.wait_for(lambda: flight.runner.over)
    assert flight.disk.close(60)
    assert [path.name for path in tmp_path.iterdir()] == ["000001-old-stop.bundle"]
    assert (flight.recorder.stats["failed"], bundles.deleted) == (1, 0)
    assert "more than recorder.max_size" in (flight.recorder.why or "")


def test_a_disk_that_hangs_holds_one_bundle_and_one_of_the_end(files, tmp_path, monkeypatch):
    """Each holds what the ring held: three of them would be three times the memory."""
    original, hang, begun = Bundles.write, threading.Event(), threading.Event()

    def hanging(*arguments: Any) -> Path:
        begun.set()
        assert hang.wait(60)
        return original(*arguments)

    monkeypatch.setattr(Bundles, "write", hanging)
    stream, model = streamed(files, source=f"replay:{files / 'walk.bin'}?loop")
    on = ["low_confidence", "stop"]
    flight = Flight(tmp_path, stream, model, on=on, confidence=1.0)
    flight.wait_for(begun.is_set)
    flight.wait_for(lambda: flight.recorder.stats["skipped"] > 3)
    assert not flight.disk._waiting
    flight.runner.stop()
    flight.wait_for(lambda: flight.runner.over)
    hang.set()
    assert [one.about["trigger"] for one in flight.end()] == ["low_confidence", "stop"]


def test_who_asks_while_the_stream_ends_is_answered(files, tmp_path):
    stream, model = streamed(files, source=f"replay:{files / 'walk.bin'}?loop")
    flight = Flight(tmp_path, stream, model, on=["command"])
    flight.wait_for(lambda: flight.published)
    asked: list[Any] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            asked.append(flight.recorder.ask())

    thread = threading.Thread(target=ask)
    thread.start()
    flight.runner.stop()
    flight.wait_for(lambda: flight.runner.over)
    over.set()
    thread.join()
    flight.end()
    assert asked
    assert all(one.done() for one in asked)


def test_a_bundle_says_what_a_reload_has_changed(files, tmp_path):
    stream, model = streamed(files, source=f"replay:{files / 'walk.bin'}?loop")
    flight = Flight(tmp_path, stream, model, on=["stop"])
    flight.wait_for(lambda: flight.published)
    flight.runner.change(stream.model_copy(update={"publish": "change"}))
    (one,) = flight.stop()
    assert one.about["config"]["publish"] == "change"


def test_what_others_are_writing_in_the_folder_stays(files, tmp_path):
    for name in (".tmp-notes.txt", ".tmp-door.checkpoint.abc"):
        (tmp_path / name).write_text("mine")
    Flight(tmp_path, *streamed(files), stop_after=4).end()
    assert len(list(tmp_path.glob(".tmp-*"))) == 2


@pytest.mark.filterwarnings("error")
def test_a_checkpoint_that_a_killed_process_had_begun_is_removed_by_the_next(files, tmp_path):
    stream, model = streamed(files, model="spikes", adapt="downsample", sensor="128x128")
    disk = Disk()
    disk.start()
    checkpoints = Checkpoints(tmp_path, stream, model, disk, period_s=60, most_bytes=1 << 26)
    left = tmp_path / f"{sealed.TEMPORARY}{checkpoints.path.name}.abcdefgh"
    left.write_bytes(b"half of it")
    (tmp_path / f"{sealed.TEMPORARY}other.checkpoint.abc").write_text("another's")
    feed = Feed(stream, model, None)
    checkpoints.take(feed)
    assert disk.close(60)
    feed.close()
    assert not left.exists()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_state_that_cannot_be_had_any_more_keeps_what_is_held_for_the_crash(files, tmp_path, monkeypatch):
    """A stream that has failed gives no state, and its error only behind its last prediction."""
    original, count = Feed.next, iter(range(1000))

    def failing(self: Any) -> Any:
        number = next(count)
        if number == 5:
            monkeypatch.setattr("edgesnn.pipeline.tap.EventTap.freeze", failed)
        return failed(self) if number == 6 else original(self)

    def failed(_: Any) -> Any:
        raise ModelError("scores are not numbers", where="gate")

    monkeypatch.setattr(Feed, "next", failing)
    monkeypatch.setattr("edgesnn.recorder.ring.SHARE", 0)
    (one,) = Flight(tmp_path, *streamed(files), span="1ms").end()
    assert one.about["trigger"] == "crash"
    assert one.published
    assert not list(differences(one, model_of(one)))


def test_a_ring_whose_stream_fails_is_bounded(files):
    class Failing:
        full, state = True, True

        def freeze(self) -> Any:
            if not self.state:
                raise ModelError("none")
            from edgesnn.pipeline.tap import Frozen

            return Frozen({"session/x": np.zeros(10, np.uint8)}, "0" * 64, ("session",))

        def take(self) -> dict[str, Any]:
            return {"packets": np.zeros((1, 3), np.int64), "events": np.zeros(300_000, np.uint8)}

        def stop(self) -> None: ...

    tap = Failing()
    ring = FlightRing(tap, most_bytes=1_000_000, span_s=1e9)
    tap.state = False
    for _ in range(20):
        ring.add(None)
        ring.turn()
        assert ring.size_bytes <= 1_000_000
    assert ring.why is not None
