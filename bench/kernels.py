"""Speed of the native matrix kernels against the read bandwidth of this machine, measured in the same turns.

    python bench/kernels.py [--seconds 0.1] [--arm avx2] [--part spikes] [--build build/test]

`kernels_bench` (native/tests, built by `make native`) compares every result with the scalar arm's before it is timed.
The limit of a case is the time in which the weights that it needs (the rows of active inputs, or all of them) can be
read at the bandwidth of reading the whole matrix. Where an event kernel misses the goal, it is also set against a limit
that counts its vectors too: input, scale and bias are read, the output is written, at the same bandwidth. ns are per
row of input, one thread, the best of many turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.common import record  # noqa: E402

Row = dict[str, Any]
GOAL = 2.0  # times the limit, from 5 % activity and 64 KB of weights up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.1, help="how long each case is repeated")
    parser.add_argument("--arm", help="instruction-set arm (default: the best of this machine)")
    parser.add_argument("--part", default="", help="only kernels with this in their names")
    parser.add_argument("--build", type=Path, default=ROOT / "build/test", help="folder of kernels_bench")
    args = parser.parse_args()
    if args.arm:
        os.environ["EDGESNN_ARM"] = args.arm
    rows = measure(args.build / "kernels_bench", args.seconds, args.part)
    line = record("kernels", {"seconds": args.seconds, "rows": rows})
    print(f"arm {line['arm']}, load {line['load_1min']}; ns a row of input / times the time of reading")
    for text in table(rows):
        print(text)
    missed = [row for row in rows if misses(row)]
    print(f"{len(missed)} cases from 5 % and 64 KB up take more than {GOAL} times their limit")
    for row in missed:
        print(f"  {title(row)} {setting(row)}: {row['ns'] / row['limit_ns']:.2f}{beside_vectors(row)}")


def measure(program: Path, seconds: float, part: str) -> list[Row]:
    """Run the native bench; return its rows."""
    if not program.is_file():
        raise SystemExit(f"{program} is not there: make native")
    done = subprocess.run([program, str(seconds), part], stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def title(row: Row) -> str:
    return f"{row['kernel']:<11} {row['outputs']:>4} x {row['inputs']:<4}"


def setting(row: Row) -> str:
    return f"{100 * row['activity']:g} %" if "activity" in row else f"{row['rows']:g} rows"


def misses(row: Row) -> bool:
    large = row.get("activity", 1) >= 0.05 and row["weight_bytes"] >= 1 << 16
    return large and row["ns"] > GOAL * row["limit_ns"]


def beside_vectors(row: Row) -> str:
    if "activity" not in row:
        return ""
    vectors_ns = (row["inputs"] + 12 * row["outputs"]) / row["read_gb_s"]
    return f", {row['ns'] / (row['limit_ns'] + vectors_ns):.2f} with its vectors"


def table(rows: list[Row]) -> list[str]:
    """Return one line a kernel and shape, its settings side by side."""
    lines: dict[str, list[str]] = {}
    for row in rows:
        cell = f"{setting(row)} {row['ns']:.0f} / {row['ns'] / row['limit_ns']:.2f}"
        lines.setdefault(title(row), []).append(cell)
    return [f"{name}  " + "   ".join(cells) for name, cells in lines.items()]


if __name__ == "__main__":
    main()
