"""us per step of whole networks, batch 1, state kept, one thread: ours against everything people use now.

    python bench/executor/networks.py [shd braille cnn mlp2 mlp10 mlp50] [--seconds 8]

Each engine's output spikes are compared with the numpy twin's before anything is timed; then all run in turns. A peer
that is not installed, or cannot compute a network, is a line that says so. "run" is one call for all steps, "run, step
by step" the same where no step begins before the one before has been through all layers, "step" one call a step from
Python, "step_many" one call a step for 16 sessions (us of each). Goals: ratios of medians; the us are orientation.

Ours of every precision run at PLACES places in memory, that is models and sessions of their own; what is told is the
median of their medians: where memory lies can cost a small network half its speed (README.md), and does not tell
precisions apart.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

sys.path[:0] = [str(Path(__file__).parents[i]) for i in (2, 1, 0)]
import common  # noqa: E402

common.one_thread()

import nets  # noqa: E402
import numpy as np  # noqa: E402
import ours  # noqa: E402
import peers  # noqa: E402
import twin  # noqa: E402

from edgesnn.errors import EdgeSnnError  # noqa: E402
from edgesnn.graph import Document  # noqa: E402
from edgesnn.runtime.model import Model  # noqa: E402
from edgesnn.runtime.session import Session  # noqa: E402

RUN_MS = 1.0
STEP_COST_US = 1.5
INT4_SPEED = 0.95
ACCOUNTING = 1.05
SESSIONS = 16
PLACES = 5
WEIGHTS = ("int8", "int4", "float32")


class Goal(NamedTuple):
    """What int8 `run` should reach: times the best of onnxruntime and numpy, times the fastest framework, us."""

    engine: float
    framework: float
    us: float


GOALS = {
    "shd": Goal(10, 50, 1.0),
    "braille": Goal(10, 50, 0.35),
    "cnn": Goal(10, 50, 10),
    "mlp2": Goal(5, 50, 8),
    "mlp10": Goal(5, 50, 13),
    "mlp50": Goal(2.5, 40, 35),
}


class Row(NamedTuple):
    """A line of the table: how an engine agrees with the twin, and n calls of so many steps, or why there are none.

    `others` is the same work at other places in memory.
    """

    name: str
    group: str
    agrees: Mapping[str, Any]
    work: Callable[[int], Any] | None
    steps: int
    reason: str = ""
    others: tuple[Callable[[int], Any], ...] = ()


def our_rows(net: nets.Net) -> list[Row]:
    """Return the rows of int8, int4 and float32 `run`, and of int8 `step`."""
    rows = []
    for weights in WEIGHTS:
        name = f"edgesnn {weights} run"
        try:
            made = ours.document(net, weights)
            model = Model(made, backend="native")
        except (EdgeSnnError, ValueError) as error:
            rows.append(Row(name, "ours", {}, None, 0, f"not possible: {error}"))
            continue
        if model.precision != weights:
            rows.append(Row(name, "ours", {}, None, 0, f"not possible: the document came out as {model.precision}"))
            continue
        session, own = model.session(), ours.with_weights_of(net, made)
        agrees = twin.compare(own, *twin.run(own), session.run(net.inputs))
        pieces = _pieces(session.run, net.inputs)
        others = tuple(common.in_turn(_elsewhere(made, i).run, pieces) for i in range(1, PLACES))
        rows.append(Row(name, "ours", agrees, common.in_turn(session.run, pieces), len(pieces[0]), others=others))
        if weights == "int8":
            rows += _other_ways(session, net, agrees, pieces)
    return rows


def _elsewhere(made: Document, place: int) -> Session:
    """Return a session of a model of its own, whose memory begins elsewhere in a page."""
    gap = np.empty(1000 * place, np.uint8)  # held until the model has its memory
    session = Model(made, backend="native").session()
    session.run(np.zeros((1, *made.input["shape"]), np.uint8))  # takes the memory of values
    del gap
    return session


def _other_ways(session: Session, net: nets.Net, agrees: Mapping[str, Any], pieces: list[nets.Spikes]) -> list[Row]:
    """Return the rows of indices, of no accounting, of single steps in one call and one a call, of many sessions."""
    listed = [ours.indices(piece) for piece in pieces]
    steps = [indices for indices, _ in map(ours.indices, net.inputs[:, None])]
    many = [session.model.session() for _ in range(SESSIONS)]
    shared = [np.repeat(x[None], SESSIONS, axis=0) for x in net.inputs]
    silent = session.model.session(account=False)
    single = Model(ours.document(net, "int8", step_by_step=True), backend="native").session()
    _same(session, single, many, net.inputs, shared)
    ways: dict[str, tuple[Callable[[int], Any], int]] = {
        "run, indices": (common.in_turn(lambda active: session.run(active=active), listed), len(pieces[0])),
        "run, no accounting": (common.in_turn(silent.run, pieces), len(pieces[0])),
        "run, step by step": (common.in_turn(single.run, pieces), len(pieces[0])),
        "step": (common.in_turn(session.step, list(net.inputs)), 1),
        "step, indices": (common.in_turn(lambda active: session.step(active=active), steps), 1),
        "step_many": (common.in_turn(lambda xs: session.model.step_many(many, xs), shared), SESSIONS),
    }
    return [Row(f"edgesnn int8 {name}", "ours", agrees, work, count) for name, (work, count) in ways.items()]


def _same(
    session: Session, single: Session, many: list[Session], inputs: nets.Spikes, shared: list[nets.Spikes]
) -> None:
    """Compare indices with dense spikes, single steps with several at once, and many sessions with one."""
    session.reset()
    dense = session.run(inputs)
    session.reset()
    assert np.array_equal(session.run(active=ours.indices(inputs)), dense), "indices and dense spikes differ"
    assert np.array_equal(single.run(inputs), dense), "single steps and several at once differ"
    together = np.stack([session.model.step_many(many, xs) for xs in shared], axis=1)
    assert all(np.array_equal(one, dense) for one in together), "many sessions and one differ"


def _pieces(run: Callable[[Any], Any], inputs: nets.Spikes) -> list[nets.Spikes]:
    """Return the inputs in equal pieces, each of which runs in less than RUN_MS."""
    for count in (1, 2, 5, 10):
        pieces = np.split(inputs, count)
        start = time.perf_counter()
        run(pieces[0])
        if time.perf_counter() - start < RUN_MS / 1e3:
            break
    return pieces


def peer_rows(net: nets.Net) -> list[Row]:
    """Return a row for each peer."""
    expected, margins = twin.run(net)
    rows = []
    for name, (group, _, _) in peers.PEERS.items():
        peer = peers.make(name, net)
        if isinstance(peer, str):
            rows.append(Row(name, group, {}, None, 0, peer))
            continue
        agrees = twin.compare(net, expected, margins, peers.outputs(peer, net))
        rows.append(Row(name, group, agrees, common.in_turn(peer.step, peer.inputs(net.inputs)), 1))
    return rows


def show(net: nets.Net, rows: list[Row], us: Mapping[str, Mapping[str, float]]) -> None:
    """Print the table of one network."""
    base = us.get("edgesnn int8 run")
    rates = ", ".join(f"{name} {rate:.1%}" for name, rate in net.rates.items())
    print(
        f"\n{net.name}: {net.inputs.reshape(len(net.inputs), -1).sum(1).mean():.1f} input spikes a step; rates: {rates}"
    )
    print(f"  {'':<32}{'median us':>10}{'best us':>10}{'ratio':>8}  spikes against the twin's")
    for row in rows:
        if row.name not in us:
            print(f"  {row.name:<32}{row.reason}")
            continue
        t = us[row.name]
        ratio = f"{t['median'] / base['median']:8.1f}" if base else f"{'-':>8}"
        said = f"{row.agrees['equal_steps']} steps equal, {row.agrees['different']} differ"
        print(f"  {row.name:<32}{t['median']:10.2f}{t['best']:10.2f}{ratio}  {said}")


def judge(key: str, rows: list[Row], us: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Print and return the ratios beside their goals; empty where ours cannot run the network."""
    if "edgesnn int8 run" not in us:
        print("  no goal is judged: ours cannot run this network")
        return {}
    run, goal = us["edgesnn int8 run"]["median"], GOALS[key]
    found: dict[str, Any] = {}

    def say(what: str, value: float, wanted: float, *, at_least: bool, unit: str) -> None:
        met = value >= wanted if at_least else value <= wanted
        found[what] = {"value": round(value, 3), "goal": wanted, "met": met}
        print(
            f"  {'met  ' if met else 'SHORT'} {what}: {value:.2f}{unit} (goal {'>=' if at_least else '<='} {wanted:g})"
        )

    for group, wanted in (("engine", goal.engine), ("framework", goal.framework)):
        there = [(us[r.name]["median"], r.name) for r in rows if r.group == group and r.name in us]
        if not there:
            print(f"  no {group} to compare with is installed")
            continue
        best = min(there)
        say(f"{group}: times {best[1]}", best[0] / run, wanted, at_least=True, unit="x")
    say("us per step", run, goal.us, at_least=False, unit=" us")
    single = us["edgesnn int8 run, step by step"]["median"]
    on_top = us["edgesnn int8 step"]["median"] - single
    say("step from Python, on top of single steps", on_top, STEP_COST_US, at_least=False, unit=" us")
    found["single steps, on top of run"] = {"value": round(single - run, 3)}
    print(f"        single steps, on top of run: {single - run:.2f} us")
    silent = us["edgesnn int8 run, no accounting"]["median"]
    say("accounting, times the time without", run / silent, ACCOUNTING, at_least=False, unit="x")
    if "edgesnn int4 run" in us:
        say("int4, times int8's speed", run / us["edgesnn int4 run"]["median"], INT4_SPEED, at_least=True, unit="x")
    return found


def _works(rows: list[Row]) -> Iterator[tuple[str, tuple[Callable[[int], Any], int]]]:
    for row in rows:
        if row.work is not None:
            for place, work in enumerate((row.work, *row.others)):
                yield f"{row.name}@{place}", (work, row.steps)


def _together(us: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """Return one entry a row: the median of the medians at its places, the best and the runs of all of them."""
    places: dict[str, list[Mapping[str, float]]] = {}
    for name, one in us.items():
        places.setdefault(name.rpartition("@")[0], []).append(one)
    rows: dict[str, dict[str, Any]] = {}
    for name, times in places.items():
        medians = sorted(t["median"] for t in times)
        row: dict[str, Any] = {"best": min(t["best"] for t in times), "median": medians[len(medians) // 2]}
        rows[name] = {**row, "runs": sum(t["runs"] for t in times)}
        if len(medians) > 1:
            rows[name]["places"] = medians
    return rows


def bench(key: str, seconds: float) -> dict[str, Any]:
    """Check, time, print and return one network."""
    net = nets.NETS[key]()
    rows = our_rows(net) + peer_rows(net)
    us = _together(common.interleaved_us(dict(_works(rows)), seconds=seconds))
    show(net, rows, us)
    return {
        "net": net.name,
        "rates": net.rates,
        "us": us,
        "agrees": {row.name: row.agrees for row in rows if row.agrees},
        "left_out": {row.name: row.reason for row in rows if row.reason},
        "goals": judge(key, rows, us),
    }


def main() -> None:
    """Run the networks named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", help=f"{', '.join(nets.NETS)}; all of them if none is named")
    parser.add_argument("--seconds", type=float, default=8.0, help="time spent on each network")
    args = parser.parse_args()
    if unknown := set(args.nets) - set(nets.NETS):
        parser.error(f"no such network: {', '.join(sorted(unknown))}")
    np.seterr(all="raise", under="ignore")
    common.record("executor", {"networks": [bench(key, args.seconds) for key in args.nets or nets.NETS]})


if __name__ == "__main__":
    main()
