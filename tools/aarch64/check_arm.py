"""Say whether this processor runs the arm that it should, and refuses one that it lacks in one clear line.

Usage: check_arm.py ARM
"""

import json
import os
import subprocess
import sys
from typing import Any

COMMAND = [sys.executable, "-m", "edgesnn", "doctor", "--json"]
SESSION = [sys.executable, "-c", "import edgesnn; edgesnn.load('digits').session()"]


def main() -> int:
    """Return 0 where all of it holds."""
    arm = sys.argv[1]
    native = _doctor()["native"]
    print(f"doctor: {native['arm']} (of {', '.join(native['arms'])})")
    assert native["available"]
    assert native["arm"] == arm, native
    other = "neon_dotprod" if arm == "scalar" else "avx2"
    environment = {**os.environ, "EDGESNN_ARM": other}
    refused = subprocess.run(SESSION, env=environment, capture_output=True, text=True, check=False)
    said = refused.stderr.strip().splitlines()[-1]
    print(said)
    assert refused.returncode == 1
    assert said.startswith("edgesnn.errors.BackendError: ")
    assert other in said
    assert arm in said
    named = _doctor(environment, exit_code=7)["native"]
    print(f"doctor: {named['reason']}")
    assert other in named["reason"]
    return 0


def _doctor(environment: dict[str, str] | None = None, exit_code: int | None = None) -> dict[str, Any]:
    done = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, check=False)
    assert exit_code in (None, done.returncode), (done.returncode, done.stderr)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


if __name__ == "__main__":
    sys.exit(main())
