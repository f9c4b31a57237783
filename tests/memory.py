"""How much memory some work takes, measured in a process of its own.

VmHWM is of that program alone and begins anew at exec. getrusage's ru_maxrss does not: a child begins with its parent's
peak, and in the process of the tests an earlier test may have set a peak that no later one reaches.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent

_MEASURE = """
import json, sys
from tests.memory import peak_kib
exec(sys.argv[1])
warm(*sys.argv[2:])
before = peak_kib()
result = work(*sys.argv[2:])
print(json.dumps([result, peak_kib() - before]))
"""

_COUNT = """
import edgesnn
def count(path):
    recording = edgesnn.open(path, on_corrupt="skip")
    return [sum(len(packet) for packet in recording.packets({by})), recording.counters]
def warm(small, path): count(small)
def work(small, path): return count(path)
"""


def peak_kib() -> int:
    """Return the peak of this process's resident memory."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def resident_kib(pid: int | str = "self") -> int:
    """Return the resident memory of a process now."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def measured(code: str, *arguments: str | Path, timeout: float = 120) -> tuple[Any, int]:
    """Run `code`, which defines warm() and work(), call both with the arguments, as text, in another process.

    Returns what work() returned, as JSON has it, and by how many KiB it raised the peak that warm() had left.
    """
    command = [sys.executable, "-c", _MEASURE, code, *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, cwd=REPOSITORY)
    assert ran.returncode == 0, ran.stderr
    result, grown = json.loads(ran.stdout)
    return result, grown


def read_in_packets(small: Path, path: Path, by: str = "") -> tuple[int, dict[str, int], int]:
    """Read `path` with on_corrupt="skip" in another process that has read `small`: events, counters, KiB grown.

    `by` are the arguments of packets().
    """
    (events, counters), grown = measured(_COUNT.format(by=by), small, path)
    return events, counters, grown
