"""A small whole file of every format that is read: contracts open it, attacks damage it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from edgesnn.events import registry
from edgesnn.events.formats.base import EncoderOptions, is_writable
from edgesnn.events.types import TRIGGER
from tests.property import aedat_files, aedat_streams, hdf5_files, mcap_files, ros_files, streams

SENSOR = streams.SENSOR
DAT_HEADER = b"% Data file containing CD events.\n% Version 2\n% Width 320\n% Height 240\n\x0c\x08"


@dataclass(frozen=True)
class WholeFile:
    """A file without damage, whose events lie inside SENSOR.

    Attributes:
        format: the format's name.
        suffix: of its name.
        header: what comes before the events.
        data: the events.
        sensor: what the file says, if it says it.
        says_its_end: the header does, so that it alone is a cut file.
        unit: bytes of a word or record: a cut between two of them is no damage. 0: the format has no such unit.
    """

    format: str
    suffix: str
    header: bytes
    data: bytes
    unit: int = 0
    sensor: tuple[int, int] = SENSOR
    says_its_end: bool = False


def raw(name: str, version: str, variant: str = "") -> WholeFile:
    """A RAW file of a camera."""
    lines = [f"evt {version}", "geometry {}x{}".format(*SENSOR), *(["endianness legacy"] if variant else []), "end"]
    return WholeFile(
        name, ".raw", "".join(f"% {line}\n" for line in lines).encode(), words(name, variant), streams.SIZES[name]
    )


def words(name: str, variant: str = "") -> bytes:
    """400 words or records."""
    return streams.MAKERS[name, variant](np.random.default_rng(11), 400, True).tobytes()


def nmnist() -> WholeFile:
    """Records without overflow markers: most of the made-up ones are out of place."""
    rows = np.frombuffer(words("nmnist"), np.uint8).reshape(-1, 5).copy()
    rows[:, 1] %= 240
    return WholeFile("nmnist", ".bin", b"", rows.tobytes(), 5)


def aedat4(compression: str, *, table: bool) -> WholeFile:
    """An AEDAT4 file with triggers and something that is passed over."""
    events = aedat_files.rising_events(np.random.default_rng(3), 400, SENSOR, 1_600_000_000_000_000)
    triggers = [(int(events["t"][-1]) + 10 * i, i) for i in range(10)]
    header, data = aedat_files.aedat4(compression, events, SENSOR, triggers=triggers, table=table)
    return WholeFile("aedat4", ".aedat4", header, data, says_its_end=table)


def aedat2(camera: str, line: str) -> WholeFile:
    """Records of a camera that the header names."""
    header = f"#!AER-DAT2.0\r\n# Timestamps tick is 1 us\r\n# {line}\r\n#End Of ASCII Header\r\n".encode()
    sensor = {"dvs128": (128, 128), "davis346": (346, 260)}.get(camera, SENSOR)
    return WholeFile("aedat2", ".aedat", header, words("aedat2", camera), 8, sensor)


def aedat31() -> WholeFile:
    """Packets of a camera of which the header says no size; events that all lie inside."""
    rng = np.random.default_rng(12)
    events = aedat_files.rising_events(rng, 400, SENSOR)
    rows = (events["x"].astype(int) << 17 | events["y"].astype(int) << 2 | events["p"].astype(int) << 1 | 1).tolist()
    parts = [(events["t"][at : at + 50], rows[at : at + 50]) for at in range(0, 400, 50)]
    data = b"".join(aedat_streams.packet31(1, 0, *part) for part in parts)
    lines = "#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: Camera\r\n#!END-HEADER\r\n"
    return WholeFile("aedat31", ".aedat", lines.encode(), data)


def csv() -> WholeFile:
    """Integers between commas, under their names."""
    data = b"".join(b"%d,%d,%d,%d\n" % (1000 + 3 * i, 7 * i % 320, i % 240, i % 2) for i in range(400))
    return WholeFile("csv", ".csv", b"t,x,y,p\n", data)


def npy() -> WholeFile:
    """Records as numpy writes them."""
    out = io.BytesIO()
    np.save(out, table())
    return WholeFile("npy", ".npy", b"", out.getvalue())


def npz(kind: str) -> WholeFile:
    """Columns side by side, deflated; or records, stored."""
    out, events = io.BytesIO(), table()
    if kind == "columns":
        np.savez_compressed(out, **{name: events[name] for name in "txyp"})
    else:
        np.savez(out, events=events)
    return WholeFile("npz", ".npz", b"", out.getvalue())


def mcap(encoding: str, mode: str) -> WholeFile:
    """An MCAP file of one topic with events and another; mode: "none", "lz4", "zstd", "flat" (without chunks)."""
    packets = ros_files.packets(encoding, np.random.default_rng(4), 12)
    data = mcap_files.mcap(packets, mode)
    header = 8 + 9 + int.from_bytes(data[9:17], "little")
    return WholeFile("mcap", ".mcap", data[:header], data[header:], says_its_end=True)


def rosbag1(encoding: str, mode: str = "none") -> WholeFile:
    """A bag of one topic with events and another, in chunks."""
    data = ros_files.bag1(ros_files.packets(encoding, np.random.default_rng(4), 12), mode=mode)
    return WholeFile("rosbag1", ".bag", data[: 13 + 4096], data[13 + 4096 :], says_its_end=True)


def rosbag2(encoding: str, mode: str = "none") -> WholeFile:
    """A bag of one topic with events and another."""
    packets = ros_files.packets(encoding, np.random.default_rng(4), 12)
    return WholeFile("rosbag2", ".db3", b"", ros_files.bag2(packets, mode=mode))


def hdf5(make: Callable[[np.ndarray], bytes], sensor: tuple[int, int] | None) -> WholeFile:
    """A file of several chunks a column; its superblock says where it ends."""
    data = make(aedat_files.rising_events(np.random.default_rng(14), 400, SENSOR, 1_000_000))
    return WholeFile("hdf5", ".h5", data[:96], data[96:], sensor=sensor or SENSOR, says_its_end=True)


def table() -> np.ndarray:
    """400 events as records of other types than ours."""
    rows = np.arange(400)
    events = np.zeros(400, [("x", "<i2"), ("y", "<i2"), ("t", "<f8"), ("p", "?")])
    events["t"], events["x"], events["y"] = 1.5 + rows * 3e-6, 7 * rows % 320, rows % 240
    events["p"] = rows % 2
    return events


# One line a format, more where its variants differ: the part before "-" is the format's name.
WHOLE: dict[str, Callable[[], WholeFile]] = {
    "aedat2": lambda: aedat2("", "HardwareInterface: DAVIS FX3"),
    "aedat2-dvs128": lambda: aedat2("dvs128", "AEChip: ch.unizh.ini.jaer.chip.retina.DVS128"),
    "aedat2-davis346": lambda: aedat2("davis346", "AEChip: eu.seebetter.ini.chips.davis.Davis346blue"),
    "aedat31": aedat31,
    "aedat4": lambda: aedat4("none", table=True),
    "aedat4-lz4": lambda: aedat4("lz4", table=False),
    "aedat4-zstd": lambda: aedat4("zstd", table=True),
    "csv": csv,
    "dat": lambda: WholeFile("dat", ".dat", DAT_HEADER, words("dat"), 8),
    "es": lambda: WholeFile("es", ".es", b"Event Stream\x02\0\0\x01\x40\x01\xf0\x00", words("es")),
    "evt2": lambda: raw("evt2", "2.0"),
    "evt21": lambda: raw("evt21", "2.1"),
    "evt21-legacy": lambda: raw("evt21", "2.1", "legacy"),
    "evt3": lambda: raw("evt3", "3.0"),
    "hdf5-ecf": lambda: hdf5(hdf5_files.ecf, SENSOR),
    "hdf5-dsec": lambda: hdf5(hdf5_files.dsec, None),
    "hdf5-mvsec": lambda: hdf5(hdf5_files.mvsec, None),
    "mcap": lambda: mcap("evt3", "none"),
    "mcap-flat": lambda: mcap("dvs", "flat"),
    "mcap-lz4": lambda: mcap("libcaer_cmp", "lz4"),
    "mcap-zstd": lambda: mcap("mono", "zstd"),
    "nmnist": nmnist,
    "npy": npy,
    "npz": lambda: npz("records"),
    "npz-columns": lambda: npz("columns"),
    "rosbag1": lambda: rosbag1("evt3"),
    "rosbag1-bz2": lambda: rosbag1("dvs", "bz2"),
    "rosbag1-lz4": lambda: rosbag1("libcaer", "lz4"),
    "rosbag2": lambda: rosbag2("evt3"),
    "rosbag2-dvs": lambda: rosbag2("dvs"),
    "rosbag2-zstd": lambda: rosbag2("mono", "message"),
}


def written(
    name: str,
    events: np.ndarray,
    sensor: tuple[int, int] = SENSOR,
    *,
    triggers: np.ndarray | None = None,
    t_end_us: int | None = None,
    variant: str = "",
) -> tuple[bytes, bytes]:
    """The header and the data that the encoder of a format makes of these events."""
    kind = registry.get(name)
    assert is_writable(kind)
    encoder = kind.encoder(EncoderOptions(sensor, variant=variant))
    edges = np.zeros(0, TRIGGER) if triggers is None else triggers
    return encoder.begin(), encoder.encode(events, edges, t_end_us) + encoder.finish()[0]


@cache
def whole(label: str) -> WholeFile:
    """The file of a line of WHOLE."""
    return WHOLE[label]()
