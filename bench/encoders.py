"""Speed of the encoders of arrays, beside eventcv and tonic where they are installed: the answers are compared.

    python bench/encoders.py [--seconds 1]

One thread, the two streams of `bench/filters.py` (two million events on 640x480), each one window: `encode_array` into
an array that is there. A peer is given its own form of the events; it makes a new array. tonic is given the first
events. All take turns, and the best run of each counts, in processor time of the thread, so that a loaded machine costs
nobody more. A peer that computes another thing says so in its row.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.common import beside, interleaved_ms, one_thread, record

one_thread()

import numpy as np  # noqa: E402

from bench.filters import COUNT, SENSOR, made_up  # noqa: E402
from edgesnn.encode import encode_array, parse_encoder  # noqa: E402

SLOW = 200_000  # events given to tonic
ENCODERS = (
    "frames",
    "frames:polarity=merged",
    "frames:value=binary",
    "frames:steps=8",
    "voxel:bins=5",
    "surface:tau=50ms",
    "points:points=1024",
)

Peer = tuple[Callable[[], Any], int]
"""What encodes, and how many events."""


def eventcv(events: np.ndarray) -> dict[str, Peer]:
    """Return eventcv's encoders of the same names. Its voxel grid puts first and last event on the middles of the outer
    bins, so its values are others, for as much work."""
    import eventcv as library

    table = np.stack([events[name].astype(np.int64) for name in ("x", "y", "t", "p")], 1)
    span = int(events["t"][-1] - events["t"][0])
    held = library.from_numpy(table, sensor_size=SENSOR, time_unit="us")
    calls: dict[str, Callable[[], Any]] = {
        "frames:polarity=merged": lambda: held.count().numpy(),
        "voxel:bins=5": lambda: held.voxel(bins=5, window_us=span).numpy(),
        "surface:tau=50ms": lambda: held.tsurf(tau_ms=50.0).numpy()[::-1],
    }
    return {name: (call, COUNT) for name, call in calls.items()}


def tonic(events: np.ndarray) -> dict[str, Peer]:
    """Return tonic's encoders that compute the same, on the first events."""
    import tonic.functional as library

    dtype = np.dtype([(name, "<i8") for name in ("t", "x", "y", "p")])
    few = events[:SLOW].astype(dtype)
    span = int(few["t"][-1] - few["t"][0])
    calls: dict[str, Callable[[], Any]] = {
        "frames": lambda: library.to_frame_numpy(few, (*SENSOR, 2), event_count=SLOW)[0],
        "voxel:bins=5": lambda: library.to_voxel_grid_numpy(few.copy(), (*SENSOR, 2), n_time_bins=5)[:, 0],
        "surface:tau=50ms": lambda: library.to_timesurface_numpy(few, (*SENSOR, 2), dt=span + 1, tau=50_000)[0],
    }
    return {name: (call, SLOW) for name, call in calls.items()}


PEERS = {"eventcv": eventcv, "tonic": tonic}


def difference(text: str, events: np.ndarray, call: Callable[[], Any], count: int) -> str:
    """Return "" where a peer's array is ours but for rounding, else what is between them."""
    theirs = np.asarray(call())
    ours = encode_array(events[:count], text, SENSOR)
    if theirs.size != ours.size:
        return f"gives {theirs.dtype} {list(theirs.shape)}, not {list(ours.shape)}"
    apart = np.abs(theirs.reshape(ours.shape).astype(np.float64) - ours)
    return "" if apart.max() < 1e-3 else f"differs by up to {apart.max():.3g}"


def measure(text: str, events: np.ndarray, peers: dict[str, dict[str, Peer]], seconds: float) -> dict[str, Any]:
    """Return the speeds of one encoder in million events a second."""
    given = {name: calls[text] for name, calls in peers.items() if text in calls}
    differs = {name: how for name, (call, n) in given.items() if (how := difference(text, events, call, n))}
    out = encode_array(events, text, SENSOR)
    encoder = parse_encoder(text)
    works: dict[str, Callable[[], Any]] = {"edgesnn": lambda: encode_array(events, encoder, SENSOR, out=out)}
    works.update({name: call for name, (call, _) in given.items()})
    found = interleaved_ms(works, seconds=seconds, clock=time.thread_time)
    counts = {name: n for name, (_, n) in given.items()}
    speeds = {name: counts.get(name, COUNT) / 1e3 / times["best"] for name, times in found.items()}
    return {"encoder": text, "mev_s": speeds, "differs": differs}


def show(row: dict[str, Any]) -> None:
    """Print one line."""
    print(
        f"  {row['encoder']:<24} {row['mev_s']['edgesnn']:>7.0f} Mev/s   {beside(row['mev_s'], row['differs'])}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each encoder is repeated")
    args = parser.parse_args()
    results = {}
    for kind in ("busy", "noise"):
        events = made_up(kind)
        print(kind)
        peers = {name: make(events) for name, make in PEERS.items() if find_spec(name)}
        results[kind] = [measure(text, events, peers, args.seconds) for text in ENCODERS]
        for row in results[kind]:
            show(row)
    record("encoders", results)


if __name__ == "__main__":
    main()
