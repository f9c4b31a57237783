"""What the tests of the flight recorder share: a stream that runs without a broker, and its bundles."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.daemon.bundles import Bundles
from edgesnn.daemon.disk import Disk
from edgesnn.daemon.flight import FlightRecorder
from edgesnn.daemon.runner import Runner
from edgesnn.daemon.schema import Recorder, Stream
from edgesnn.prediction import Prediction
from edgesnn.recorder import bundle, sealed
from edgesnn.recorder.bundle import Bundle
from edgesnn.recorder.check import again, differences, model_of
from tests.predictions import BOOT, NODE
from tests.small_models import small_document, spikes_document
from tests.token_models import classifier, writer
from tests.walks import write_recording

LONGEST_S = 60.0


class Flight:
    """A stream with its recorder.

    Args:
        folder: for bundles.
        stream, model: what runs.
        stop_after: so many published predictions, then it is told to stop.
        begin: called with the runner before it starts.
        section: keys of [recorder].
    """

    def __init__(
        self,
        folder: Path,
        stream: Stream,
        model: edgesnn.Model,
        *,
        stop_after: int | None = None,
        begin: Callable[[Runner], None] = lambda _: None,
        bundles: Bundles | None = None,
        **section: Any,
    ) -> None:
        self.published: list[Prediction] = []
        self._stop_after = stop_after
        given = {"enabled": True, "memory": "8MB", "apart": "1ms", **section}
        self.disk = Disk()
        self.bundles = bundles or Bundles(folder, 1000, 1 << 40)
        self.folder = folder
        self.recorder = FlightRecorder(Recorder(**given), stream, model, self.disk, self.bundles)
        self.runner = Runner(stream, model, self._put, flight=self.recorder, back_off_s=(0.01, 0.02))
        self.disk.start()
        begin(self.runner)
        self.runner.start()

    def _put(self, prediction: Prediction) -> Prediction:
        seq = len(self.published)
        made = prediction.numbered(node=NODE, boot_id=BOOT, seq=seq, ts="2026-11-26T12:00:00.000000Z")
        self.published.append(made)
        if len(self.published) == self._stop_after:
            self.runner.stop()
        return made

    def wait_for(self, done: Callable[[], Any]) -> None:
        until_s = time.monotonic() + LONGEST_S
        while not done():
            assert time.monotonic() < until_s, (self.runner.state, self.runner.why, self.runner.counters)
            time.sleep(0.01)

    def end(self) -> list[Bundle]:
        """Wait until it is over, and return the bundles."""
        self.wait_for(lambda: self.runner.over)
        assert self.runner.join()
        assert self.disk.close(LONGEST_S)
        return [bundle.read(path) for path in sorted(self.folder.glob("*.bundle"))] if self.folder.exists() else []

    def stop(self) -> list[Bundle]:
        self.runner.stop()
        return self.end()


def resealed(one: Bundle, path: Path, /, **changes: Any) -> Path:
    """Write a bundle with other contents and the right checksum; `changes` are tensors, or fields of its document."""
    import json

    metadata, arrays = sealed.unseal(sealed.load(Path(one.path), 1 << 30), one.path)
    document = json.loads(metadata[bundle.KEY])
    for name, value in changes.items():
        (arrays if name in arrays else document)[name] = value
    metadata[bundle.KEY] = json.dumps(document)
    sealed.write(path, sealed.seal(arrays, metadata))
    return path


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


def streamed(files: Path, model: str = "points", source: str = "walk.bin", **keys: Any) -> tuple[Stream, edgesnn.Model]:
    path = files / f"{model}.safetensors"
    source = source if ":" in source else str(files / source)
    stream = Stream(name=keys.pop("name", "door"), source=source, model=str(path), **keys)
    return stream, edgesnn.load(path)


def assert_reproduced(made: Bundle) -> None:
    assert not list(differences(made, model_of(made)))
    assert len(list(again(made, model_of(made)))) == made.about["decisions"] > 0
