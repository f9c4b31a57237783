"""Hostile and damaged bags of ROS: bombs, lost headers, circles; what is behind the damage is read."""

from __future__ import annotations

import bz2
import sqlite3
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
import zstandard

import edgesnn
from edgesnn.events.formats.rosbag1 import MAGIC
from tests.memory import read_in_packets
from tests.property.ros_files import PACKET, TOPIC, Packet, bag1, bag2, mcap, packets, serialized

U32 = struct.Struct("<I")


MAKERS = {"bag": bag1, "db3": bag2, "mcap": mcap}


def record1(fields: dict[str, bytes], data: bytes) -> bytes:
    """A record of a ROS 1 bag."""
    parts = [name.encode() + b"=" + value for name, value in fields.items()]
    header = b"".join(U32.pack(len(part)) + part for part in parts)
    return U32.pack(len(header)) + header + U32.pack(len(data)) + data


def fields1(fields: dict[str, bytes]) -> bytes:
    return record1(fields, b"")[4:-4]


def made1(chunks: list[tuple[str, bytes, int]], index_pos: int = 0) -> bytes:
    """A bag of chunks (compression, packed bytes, size that they promise), without an index unless it says one."""
    bag = {"op": b"\x03", "index_pos": struct.pack("<Q", index_pos), "conn_count": bytes(4), "chunk_count": bytes(4)}
    parts = [MAGIC, record1(bag, b" " * 4000)]
    for compression, data, size in chunks:
        head = {"compression": compression.encode(), "op": b"\x05", "size": U32.pack(size)}
        parts.append(record1(head, data))
    return b"".join(parts)


def connection1() -> bytes:
    topic = TOPIC.encode()
    data = fields1({"topic": topic, "type": PACKET.replace("/msg", "").encode(), "md5sum": b"*"})
    return record1({"op": b"\x07", "conn": U32.pack(0), "topic": topic}, data)


def message1(packet: Packet) -> bytes:
    return record1({"op": b"\x02", "conn": U32.pack(0), "time": bytes(8)}, serialized(packet, 1))


def mono(count: int, size: int = 40) -> list[Packet]:
    return packets("mono", np.random.default_rng(6), count, size=size)


def lengths(recording: edgesnn.Recording) -> int:
    return sum(len(packet) for packet in recording.packets())


PACKERS = {"lz4": lz4.frame.compress, "bz2": bz2.compress}


def zeros(packer: str, count: int) -> Iterator[bytes]:
    """Packed zeros, made without holding them."""
    maker = {"lz4": lz4.frame.LZ4FrameCompressor, "bz2": bz2.BZ2Compressor}[packer]()
    if packer == "lz4":
        yield maker.begin()
    for _ in range(count >> 20):
        yield maker.compress(bytes(1 << 20))
    yield maker.flush()


def read_apart(path: Path, warm: bytes) -> tuple[int, int]:
    """Read in a process of its own, after a small file; return its events and how many KiB it grew."""
    small = path.with_name(f"small{path.suffix}")
    small.write_bytes(warm)
    events, _, grown = read_in_packets(small, path)
    return events, grown


@pytest.mark.parametrize("packer", PACKERS)
def test_a_chunk_that_becomes_a_gigabyte_is_refused_in_little_memory(tmp_path: Path, packer: str) -> None:
    path = tmp_path / "a.bag"
    first = connection1() + b"".join(map(message1, mono(4)))
    bomb = b"".join(zeros(packer, 1 << 30 if packer == "lz4" else 256 << 20))
    path.write_bytes(made1([("none", first, len(first)), (packer, bomb, 1 << 30)]))
    with pytest.raises(edgesnn.RecordingError, match=r"byte \d+: "):
        lengths(edgesnn.open(path))
    events, grown = read_apart(path, bag1(mono(4), mode=packer))
    assert events == 4 * 40
    assert grown < 32 << 10


def test_a_message_packed_with_zstd_that_becomes_a_gigabyte_is_refused(tmp_path: Path) -> None:
    for number, said in enumerate((True, False)):
        path = tmp_path / f"{number}.db3"
        path.write_bytes(bag2(mono(4)))
        pack = zstandard.ZstdCompressor(write_content_size=said)
        if said:
            bomb = pack.compress(bytes(64 << 20))
        else:
            stream = pack.compressobj()
            bomb = b"".join(stream.compress(bytes(1 << 20)) for _ in range(1 << 9)) + stream.flush()
        connection = sqlite3.connect(path)
        connection.execute("INSERT INTO messages VALUES (100, 2, 0, ?)", (bomb,))
        connection.commit()
        connection.close()
        with pytest.raises(edgesnn.RecordingError, match="message 100: "):
            lengths(edgesnn.open(path))
        events, grown = read_apart(path, bag2(mono(4), mode="message"))
        assert events == 4 * 40
        assert grown < 32 << 10


@pytest.mark.parametrize("mode", ["none", "lz4", "bz2"])
def test_behind_a_lost_message_header_and_a_lost_chunk_the_others_are_read(tmp_path: Path, mode: str) -> None:
    chunks = []
    for part in (mono(20)[:10], mono(20)[10:15], mono(20)[15:]):
        records = [connection1(), *map(message1, part)]
        if len(part) == 10:
            records[3] = b"\xff\xff\xff\x7f" + records[3][4:]  # the length of its header
        data = b"".join(records)
        chunks.append((mode, PACKERS.get(mode, bytes)(data), len(data)))
    path = tmp_path / "a.bag"
    path.write_bytes(made1(chunks))
    recording = edgesnn.open(path, on_corrupt="skip")
    assert lengths(recording) == 19 * 40
    assert recording.counters["bad_words"] == 1
    assert recording.counters["lost_packets"] == 1
    with pytest.raises(edgesnn.RecordingError, match="in this chunk: the header of a record cannot have"):
        lengths(edgesnn.open(path))
    whole = bytearray(path.read_bytes())
    second = whole.index(b"op=\x05", whole.index(b"op=\x05") + 1)
    second = whole.rindex(b"compression=", 0, second) - 8
    whole[second : second + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(whole)
    recording = edgesnn.open(path, on_corrupt="skip")
    assert lengths(recording) == 14 * 40
    assert recording.counters["bad_words"] == 2
    assert recording.counters["lost_packets"] == 6


def test_a_bag_that_was_not_closed_is_read_to_its_end(tmp_path: Path) -> None:
    data = connection1() + b"".join(map(message1, mono(5)))
    path = tmp_path / "a.bag.active"
    path.write_bytes(made1([("none", data, len(data))]))
    recording = edgesnn.open(path)
    assert (recording.format, recording.sensor) == ("rosbag1", (320, 240))
    assert lengths(recording) == 5 * 40
    assert not any(recording.counters.values())


def test_a_chunk_of_another_compression_is_named(tmp_path: Path) -> None:
    data = connection1() + b"".join(map(message1, mono(5)))
    path = tmp_path / "a.bag"
    path.write_bytes(made1([("none", data, len(data)), ("xz", b"packed", 99)]))
    with pytest.raises(edgesnn.RecordingError, match="compression 'xz' is not read"):
        lengths(edgesnn.open(path))


def test_the_place_of_an_error_is_that_of_the_message(tmp_path: Path) -> None:
    some = mono(5)
    some[3] = Packet("mono", some[3].data[:-1], some[3].seq, some[3].base_ns)
    path = tmp_path / "a.bag"
    path.write_bytes(bag1(some))
    with pytest.raises(edgesnn.RecordingError) as caught:
        lengths(edgesnn.open(path))
    assert caught.value.offset is not None
    tail = some[3].data[-7:]
    assert path.read_bytes()[caught.value.offset :].startswith(tail)


def test_pages_that_name_each_other_end(tmp_path: Path) -> None:
    path = tmp_path / "a.db3"
    data = bytearray(bag2(mono(200)))
    page_bytes = int.from_bytes(data[16:18], "big")
    interior = [at for at in range(page_bytes, len(data), page_bytes) if data[at] == 5]
    assert interior
    for at in interior:
        page = at // page_bytes + 1
        count = int.from_bytes(data[at + 3 : at + 5], "big")
        for cell in np.frombuffer(data[at + 12 : at + 12 + 2 * count], ">u2").tolist():
            data[at + cell : at + cell + 4] = page.to_bytes(4, "big")
    path.write_bytes(data)
    start = time.monotonic()
    with pytest.raises(edgesnn.RecordingError, match="used twice"):
        lengths(edgesnn.open(path))
    recording = edgesnn.open(path, on_corrupt="skip")
    assert lengths(recording) < 100 * 40
    assert recording.counters["bad_words"]
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("place", [1 << 63, (1 << 64) - 1, 1 << 40])
def test_an_index_beyond_every_file_is_a_cut(tmp_path: Path, place: int) -> None:
    data = connection1() + b"".join(map(message1, mono(5)))
    path = tmp_path / "a.bag"
    path.write_bytes(made1([("none", data, len(data))], index_pos=place))
    with pytest.raises(edgesnn.RecordingError, match="the file is cut"):
        lengths(edgesnn.open(path))
    assert lengths(edgesnn.open(path, on_corrupt="skip")) == 5 * 40


@pytest.mark.parametrize("kind", ["bag", "db3", "mcap"])
def test_a_damaged_page_or_chunk_loses_itself_alone(tmp_path: Path, kind: str) -> None:
    some = mono(300)
    data = bytearray(MAKERS[kind](some))
    path = tmp_path / f"a.{kind}"
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 600] = b"\xff" * 600
    path.write_bytes(data)
    recording = edgesnn.open(path, on_corrupt="skip")
    assert lengths(recording) > 280 * 40
    assert recording.counters["bad_words"]
    with pytest.raises(edgesnn.RecordingError):
        lengths(edgesnn.open(path))


@pytest.mark.parametrize("kind", ["bag", "bag-lz4", "db3", "mcap", "mcap-storage"])
def test_a_long_bag_is_read_in_bounded_memory(tmp_path: Path, kind: str) -> None:
    one = mono(1, size=20_000)[0]
    some = [Packet("mono", one.data, seq, one.base_ns + seq * 5_000_000) for seq in range(400)]
    name, _, mode = kind.partition("-")
    path = tmp_path / f"a.{name}"
    path.write_bytes(MAKERS[name](some, mode=mode or "none"))
    del some
    assert mode or path.stat().st_size > 60 << 20
    events, grown = read_apart(path, MAKERS[name](mono(4), mode=mode or "none"))
    assert events == 400 * 20_000
    assert grown < 32 << 10


SLOW_KIND = pytest.param("bag-bz2", marks=pytest.mark.full)


@pytest.mark.parametrize("kind", ["bag", SLOW_KIND, "bag-lz4", "db3", "mcap", "mcap-storage"])
def test_messages_of_almost_the_largest_size_are_read_in_bounded_memory(tmp_path: Path, kind: str) -> None:
    count = 1_900_000  # 15 MB of 16 MiB
    words = np.uint64(5) << np.uint64(48) | np.arange(count, dtype=np.uint64) * np.uint64(1000)
    some = [Packet("mono", words.tobytes(), seq, seq * 1_900_000_000) for seq in range(3)]
    name, _, mode = kind.partition("-")
    path = tmp_path / f"a.{name}"
    path.write_bytes(MAKERS[name](some, mode=mode or "none"))
    del some
    events, grown = read_apart(path, MAKERS[name](mono(4), mode=mode or "none"))
    assert events == 3 * count
    assert grown < 32 << 10


def test_a_row_with_a_damaged_number_loses_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.db3"
    path.write_bytes(bag2(mono(6)))
    connection = sqlite3.connect(path)
    connection.execute("UPDATE messages SET id = id + 1000000 WHERE id = 3")
    connection.commit()
    connection.close()
    data = bytearray(path.read_bytes())
    row = data.index((1_000_003 >> 14 | 0x80).to_bytes(1, "big") + bytes([1_000_003 >> 7 & 127 | 128, 1_000_003 & 127]))
    data[row + 2] ^= 1
    path.write_bytes(data)
    assert lengths(edgesnn.open(path)) == 6 * 40


def test_a_folder_says_which_file_of_it_is_meant(tmp_path: Path) -> None:
    (tmp_path / "metadata.yaml").write_text("")
    with pytest.raises(edgesnn.RecordingError, match=r"not a regular file.*name the \.db3 or \.mcap file in it"):
        edgesnn.open(tmp_path)
