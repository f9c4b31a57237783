"""What every bench shares: timing under load, and a JSON record with machine, commit and flags.

A bench checks its answer before it times anything, runs its peer in the same process or minute, prints the ratio and
calls `record`.
"""

from __future__ import annotations

import json
import os
import platform
import random
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from itertools import cycle, islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"


def one_thread() -> None:
    """Set the usual libraries to one thread; call it before numpy or torch is imported."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"


def time_ms(work: Callable[[], Any], *, seconds: float = 2.0, repeats: int = 5) -> dict[str, float]:
    """Return {"best", "median", "runs"} in ms of calls of `work`, for about `seconds` and at least `repeats` calls.

    The best is what the machine can do; the median shows how loaded it was.
    """
    work()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < repeats or time.perf_counter() < end:
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1e3)
    times.sort()
    return {"best": times[0], "median": times[len(times) // 2], "runs": len(times)}


def interleaved_ms(
    works: Mapping[str, Callable[[], Any]],
    *,
    seconds: float = 4.0,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, dict[str, float]]:
    """Return `time_ms` of several works, run in turns so that all of them see the same load.

    With `time.thread_time` as the clock waits for a processor are left out; all the work must be in this thread.
    """
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, times.values())) < 5:
        for name, work in works.items():
            start = clock()
            work()
            times[name].append((clock() - start) * 1e3)
    return {n: {"best": min(t), "median": sorted(t)[len(t) // 2], "runs": len(t)} for n, t in times.items()}


def interleaved_us(
    works: Mapping[str, tuple[Callable[[int], Any], int]], *, seconds: float = 4.0, turn_ms: float = 2.0
) -> dict[str, dict[str, float]]:
    """Return {"best", "median", "runs"} in us per step of several works; `work(n)` does n calls of so many steps each.

    Works run in turns, shuffled anew each round, all in the caller's thread, whose processor time is what is measured:
    on an idle machine that is the time on the clock, and on a loaded one the waits for a processor are left out. A turn
    lasts about `turn_ms`, after half as long that does not count: a stream finds its own weights in the caches, not
    those of the others, whether a call is many steps or one.
    """
    turns = {}
    for name, (work, steps) in works.items():
        work(1)
        start = time.thread_time()
        work(3)
        calls = max(1, round(3 * turn_ms / 1e3 / (time.thread_time() - start)))
        turns[name] = (work, calls, calls * steps)
    times: dict[str, list[float]] = {name: [] for name in works}
    order = random.Random(0)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, times.values())) < 5:
        for name in order.sample(sorted(turns), len(turns)):
            work, calls, steps = turns[name]
            work(max(1, calls // 2))
            start = time.thread_time()
            work(calls)
            times[name].append((time.thread_time() - start) * 1e6 / steps)
    return {n: {"best": min(t), "median": sorted(t)[len(t) // 2], "runs": len(t)} for n, t in times.items()}


def interleaved_cpu_ms(works: Mapping[str, Callable[[], Any]], *, seconds: float = 4.0) -> dict[str, dict[str, float]]:
    """Return `interleaved_ms` in the thread's processor time: see `interleaved_us`."""
    us = interleaved_us({name: (repeated(work), 1) for name, work in works.items()}, seconds=seconds)
    return {n: {"best": t["best"] / 1e3, "median": t["median"] / 1e3, "runs": t["runs"]} for n, t in us.items()}


def repeated(work: Callable[..., Any], *arguments: Any) -> Callable[[int], None]:
    """Return what calls `work(*arguments)` n times."""

    def turn(n: int) -> None:
        for _ in range(n):
            work(*arguments)

    return turn


def in_turn(work: Callable[[Any], Any], inputs: Sequence[Any]) -> Callable[[int], None]:
    """Return what calls `work` with the next n of the inputs, round and round."""
    rounds = cycle(inputs)

    def turn(n: int) -> None:
        for x in islice(rounds, n):
            work(x)

    return turn


def beside(mev_s: Mapping[str, float], differs: Mapping[str, str]) -> str:
    """Return the peers' speeds in words: "name 12.3 (4.5x)", with what a peer's answer differs in."""
    ours = mev_s["edgesnn"]
    words = {name: f"; {differs[name]}" if name in differs else "" for name in mev_s}
    peers = [(name, speed) for name, speed in mev_s.items() if name != "edgesnn"]
    return ", ".join(f"{name} {speed:.1f} ({ours / speed:.1f}x{words[name]})" for name, speed in peers)


def record(name: str, results: Mapping[str, Any]) -> dict[str, Any]:
    """Append one JSON line to `bench/results/<name>.jsonl` and return it."""
    line = {
        "bench": name,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cpu": _cpu(),
        "load_1min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "arm": _arm(),
        "results": dict(results),
    }
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / f"{name}.jsonl").open("a") as file:
        file.write(json.dumps(line, sort_keys=True) + "\n")
    return line


def _commit() -> str:
    """Return the commit; `-dirty` where a file other than the benches' results has changed since."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)bench/results")
    return (git("describe", "--always", "--abbrev=12") or "unknown") + ("-dirty" if changed else "")


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.machine()


def _arm() -> str:
    try:
        from edgesnn import _native
    except ImportError:
        return "none"
    return str(_native.executor.arm())
