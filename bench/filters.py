"""Speed of the filters, beside eventcv and tonic where they are installed: the answers are compared.

    python bench/filters.py [--seconds 1] [--filter stcf:dt=10ms ...]

One thread, two made-up streams of two million events on 640x480: "busy" (clusters that move over noise) and "noise"
(uniform). `edgesnn.events.filters.Chain` is fed packets of 64 Ki events, the arrays dropped as they come. A peer
filters all events, held in its own form, in one call. All take turns, and the best run of each counts, in processor
time of the thread, so that a loaded machine costs nobody more. A peer that gives other events says so in its row.
"copy" is no filter: the same packets into an array that is there, what no filter that passes all of them can beat.
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

from edgesnn.events.filters import Chain  # noqa: E402
from edgesnn.events.filters.bitmap import pack  # noqa: E402
from edgesnn.events.types import EVENT  # noqa: E402

SENSOR = (640, 480)
COUNT = 2_000_000
PACKET = 1 << 16
SLOW = 100_000  # events given to peers that work in Python

FILTERS = (
    "roi:x=100,y=100,width=320,height=240",
    "background:dt=10ms",
    "background:dt=10ms,neighbours=4",
    "stcf:dt=10ms,k=2",
    "refractory:period=1ms",
    "refractory:period=1ms,after=any",
    "hot_pixels:learn=500ms,rate=30Hz",
    "mask:x=100,y=100,width=320,height=240",
    "bitmap",
    "polarity:keep=on",
    "polarity:keep=swap",
    "flip",
    "transpose",
    "rotate",
    "downsample:factor=2",
    "rate:limit=1MHz",
    "decimate:factor=4",
    "decimate:factor=4,per=pixel",
    "flip | transpose | rotate",
    "refractory:period=1ms | background:dt=10ms | roi:x=100,y=100,width=320,height=240",
)  # several: one chain, for a peer one call after the other; "bitmap": of PICTURE

PICTURE = np.random.default_rng(2).random(SENSOR[::-1]) < 0.7
"""Which pixels pass."""

Peer = tuple[Callable[[], Any], Callable[[Any], list[Any]], int]
"""What filters, what makes of its result the columns t, x, y, p, and of how many events."""


def made_up(kind: str) -> np.ndarray:
    """Return two seconds of events that rise in time."""
    rng = np.random.default_rng(1)
    events = np.zeros(COUNT, EVENT)
    events["t"] = 10_000 + np.sort(rng.integers(0, 2_000_000, COUNT))  # the memories of tonic begin at 10 ms
    events["x"], events["y"] = (rng.integers(0, side, COUNT) for side in SENSOR)
    events["p"] = rng.integers(0, 2, COUNT)
    if kind == "busy":
        near = rng.random(COUNT) < 0.9
        turn = events["t"] / 2e6 * 2 * np.pi + rng.integers(0, 8, COUNT) * np.pi / 4
        for name, side, wave in (("x", SENSOR[0], np.cos(turn)), ("y", SENSOR[1], np.sin(turn))):
            place = side / 2 + wave * side / 3 + rng.normal(0, 12, COUNT)
            events[name][near] = np.clip(place, 0, side - 1)[near]
    return events


def eventcv(events: np.ndarray) -> dict[str, Peer]:
    """Return eventcv's filters that compute the same: its bounds take in the time that ours leave out. Its hot pixels
    are others: those beyond the mean by three deviations, of all events."""
    import eventcv as library

    table = np.stack([events[name].astype(np.int64) for name in ("x", "y", "t", "p")], 1)
    held = library.from_numpy(table, sensor_size=SENSOR, time_unit="us")
    outside = np.ones(SENSOR[::-1], bool)
    outside[100:340, 100:420] = False
    calls = {
        "roi:x=100,y=100,width=320,height=240": lambda: held.crop(100, 100, 320, 240),
        "background:dt=10ms": lambda: held.background_activity_filter(9_999),
        "background:dt=10ms,neighbours=4": lambda: held.background_activity_filter(9_999, neighbourhood="cross"),
        "refractory:period=1ms": lambda: held.refractory_filter(1001),
        "refractory:period=1ms,after=any": lambda: held.refractory_filter(1001, refresh="all"),
        "hot_pixels:learn=500ms,rate=30Hz": lambda: held.hot_pixel_filter(),
        "mask:x=100,y=100,width=320,height=240": lambda: held.mask(outside),
        "bitmap": lambda: held.mask(PICTURE),
        "polarity:keep=on": lambda: held.filter_polarity(True),
        "polarity:keep=swap": lambda: held.invert_polarity(),
        "flip": lambda: held.flip_x(),
        "transpose": lambda: held.transpose(),
        "rotate": lambda: held.rotate90(1),
        "downsample:factor=2": lambda: held.resize(SENSOR[0] // 2, SENSOR[1] // 2),
        "decimate:factor=4": lambda: held.decimate(4),
        FILTERS[-2]: lambda: held.flip_x().transpose().rotate90(1),
        FILTERS[-1]: lambda: held.refractory_filter(1001).background_activity_filter(9_999).crop(100, 100, 320, 240),
    }

    def columns(result: Any) -> list[Any]:
        found = result.numpy()
        return [found[:, at] for at in (2, 0, 1, 3)]

    return {name: (call, columns, COUNT) for name, call in calls.items()}


def tonic(events: np.ndarray) -> dict[str, Peer]:
    """Return tonic's filters that compute the same, on the first events."""
    import tonic.functional as library

    few = events[:SLOW].copy()
    calls = {
        "background:dt=10ms,neighbours=4": lambda: library.denoise_numpy(few, 10_000),
        "refractory:period=1ms,after=any": lambda: library.refractory_period_numpy(few, 1000),
        "decimate:factor=4,per=pixel": lambda: library.decimate_numpy(few, 4),
    }

    def columns(result: Any) -> list[Any]:
        return [np.array([event[name] for event in result]) for name in ("t", "x", "y", "p")]

    return {name: (call, columns, SLOW) for name, call in calls.items()}


PEERS = {"eventcv": eventcv, "tonic": tonic}


def made(text: str) -> Chain:
    """Return the filters."""
    picture = f"bitmap:pixels={pack(PICTURE)}"
    return Chain([picture if one == "bitmap" else one for one in text.split(" | ")], sensor=SENSOR)


def chained(text: str, events: np.ndarray) -> list[np.ndarray]:
    """Return what one filter leaves, packet by packet."""
    chain = made(text)
    return [chain.push(events[at : at + PACKET]) for at in range(0, len(events), PACKET)]


def streamed(text: str, events: np.ndarray) -> Callable[[], None]:
    """Return what filters the stream and keeps nothing."""
    packets = [events[at : at + PACKET] for at in range(0, len(events), PACKET)]

    def work() -> None:
        chain = made(text)
        for packet in packets:
            chain.push(packet)

    return work


def copied(events: np.ndarray) -> Callable[[], None]:
    """Return what copies the stream's packets and keeps nothing."""
    packets = [events[at : at + PACKET].view(np.uint8) for at in range(0, len(events), PACKET)]
    out = np.zeros_like(packets[0])

    def work() -> None:
        for packet in packets:
            out[: len(packet)] = packet

    return work


def same(text: str, events: np.ndarray, peer: Peer) -> str:
    """Return "" if the peer gives our events, else how many of each there are."""
    call, columns, count = peer
    ours, theirs = np.concatenate(chained(text, events[:count])), columns(call())
    if len(ours) == len(theirs[0]) and all(
        np.array_equal(ours[name], column) for name, column in zip(("t", "x", "y", "p"), theirs, strict=True)
    ):
        return ""
    return f"gives {len(theirs[0])} events, not {len(ours)}" if len(ours) != len(theirs[0]) else "gives other events"


def measure(text: str, events: np.ndarray, peers: dict[str, dict[str, Peer]], seconds: float) -> dict[str, Any]:
    """Return the speeds of one filter in million events a second."""
    given = {name: calls[text] for name, calls in peers.items() if text in calls}
    works: dict[str, Callable[[], Any]] = {name: peer[0] for name, peer in given.items()}
    differs = {name: how for name, peer in given.items() if (how := same(text, events, peer))}
    works = {"edgesnn": streamed(text, events), "copy": copied(events), **works}
    found = interleaved_ms(works, seconds=seconds, clock=time.thread_time)
    counts = {name: peer[2] for name, peer in given.items()}
    speeds = {name: counts.get(name, COUNT) / 1e3 / times["best"] for name, times in found.items()}
    kept = sum(map(len, chained(text, events))) / len(events)
    return {"filter": text, "kept": kept, "mev_s": speeds, "differs": differs}


def show(row: dict[str, Any]) -> None:
    """Print one line."""
    speed, peers = row["mev_s"]["edgesnn"], beside(row["mev_s"], row["differs"])
    print(f"  {row['filter']:<40} {speed:>7.0f} Mev/s  {row['kept']:>4.0%} pass   {peers}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each filter is repeated")
    parser.add_argument("--filter", nargs="+", default=FILTERS, help="these alone")
    args = parser.parse_args()
    results = {}
    for kind in ("busy", "noise"):
        events = made_up(kind)
        print(kind)
        peers = {name: make(events) for name, make in PEERS.items() if find_spec(name)}
        results[kind] = [measure(text, events, peers, args.seconds) for text in args.filter]
        for row in results[kind]:
            show(row)
    record("filters", results)


if __name__ == "__main__":
    main()
