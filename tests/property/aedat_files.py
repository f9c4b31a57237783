"""Made-up AEDAT files, byte by byte from the vendor's description of the format."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

EVENT4 = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1"), ("pad", "V3")])
COMPRESSIONS = {"none": 0, "lz4": 1, "zstd": 3}


def rising_events(rng: np.random.Generator, count: int, sensor: tuple[int, int], first_us: int = 0) -> np.ndarray:
    """Events whose times never fall and have no pause longer than a second."""
    events = np.zeros(count, [("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
    events["t"] = first_us + np.cumsum(rng.choice([0, 1, 20, 900_000], count, p=[0.3, 0.4, 0.29, 0.01]))
    events["x"], events["y"] = rng.integers(0, sensor[0], count), rng.integers(0, sensor[1], count)
    events["p"] = rng.integers(0, 2, count)
    return events


def event_packet(events: np.ndarray, spare: int = 0) -> bytes:
    """A size-prefixed "EVTS" flatbuffer; `spare` moves its table further in, in steps of eight bytes."""
    records = np.zeros(len(events), EVENT4)
    for name in "txyp":
        records[name] = events[name]
    vtable, table = 8 + 8 * spare, 16 + 8 * spare
    flat = struct.pack("<I4s", table, b"EVTS") + bytes(8 * spare) + struct.pack("<HHHH", 6, 8, 4, 0)
    flat += struct.pack("<iII", table - vtable, 4, len(events)) + records.tobytes()
    return struct.pack("<I", len(flat)) + flat


def trigger_packet(triggers: Sequence[tuple[int, int]]) -> bytes:
    """A size-prefixed "TRIG" flatbuffer of (t, type) tables, the vtable shared."""
    vtable = 8
    flat = struct.pack("<I4sHHHHHHHH", 24, b"TRIG", 8, 20, 4, 12, 6, 8, 4, 0)
    first_table = 24 + 12 + 4 * len(triggers)
    flat += struct.pack("<iII", 24 - 16, 4, len(triggers))
    for i in range(len(triggers)):
        flat += struct.pack("<I", first_table + 20 * i - len(flat))
    for i, (t_us, type_) in enumerate(triggers):
        flat += struct.pack("<iqB7x", first_table + 20 * i - vtable, t_us, type_)
    return struct.pack("<I", len(flat)) + flat


def pack(compression: str, content: bytes) -> bytes:
    """The content as it stands in a packet."""
    if compression == "lz4":
        return bytes(pytest.importorskip("lz4.frame", reason="the extra `events` is not installed").compress(content))
    if compression == "zstd":
        zstandard = pytest.importorskip("zstandard", reason="the extra `events` is not installed")
        return bytes(zstandard.ZstdCompressor().compress(content))
    return content


def io_header(
    compression: str, sensor: tuple[int, int], table_position: int = -1, kinds: str = "EVTS TRIG FRME"
) -> bytes:
    """A size-prefixed IOHeader of streams of these types."""
    xml = '<dv version="2.0"><node name="outInfo" path="/mainloop/Recorder/outInfo/">'
    for number, kind in enumerate(kinds.split()):
        xml += f'<node name="{number}" path="/{number}/"><attr key="typeIdentifier" type="string">{kind}</attr>'
        xml += f'<node name="info"><attr key="sizeX" type="int">{sensor[0]}</attr>'
        xml += f'<attr key="sizeY" type="int">{sensor[1]}</attr></node></node>'
    text = (xml + "</node></dv>").encode()
    flat = struct.pack("<I4sHHHHHH", 20, b"IOHE", 10, 20, 4, 8, 16, 0)
    flat += struct.pack("<iiqI", 20 - 8, COMPRESSIONS[compression], table_position, 4)
    flat += struct.pack("<I", len(text)) + text + b"\0"
    return struct.pack("<I", len(flat)) + flat


@dataclass
class Packets4:
    """The packets of an AEDAT4 file.

    Attributes:
        compression: "none", "lz4" or "zstd".
        data: they themselves.
        table: (offset from the first packet, stream, size, elements, first time, last time) of each.
    """

    compression: str
    data: bytes = b""
    table: list[tuple[int, int, int, int, int, int]] = field(default_factory=list)

    def add(self, stream: int, content: bytes, count: int = 0, first_us: int = 0, last_us: int = 0) -> None:
        """Add one."""
        packed = pack(self.compression, content)
        self.table.append((len(self.data), stream, len(packed), count, first_us, last_us))
        self.data += struct.pack("<ii", stream, len(packed)) + packed


def table_content(packets: Packets4, first_offset: int) -> bytes:
    """A size-prefixed "FTAB" flatbuffer of the packets."""
    flat = struct.pack("<I4sHHHHHHHHHHH2x", 32, b"FTAB", 14, 48, 4, 16, 24, 32, 40, 6, 8, 4, 0)
    count = len(packets.table)
    first_table = 32 + 12 + 4 * count
    flat += struct.pack("<iII", 32 - 22, 4, count)
    for i in range(count):
        flat += struct.pack("<I", first_table + 48 * i - len(flat))
    for i, (offset, stream, size, elements, first_us, last_us) in enumerate(packets.table):
        at = first_table + 48 * i
        flat += struct.pack("<iq4xqqqii", at - 8, first_offset + offset, elements, first_us, last_us, stream, size)
    return struct.pack("<I", len(flat)) + flat


def aedat4(
    compression: str,
    events: np.ndarray,
    sensor: tuple[int, int],
    *,
    triggers: Sequence[tuple[int, int]] = (),
    packet: int = 100,
    table: bool = False,
) -> tuple[bytes, bytes]:
    """Return header and data of a file: events in packets, a frame's bytes among them, triggers at the end."""
    packets = Packets4(compression)
    for at in range(0, len(events), packet):
        part = events[at : at + packet]
        packets.add(0, event_packet(part, spare=at % 3), len(part), int(part["t"][0]), int(part["t"][-1]))
        if at == packet:
            packets.add(2, struct.pack("<I4x4s", 40, b"FRME") + bytes(32))
    if len(triggers):
        packets.add(1, trigger_packet(triggers), len(triggers), triggers[0][0], triggers[-1][0])
    magic = b"#!AER-DAT4.0\r\n"
    start = len(magic) + len(io_header(compression, sensor))
    position = start + len(packets.data) if table else -1
    tail = pack(compression, table_content(packets, start)) if table else b""
    return magic + io_header(compression, sensor, position), packets.data + tail
