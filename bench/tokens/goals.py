"""What should be reached, beside what was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from peers import Peer

Times = Mapping[str, Mapping[str, float]]

STEP_MS = {"tiny": {"int8": 0.03}, "46M": {"int8": 2.8, "int4": 1.8}, "216M": {"int8": 11.0, "int4": 7.0}}
TIMES_PEER = {"float32": None, "int8": 1.7, "int4": 2.0}  # the best of the same precision
TIMES_ANY_PEER = {"float32": None, "int8": 4.0, "int4": 4.0}  # tiny
TIMES_ALIKE = {  # in the same groups of weights
    "int4": ("onnxruntime 4 bits, blocks of 32", 2.0),
    "int4/128": ("onnxruntime 4 bits, blocks of 128", 2.0),
}
TIMES_LIMIT = 1.8
TOGETHER = {"int8": 3.0, "int4": 2.0}  # tokens a second of `run` and `step_many`, times those of `step`
ABOVE_FILE_MB = 30.0
COLLAPSE = 1.5  # two threads beside a busy process, times one beside it


class Goals:
    """Prints each goal as it is judged; `found` holds all of them."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, Any]] = {}

    def at_least(self, what: str, value: float, goal: float | None) -> None:
        """Judge a value; without a goal it is only told."""
        self._say(what, value, goal, goal is None or value >= goal, ">=")

    def at_most(self, what: str, value: float, goal: float | None) -> None:
        """Judge a value; without a goal it is only told."""
        self._say(what, value, goal, goal is None or value <= goal, "<=")

    def _say(self, what: str, value: float, goal: float | None, met: bool, sign: str) -> None:
        self.found[what] = {"value": round(value, 4), "goal": goal, "met": met}
        if goal is None:
            print(f"        {what}: {value:.3g}")
        else:
            print(f"  {'met  ' if met else 'SHORT'} {what}: {value:.3g} (goal {sign} {goal:g})")


def judge(goals: Goals, name: str, us: Times, peers: Mapping[str, Peer]) -> None:
    """Judge the times of a shape."""
    ms = {row: t["median"] / 1e3 for row, t in us.items()}
    for precision, goal in STEP_MS[name].items():
        goals.at_most(f"{precision}, ms a token", ms[f"edgesnn {precision}"], goal)
    wanted = TIMES_ANY_PEER if name == "tiny" else TIMES_PEER
    for precision, times in wanted.items():
        step = ms[f"edgesnn {precision}"]
        if rows := [row for row, peer in peers.items() if name == "tiny" or peer.precision == precision]:
            best = min(rows, key=ms.__getitem__)
            goals.at_least(f"{precision}, times the speed of {best}", ms[best] / step, times)
        if name != "tiny":
            goals.at_most(f"{precision}, times the limit", step / ms[f"read {precision}"], TIMES_LIMIT)
    for precision, (row, times) in TIMES_ALIKE.items():
        if row in ms and name != "tiny":
            goals.at_least(f"{precision}, times the speed of {row}", ms[row] / ms[f"edgesnn {precision}"], times)
    if name == "46M":
        for precision, times in TOGETHER.items():
            for way in ("run", "step_many"):
                gain = ms[f"edgesnn {precision}"] / ms[f"edgesnn {precision} {way}"]
                goals.at_least(f"{precision} {way}, times the speed of step", gain, times)


def judge_cost(goals: Goals, precision: str, cost: Mapping[str, float]) -> None:
    """Judge the memory of a process."""
    above = (cost["peak_run"] - cost["file_bytes"]) / 1e6
    goals.at_most(f"{precision}, MB of peak memory above the file", above, ABOVE_FILE_MB)


def judge_threads(goals: Goals, precision: str, ms: Mapping[str, float]) -> None:
    """Judge two threads; `ms` as `threads.step_ms` gives it."""
    goals.at_least(f"{precision}, two threads, times the speed of one", ms["1"] / ms["2"], 1.0)
    goals.at_most(f"{precision}, two threads beside a busy process, times one", ms["2 busy"] / ms["1 busy"], COLLAPSE)
    spent = ms["2 processor"] / ms["1 processor"]
    goals.at_most(f"{precision}, two threads, times the processor time of one", spent, None)
