"""Made-up ROS messages with events, and bags of them as rosbags writes them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from tests.property.streams import SENSOR, camera_evt3

PACKET = "event_camera_msgs/msg/EventPacket"
ARRAY = "dvs_msgs/msg/EventArray"
TOPIC = "/camera/events"
_DEFINITIONS = {
    PACKET: "std_msgs/Header header\nuint32 height\nuint32 width\nuint64 seq\nuint64 time_base\nstring encoding\n"
    "bool is_bigendian\nuint8[] events\n",
    "dvs_msgs/msg/Event": "uint16 x\nuint16 y\n{time} ts\nbool polarity\n",
    ARRAY: "std_msgs/Header header\nuint32 height\nuint32 width\ndvs_msgs/Event[] events\n",
}


@dataclass(frozen=True)
class Packet:
    """What an EventPacket holds; `encoding` "dvs": an EventArray, `data` rows of t (ns), x, y, p."""

    encoding: str
    data: Any
    seq: int = 0
    base_ns: int = 0
    size: tuple[int, int] = SENSOR

    @property
    def type(self) -> str:
        return ARRAY if self.encoding == "dvs" else PACKET


@cache
def store(ros: int) -> Typestore:
    """The types of this ROS with those of the events."""
    found = get_typestore(Stores.ROS1_NOETIC if ros == 1 else Stores.ROS2_HUMBLE)
    time = "time" if ros == 1 else "builtin_interfaces/Time"
    for name, text in _DEFINITIONS.items():
        found.register(get_types_from_msg(text.replace("{time}", time), name))
    return found


def message(packet: Packet, ros: int) -> Any:
    """The message as an object of rosbags' classes."""
    types = store(ros).types
    stamp = types["builtin_interfaces/msg/Time"](sec=12, nanosec=34)
    header = types["std_msgs/msg/Header"](stamp=stamp, frame_id="cam", **({"seq": packet.seq} if ros == 1 else {}))
    width, height = packet.size
    if packet.encoding != "dvs":
        data = np.frombuffer(packet.data, np.uint8)
        return types[PACKET](header, height, width, packet.seq, packet.base_ns, packet.encoding, False, data)
    time, event = types["builtin_interfaces/msg/Time"], types["dvs_msgs/msg/Event"]
    events = [event(x, y, time(t // 10**9, t % 10**9), bool(p)) for t, x, y, p in packet.data]
    return types[ARRAY](header, height, width, events)


def serialized(packet: Packet, ros: int) -> bytes:
    """The message's bytes."""
    serialize = store(1).serialize_ros1 if ros == 1 else store(2).serialize_cdr
    return bytes(serialize(message(packet, ros), packet.type))


Topics = dict[str, list[Packet]]


def bag2(
    packets: Iterable[Packet],
    *,
    storage: StoragePlugin = StoragePlugin.SQLITE3,
    mode: str = "none",
    more: Topics | None = None,
) -> bytes:
    """A bag of ROS 2, the events among strings; mode: "none", "message", "storage"."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bag"
        writer = Writer2(path, version=9, storage_plugin=storage)
        writer.set_compression(CompressionMode[mode.upper()], CompressionFormat.ZSTD)
        with writer:
            write_all(writer, 2, {TOPIC: list(packets), **(more or {})})
        return next(path.glob("bag.*[3p]")).read_bytes()


def mcap(packets: Iterable[Packet], *, mode: str = "none", more: Topics | None = None) -> bytes:
    """An MCAP file; mode: "none", "storage" (zstd)."""
    return bag2(packets, storage=StoragePlugin.MCAP, mode=mode, more=more)


def bag1(packets: Iterable[Packet], *, mode: str = "none", more: Topics | None = None) -> bytes:
    """A bag of ROS 1 in small chunks; mode: "none", "lz4", "bz2"."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.bag"
        writer = Writer1(path)
        writer.chunk_threshold = 1500
        if mode != "none":
            writer.set_compression(Writer1.CompressionFormat[mode.upper()])
        with writer:
            write_all(writer, 1, {TOPIC: list(packets), **(more or {})})
        return path.read_bytes()


def write_all(writer: Any, ros: int, topics: Topics) -> None:
    """Write the packets of all topics in turn, a string before each third."""
    types = store(ros)
    text = types.types["std_msgs/msg/String"]("nothing of events")
    serialize = types.serialize_ros1 if ros == 1 else types.serialize_cdr
    connections: dict[str, Any] = {}
    turns = zip_longest(*([(topic, packet) for packet in packets] for topic, packets in topics.items()))
    other = writer.add_connection("/chatter", "std_msgs/msg/String", typestore=types)
    if not any(topics.values()):
        writer.write(other, 0, serialize(text, "std_msgs/msg/String"))
    for number, (topic, packet) in enumerate(one for turn in turns for one in turn if one):
        if topic not in connections:
            connections[topic] = writer.add_connection(topic, packet.type, typestore=types)
        if number % 3 == 0:
            writer.write(other, number * 1000, serialize(text, "std_msgs/msg/String"))
        writer.write(connections[topic], number * 1000 + 1, serialized(packet, ros))


def packets(encoding: str, rng: np.random.Generator, count: int, *, size: int = 40) -> list[Packet]:
    """So many packets of some `size` records or words, whole and without a gap."""
    if encoding == "evt3":
        words = camera_evt3(rng, count * size, repeats=True).tobytes()
        cuts = [0, *sorted(rng.integers(0, len(words), count - 1).tolist()), len(words)]
        parts = [words[a:b] for a, b in pairwise(cuts)]
        return [Packet("evt3", part, 7 + number) for number, part in enumerate(parts)]
    base_ns = int(rng.choice([0, 1_500_000_000_123_456_789, 977_000]))
    out = []
    for number in range(count):
        dt_us = np.sort(rng.integers(0, 5_000, size))
        x, y, p = rng.integers(0, SENSOR[0], size), rng.integers(0, SENSOR[1], size), rng.integers(0, 2, size)
        if encoding == "dvs":
            dt_ns = dt_us * 1000 + rng.integers(-200, 200, size) + 1000
            data: Any = list(zip((base_ns + dt_ns).tolist(), x.tolist(), y.tolist(), p.tolist(), strict=True))
        else:
            data = _PACKERS[encoding](rng, dt_us, x, y, p)
        out.append(Packet(encoding, data, 7 + number, base_ns))
        base_ns += 5_000_000
    return out


def _mono(rng: np.random.Generator, dt_us: Any, x: Any, y: Any, p: Any) -> bytes:
    dt = (dt_us * 1000 + rng.integers(0, 2) * 499).astype("<u8")
    u = [column.astype("<u8") for column in (p, y, x)]
    packed: bytes = (u[0] << np.uint64(63) | u[1] << np.uint64(48) | u[2] << np.uint64(32) | dt).tobytes()
    return packed


def _libcaer(rng: np.random.Generator, dt_us: Any, x: Any, y: Any, p: Any) -> bytes:
    rows = np.stack([x << 17 | y << 2 | p << 1 | 1, dt_us], 1)
    return rows.astype("<u4").tobytes()


def _libcaer_cmp(rng: np.random.Generator, dt_us: Any, x: Any, y: Any, p: Any) -> bytes:
    words = []
    last = (-1, -1)
    for t, column, row, on in zip(dt_us.tolist(), x.tolist(), y.tolist(), p.tolist(), strict=True):
        if t >> 12 != last[0]:
            words.append(0x0000 | t >> 12)
        if t & 0xFFF != last[1]:
            words.append(0x1000 | t & 0xFFF)
        last = t >> 12, t & 0xFFF
        words.append(0x2000 | column)
        if rng.random() < 0.7:
            words.append(0x3000 | on << 11 | row)
        else:
            words += [0x4000 | on << 11 | min(row, SENSOR[1] - 24)]
            words += [0x5000 | int(rng.integers(0, 256)) for _ in range(rng.integers(1, 4))]
    return np.array(words, "<u2").tobytes()


_PACKERS = {"mono": _mono, "libcaer": _libcaer, "libcaer_cmp": _libcaer_cmp}
