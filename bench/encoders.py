"""Speed of the encoders of arrays, beside eventcv and tonic where they are installed: the answers are compared.

    python bench/encoders.py [--seconds 1]

One thread, the two streams of `bench/filters.py` (two million events on 640x480), in windows of 20 000 events, of
100 000, and in one: `encode_array` into an array that is there. A peer is given its own form of the events; it makes
new arrays. tonic is given the first events. All take turns, and the best run of each counts, in processor time of the
thread, so that a loaded machine costs nobody more. A peer that computes another thing says so in its row.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
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
WINDOWS = (20_000, 100_000, COUNT)  # events of each
ENCODERS = (
    "frames",
    "frames:polarity=merged",
    "frames:value=binary",
    "frames:steps=8",
    "voxel:bins=5",
    "surface:tau=50ms",
    "points:points=1024",
)

Peer = tuple[list[np.ndarray], Callable[[int], Any]]
"""Windows, and what encodes one of them."""


def eventcv(windows: list[np.ndarray]) -> dict[str, Peer]:
    """Return eventcv's encoders of the same names. Its voxel grid puts first and last event on the middles of the outer
    bins, so its values are others, for as much work."""
    import eventcv as library

    tables = (np.stack([one[name].astype(np.int64) for name in ("x", "y", "t", "p")], 1) for one in windows)
    held = [library.from_numpy(table, sensor_size=SENSOR, time_unit="us") for table in tables]
    spans = [int(one["t"][-1] - one["t"][0]) for one in windows]
    calls: dict[str, Callable[[int], Any]] = {
        "frames:polarity=merged": lambda at: held[at].count().numpy(),
        "voxel:bins=5": lambda at: held[at].voxel(bins=5, window_us=spans[at]).numpy(),
        "surface:tau=50ms": lambda at: held[at].tsurf(tau_ms=50.0).numpy()[::-1],
    }
    return {name: (windows, call) for name, call in calls.items()}


def tonic(windows: list[np.ndarray]) -> dict[str, Peer]:
    """Return tonic's encoders that compute the same, on the first events."""
    import tonic.functional as library

    dtype = np.dtype([(name, "<i8") for name in ("t", "x", "y", "p")])
    few = [one[:SLOW] for one in windows[: max(1, SLOW // len(windows[0]))]]
    held = [one.astype(dtype) for one in few]
    spans = [int(one["t"][-1] - one["t"][0]) for one in few]
    size = (*SENSOR, 2)
    calls: dict[str, Callable[[int], Any]] = {
        "frames": lambda at: library.to_frame_numpy(held[at], size, event_count=len(held[at]))[0],
        "voxel:bins=5": lambda at: library.to_voxel_grid_numpy(held[at].copy(), size, n_time_bins=5)[:, 0],
        "surface:tau=50ms": lambda at: library.to_timesurface_numpy(held[at], size, dt=spans[at] + 1, tau=50_000)[0],
    }
    return {name: (few, call) for name, call in calls.items()}


PEERS = {"eventcv": eventcv, "tonic": tonic}


def difference(text: str, peer: Peer) -> str:
    """Return "" where a peer's array of the first window is ours but for rounding, else what is between them."""
    theirs = np.asarray(peer[1](0))
    ours = encode_array(peer[0][0], text, SENSOR)
    if theirs.size != ours.size:
        return f"gives {theirs.dtype} {list(theirs.shape)}, not {list(ours.shape)}"
    apart = np.abs(theirs.reshape(ours.shape).astype(np.float64) - ours)
    return "" if apart.max() < 1e-3 else f"differs by up to {apart.max():.3g}"


def measure(text: str, windows: list[np.ndarray], peers: dict[str, dict[str, Peer]], seconds: float) -> dict[str, Any]:
    """Return the speeds of one encoder in million events a second."""
    encoder, out = parse_encoder(text), encode_array(windows[0], text, SENSOR)
    given: dict[str, Peer] = {
        "edgesnn": (windows, lambda at: encode_array(windows[at], encoder, SENSOR, out=out)),
        **{name: calls[text] for name, calls in peers.items() if text in calls},
    }
    works = {name: partial(every, peer) for name, peer in given.items()}
    found = interleaved_ms(works, seconds=seconds, clock=time.thread_time)
    counts = {name: sum(map(len, encoded)) for name, (encoded, _) in given.items()}
    speeds = {name: counts[name] / 1e3 / times["best"] for name, times in found.items()}
    differs = {name: how for name, peer in given.items() if (how := difference(text, peer))}
    return {"encoder": text, "window_events": len(windows[0]), "mev_s": speeds, "differs": differs}


def every(peer: Peer) -> None:
    """Encode all its windows."""
    for at in range(len(peer[0])):
        peer[1](at)


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
        results[kind] = []
        for size in WINDOWS:
            print(f"{kind}, windows of {size} events")
            windows = [events[at : at + size] for at in range(0, COUNT, size)]
            peers = {name: make(windows) for name, make in PEERS.items() if find_spec(name)}
            for text in ENCODERS:
                results[kind].append(measure(text, windows, peers, args.seconds))
                show(results[kind][-1])
    record("encoders", results)


if __name__ == "__main__":
    main()
