"""How long a model takes for a window on this machine, and whether that fits its hop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.encode.native import encode
from edgesnn.encode.points import PointEncoding
from edgesnn.events.types import EVENT
from edgesnn.runtime import Model
from edgesnn.runtime.windows import Encoding, Window, encoding_of, readout_of, run_window
from edgesnn.spread import spread

SCHEMA = "edgesnn.bench/1"
_SEED = 2024
_BLOBS = 4


def bench(model: Model, *, events: int | None = None, seconds: float = 3.0, least: int = 20) -> dict[str, Any]:
    """Return the time per window of encoding and of inference, one thread, on made-up windows.

    Args:
        model: kind points, or spikes of events, with a readout; where that may stop a window early, it does.
        events: in a window; default eight for each point, or sixteen for each step.
        seconds: about how long to measure.
        least: windows, at least.

    Returns:
        Milliseconds as {"p50", "p99"} of `encode_ms`, `infer_ms`, `total_ms`; `share_of_hop` of the median total
        and `share_of_hop_p99`; `fits` says whether the p99 total is shorter than the hop.
    """
    encoding, readout = encoding_of(model), readout_of(model)
    sensor = model.sensor or (1, 1)
    count = events or _usual(encoding)
    length_us = encoding.grid.length * encoding.grid.bin_us
    windows = [made_up_events(count, length_us, sensor, _SEED + i) for i in range(8)]
    session = model.session()
    rows: list[tuple[float, float]] = []
    end = time.perf_counter() + seconds
    while len(rows) < least or time.perf_counter() < end:
        packet = windows[len(rows) % len(windows)]
        made: list[Window] = []
        encode_ms = _time_ms(lambda: made.append(encode(packet, encoding, sensor, number=0, first_event=0, t0_us=0)))  # noqa: B023
        rows.append((encode_ms, _time_ms(lambda: run_window(session, made[0], readout))))  # noqa: B023
    encoded, infer = np.array(rows[1:] or rows).T  # the first one touches the memory
    total = spread(encoded + infer)
    assert total is not None
    hop_ms = encoding.grid.hop_us / 1e3
    return {
        "schema": SCHEMA,
        "model": {"name": model.name, "precision": model.precision, "backend": model.backend},
        "windows": len(encoded),
        "events_per_window": count,
        "encode_ms": spread(encoded),
        "infer_ms": spread(infer),
        "total_ms": total,
        "hop_ms": hop_ms,
        "share_of_hop": total["p50"] / hop_ms,
        "share_of_hop_p99": total["p99"] / hop_ms,
        "fits": total["p99"] < hop_ms,
    }


def made_up_events(count: int, duration_us: int, sensor: tuple[int, int], seed: int) -> npt.NDArray[Any]:
    """Return events of a few blobs that move through the picture: dtype `edgesnn.EVENT`, times rising from 0."""
    rng = np.random.default_rng(seed)
    events = np.zeros(count, dtype=EVENT)
    share = np.sort(rng.random(count))
    blob = rng.integers(0, _BLOBS, count)
    for axis, side in zip(("x", "y"), sensor, strict=True):
        start, stop = rng.random((2, _BLOBS)) * side
        at = start[blob] + (stop - start)[blob] * share + rng.normal(0, side / 20, count)
        events[axis] = np.clip(at, 0, side - 1)
    events["t"] = share * duration_us
    events["p"] = rng.integers(0, 2, count)
    return events


def _usual(encoding: Encoding) -> int:
    if isinstance(encoding, PointEncoding):
        return max(8 * encoding.points, encoding.min_events, 1)
    return 16 * encoding.steps


def _time_ms(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3
