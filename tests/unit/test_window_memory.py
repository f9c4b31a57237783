"""What a burst of events needed does not stay with the windows: a service runs for months."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BURST = """
import resource
import sys
from pathlib import Path
from edgesnn import _native
from tests.unit.test_windows import make
def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
cutter = _native.pipeline.WindowCutter(length=10, hop=10)
cutter.push(make([0]), None)
burst = make([5]).repeat(1 << 16)
before = resident_mb()
for _ in range(64):
    cutter.push(burst, None)
print(resident_mb() - before, cutter.counters()["dropped.window_full"])
for t in range(15, 5000, 10):
    cutter.push(*((make([t]), None) if sys.argv[1] == "events" else (make([]), t)))
print(resident_mb() - before)
"""


@pytest.mark.parametrize("then", ["events", "silence"])
def test_what_a_burst_needed_is_given_back(then: str) -> None:
    """The most events that may wait take 54 MB. In a process of its own: others would use again what is freed."""
    done = subprocess.run(
        [sys.executable, "-c", BURST, then],
        cwd=ROOT,
        env={
            **os.environ,
            "MALLOC_MMAP_THRESHOLD_": str(4 << 20),
            "MALLOC_TRIM_THRESHOLD_": str(8 << 20),
        },  # the service's
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    held, dropped, left = done.stdout.split()
    assert dropped == "1"
    assert float(held) > 50
    assert float(left) < 5 + 8, "what glibc keeps at the top of the heap, and little more"
