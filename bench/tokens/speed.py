"""ms per token of token models (SpikeGPT), batch 1, state kept, one thread: ours, the read bandwidth, and peers.

    python bench/tokens/speed.py [tiny 46M 216M] [--seconds 30]

The shipped text model (tiny), and random weights of two published sizes (`shapes.py`). Every engine's first answers
are compared (`answers.py`) before anything is timed; then all run in turns. "step" is one call a token from Python,
"run" one call for a prompt (with "last" the head runs once), "step_many" one call for 8 sessions. "read" reads as many
bytes as the matrices of a step have: the limit. Two threads are timed by the clock, memory and loading in a process of
their own. A peer that is not installed is a line that says so. Goals: `goals.py`.
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

import goals  # noqa: E402
import numpy as np  # noqa: E402
import ours  # noqa: E402
import peers  # noqa: E402
import process  # noqa: E402
import shapes  # noqa: E402
import threads  # noqa: E402

Row = dict[str, Any]


def bench(name: str, seconds: float) -> dict[str, Any]:
    """Check, time, print and return one shape."""
    shape = shapes.SHAPES[name]
    print(f"\n{name}: {shape.layers} blocks, width {shape.width}, {shape.vocab} tokens", flush=True)
    costs = {p: process.cost(shapes.model_file(name, p)) for p in ours.PRECISIONS}
    mine = {p: ours.make(name, p) for p in ours.PRECISIONS}
    others, left_out = _peers(name)
    works: ours.Works = {}
    agrees = {f"edgesnn {precision}": one.agrees for precision, one in mine.items()}
    for precision, one in mine.items():
        works |= ours.works(name, precision, one)
    for row, peer in others.items():
        agrees[row] = peers.check(name, peer)
        works[row] = common.in_turn(peer.step, shapes.tokens_of(name, 64).tolist()), 1
    us = common.interleaved_us(works, seconds=seconds)
    token = int(shapes.tokens_of(name, 1)[0])
    clock = {precision: threads.step_ms(mine[precision].model, token) for precision in ("int8", "int4")}
    _show(us, agrees, left_out)
    weights = {precision: one.weight_bytes for precision, one in mine.items()}
    _show_costs(costs, clock, weights)
    return {
        "shape": shape._asdict(),
        "identities": {precision: one.model.identity[:12] for precision, one in mine.items()},
        "us": us,
        "agrees": agrees,
        "left_out": left_out,
        "weight_bytes": weights,
        "process": costs,
        "threads_ms": clock,
        "goals": _judge(name, us, others, costs, clock),
    }


def _peers(name: str) -> tuple[dict[str, peers.Peer], dict[str, str]]:
    """Return the peers that there are, and why the others are not."""
    made = {row: peers.make(name, row) for row in peers.PEERS}
    left_out = {row: peer for row, peer in made.items() if isinstance(peer, str)}
    return {row: peer for row, peer in made.items() if not isinstance(peer, str)}, left_out


def _judge(name: str, us: goals.Times, others: Mapping[str, peers.Peer], costs: Row, clock: Row) -> Row:
    judged = goals.Goals()
    goals.judge(judged, name, us, others)
    for precision, cost in costs.items():
        goals.judge_cost(judged, precision, cost)
    for precision, ms in clock.items():
        if name != "tiny":  # its matrices are too small to be shared
            goals.judge_threads(judged, precision, ms)
    return judged.found


def _show(us: goals.Times, agrees: Mapping[str, Mapping[str, float]], left_out: Mapping[str, str]) -> None:
    print(f"  {'ms a token':<36}{'median':>10}{'best':>10}  answers beside float64's")
    for row, t in us.items():
        own = agrees.get(row)
        said = ", ".join(f"{what} {value:.3g}" for what, value in own.items()) if own else ""
        print(f"  {row:<36}{t['median'] / 1e3:10.4f}{t['best'] / 1e3:10.4f}  {said}")
    for row, reason in left_out.items():
        print(f"  {row:<36}{reason}")


def _show_costs(costs: Row, clock: Row, weights: Row) -> None:
    for precision, cost in costs.items():
        peak, run = ((cost[key] - cost["file_bytes"]) / 1e6 for key in ("peak_steps", "peak_run"))
        print(
            f"  {precision}: file {cost['file_bytes'] / 1e6:.1f} MB, {weights[precision] / 1e6:.1f} of weights; "
            f"load {cost['load_ms']:.0f} ms, first token {cost['first_ms']:.0f}; state {cost['state_bytes']} bytes; "
            f"peak above the file {peak:.0f} MB, {run:.0f} with a prompt, {cost['peak_before'] / 1e6:.0f} before"
        )
    for precision, ms in clock.items():
        print(
            f"  {precision} by the clock: one thread {ms['1']:.3f} ms, two {ms['2']:.3f}; "
            f"beside a busy process {ms['1 busy']:.3f} and {ms['2 busy']:.3f}; "
            f"processor time {ms['1 processor']:.3f} and {ms['2 processor']:.3f}"
        )


def main() -> None:
    """Run the shapes named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", help=f"{', '.join(shapes.SHAPES)}; all of them if none is named")
    parser.add_argument("--seconds", type=float, default=30.0, help="time spent on each shape")
    args = parser.parse_args()
    if unknown := set(args.shapes) - set(shapes.SHAPES):
        parser.error(f"no such shape: {', '.join(sorted(unknown))}")
    np.seterr(all="raise", under="ignore")
    common.record("tokens", {"speed": [bench(name, args.seconds) for name in args.shapes or shapes.SHAPES]})


if __name__ == "__main__":
    main()
