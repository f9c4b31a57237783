"""ms per token of token models (SpikeGPT), batch 1, state kept, one thread: ours, the read bandwidth, and peers.

    python bench/tokens/speed.py [tiny 46M 216M] [--seconds 20]

Random weights of three shapes (`shapes.py`). Every engine's first answers are compared before anything is timed; then
all run in turns. "step" is one call a token from Python, "run" one call for a prompt, "step_many" one call for 8
sessions. "read" reads as many bytes as the matrices of a step have: the limit.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[i]) for i in (2, 1, 0)]
import common  # noqa: E402

common.one_thread()

import numpy as np  # noqa: E402
import ours  # noqa: E402
import shapes  # noqa: E402

Times = Mapping[str, Mapping[str, float]]


def bench(name: str, seconds: float) -> dict[str, Any]:
    """Check, time, print and return one shape."""
    print(f"\n{name}: {shapes.SHAPES[name]}", flush=True)
    made = {precision: ours.make(name, precision) for precision in ours.PRECISIONS}
    works: ours.Works = {}
    for precision, one in made.items():
        works |= ours.works(name, precision, one)
    us = common.interleaved_us(works, seconds=seconds)
    show(us)
    return {"shape": shapes.SHAPES[name]._asdict(), "us": us, "agrees": {p: one.agrees for p, one in made.items()}}


def show(us: Times) -> None:
    """Print the table."""
    print(f"  {'ms a token':<32}{'median':>10}{'best':>10}")
    for row, t in us.items():
        print(f"  {row:<32}{t['median'] / 1e3:10.4f}{t['best'] / 1e3:10.4f}")


def main() -> None:
    """Run the shapes named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", help=f"{', '.join(shapes.SHAPES)}; all of them if none is named")
    parser.add_argument("--seconds", type=float, default=20.0, help="time spent on each shape")
    args = parser.parse_args()
    if unknown := set(args.shapes) - set(shapes.SHAPES):
        parser.error(f"no such shape: {', '.join(sorted(unknown))}")
    np.seterr(all="raise", under="ignore")
    common.record("tokens", {"speed": [bench(name, args.seconds) for name in args.shapes or shapes.SHAPES]})


if __name__ == "__main__":
    main()
