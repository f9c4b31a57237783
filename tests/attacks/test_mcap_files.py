"""Hostile and damaged MCAP files: bombs, lost records, no end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zstandard

import edgesnn
from tests.attacks.test_rosbag_files import lengths, mono, read_apart, zeros
from tests.property import mcap_files


def zstd_zeros(count: int) -> bytes:
    stream = zstandard.ZstdCompressor(level=19).compressobj()
    return b"".join(stream.compress(bytes(1 << 20)) for _ in range(count >> 20)) + stream.flush()


@pytest.mark.parametrize("mode", ["lz4", "zstd"])
@pytest.mark.parametrize("honest", [True, False])
def test_a_chunk_of_mcap_that_becomes_a_gigabyte_is_refused_in_little_memory(
    tmp_path: Path, mode: str, honest: bool
) -> None:
    path = tmp_path / "a.mcap"
    rows = [mcap_files.names(), *(mcap_files.message(packet, n) for n, packet in enumerate(mono(4)))]
    first = mcap_files.chunk(b"".join(rows), "none")
    packed = zstd_zeros(1 << 30) if mode == "zstd" else b"".join(zeros("lz4", 1 << 30))
    bomb = mcap_files.chunk(b"", mode, size=1 << 30 if honest else 99, packed=packed)
    path.write_bytes(mcap_files.header() + first + bomb + mcap_files.end())
    with pytest.raises(edgesnn.RecordingError, match=r"byte \d+: "):
        lengths(edgesnn.open(path))
    events, grown = read_apart(path, mcap_files.mcap(mono(4), mode))
    assert events == 4 * 40
    assert grown < 32 << 10


@pytest.mark.parametrize("mode", ["none", "lz4", "zstd"])
def test_behind_a_lost_record_of_mcap_the_others_are_read(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.mcap"
    rows = [mcap_files.message(packet, n) for n, packet in enumerate(mono(20))]
    rows[0] = mcap_files.names() + rows[0]
    rows[2] = rows[2][:1] + b"\xff" * 8 + rows[2][9:]  # its length
    chunks = [mcap_files.chunk(b"".join(rows[at : at + 5]), mode) for at in range(0, 20, 5)]
    chunks[2] = chunks[2][:4] + b"\xff" + chunks[2][5:]
    data = mcap_files.header() + b"".join(chunks)
    path.write_bytes(data + mcap_files.end(mcap_files.names(), len(data)))
    recording = edgesnn.open(path, on_corrupt="skip")
    assert lengths(recording) == 14 * 40
    assert recording.counters["bad_words"] == 2
    assert recording.counters["lost_packets"] == 6
    with pytest.raises(edgesnn.RecordingError, match="in this chunk: "):
        lengths(edgesnn.open(path))


def test_a_wrong_checksum_of_a_chunk_comes_after_its_events(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    data = bytearray(mcap_files.mcap(mono(4), "none"))
    at = data.index(b"\x06", 8 + 9 + int.from_bytes(data[9:17], "little"))
    data[at + 9 + 24] ^= 1
    path.write_bytes(data)
    recording = edgesnn.open(path)
    seen: list[np.ndarray] = []
    with pytest.raises(edgesnn.RecordingError, match=rf"byte {at}: .*its checksum is wrong"):
        seen.extend(recording.packets())
    assert sum(map(len, seen)) == 4 * 40


@pytest.mark.parametrize("summary", [True, False])
def test_mcap_without_an_end_is_read_to_its_last_record(tmp_path: Path, summary: bool) -> None:
    path = tmp_path / "a.mcap"
    rows = [mcap_files.names(), *(mcap_files.message(packet, n) for n, packet in enumerate(mono(4)))]
    data = mcap_files.header() + mcap_files.chunk(b"".join(rows), "zstd")
    path.write_bytes(data + mcap_files.end() if summary else data)
    recording = edgesnn.open(path, on_corrupt="skip")
    assert lengths(recording) == 4 * 40
    assert recording.counters["truncated_bytes"] == (0 if summary else 1)
    if not summary:
        with pytest.raises(edgesnn.RecordingError, match="the file is cut, or its writer did not finish it"):
            lengths(edgesnn.open(path))


def test_mcap_of_ros_1_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    path.write_bytes(mcap_files.mcap(mono(4), "lz4", ros=1))
    recording = edgesnn.open(path)
    assert lengths(recording) == 4 * 40
    assert recording.fields["type"] == "event_camera_msgs/EventPacket"


def test_a_chunk_of_mcap_in_another_compression_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    data = mcap_files.mcap(mono(4), "lz4").replace(b"\x03\0\0\0lz4", b"\x03\0\0\0lz5")
    path.write_bytes(data)
    with pytest.raises(edgesnn.RecordingError, match="compression 'lz5' is not read"):
        lengths(edgesnn.open(path))
