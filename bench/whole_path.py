"""From an EVT3 file to points: read, decode, filter, cut into windows of 10 ms, draw 1024 points; memory of a big file.

    python bench/whole_path.py [--mb 64] [--filter background:dt=10ms ...] [--gigabyte]

Makes its own file: blobs that move over 1280x720, two million events a second. The points reach a Python object, one
call a window, without a filter and with them, in the caller's thread and with the thread that reads, in turns; a
counter in a second Python thread shows how free the GIL is. The answer is checked first: both modes give the same
windows, and the first ones hold what numpy cuts from the events that `Chain` leaves. `--gigabyte` streams a file of
10^9 bytes in a process of its own and reads its peak memory.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import edgesnn  # noqa: E402
from bench.common import record  # noqa: E402
from edgesnn import _native  # noqa: E402
from edgesnn.encode.points import PointEncoding, encode_points  # noqa: E402
from edgesnn.events.filters import Chain, parse_filters  # noqa: E402
from edgesnn.pipeline.bench import made_up_events  # noqa: E402
from edgesnn.runtime.decide import Readout  # noqa: E402

SENSOR = (1280, 720)
ENCODING = PointEncoding(10_000, 10_000, 1, points=1024, groups=1, neighbours=1, steps=1, seed=7)
EVENTS_S = 2_000_000
PIECE = 1 << 14
CHECKED = 5
FILTERS = ["refractory:period=100us", "background:dt=10ms"]
_MEASURE = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    "from bench.whole_path import peak_kb, play; before = peak_kb(); play(sys.argv[2], sys.argv[3] == 'threaded');"
    "print(before, peak_kb())"
)


class Points:
    """Takes the windows: keeps a sum of each, and the first few whole."""

    def __init__(self) -> None:
        self.sums: list[int] = []
        self.kept: list[Any] = []

    def infer(self, window: tuple[Any, ...]) -> tuple[Any, int, int, int, int]:
        """Take a window."""
        arrays = [np.ascontiguousarray(field) for field in window if isinstance(field, np.ndarray)]
        self.sums.append(zlib.crc32(b"".join(array.tobytes() for array in arrays)))
        if len(self.kept) < CHECKED:
            self.kept.append(window)
        return np.zeros(2, np.float32), 1, 0, 0, 0


def make_file(path: Path, size_bytes: int) -> None:
    """Write pieces of a tenth of a second, again and again, until the file has about so many bytes."""
    events = made_up_events(EVENTS_S // 10, 100_000, SENSOR, 1)
    edgesnn.write(path, events, sensor=SENSOR, format="evt3")
    pieces = -(-size_bytes // path.stat().st_size)
    with edgesnn.Writer(path, sensor=SENSOR, format="evt3") as writer:
        for _ in range(pieces):
            writer.write(events)
            events["t"] += 100_000


def play(path: str | Path, threaded: bool, filters: list[Any] | None = None) -> tuple[Points, dict[str, int], float]:
    """Run the chain over the file; return what it gave, its counters and the seconds it took."""
    recording = edgesnn.open(path)
    points = Points()
    readout = Readout(("a", "b"), 1.0)
    chain: Any = _native.pipeline.Chain(
        ENCODING, SENSOR, readout, points, strict=True, format="evt3", filters=filters or []
    )
    start = time.perf_counter()
    with recording.open_data(0) as file:
        if threaded:
            chain = _native.pipeline.ThreadedChain(chain, "block", 1 << 18, 2)
            chain.read(file.fileno(), True, str(path))
            while not chain.ended:
                chain.poll(1000)
        else:
            while piece := file.read(PIECE):
                chain.push_bytes(piece)
                while chain.poll() is not None:
                    pass
            chain.finish()
            while chain.poll() is not None:
                pass
    return points, chain.counters(), time.perf_counter() - start


def check(path: Path, texts: list[str]) -> None:
    """Stop unless both modes give the same windows, and the first are what numpy cuts."""
    plain, counters, _ = play(path, False, natives(texts))
    threaded, _, _ = play(path, True, natives(texts))
    if plain.sums != threaded.sums or len(plain.sums) < CHECKED:
        raise SystemExit("the two modes give other windows")
    events = Chain(texts, sensor=SENSOR).push(next(iter(edgesnn.open(path).packets(count=1 << 18))))
    for number, window in enumerate(plain.kept):
        t0 = int(events["t"][0]) + number * 10_000
        start, stop = np.searchsorted(events["t"], [t0, t0 + 10_000])
        expected = encode_points(events[start:stop], ENCODING, SENSOR, number=number, first_event=int(start), t0_us=t0)
        if not np.array_equal(window[1], expected.coordinates):
            raise SystemExit(f"window {number} holds other points")
    assert counters["events_in"] > 0


def natives(texts: list[str]) -> list[Any]:
    """Return filters as the native chain takes them."""
    return [one.native for one in parse_filters(texts)]


def free_share(path: Path, threaded: bool, filters: list[Any]) -> float:
    """Return how far a second Python thread counts beside the chain, as a share of what it counts alone."""
    count, stop = 0, False

    def run() -> None:
        nonlocal count
        while not stop:
            count += 1

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.5)
    alone, begun = count / 0.5, count
    _, _, seconds = play(path, threaded, filters)
    beside = (count - begun) / seconds
    stop = True
    thread.join()
    return beside / alone


def peak_kb() -> int:
    """Return the peak resident memory of this process."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def growth_mb(path: Path, mode: str) -> float:
    """Return by how much a process grows that streams the file, beside what its imports cost."""
    command = [sys.executable, "-c", _MEASURE, str(ROOT), str(path), mode]
    before, after = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return (int(after) - int(before)) * 1024 / 1e6


def measure(path: Path, texts: list[str], repeats: int) -> dict[str, Any]:
    """Check, then time both modes in turns."""
    check(path, texts)
    filters = natives(texts)
    rows: dict[str, list[float]] = {"caller": [], "threaded": []}
    for _ in range(repeats):
        for mode, seconds in rows.items():
            _, counters, took = play(path, mode == "threaded", filters)
            seconds.append(took)
    results: dict[str, Any] = {"filters": texts}
    for mode, seconds in rows.items():
        rate, bytes_s = (counters[name] / min(seconds) / 1e6 for name in ("events_in", "bytes_in"))
        free = free_share(path, mode == "threaded", filters)
        results[mode] = {"mev_s": rate, "mb_s": bytes_s, "gil_free": free}
        print(
            f"{', '.join(texts) or 'no filter'}; {mode}: {rate:.1f} million events/s, {bytes_s:.0f} MB/s; "
            f"a second thread of Python ran at {free:.2f}"
        )
    return results


def main() -> None:
    """Check, measure, print, record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=64, help="size of the timed file (default: 64)")
    parser.add_argument("--filter", nargs="+", default=FILTERS, help=f"before the windows (default: {FILTERS})")
    parser.add_argument("--gigabyte", action="store_true", help="also stream a file of 10^9 bytes")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    results: dict[str, Any] = {"mb": args.mb}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.raw"
        make_file(path, args.mb * 1_000_000)
        results["paths"] = [measure(path, list(texts), args.repeats) for texts in ((), args.filter)]
        if args.gigabyte:
            make_file(path, 1_000_000_000)
            results["growth_mb_of_1_gb"] = {mode: growth_mb(path, mode) for mode in ("caller", "threaded")}
            for mode, growth in results["growth_mb_of_1_gb"].items():
                print(f"{mode}: streaming {path.stat().st_size / 1e9:.2f} GB grows the process by {growth:.0f} MB")
    print(json.dumps(record("whole_path", results)))


if __name__ == "__main__":
    main()
