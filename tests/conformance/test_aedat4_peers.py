"""dv-processing, faery and aedat read what is written here, and what dv-processing writes and sends is read here."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesnn
from edgesnn.events import registry
from edgesnn.events.formats.aedat4_packets import Packets
from edgesnn.events.formats.base import EncoderOptions, is_writable
from edgesnn.events.types import EVENT, TRIGGER
from tests.live import read_events

pytestmark = pytest.mark.conformance

SENSOR = (640, 480)
COMPRESSIONS = pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])


@pytest.fixture
def events() -> np.ndarray:
    rng = np.random.default_rng(2)
    events = np.zeros(32_000, EVENT)
    events["t"] = 1_700_000_000_000_000 + np.cumsum(rng.integers(0, 20, len(events)))
    events["x"], events["y"] = rng.integers(0, SENSOR[0], len(events)), rng.integers(0, SENSOR[1], len(events))
    events["p"] = rng.integers(0, 2, len(events))
    return events


def written(path: Path, events: np.ndarray, triggers: np.ndarray, compression: str) -> str:
    pytest.importorskip("lz4", reason="the extra `events` is not installed")
    kind = registry.get("aedat4")
    assert is_writable(kind)
    one = kind.encoder(EncoderOptions(SENSOR, compression))
    data = one.begin() + one.encode(events[:9_999], triggers[:0], None) + one.encode(events[9_999:], triggers, None)
    tail, patches = one.finish()
    out = bytearray(data + tail)
    for offset, piece in patches:
        out[offset : offset + len(piece)] = piece
    path.write_bytes(out)
    return str(path)


def same(events: np.ndarray, theirs: np.ndarray, names: dict[str, str]) -> bool:
    return len(events) == len(theirs) and all((events[ours] == theirs[name]).all() for ours, name in names.items())


@COMPRESSIONS
def test_dv_processing_reads_what_is_written_here(tmp_path: Path, events: np.ndarray, compression: str) -> None:
    dv = pytest.importorskip("dv_processing", reason="dv-processing is not installed (extra peers)")
    first = int(events["t"][0])
    triggers = np.array([(first, 0, 1), (first + 5, 0, 0), (first + 9, 3, 1), (first + 9, 3, 0)], TRIGGER)
    recording = dv.io.MonoCameraRecording(written(tmp_path / "a.aedat4", events, triggers, compression))
    assert tuple(recording.getEventResolution()) == SENSOR
    batches, edges = [], []
    while recording.isRunning("events"):
        batches.append(recording.getNextEventBatch().numpy())
    while recording.isRunning("triggers"):
        edges += [(one.timestamp, int(one.type)) for one in recording.getNextTriggerBatch()]
    names = {"t": "timestamp", "x": "x", "y": "y", "p": "polarity"}
    assert same(events, np.concatenate(batches), names)
    assert edges == [(first, 1), (first + 5, 2), (first + 9, 4), (first + 9, 5)]


@COMPRESSIONS
def test_faery_and_aedat_read_what_is_written_here(tmp_path: Path, events: np.ndarray, compression: str) -> None:
    path = written(tmp_path / "a.aedat4", events, np.zeros(0, TRIGGER), compression)
    names = {"t": "t", "x": "x", "y": "y", "p": "on"}
    aedat = pytest.importorskip("aedat", reason="aedat is not installed (extra peers)")
    packets = [packet["events"] for packet in aedat.Decoder(path) if "events" in packet]
    assert same(events, np.concatenate(packets), names)
    faery = pytest.importorskip("faery", reason="faery is not installed")
    theirs = np.concatenate(list(faery.events_stream_from_file(path)))
    theirs["t"] += np.uint64(int(events["t"][0]) - int(theirs["t"][0]))  # it counts from the first event
    assert same(events, theirs, names)


def store(dv: Any, events: np.ndarray) -> Any:
    out = dv.EventStore()
    for t, x, y, p in events.tolist():
        out.push_back(t, x, y, bool(p))
    return out


@pytest.mark.parametrize("compression", ["NONE", "LZ4", "LZ4_HIGH", "ZSTD", "ZSTD_HIGH"])
def test_what_dv_processing_writes_is_read_here(tmp_path: Path, events: np.ndarray, compression: str) -> None:
    dv = pytest.importorskip("dv_processing", reason="dv-processing is not installed (extra peers)")
    pytest.importorskip("lz4", reason="the extra `events` is not installed")
    config = dv.io.MonoCameraWriter.Config("DVXplorer_X")
    config.compression = getattr(dv.CompressionType, compression)
    config.addEventStream(SENSOR)
    config.addTriggerStream()
    writer = dv.io.MonoCameraWriter(str(tmp_path / "a.aedat4"), config)
    writer.writeEvents(store(dv, events))
    first = int(events["t"][0])
    kinds = list(dv.TriggerType.__members__.values())
    for i, kind in enumerate(kinds):
        writer.writeTrigger(dv.Trigger(first + i, kind))
    del writer
    recording = edgesnn.open(tmp_path / "a.aedat4")
    assert recording.sensor == SENSOR
    np.testing.assert_array_equal(recording.read(), events)
    assert not any(recording.counters.values())
    external = {1: (0, 1), 2: (0, 0), 3: (0, 1), 4: (3, 1), 5: (3, 0)}
    assert recording.triggers().tolist() == [(first + i, *external[i]) for i in range(len(kinds)) if i in external]


SENDER = """
import sys, time
import dv_processing as dv
port, path = int(sys.argv[1]), sys.argv[2]
stream = dv.io.Stream.EventStream(0, "events", "camera", (640, 480))
writer = dv.io.NetworkWriter("127.0.0.1", port, stream)
recording = dv.io.MonoCameraRecording(path)
print("ready", flush=True)
while writer.getClientCount() == 0:
    time.sleep(0.01)
while recording.isRunning("events"):
    writer.writeEvents(recording.getNextEventBatch())
time.sleep(60)
"""


@pytest.mark.parametrize("by", ["packets", "source"])
def test_what_dv_processing_sends_is_read_here(tmp_path: Path, events: np.ndarray, by: str) -> None:
    pytest.importorskip("dv_processing", reason="dv-processing is not installed (extra peers)")
    path = written(tmp_path / "a.aedat4", events, np.zeros(0, TRIGGER), "none")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-c", SENDER, str(port), path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sender:
        try:
            assert sender.stdout is not None
            assert sender.stdout.readline() == "ready\n"
            read = by_packets if by == "packets" else by_source
            sensor, found = read(port, len(events))
        finally:
            sender.kill()
    assert sensor == SENSOR
    np.testing.assert_array_equal(found, events)


def by_packets(port: int, count: int) -> tuple[Any, np.ndarray]:
    packets = Packets(None, where=f"tcp://127.0.0.1:{port}")
    parts: list[np.ndarray] = []
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        while sum(map(len, parts)) < count:
            some, _, error = packets.feed(connection.recv(5000))
            assert error is None
            parts.append(some)
    return packets.sensor, np.concatenate(parts)


def by_source(port: int, count: int) -> tuple[Any, np.ndarray]:
    with edgesnn.open(f"tcp://127.0.0.1:{port}?format=aedat4") as source:
        found = read_events(source, count)
        return source.sensor, found
