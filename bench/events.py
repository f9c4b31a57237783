"""Decoding speed of every format, on other people's recordings: the answer is checked before it is timed.

    python bench/events.py [--seconds 1]

Reads the shared folder (EDGESNN_SHARED, else `shared` beside the repository). One thread; chunks of 64 KiB into
`edgesnn.Decoder`, the arrays dropped as they come; the best of the runs of each file. tonic reads the N-MNIST file
beside ours where it is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import edgesnn  # noqa: E402
from bench.common import record  # noqa: E402

SHARED = Path(os.environ.get("EDGESNN_SHARED") or ROOT.parent / "shared") / "recordings"
FILES = (
    "evt3/evt3_gen41_1280x720.raw",
    "evt3/evt3_vga_rospayload_640x480.raw",
    "evt2/evt2_gen3_640x480_a.raw",
    "nmnist_bin/nmnist_sample.bin",
)
CHUNK_BYTES = 1 << 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each file is repeated")
    args = parser.parse_args()
    if not SHARED.is_dir():
        print(f"nothing to decode: {SHARED} is not there; set EDGESNN_SHARED")
        return
    rows = [measure(SHARED / name, args.seconds) for name in FILES]
    record("events", {"files": rows})
    print("file                                      Mev/s   MB/s  bytes/event  peer")
    for row in rows:
        peer = f"{row['peer']} {row['peer_mev_s']:.2f} (x{row['mev_s'] / row['peer_mev_s']:.0f})" if row["peer"] else ""
        print(f"{row['file']:<40} {row['mev_s']:>6.1f} {row['mb_s']:>6.0f}  {row['bytes_per_event']:>11.2f}  {peer}")


def measure(path: Path, seconds: float) -> dict[str, Any]:
    """Check the file's events against its ground truth, then time them."""
    truth = json.loads(Path(f"{path}.json").read_text())
    recording = edgesnn.open(path, sensor=tuple(truth["sensor"]))
    events = recording.read()
    if hashlib.sha256(events.tobytes()).hexdigest() != truth["events_sha256"]:
        raise SystemExit(f"{path}: the events are not the ground truth's")
    data = b"".join(recording.chunks())
    chunks = [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]

    def decode() -> None:
        decoder = recording.decoder()
        for chunk in chunks:
            decoder.feed(chunk)
        decoder.finish()

    best_s = best_of(decode, seconds)
    peer, peer_s = tonic(path, events, seconds) if recording.format == "nmnist" else (None, None)
    return {
        "file": path.name,
        "format": recording.format,
        "events": len(events),
        "mev_s": len(events) / best_s / 1e6,
        "mb_s": len(data) / best_s / 1e6,
        "bytes_per_event": len(data) / len(events),
        "peer": peer,
        "peer_mev_s": len(events) / peer_s / 1e6 if peer_s else None,
    }


def tonic(path: Path, events: np.ndarray, seconds: float) -> tuple[str | None, float | None]:
    """Time tonic's reader of the same file, after its events were compared with ours."""
    try:
        from tonic.io import make_structured_array, read_mnist_file
    except ImportError:
        return None, None
    dtype = make_structured_array([0], [0], [0], [0]).dtype
    theirs = read_mnist_file(str(path), dtype=dtype)
    if not all((theirs[name] == events[name]).all() for name in "txyp"):
        raise SystemExit(f"{path}: tonic reads other events")
    return "tonic", best_of(lambda: read_mnist_file(str(path), dtype=dtype), seconds)


def best_of(work: Callable[[], object], seconds: float) -> float:
    best_s, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        work()
        best_s = min(best_s, time.perf_counter() - start)
    return best_s


if __name__ == "__main__":
    main()
