"""A simulated walk over a small sensor: as events, as a recording, and what a pipeline makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import edgesnn
from edgesnn.events.types import EVENT
from edgesnn.prediction import Prediction

SENSOR = (128, 128)
STILL = ("t_mono_us", "latency_us", "deadline_missed", "stamp_ns")  # what the host's clock says


def make_events(count: int = 20_000, duration_us: int = 600_000, seed: int = 0) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    events = np.zeros(count, dtype=EVENT)
    events["t"] = np.sort(rng.integers(0, duration_us, count))
    for axis in ("x", "y"):
        drift = events["t"] * 80 // duration_us
        events[axis] = np.clip(rng.normal(20, 6, count) + drift, 0, 127)
    events["p"] = rng.integers(0, 2, count)
    return events


def write_recording(folder: Path) -> Path:
    """Write an N-MNIST file whose bytes the native decoder reads."""
    e = make_events()
    t = e["t"].astype(np.uint32)
    rows = np.stack([e["x"], e["y"], (t >> 16 & 0x7F) | e["p"].astype(np.uint32) << 7, t >> 8 & 255, t & 255], axis=1)
    path = folder / "walk.bin"
    path.write_bytes(rows.astype(np.uint8).tobytes())
    return path


def same(prediction: Prediction) -> dict[str, Any]:
    return {key: value for key, value in prediction.to_dict().items() if key not in STILL}


def polled(pipeline: edgesnn.Pipeline) -> list[Prediction]:
    return list(iter(pipeline.poll, None))
