"""Decoding speed of every format, on other people's recordings: the answer is checked before it is timed.

    python bench/events.py [--seconds 1] [--format csv ...] [--cpu]

Reads the shared folder (EDGESNN_SHARED, else `shared` beside the repository). One thread. Streams of bytes go in chunks
of 64 KiB into `edgesnn.Decoder`, the arrays dropped as they come, so that all are decoded into the same memory;
containers through `Recording.packets`. Whatever of `bench/events_peers.py` is installed reads the same file in the same
minute, in turn with ours; the best run of each counts, and the median of ours stands beside it (five runs at least). A
reader that gives other events says so in its row. Formats that are written are timed too.

With --cpu the processor's time of this process is taken instead of the clock's: on a loaded machine no run that is
longer than a slice of the scheduler goes undisturbed. HDF5 is then left out, which another process reads.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import edgesnn  # noqa: E402
from bench.common import record  # noqa: E402
from bench.events_peers import Reader, peers  # noqa: E402
from edgesnn.events import registry  # noqa: E402
from edgesnn.events.formats.base import is_stream, is_writable  # noqa: E402

SHARED = Path(os.environ.get("EDGESNN_SHARED") or ROOT.parent / "shared") / "recordings"
FILES = (
    "evt3/evt3_gen41_1280x720.raw",
    "evt3/evt3_vga_rospayload_640x480.raw",
    "evt2/evt2_gen3_640x480_a.raw",
    "evt21/evt21_from_evt3_1280x720.raw",
    "dat/ncars_obj_004397_td.dat",
    "dat/ncars_obj_004397_td.dat as dat x100",
    "es/dvs_320x240.es",
    "aedat4/davis_sample.aedat4",
    "aedat4/davis_sample.aedat4 as none",
    "aedat4/davis_sample.aedat4 as zstd",
    "aedat4/davis_sample.aedat4 as none x10",
    "aedat4/davis_sample.aedat4 as lz4 x10",
    "aedat4/davis_sample.aedat4 as zstd x10",
    "aedat2/aedat2_davis346_from_aedat4.aedat",
    "aedat31/aedat31_polarity_from_aedat4.aedat",
    "csv/events_t_x_y_on.csv",
    "hdf5_ecf/ecf_1280x720.hdf5",
    "dsec_h5/dsec_events_a.h5",
    "mvsec_h5/mvsec_like_data.hdf5",
    "npy/events_structured.npy",
    "npz/events.npz",
    "nmnist_bin/nmnist_sample.bin",
    "rosbag1/event_camera_msgs_evt3.bag",
    "rosbag2_db3/event_camera_msgs_evt3.db3",
)
WRITTEN_FROM = "evt2/evt2_gen3_640x480_a.raw"
CHUNK_BYTES = 1 << 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each file is repeated")
    parser.add_argument("--format", nargs="+", help="these formats alone")
    parser.add_argument("--cpu", action="store_true", help="the processor's time, not the clock's")
    args = parser.parse_args()
    timing = Timing(args.seconds, time.process_time if args.cpu else time.perf_counter)
    if not SHARED.is_dir():
        print(f"nothing to decode: {SHARED} is not there; set EDGESNN_SHARED")
        return
    print("file                                      Mev/s  median   MB/s  bytes/event  peers (times slower)")
    rows = []
    for name in FILES:
        if args.cpu and name.endswith((".h5", ".hdf5")):
            continue
        if not args.format or name.split("/")[0].removesuffix("_bin").removesuffix("_db3") in args.format:
            rows.append(measure_packed(*name.split(" as "), timing))
            show(rows[-1])
    writers = [row for name in registry.names() if (row := write_speed(name, args.format, timing)) is not None]
    for row in writers:
        print(
            f"written as {row['format']:<29} {row['mev_s']:>6.1f} {'':>7} {row['mb_s']:>6.0f}  "
            f"{row['bytes_per_event']:>11.2f}"
        )
    record("events", {"clock": "cpu" if args.cpu else "wall", "files": rows, "writers": writers})


class Timing(NamedTuple):
    """How long each file is repeated, and by which clock it is timed."""

    seconds: float
    clock: Callable[[], float]


def show(row: dict[str, Any]) -> None:
    slower = (
        f"{name} {peer['mev_s']:.1f} (x{row['mev_s'] / peer['mev_s']:.1f}{'' if peer['same'] else ', other events'})"
        for name, peer in row["peers"].items()
    )
    speeds = f"{row['mev_s']:>6.1f} {row['median_mev_s']:>7.1f} {row['mb_s']:>6.0f}"
    numbers = f"{speeds}  {row['bytes_per_event']:>11.2f}"
    print(f"{row['file']:<40} {numbers}  {', '.join(slower)}")


def measure_packed(name: str, *rest: Any) -> dict[str, Any]:
    """Measure a file, or the same events written again: "zstd", so compressed; "zstd x10", so many times over."""
    path = SHARED / name
    truth = json.loads(Path(f"{path}.json").read_text())
    if len(rest) == 1:
        return measure(path, truth, *rest)
    wanted, timing = rest
    compression, _, times = wanted.partition(" x")
    recording = edgesnn.open(path)
    events = checked(recording, truth)
    if times:
        events = longer(events, int(times))
        truth = {**truth, "events_sha256": hashlib.sha256(events.tobytes()).hexdigest()}
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / f"{path.stem}_{wanted.replace(' ', '_')}{path.suffix}"
        options = {"compression": compression} if recording.format == "aedat4" else {}
        edgesnn.write(other, events, sensor=recording.sensor or (1280, 720), format=recording.format, **options)
        return measure(other, truth, timing)


def longer(events: np.ndarray, times: int) -> np.ndarray:
    """Return the events so many times, one after another."""
    step_us = int(events["t"][-1] - events["t"][0]) + 1
    many = np.tile(events, times)
    many["t"] += np.repeat(np.arange(times) * step_us, len(events))
    return many


def checked(recording: edgesnn.Recording, truth: dict[str, Any]) -> np.ndarray:
    """Return the events, which are the ground truth's."""
    events = recording.read()
    if hashlib.sha256(events.tobytes()).hexdigest() != truth["events_sha256"]:
        raise SystemExit(f"{recording.path}: the events are not the ground truth's")
    return events


def measure(path: Path, truth: dict[str, Any], timing: Timing) -> dict[str, Any]:
    """Check the file's events against its ground truth, then time them beside the peers."""
    recording = edgesnn.open(path, sensor=tuple(truth["sensor"]) if truth["sensor"] else None)
    events = checked(recording, truth)
    size = path.stat().st_size - recording.data_offset
    readers: dict[str, Reader] = {}
    same: dict[str, bool] = {}
    for name, maker in peers(recording.format).items():
        try:
            reader = maker(path, recording.sensor or (1280, 720))
            same[name] = same_events(reader[1](), events)
            readers[name] = reader
        except Exception as error:  # other people's code, on a file that it may not read
            print(f"{path.name}: {name} cannot read it: {error}")
    times = in_turns({"": reading(recording), **{name: reader[0] for name, reader in readers.items()}}, timing)
    best_s = {name: min(one) for name, one in times.items()}
    return {
        "file": path.name,
        "format": recording.format,
        "events": len(events),
        "mev_s": len(events) / best_s[""] / 1e6,
        "median_mev_s": len(events) / median(times[""]) / 1e6,
        "mb_s": size / best_s[""] / 1e6,
        "bytes_per_event": size / len(events),
        "peers": {name: {"mev_s": len(events) / best_s[name] / 1e6, "same": same[name]} for name in readers},
    }


def reading(recording: edgesnn.Recording) -> Callable[[], None]:
    """Return what decodes the whole recording once."""
    if not is_stream(registry.get(recording.format)):
        return lambda: [None for _ in recording.packets()].clear()
    data = b"".join(recording.chunks())
    chunks = [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]

    def decode() -> None:
        decoder = recording.decoder()
        for chunk in chunks:
            decoder.feed(chunk)
        decoder.finish()

    return decode


def same_events(theirs: Any, ours: np.ndarray) -> bool:
    return all(np.array_equal(np.asarray(theirs[name]).astype(np.int64), ours[name]) for name in "txyp")


def write_speed(name: str, wanted: list[str] | None, timing: Timing) -> dict[str, Any] | None:
    """Time a writer, disk included; the file is read back first."""
    if not is_writable(registry.get(name)) or (wanted and name not in wanted):
        return None
    recording = edgesnn.open(SHARED / WRITTEN_FROM)
    events = recording.read()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"

        def write() -> None:
            edgesnn.write(path, events, sensor=recording.sensor, format=name)

        write()
        if not (edgesnn.open(path, format=name).read() == events).all():
            raise SystemExit(f"{name}: what was written is read back as other events")
        best_s = min(in_turns({"": write}, timing)[""])
        size = path.stat().st_size
    mev_s, mb_s = len(events) / best_s / 1e6, size / best_s / 1e6
    return {"format": name, "mev_s": mev_s, "mb_s": mb_s, "bytes_per_event": size / len(events)}


def in_turns(work: dict[str, Callable[[], object]], timing: Timing) -> dict[str, list[float]]:
    """Run all in turn for so long, five times at least; return the times of each."""
    times: dict[str, list[float]] = {name: [] for name in work}
    end = time.perf_counter() + timing.seconds * len(work)
    while time.perf_counter() < end or any(len(one) < 5 for one in times.values()):
        for name, one in work.items():
            start = timing.clock()
            one()
            times[name].append(timing.clock() - start)
    return times


if __name__ == "__main__":
    main()
