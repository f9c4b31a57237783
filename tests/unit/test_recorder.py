"""The flight recorder: a bundle gives what was published again, whatever made it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn import _native
from edgesnn.daemon import runner as runners
from edgesnn.pipeline import Pipeline, Ring
from edgesnn.recorder import bundle
from edgesnn.recorder.bundle import Bundle
from tests.flights import Flight, assert_reproduced, files, streamed
from tests.live import encoded, made_up
from tests.walks import make_events, same

__all__ = ["files"]  # a fixture
ROOT = Path(__file__).resolve().parents[2]


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
