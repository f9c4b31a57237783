"""`make aarch64`: what is missing on a system is one line."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_what_is_missing_for_aarch64_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    command = ["/bin/sh", str(ROOT / "tools" / "aarch64" / "check_system.sh")]
    environment = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    wanted = "make aarch64: missing on this system: sudo apt install g++-aarch64-linux-gnu qemu-user\n"
    assert (done.stdout, done.stderr) == ("", wanted)
