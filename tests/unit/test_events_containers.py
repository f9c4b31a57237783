"""A recording of a container format, read as a file only, goes the same ways as one whose bytes are a stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import edgesnn
from edgesnn.cli.main import main
from edgesnn.errors import RecordingError
from edgesnn.events import registry
from edgesnn.events.formats.base import NO_COUNTERS, Head, Header, ReaderOptions, Step
from edgesnn.events.types import EVENT, TRIGGER
from tests.small_models import small_document

MAGIC = b"PAGES"
PAGE = 500


class Pages:
    """Raw event records in pages of 500."""

    name = "pages"
    title = "Pages"
    has_magic = True
    native = False
    verified = False

    def matches(self, head: Head) -> bool:
        return head.data.startswith(MAGIC)

    def header(self, head: Head) -> Header:
        return Header(len(MAGIC), (128, 128))

    def reader(self, options: ReaderOptions) -> PagesReader:
        return PagesReader(options)


class PagesReader:
    def __init__(self, options: ReaderOptions) -> None:
        self.options = options
        self.t_end_us: int | None = None
        self.counters = dict(NO_COUNTERS)

    def __iter__(self) -> Iterator[Step]:
        data = Path(self.options.path).read_bytes()[self.options.header.data_offset :]
        for start in range(0, len(data), PAGE * EVENT.itemsize):
            page = data[start : start + PAGE * EVENT.itemsize]
            whole = len(page) // EVENT.itemsize * EVENT.itemsize
            events = np.frombuffer(page[:whole], EVENT)
            self.t_end_us = int(events["t"].max())
            yield events, len(page), RecordingError("cut") if whole < len(page) else None

    def triggers(self) -> npt.NDArray[np.void]:
        return np.zeros(0, TRIGGER)


@pytest.fixture
def events() -> npt.NDArray[np.void]:
    rng = np.random.default_rng(3)
    events = np.zeros(20_000, EVENT)
    events["t"] = np.sort(rng.integers(0, 600_000, len(events)))
    events["x"], events["y"] = rng.integers(0, 128, (2, len(events)))
    events["p"] = rng.integers(0, 2, len(events))
    return events


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: npt.NDArray[np.void]) -> Path:
    monkeypatch.setitem(registry.FORMATS, "pages", f"{__name__}:Pages")
    path = tmp_path / "book.pages"
    path.write_bytes(MAGIC + events.tobytes())
    return path


def test_it_is_read_in_packets_of_any_size(file: Path, events: npt.NDArray[np.void]) -> None:
    recording = edgesnn.open(file)
    assert (recording.format, recording.sensor, recording.verified) == ("pages", (128, 128), False)
    assert (recording.read() == events).all()
    assert recording.t_end_us == events["t"].max()
    for options in ({"count": 7}, {"duration_us": 1000}, {}):
        assert (np.concatenate(list(recording.packets(**options))) == events).all()


@pytest.mark.parametrize("speed", ["max", "100x"])
def test_a_pipeline_takes_it_as_it_takes_arrays(file: Path, events: npt.NDArray[np.void], speed: str) -> None:
    model = edgesnn.Model(small_document(), backend="reference")
    arrays = [(p.window, p.label, p.confidence, p.spikes) for p in edgesnn.Pipeline([events], model)]
    with edgesnn.Pipeline(file, model, speed=speed) as pipeline:
        assert [(p.window, p.label, p.confidence, p.spikes) for p in pipeline] == arrays
    assert len(arrays) > 5


def test_a_snapshot_goes_on_in_the_middle_of_it(file: Path) -> None:
    model = edgesnn.Model(small_document(), backend="reference")
    whole = [p.spikes for p in edgesnn.Pipeline(file, model)]
    first = edgesnn.Pipeline(file, model)
    before = [next(first).spikes for _ in range(4)]
    second = edgesnn.Pipeline(file, model)
    second.restore(first.snapshot())
    assert before + [p.spikes for p in second] == whole


def test_its_damage_comes_after_what_was_before(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])
    seen = []
    with pytest.raises(RecordingError, match="cut"):
        seen.extend(edgesnn.open(file).packets(count=100))
    assert sum(len(packet) for packet in seen) > 19_000


def test_bytes_of_it_are_refused(file: Path) -> None:
    with pytest.raises(edgesnn.UsageError, match="not a stream of bytes"):
        edgesnn.Decoder("pages")
    model = edgesnn.Model(small_document(), backend="reference")
    with pytest.raises(edgesnn.UsageError, match="no native decoder"):
        edgesnn.Pipeline(None, model, format="pages")


def test_info_says_that_no_real_file_was_compared(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(file)]) == 0
    assert "pages (unverified" in capsys.readouterr().out
