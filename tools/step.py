"""Run one step of a Makefile target: show its command, a sign of life every 4 s, and its output only if it fails.

Usage: step.py NAME COMMAND...     The output is kept in build/logs/NAME.log.
"""

import shlex
import subprocess
import sys
import time
from pathlib import Path

SIGN_OF_LIFE_S = 4.0


def main() -> int:
    """Run the step and return its exit code."""
    name, command = sys.argv[1], sys.argv[2:]
    log = Path("build", "logs", f"{name.replace(' ', '-')}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    print(f"$ {shlex.join(command)}", flush=True)
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        code = _wait(process, name, started)
    if code:
        lines = log.read_text("utf-8", "replace").splitlines()
        print("\n".join(lines[-60:]), file=sys.stderr)
        print(f"{name} failed with exit code {code}; the whole output is in {log}", file=sys.stderr)
    return code


def _wait(process: "subprocess.Popen[bytes]", name: str, started: float) -> int:
    while True:
        try:
            return process.wait(timeout=SIGN_OF_LIFE_S)
        except subprocess.TimeoutExpired:
            print(f"  {name}: {time.monotonic() - started:.0f} s", flush=True)
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            return 130


if __name__ == "__main__":
    sys.exit(main())
