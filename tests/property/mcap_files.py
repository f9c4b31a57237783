"""MCAP files as other recorders lay them out: small chunks, lz4, no chunks, no summary, no end."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

import lz4.frame
import zstandard

from tests.property.ros_files import PACKET, TOPIC, Packet, serialized

MAGIC = b"\x89MCAP0\r\n"
PACKERS = {"none": bytes, "lz4": lz4.frame.compress, "zstd": zstandard.ZstdCompressor().compress}


def text(value: str) -> bytes:
    return struct.pack("<I", len(value)) + value.encode()


def record(op: int, content: bytes) -> bytes:
    return struct.pack("<BQ", op, len(content)) + content


def header(profile: str = "ros2") -> bytes:
    return MAGIC + record(1, text(profile) + text("a test"))


def names(kind: str = PACKET, ros: int = 2) -> bytes:
    """Schemas and channels: events on channel 1, something else on channel 2."""
    encoding = "cdr" if ros == 2 else "ros1"
    schemas = [record(3, struct.pack("<H", n) + text(s) + text("ros2msg") + text("")) for n, s in _schemas(kind)]
    channels = [
        record(4, struct.pack("<HH", n, n) + text(topic) + text(encoding) + text(""))
        for n, topic in ((1, TOPIC), (2, "/chatter"))
    ]
    return b"".join(schemas + channels)


def _schemas(kind: str) -> tuple[tuple[int, str], ...]:
    return (1, kind), (2, "std_msgs/msg/String")


def message(packet: Packet, number: int, ros: int = 2) -> bytes:
    return record(5, struct.pack("<HIQQ", 1, number, 10 + number, 10 + number) + serialized(packet, ros))


def other(number: int) -> bytes:
    return record(5, struct.pack("<HIQQ", 2, number, 10 + number, 10 + number) + b"\0\1\0\0\2\0\0\0a\0")


def chunk(records: bytes, mode: str, *, size: int | None = None, packed: bytes | None = None) -> bytes:
    """A chunk of records, and an index of messages behind it."""
    packed = PACKERS[mode](records) if packed is None else packed
    head = struct.pack("<QQQI", 10, 99, len(records) if size is None else size, zlib.crc32(records))
    content = head + text("" if mode == "none" else mode) + struct.pack("<Q", len(packed)) + packed
    return record(6, content) + record(7, struct.pack("<HI", 1, 16) + bytes(16))


def end(summary: bytes = b"", before: int = 0) -> bytes:
    """The end of the data, a summary, the footer; `before`: bytes before them."""
    data_end = record(15, bytes(4))
    start = before + len(data_end) if summary else 0
    return data_end + summary + record(2, struct.pack("<QQI", start, 0, 0)) + MAGIC


def mcap(packets: Iterable[Packet], mode: str, *, ros: int = 2) -> bytes:
    """A whole file; mode: of its chunks of four messages, "flat" without any."""
    packets = list(packets)
    kind = packets[0].type if ros == 2 else packets[0].type.replace("/msg", "")
    rows = [other(n) + message(packet, n, ros) for n, packet in enumerate(packets)]
    rows[0] = names(kind, ros) + rows[0]
    if mode != "flat":
        rows = [chunk(b"".join(rows[at : at + 4]), mode) for at in range(0, len(rows), 4)]
    data = header() + b"".join(rows)
    return data + end(names(kind, ros), len(data))
