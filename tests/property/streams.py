"""Made-up word streams: a camera's and a sparse writer's, whole and damaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from tests.property.aedat_streams import CAMERAS, packets_aedat31, records_aedat2

SENSOR = (320, 240)


@dataclass(frozen=True)
class Stream:
    """A stream of one format, its bytes and its whole words."""

    format: str
    data: bytes
    variant: str = ""

    @property
    def words(self) -> list[int]:
        size = SIZES[self.format]
        words = np.frombuffer(self.data[: len(self.data) // size * size], f"<u{size}")
        return (swapped(words) if self.variant == "legacy" else words).tolist()


def camera_evt3(rng: np.random.Generator, count: int, *, repeats: bool) -> np.ndarray:
    """Words as a camera (TIME_HIGH said again and again) or as a sparse writer (only when it changes, with gaps)."""
    high = int(rng.choice([0, 1, 100, 3000, 4094, 4095]))
    words = [0x8000 | high, 0x6000 | int(rng.integers(0, 4096)), int(rng.integers(0, 240))]
    while len(words) < count:
        roll = rng.random()
        if roll < 0.15:
            high += int(rng.choice([0, 0, 0, 1])) if repeats else int(rng.choice([1, 1, 2, 50, 700]))
            words.append(0x8000 | high % 4096)
        elif roll < 0.3:
            words.append(0x6000 | int(rng.integers(0, 4096)))
        elif roll < 0.45:
            words.append(int(rng.integers(0, 2)) << 11 | int(rng.integers(0, 240)))
        elif roll < 0.75:
            words.append(0x2000 | int(rng.integers(0, 2)) << 11 | int(rng.integers(0, 320)))
        elif roll < 0.9:
            words.append(0x3000 | int(rng.integers(0, 2)) << 11 | int(rng.integers(0, 280)))
            words += [int(rng.choice([0x4000, 0x5000])) | int(rng.integers(0, 4096)) for _ in range(rng.integers(0, 4))]
        else:
            words.append(int(rng.choice([0x7000, 0xA000, 0xE000, 0xF000])) | int(rng.integers(0, 4096)))
    return np.array(words, "<u2")


def camera_evt2(rng: np.random.Generator, count: int, *, repeats: bool) -> np.ndarray:
    """The same for EVT2."""
    high = int(rng.choice([0, 1, 21000, 2**28 - 2, 2**28 - 1]))
    words = [0x80000000 | high]
    while len(words) < count:
        roll = rng.random()
        if roll < 0.2:
            high += int(rng.choice([0, 0, 0, 1])) if repeats else int(rng.choice([1, 1, 2, 50, 70_000]))
            words.append(0x80000000 | high % 2**28)
        elif roll < 0.9:
            row, column = int(rng.integers(0, 240)), int(rng.integers(0, 320))
            words.append(int(rng.integers(0, 2)) << 28 | int(rng.integers(0, 64)) << 22 | column << 11 | row)
        else:
            words.append(int(rng.choice([0xA, 0xE, 0xF])) << 28 | int(rng.integers(0, 2**28)))
    return np.array(words, "<u4")


def camera_evt21(rng: np.random.Generator, count: int, *, repeats: bool) -> np.ndarray:
    """The same for EVT2.1: EVT2 words, those of events with a mask below them, of one bit often or nearly always."""
    heads = camera_evt2(rng, count, repeats=repeats).astype("<u8")
    events = heads >> 28 < 2
    placed = heads & ~np.uint64(31 << 11) if rng.random() < 0.5 else heads
    masks = rng.integers(0, 2**32, len(heads), "<u8") & rng.integers(0, 2**32, len(heads), "<u8")
    single = np.uint64(1) << rng.integers(0, 32, len(heads), "<u8")
    masks = np.where(rng.random(len(heads)) < rng.choice([0.5, 0.98]), single, masks)
    return np.where(events, placed << 32 | masks, heads << 32).astype("<u8")


def swapped(words: np.ndarray) -> np.ndarray:
    """64-bit words with their halves in the other order."""
    return (words << 32 | words >> 32).astype("<u8")


def records_nmnist(rng: np.random.Generator, count: int) -> np.ndarray:
    """Five-byte records with rising times, a few markers and quiet stretches."""
    t = np.cumsum(rng.choice([0, 1, 50, 9_000, 300_000], count, p=[0.3, 0.3, 0.36, 0.03, 0.01])) % 2**23
    rows = np.stack([rng.integers(0, 320, count) % 256, rng.integers(0, 240, count), t >> 16, t >> 8 & 255, t & 255], 1)
    rows[:, 2] |= rng.integers(0, 2, count) << 7
    rows[rng.random(count) < 0.01, 1] = 240
    return rows.astype(np.uint8)


CSV_COLUMNS = ("t_us,x,y,p", "x,y,p,t_us", "t_s,x,y,p", "x,y,p,t_s", "p,t_ms,-,x,y", "x,y,t_ns,p", "t,y,x,p,-")


def characters_csv(rng: np.random.Generator, count: int, columns: str) -> np.ndarray:
    """Lines of these columns in one of the ways that people write them, a few comments between."""
    names = columns.split(",")
    separator = str(rng.choice([",", ",", " ", "\t", ";", ", ", "  "]))
    end = str(rng.choice(["\n", "\n", "\r\n"]))
    time = str(rng.choice(["{:d}", "{:d}", "{:.6f}", "{:.9f}", "{:.18e}", "{:f}"]))
    off, on = [("0", "1"), ("0", "1"), ("-1", "1"), ("False", "True"), ("off", "on"), ("0.0", "1.0")][rng.integers(6)]
    unit = {"t_s": 1e6, "t_ms": 1e3, "t_ns": 1e-3}.get(next(name for name in names if name[0] == "t"), 1)
    t_us = int(rng.choice([0, -50, 913_716_224, 1_504_645_177_423_378]))
    lines = []
    for _ in range(count):
        t_us += int(rng.choice([0, 1, 30, 5_000, 2_000_000, -7], p=[0.4, 0.3, 0.2, 0.05, 0.02, 0.03]))
        value = t_us / unit
        words = {
            "t": time.format(round(value)) if time == "{:d}" else time.format(value),
            "x": str(rng.integers(0, 325)),
            "y": str(rng.integers(0, 240)),
            "p": on if rng.integers(2) else off,
            "-": str(rng.choice(["", "3.5", "a"])) if separator in ",;" else "3.5",
        }
        lines.append(separator.join(words[name[0]] for name in names))
        if rng.random() < 0.02:
            lines.append(str(rng.choice(["", "# so it goes", "  ", "% 1 2 3 4", "//"])))
    last = "" if rng.integers(4) == 0 else end
    return np.frombuffer((end.join(lines) + last).encode(), np.uint8)


def damaged(rng: np.random.Generator, data: bytes, hits: int) -> bytes:
    """Flip bits, overwrite bytes, drop or insert a byte, cut the end."""
    out = bytearray(data)
    for _ in range(hits):
        at = int(rng.integers(0, max(len(out), 1)))
        kind = int(rng.integers(0, 5))
        if kind <= 1 and out:
            out[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 2:
            out[at : at + 8] = rng.integers(0, 256, 8, dtype=np.uint8).tobytes()
        elif kind == 3:
            del out[at : at + 1]
        else:
            out[at:at] = bytes([int(rng.integers(0, 256))])
    return bytes(out)


def records_dat(rng: np.random.Generator, count: int) -> np.ndarray:
    """Eight-byte records whose times mostly rise, over the end of the clock's range too."""
    t = int(rng.choice([0, 5_000, 2**30 - 9_000, 2**32 - 20_000])) + rising(rng, count)
    x, y, p = rng.integers(0, SENSOR[0], count), rng.integers(0, SENSOR[1], count), rng.integers(0, 2, count)
    return np.stack([t % 2**32, p << 28 | y << 14 | x], axis=1).astype("<u4")


def rising(rng: np.random.Generator, count: int) -> np.ndarray:
    """Times with bursts, quiet stretches and a few steps back."""
    steps = rng.choice([0, 1, 50, 9_000, 300_000], count, p=[0.3, 0.3, 0.36, 0.03, 0.01])
    return np.cumsum(steps) + 60 - np.where(rng.random(count) < 0.02, rng.integers(0, 60, count), 0)


def bytes_es(rng: np.random.Generator, count: int) -> np.ndarray:
    """Events of five bytes with times between them, overflows before long ones, a few resets."""
    steps = np.diff(np.maximum.accumulate(rising(rng, count)), prepend=0)
    out = bytearray()
    for step in steps.tolist():
        overflows, rest = divmod(min(step, 5_000), 127)
        x, y, p = int(rng.integers(0, SENSOR[0])), int(rng.integers(0, SENSOR[1])), int(rng.integers(0, 2))
        resets = 5 * (rng.random() < 0.01)
        out += b"\xfe" * resets + b"\xff" * overflows + bytes([rest << 1 | p]) + x.to_bytes(2, "little")
        out += y.to_bytes(2, "little")
    return np.frombuffer(bytes(out), np.uint8)


Maker = Callable[[np.random.Generator, int, bool], np.ndarray]

# (format, variant) -> words or records; the last argument: as a camera rather than as a sparse writer.
MAKERS: dict[tuple[str, str], Maker] = {
    ("dat", ""): lambda rng, count, _: records_dat(rng, count),
    ("es", ""): lambda rng, count, _: bytes_es(rng, count),
    ("evt3", ""): lambda rng, count, repeats: camera_evt3(rng, count, repeats=repeats),
    ("evt2", ""): lambda rng, count, repeats: camera_evt2(rng, count, repeats=repeats),
    ("evt21", ""): lambda rng, count, repeats: camera_evt21(rng, count, repeats=repeats),
    ("evt21", "legacy"): lambda rng, count, repeats: swapped(camera_evt21(rng, count, repeats=repeats)),
    ("nmnist", ""): lambda rng, count, _: records_nmnist(rng, count),
    ("csv", ""): lambda rng, count, _: characters_csv(rng, count, "t,x,y,p"),
}
for one in CAMERAS:
    MAKERS["aedat2", one] = lambda rng, count, _, camera=one: records_aedat2(rng, count, camera)
MAKERS["aedat31", ""] = lambda rng, count, _: packets_aedat31(rng, count)
for one in CSV_COLUMNS:
    MAKERS["csv", one] = lambda rng, count, _, columns=one: characters_csv(rng, count, columns)
SIZES = {  # bytes of a word or record
    "aedat2": 8,
    "aedat31": 1,
    "csv": 1,
    "dat": 8,
    "es": 1,
    "evt2": 4,
    "evt21": 8,
    "evt3": 2,
    "nmnist": 5,
}


@st.composite
def streams(draw: st.DrawFn, formats: tuple[str, ...] = tuple(SIZES), hits: int = 4) -> Stream:
    """Draw a stream with up to `hits` damages."""
    name, variant = draw(st.sampled_from([kind for kind in MAKERS if kind[0] in formats]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(0, 200))
    if draw(st.integers(0, 9)) == 0:
        return Stream(name, rng.integers(0, 256, count * 2, dtype=np.uint8).tobytes(), variant)
    data = MAKERS[name, variant](rng, count, draw(st.booleans())).tobytes()
    return Stream(name, damaged(rng, data, draw(st.integers(0, hits))), variant)
