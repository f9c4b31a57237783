"""Checkpoints: a stream that ends and one that is begun after it give what one that never ended gives."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.daemon import feeds, runner
from edgesnn.daemon.checkpoints import Checkpoints, file_name, wanted
from edgesnn.daemon.disk import Disk
from edgesnn.daemon.runner import BACK_OFF_S, Runner
from edgesnn.daemon.schema import Stream
from edgesnn.errors import ModelError
from edgesnn.recorder import sealed
from edgesnn.runtime import snapshot
from tests.live import encoded, made_up
from tests.small_models import small_document, spikes_document
from tests.token_models import writer
from tests.walks import same

STOP_AFTER = 7
LINES = [f"<{n % 7}> line {'abc'[n % 3] * (n % 5)} of a log" for n in range(24)]


def events(seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    made = np.zeros(30_000, edgesnn.EVENT)
    made["t"] = np.sort(rng.integers(0, 3_000_000, len(made)))
    made["x"], made["y"] = rng.integers(0, 16, len(made)), rng.integers(0, 12, len(made))
    made["p"] = rng.integers(0, 2, len(made))
    return made


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoints") / "walk.raw"
    edgesnn.write(path, events(), sensor=(16, 12))
    return path


@pytest.fixture(scope="module")
def model() -> edgesnn.Model:
    return edgesnn.Model(spikes_document(hop_steps=20, reset="never"))


class Board:
    """Starts the same stream again and again, over one folder."""

    def __init__(self, folder: Path, stream: Stream, model: edgesnn.Model) -> None:
        self.folder, self.stream, self.model = folder, stream, model
        self.runner: Runner | None = None
        self.back_off_s = BACK_OFF_S
        self.path = folder / f"{file_name(stream.name)}.checkpoint"

    def run(self, stop_after: int = 1 << 30, *, most_bytes: int = 1 << 24, period_s: float = 60.0) -> list[Any]:
        """Return the predictions of one process; it is told to end after so many, and gives a few more perhaps."""
        made: list[Any] = []
        disk = Disk()
        disk.start()
        checkpoints = Checkpoints(self.folder, self.stream, self.model, disk, period_s=period_s, most_bytes=most_bytes)

        def put(prediction: Any) -> None:
            made.append(prediction)
            if len(made) == stop_after:
                self.runner.stop()

        self.runner = Runner(self.stream, self.model, put, checkpoints=checkpoints, back_off_s=self.back_off_s)
        self.runner.start()
        until_s = time.monotonic() + 60
        while not self.runner.over:
            assert time.monotonic() < until_s
            time.sleep(0.01)
        assert self.runner.join()
        assert disk.close(30)
        return made


@pytest.fixture
def board(tmp_path: Path, recording: Path, model: edgesnn.Model) -> Board:
    return Board(
        tmp_path / "checkpoints", Stream(name="door/../1".replace("/", "_"), source=str(recording), model="m"), model
    )


def whole(recording: Path, model: edgesnn.Model) -> list[Any]:
    """Return what the chain in the caller's thread makes of it, without any checkpoint."""
    with edgesnn.Pipeline(recording, model, stream="door_.._1") as pipeline:
        return [same(prediction) for prediction in pipeline]


def test_a_stream_that_was_stopped_goes_on_where_it_was(board, recording, model):
    expected = whole(recording, model)
    parts = [board.run(STOP_AFTER), board.run(STOP_AFTER)]
    assert board.path.stat().st_mode & 0o777 == 0o600
    parts.append(board.run())
    assert [len(part) for part in parts][:2] == [STOP_AFTER, STOP_AFTER]
    assert [same(prediction) for part in parts for prediction in part] == expected
    assert not board.path.exists(), "of a recording that has ended nothing is kept"


def test_without_the_checkpoint_the_states_would_be_others(board, recording, model):
    """Else the test above would say nothing."""
    first = board.run(STOP_AFTER)
    board.path.unlink()
    assert same(board.run(1)[0]) == same(first[0])


def test_what_was_counted_before_is_not_counted_again(board):
    board.run(STOP_AFTER)
    first = board.runner.counters
    board.run()
    second = board.runner.counters
    for counters in (first, second):
        dropped = sum(count for name, count in counters.items() if name.startswith("dropped."))
        assert counters["events_in"] == counters["processed"] + dropped + counters["pending"] > 0
    assert first["windows"] == STOP_AFTER
    assert first["processed"] + second["processed"] <= 30_000


def test_a_copy_made_in_between_is_what_a_killed_process_leaves(board, recording, model, tmp_path):
    """The period has passed at every prediction; what the disk had at the fifth is what the next process finds."""
    copies: list[bytes] = []

    def copied(prediction: Any) -> None:
        if board.path.exists():
            copies.append(board.path.read_bytes())

    expected = whole(recording, model)
    disk = Disk()
    disk.start()
    checkpoints = Checkpoints(board.folder, board.stream, model, disk, period_s=1e-3, most_bytes=1 << 24)
    stream = board.stream.model_copy(update={"speed": "4x"})
    runner = Runner(stream, model, copied, checkpoints=checkpoints)
    runner.start()
    until_s = time.monotonic() + 60
    while not runner.over:
        assert time.monotonic() < until_s
        time.sleep(0.01)
    disk.close(30)
    assert len(copies) > 3
    for copy in (copies[0], copies[len(copies) // 2], copies[-1]):
        board.path.write_bytes(copy)
        rest = [same(prediction) for prediction in board.run()]
        assert rest == expected[-len(rest) :]
        assert len(rest) < len(expected)


def test_a_paced_recording_goes_on_in_its_pace_from_inside_a_word(tmp_path, model):
    """Its clock's decoder began there with half a word, and waited for times that never came."""
    recording = tmp_path / "walk.raw"
    edgesnn.write(recording, events(), sensor=(16, 12), format="evt2")
    found: list[tuple[bytes, int]] = []
    with edgesnn.Pipeline(recording, model, speed="20x") as pipeline:
        for number, _ in enumerate(pipeline):
            blob = pipeline.snapshot()
            cursor = int(snapshot.decode(blob, model.identity, pipeline._sections())["source/cursor"])
            found += [(blob, number)] if cursor % 4 else []
    assert found, "no piece ends inside a word"
    expected = whole(recording, model)
    for blob, number in found[-2:]:
        with edgesnn.Pipeline(recording, model, speed="20x", stream="door_.._1") as pipeline:
            pipeline.restore(blob)
            assert [same(prediction) for prediction in pipeline] == expected[number + 1 :]


def flipped(data: bytes) -> bytes:
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


def another_version(data: bytes) -> bytes:
    metadata, arrays = sealed.unseal(np.frombuffer(data, np.uint8), "checkpoint")
    about = json.loads(metadata["edgesnn.checkpoint"])
    metadata["edgesnn.checkpoint"] = json.dumps({**about, "version": 2})
    return b"".join(sealed.seal(arrays, metadata))


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "damaged": flipped,
    "header length does not fit": lambda data: data[:100],
    "too short": lambda data: b"",
    "not valid JSON": lambda data: struct.pack("<Q", 8) + b"not json" + data,
    "another version": another_version,
}


@pytest.mark.parametrize("why", DAMAGE)
def test_what_cannot_be_used_is_set_aside_and_the_stream_begins_anew(board, recording, model, caplog, why):
    caplog.set_level("INFO")
    board.run(STOP_AFTER)
    board.path.write_bytes(DAMAGE[why](board.path.read_bytes()))
    caplog.clear()
    assert [same(prediction) for prediction in board.run()] == whole(recording, model)
    said = [record.message for record in caplog.records]
    assert len([text for text in said if "begins anew" in text and why in text]) == 1, said
    assert len(list(board.folder.glob("*.aside-*"))) == 1


@pytest.mark.parametrize(
    ("key", "value"), [("filters", ["refractory:period=1ms"]), ("source", "other.raw"), ("model", None)]
)
def test_one_of_another_stream_is_set_aside(board, recording, model, caplog, key, value, tmp_path):
    board.run(STOP_AFTER)
    caplog.clear()
    if key == "model":
        board.model = edgesnn.Model(spikes_document(seed=1, hop_steps=20, reset="never"))
    elif key == "source":
        edgesnn.write(tmp_path / value, events(1), sensor=(16, 12))
        board.stream = board.stream.model_copy(update={"source": str(tmp_path / value)})
    else:
        board.stream = board.stream.model_copy(update={key: value})
    assert board.run()[0].window == 0
    assert f"another {key}" in caplog.text or "another model's" in caplog.text


def test_another_recording_of_the_same_name_is_another_source(tmp_path, model, caplog):
    path = tmp_path / "walk.raw"
    board = Board(tmp_path / "c", Stream(name="door", source=str(path), model="m"), model)
    edgesnn.write(path, events(0), sensor=(16, 12))
    board.run(STOP_AFTER)
    path.unlink()
    edgesnn.write(path, events(1), sensor=(16, 12))
    assert board.run(1)[0].window == 0
    assert "of another file" in caplog.text


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_what_is_no_file_is_neither_read_nor_waited_for(board, caplog, kind):
    board.folder.mkdir()
    board.path.mkdir() if kind == "folder" else os.mkfifo(board.path)
    assert board.run(1)[0].window == 0
    assert "begins anew" in caplog.text


def test_a_stream_that_fails_after_it_was_restored_begins_anew(board, recording, model, monkeypatch, caplog):
    """A state that the model cannot go on from would fail for ever."""
    board.run(STOP_AFTER)
    restored: list[int] = []

    def failing(self: Any) -> Any:
        if self._before and len(restored) < 1:
            restored.append(1)
            raise ModelError("scores are not numbers")
        return original(self)

    original = feeds.Feed.next
    monkeypatch.setattr(feeds.Feed, "next", failing)
    monkeypatch.setattr(runner, "lasting", lambda *_: True)
    board.back_off_s = (0.01, 0.02)
    assert [same(prediction) for prediction in board.run()] == whole(recording, model)
    assert "failed after it" in caplog.text


def opened(board: Board) -> tuple[Checkpoints, Disk, feeds.Feed]:
    """Return what a process has that ends while it goes on from the checkpoint, if it does."""
    disk = Disk()
    checkpoints = Checkpoints(board.folder, board.stream, board.model, disk, period_s=60.0, most_bytes=1 << 24)
    feed = feeds.Feed(board.stream, board.model, None)
    checkpoints.restore(feed)
    return checkpoints, disk, feed


def test_a_checkpoint_that_ends_the_process_is_tried_three_times_and_then_set_aside(board, recording, model, caplog):
    """A state that kills the process, which nobody can catch; what was stopped as it should be does not count."""
    for _ in range(4):
        board.run(1)
    kept = board.path.read_bytes()
    for _ in range(3):
        checkpoints, _, feed = opened(board)
        feed.close()
        assert checkpoints.stats["restored"] == 1
    assert board.path.read_bytes() == kept
    caplog.clear()
    assert [same(prediction) for prediction in board.run()] == whole(recording, model)
    (said,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert "the service ended 3 times within 60 s after it" in said
    assert board.runner.checkpoints.stats["set_aside"] == 1
    assert len(list(board.folder.glob("*.aside-*"))) == len(list(board.folder.iterdir())) == 1


def test_a_checkpoint_that_was_gone_on_from_for_a_minute_counts_as_new(board, monkeypatch):
    board.run(STOP_AFTER)
    monkeypatch.setattr("edgesnn.daemon.checkpoints.SAFE_S", 0.0)
    for _ in range(5):
        checkpoints, disk, feed = opened(board)
        checkpoints.look()
        disk.start()
        assert disk.close(30)
        feed.close()
        assert checkpoints.stats["restored"] == 1


def test_a_mark_that_holds_nonsense_counts_as_none(board):
    board.run(STOP_AFTER)
    board.path.with_suffix(".tries").write_bytes(b"\xffmany")
    checkpoints, _, feed = opened(board)
    feed.close()
    assert checkpoints.stats["restored"] == 1


def test_a_disk_that_takes_nothing_is_said_once_and_the_stream_goes_on(board, caplog):
    board.folder.parent.mkdir(exist_ok=True)
    board.folder.write_bytes(b"a file where the folder should be")
    made = board.run(STOP_AFTER, period_s=1e-6)
    assert len(made) == STOP_AFTER
    assert caplog.text.count("no checkpoint") == 1
    assert board.runner.checkpoints.stats["failed"] >= 1
    assert "Not a directory" in board.runner.checkpoints.why or "File exists" in board.runner.checkpoints.why


def test_a_state_that_is_too_large_is_not_written(board, caplog):
    board.run(STOP_AFTER, most_bytes=100)
    assert "more than checkpoint.max_size" in caplog.text
    assert not board.path.exists()


def test_lines_that_came_while_nobody_ran_are_read_by_the_next_one(tmp_path):
    model = edgesnn.Model(writer())
    log = tmp_path / "app.log"
    log.write_text("".join(f"{line}\n" for line in LINES[:8]))
    stream = Stream(name="log", source=str(log), model="m", follow=True, threshold=3.0)
    board = Board(tmp_path / "checkpoints", stream, model)
    found = board.run(6)
    with log.open("a") as file:
        file.write("".join(f"{line}\n" for line in LINES[8:]))
    found += board.run(len(LINES) - len(found))
    with edgesnn.TokenStream(None, model, stream="log", threshold=3.0) as lines:
        expected = [same(lines.push(line)) for line in LINES]
    assert [same(prediction) for prediction in found] == expected


def test_a_live_source_goes_on_in_window_and_time_whatever_the_gap(tmp_path, model):
    """The camera's clock is 12 s further: stream time goes on where it was, and not a window is given for the gap."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    address = f"udp://127.0.0.1:{port}?format=evt3&sensor=640x480&idle_close_ms=60000&dead_ms=300000"
    stream = Stream(name="door", source=address, model="m", adapt="downsample")
    board = Board(tmp_path / "checkpoints", stream, model)

    def send(gap_us: int) -> None:
        made = made_up(60_000, start_us=1_000 + gap_us)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while board.runner is None or board.runner.state != "waiting":
                time.sleep(0.01)
            for part in np.array_split(made, 300):
                sender.sendto(encoded(part, t_end_us=int(part["t"][-1])), ("127.0.0.1", port))
                time.sleep(0.002)

    windows: list[Any] = []
    for gap_us in (0, 12_000_000):
        board.runner = None
        sending = threading.Thread(target=send, args=(gap_us,), daemon=True)
        sending.start()
        windows.append(board.run(3))
        sending.join()
    first, second = windows
    assert second[0].window == first[-1].window + 1
    assert second[0].sensor.t0_us == first[-1].sensor.t1_us


@pytest.mark.parametrize(
    ("reset", "given", "expected"),
    [("never", None, True), ("window", None, False), ("window", True, True), ("never", False, False)],
)
def test_which_streams_have_checkpoints(reset, given, expected):
    stream = Stream(name="door", source="x", model="m", checkpoint=given)
    assert wanted(stream, edgesnn.Model(spikes_document(hop_steps=20, reset=reset))) is expected


def test_lines_have_checkpoints_by_the_policy_of_their_stream():
    never, by_line = edgesnn.Model(writer()), edgesnn.Model(writer(reset="line"))
    plain = Stream(name="log", source="x", model="m")
    assert (wanted(plain, never), wanted(plain, by_line)) == (True, False)
    reset = Stream(name="log", source="x", model="m", reset={"policy": "never"})
    assert wanted(reset, by_line)
    assert not wanted(Stream(name="door", source="x", model="m"), edgesnn.Model(small_document()))
