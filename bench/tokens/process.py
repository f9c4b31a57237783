"""What a model file costs a process of its own: processor time to load it and of the first token, peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
STEPS = 4
PROMPT = 32


def cost(path: Path) -> dict[str, Any]:
    """Return what a new process finds: ms, and peak bytes (VmHWM) before the load, after steps and after `run`."""
    paths = [str(HERE.parents[1]), str(HERE), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-c", "import process; process.measure()", str(path)]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return {"file_bytes": path.stat().st_size, **json.loads(done.stdout)}


def measure() -> None:
    """Load the file named on the command line, do some steps and a prompt, print what it cost."""
    from edgesnn.runtime.model import load

    before = peak_bytes()
    start = time.process_time()
    model = load(sys.argv[1], backend="native")
    session = model.session()
    loaded = time.process_time()
    session.step(0)
    stepped = time.process_time()
    for _ in range(STEPS):
        session.step(0)
    after = peak_bytes()
    session.run([0] * PROMPT, keep="last")
    found = {
        "load_ms": 1e3 * (loaded - start),
        "first_ms": 1e3 * (stepped - loaded),
        "state_bytes": sum(array.nbytes for array in session.state.values()),
        "peak_before": before,
        "peak_steps": after,
        "peak_run": peak_bytes(),
    }
    print(json.dumps(found))


def peak_bytes() -> int:
    """Return VmHWM."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
