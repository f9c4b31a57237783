"""Hostile AEDAT4: each file gives its error or what is good in it, in bounded memory."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

import edgesnn
from edgesnn.events.formats import aedat4_writer
from edgesnn.events.types import EVENT
from tests.memory import read_in_packets
from tests.property.aedat_files import EVENT4, Packets4, aedat4, event_packet, io_header, pack, rising_events

SENSOR = (320, 240)
MAGIC = b"#!AER-DAT4.0\r\n"
COMPRESSIONS = pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])


def some_events(count: int = 1000) -> np.ndarray:
    return rising_events(np.random.default_rng(5), count, SENSOR, 1_600_000_000_000_000)


def write(path: Path, compression: str, packets: bytes) -> Path:
    path.write_bytes(MAGIC + io_header(compression, SENSOR) + packets)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(edgesnn.RecordingError) as caught:
        edgesnn.open(path).read()
    assert str(path) in str(caught.value)
    return str(caught.value)


def bomb(compression: str, size: int) -> bytes:
    """A packet of events that all are the same: a few bytes that unpack to `size`."""
    return pack(compression, event_packet(np.zeros(size // 16, EVENT4)))


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_a_bomb_is_refused_in_bounded_memory(tmp_path: Path, compression: str) -> None:
    content = bomb(compression, 200 << 20)
    path = write(tmp_path / "a.aedat4", compression, struct.pack("<ii", 0, len(content)) + content)
    assert "unpacks to more than 64 times its size" in refusal(path)
    few = pack(compression, event_packet(some_events()))
    small = write(tmp_path / "small.aedat4", compression, struct.pack("<ii", 0, len(few)) + few)
    events, counters, grown = read_in_packets(small, path)
    assert events < 8_000_000
    assert counters["bad_words"] == 1
    assert grown < 150 << 10


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_a_frame_that_lies_about_its_size_takes_no_memory(tmp_path: Path, compression: str) -> None:
    content = bytearray(pack(compression, event_packet(some_events())))
    if compression == "lz4":  # content size flag, a claim of 4 GiB
        content = content[:4] + bytes([content[4] | 8, content[5]]) + struct.pack("<Q", 1 << 32) + b"\0" + content[7:]
    else:  # frame content size of eight bytes
        content = content[:4] + bytes([0xE0]) + struct.pack("<Q", 1 << 40) + content[7:]
    path = write(tmp_path / "a.aedat4", compression, struct.pack("<ii", 0, len(content)) + bytes(content))
    assert "AEDAT4 packet" in refusal(path)


@COMPRESSIONS
def test_a_damaged_packet_loses_itself_alone(tmp_path: Path, compression: str) -> None:
    events = some_events()
    packets = Packets4(compression)
    for at in range(0, 1000, 100):
        packets.add(0, event_packet(events[at : at + 100]))
    offset, _, size, *_ = packets.table[4]
    data = bytearray(packets.data)
    data[offset + 8 : offset + 8 + size] = bytes(size)
    path = write(tmp_path / "a.aedat4", compression, bytes(data))
    assert "byte " in refusal(path)
    skipping = edgesnn.open(path, on_corrupt="skip")
    got = skipping.read()
    assert skipping.counters["bad_words"] >= 1
    np.testing.assert_array_equal(got, np.concatenate([events[:400], events[500:]]).astype(got.dtype))


@COMPRESSIONS
@pytest.mark.parametrize("claim", [0, -1, 3, 7, 2**31 - 1, 3000])
def test_a_damaged_size_loses_at_most_that_packet(tmp_path: Path, compression: str, claim: int) -> None:
    events = some_events()
    packets = Packets4(compression)
    for at in range(0, 1000, 100):
        packets.add(0, event_packet(events[at : at + 100]))
    offset = packets.table[4][0]
    data = bytearray(packets.data)
    data[offset + 4 : offset + 8] = struct.pack("<i", claim)
    path = write(tmp_path / "a.aedat4", compression, bytes(data))
    assert "AEDAT4 packet" in refusal(path)
    skipping = edgesnn.open(path, on_corrupt="skip")
    got = skipping.read()
    assert skipping.counters["bad_words"] >= 1
    assert len(got) >= 900
    assert np.isin(got["t"], events["t"]).all()


def test_one_damaged_time_never_moves_the_clock(tmp_path: Path) -> None:
    events = some_events(300)
    for at in (0, 1, 150, 298):
        bad = events.copy()
        bad["t"][at] += 1 << 40
        header, data = aedat4("none", bad, SENSOR, packet=50)
        path = tmp_path / "a.aedat4"
        path.write_bytes(header + data)
        assert "its time is far ahead" in refusal(path)
        skipping = edgesnn.open(path, on_corrupt="skip")
        np.testing.assert_array_equal(skipping.read()["t"], np.delete(events["t"], at))
        assert skipping.t_end_us == events["t"][-1]
        assert skipping.counters["bad_words"] == 1


def test_a_packet_of_wrong_times_never_moves_the_clock(tmp_path: Path) -> None:
    events = some_events(300)
    bad = events.copy()
    bad["t"][100:150] = bad["t"][100:150] << 8
    header, data = aedat4("none", bad, SENSOR, packet=50)
    path = tmp_path / "a.aedat4"
    path.write_bytes(header + data)
    assert "its time is far ahead" in refusal(path)
    skipping = edgesnn.open(path, on_corrupt="skip")
    np.testing.assert_array_equal(skipping.read()["t"], np.delete(events["t"], np.arange(100, 150)))
    assert skipping.t_end_us == events["t"][-1]
    assert skipping.counters["bad_words"] == 50


def test_a_pause_is_no_damage(tmp_path: Path) -> None:
    events = some_events(300)
    events["t"][150:] += 3_600_000_000
    header, data = aedat4("none", events, SENSOR, packet=50)
    path = tmp_path / "a.aedat4"
    path.write_bytes(header + data)
    recording = edgesnn.open(path)
    assert recording.read()["t"].tolist() == events["t"].tolist()
    assert recording.counters["time_resyncs"] == 1


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        (b"EVTS", "no stream of events"),
        (b'name="0"', "no stream of events"),
        (b"IOHE", "IOHeader is damaged"),
        (b"outInfo", ""),
    ],
)
def test_an_io_header_without_its_parts(tmp_path: Path, xml: bytes, message: str) -> None:
    header, data = aedat4("none", some_events(), SENSOR)
    path = tmp_path / "a.aedat4"
    path.write_bytes(header.replace(xml, b"?" * len(xml)) + data)
    if message:
        assert message in refusal(path)
    else:
        assert len(edgesnn.open(path).read()) == 1000


@pytest.mark.parametrize("length", [0, 3, 70_000, 2**32 - 1])
def test_an_io_header_of_impossible_length(tmp_path: Path, length: int) -> None:
    path = tmp_path / "a.aedat4"
    header, data = aedat4("none", some_events(8000), SENSOR)
    path.write_bytes(MAGIC + struct.pack("<I", length) + header[18:] + data)
    message = refusal(path)
    assert "header" in message.lower()


def test_an_unknown_compression_is_named(tmp_path: Path) -> None:
    header, data = aedat4("none", some_events(), SENSOR)
    at = header.index(b"IOHE") + 4 + 12 + 4
    path = tmp_path / "a.aedat4"
    path.write_bytes(header[:at] + struct.pack("<i", 9) + header[at + 4 :] + data)
    assert "unknown compression" in refusal(path)


def test_an_io_header_of_tags_that_never_end_is_quick(tmp_path: Path) -> None:
    text = b'<attr key="' * 5000
    flat = struct.pack("<I4sHHHHHH", 20, b"IOHE", 10, 20, 4, 8, 16, 0) + struct.pack("<iiqI", 12, 0, -1, 4)
    flat += struct.pack("<I", len(text)) + text + b"\0"
    path = tmp_path / "a.aedat4"
    path.write_bytes(MAGIC + struct.pack("<I", len(flat)) + flat)
    assert "no stream of events" in refusal(path)


def test_packets_that_each_claim_the_rest_are_read_in_one_go(tmp_path: Path) -> None:
    content = pack("zstd", event_packet(some_events(1)))
    nested = b"".join(struct.pack("<ii", 0, 900_000 + 37 * i % 1000) + content for i in range(20_000))
    path = write(tmp_path / "a.aedat4", "zstd", nested)
    skipping = edgesnn.open(path, on_corrupt="skip")
    assert len(skipping.read()) > 1000
    assert skipping.counters["bad_words"] > 1000


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
@pytest.mark.parametrize("packet_events", [60_000, 4_000_000])
def test_events_that_pack_a_hundred_times_are_read_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str, packet_events: int
) -> None:
    monkeypatch.setattr(aedat4_writer, "_PACKET_EVENTS", packet_events)
    rng = np.random.default_rng(3)
    events = np.zeros(3_700_000, EVENT)
    events["t"] = 900_000
    some = events[:200_000]  # so many that all of them are less than 64 times as much
    some["t"] = np.sort(rng.integers(0, 900_000, len(some)))
    some["x"], some["y"] = rng.integers(0, 320, len(some)), rng.integers(0, 240, len(some))
    small, path = tmp_path / "small.aedat4", tmp_path / "a.aedat4"
    edgesnn.write(small, some[:5000], sensor=(320, 240), compression=compression)
    edgesnn.write(path, events, sensor=(320, 240), compression=compression)
    assert path.stat().st_size < 3 << 20
    count, counters, grown = read_in_packets(small, path)
    assert count == len(events)
    assert not any(counters.values())
    assert grown < 32 << 10
