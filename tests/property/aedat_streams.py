"""Made-up AEDAT2 and AEDAT3.1 data, after the vendor's description of the formats."""

from __future__ import annotations

import struct

import numpy as np

SENSOR = (320, 240)
CAMERAS = {"": SENSOR, "dvs128": (128, 128), "davis346": (346, 260)}


def times(rng: np.random.Generator, count: int) -> np.ndarray:
    """Microseconds that mostly rise: pauses, steps back, and a counter of 32 bits that may start again."""
    steps = rng.choice([0, 1, 50, 9_000, 2_000_000, -20], count, p=[0.3, 0.3, 0.34, 0.03, 0.01, 0.02])
    return np.maximum(int(rng.choice([0, 1, 2**31 - 500, 2**32 - 2_000])) + np.cumsum(steps), 0)


def records_aedat2(rng: np.random.Generator, count: int, camera: str) -> np.ndarray:
    """Records of a camera: events, triggers, and a DAVIS's samples."""
    width, height = CAMERAS[camera]
    x, y, p = (
        rng.integers(0, min(width, 320), count),
        rng.integers(0, min(height, 240), count),
        rng.integers(0, 2, count),
    )
    mirrored_x, mirrored_y = width - 1 - x, height - 1 - y
    kinds = rng.random(count)
    if camera == "dvs128":
        addresses = mirrored_y << 8 | mirrored_x << 1 | (1 - p)
        addresses = np.where(kinds < 0.02, addresses | 0x8000, addresses)
    else:
        addresses = mirrored_y << 22 | mirrored_x << 12 | p << 11 | rng.integers(0, 1024, count)
        addresses = np.where(kinds < 0.02, addresses | 0x400, addresses)
        addresses = np.where(kinds > 0.9, addresses | 0x80000000, addresses)
    rows = np.stack([addresses, times(rng, count) % 2**32], 1)
    return rows.astype(">u4").view(np.uint8)


def packets_aedat31(rng: np.random.Generator, count: int) -> np.ndarray:
    """Packets of polarity events, special ones and something else."""
    t = times(rng, count)
    out = b""
    at = 0
    while at < count:
        size = int(rng.integers(1, 60))
        part = t[at : at + size]
        overflow = int(part[0]) >> 31
        part = part[part >> 31 == overflow]
        at += len(part)
        kind = rng.random()
        if kind < 0.1:
            out += struct.pack("<hhiiiiii", 2, 1, 12, 4, overflow, 2, 2, 2) + bytes(24)
        if kind < 0.2:
            data = [int(rng.integers(0, 16)) << 1 | 1 for _ in part]
            out += packet31(0, overflow, part & 0x7FFFFFFF, data)
            continue
        x, y = rng.integers(0, 322, len(part)), rng.integers(0, 240, len(part))
        valid = rng.random(len(part)) < 0.95
        data = (x << 17 | y << 2 | rng.integers(0, 2, len(part)) << 1 | valid).tolist()
        out += packet31(1, overflow, part & 0x7FFFFFFF, data, source=2 if kind > 0.97 else 1, room=int(kind > 0.9))
    return np.frombuffer(out, np.uint8)


def packet31(kind: int, overflow: int, t: np.ndarray, data: list[int], source: int = 1, room: int = 0) -> bytes:
    """One packet; `room` events that it has room for do not exist."""
    valid = sum(value & 1 for value in data)
    head = struct.pack("<hhiiiiii", kind, source, 8, 4, overflow, len(data) + room, len(data), valid)
    return head + b"".join(struct.pack("<Ii", *row) for row in zip(data, t.tolist(), strict=True)) + bytes(8 * room)
