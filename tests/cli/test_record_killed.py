"""`replay udp://... --record FILE`, killed at any moment: FILE is readable and lacks at most the last second."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn.events import registry
from edgesnn.events.formats.base import EncoderOptions, is_writable
from edgesnn.events.types import EVENT, TRIGGER
from tests.small_models import small_document

ROOT = Path(__file__).parents[2]
SENSOR = (128, 128)
SUFFIXES = {name: kind.suffixes[0] for name in registry.names() if is_writable(kind := registry.get(name))}
EACH_S, A_TIME = 0.01, 60


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    small_document().save(path)
    return path


class Sender:
    """Sends some events each 10 ms, as they happen; remembers them and when each datagram had been sent."""

    def __init__(self, port: int) -> None:
        self.events: list[np.ndarray] = []
        self.sent_s: list[float] = []
        self._port = port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Sender:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def before(self, time_s: float) -> int:
        """Return how many events had been sent then."""
        return sum(len(part) for part, sent_s in zip(self.events, self.sent_s, strict=False) if sent_s <= time_s)

    def _run(self) -> None:
        rng = np.random.default_rng(5)
        encoder = registry.get("evt3").encoder(EncoderOptions(SENSOR))  # type: ignore[union-attr]
        encoder.begin()
        began_s, t_us = time.monotonic(), 1_000
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            while not self._stop.is_set():
                now_us = max(round((time.monotonic() - began_s) * 1e6), t_us + 1)
                part = np.zeros(A_TIME, EVENT)
                part["t"] = np.sort(rng.integers(t_us, now_us, A_TIME))
                part["x"], part["y"] = rng.integers(0, 128, (2, A_TIME))
                part["p"] = rng.integers(0, 2, A_TIME)
                one.sendto(encoder.encode(part, np.zeros(0, TRIGGER), now_us), ("127.0.0.1", self._port))
                self.events.append(part)
                self.sent_s.append(time.monotonic())
                t_us = now_us
                time.sleep(EACH_S)


def killed(path: Path, model: Path, flags: list[str], wait_s: float) -> tuple[np.ndarray, int]:
    """Record what is sent, and kill it; return the events that were sent, and how many a second before."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    url = f"udp://127.0.0.1:{port}?format=evt3&sensor=128x128"
    command = [sys.executable, "-m", "edgesnn", "replay", url, "-m", str(model), "--record", str(path), *flags]
    with (
        open(path.with_name("out"), "wb") as out,
        subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.PIPE) as process,
    ):
        assert process.stderr is not None
        assert b"waiting" in process.stderr.readline()
        with Sender(port) as sender:
            time.sleep(wait_s)
            killed_s = time.monotonic()
            process.send_signal(signal.SIGKILL)
            process.wait()
    least = sender.before(killed_s - 1.0)
    assert least > 0
    return np.concatenate(sender.events), least


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.full), pytest.param(2, marks=pytest.mark.full)])
@pytest.mark.parametrize("name", SUFFIXES)
def test_a_killed_recording_is_readable_and_lacks_at_most_a_second(
    tmp_path: Path, model: Path, name: str, seed: int
) -> None:
    path = tmp_path / f"a{SUFFIXES[name]}"
    rng = np.random.default_rng([seed, *name.encode()])
    sent, least = killed(path, model, ["--record-format", name], 1.2 + float(rng.uniform(0, 1.5)))
    recording = edgesnn.open(path, on_corrupt="skip")
    got = recording.read()
    assert len(got) >= least
    sent = sent[: len(got)]
    sent["t"] -= sent["t"][0]
    assert got.tolist() == sent.tolist()
    damage = {key: count for key, count in recording.counters.items() if count}
    assert set(damage) <= {"truncated_bytes"}, damage


@pytest.mark.parametrize("flags", [["--record-time", "300ms"], ["--record-size", "10kB"]])
def test_a_killed_recording_in_many_files_lacks_at_most_a_second_of_its_last(
    tmp_path: Path, model: Path, flags: list[str]
) -> None:
    sent, least = killed(tmp_path / "a.raw", model, flags, 2.0)
    parts = [edgesnn.open(path, on_corrupt="skip").read() for path in sorted(tmp_path.glob("a-*.raw"))]
    assert len(parts) > 2
    assert sum(map(len, parts)) >= least
    at = 0
    for part in parts:
        expected = sent[at : at + len(part)]
        at += len(part)
        expected["t"] -= expected["t"][0]
        assert part.tolist() == expected.tolist()
