"""Makes the Debian package of each CPython that is here: `make deb`.

Usage: python tools/make_debs.py OUT [PYTHON...]     PYTHON: interpreters; else those that are found

For each it makes an environment, the wheel in it, and the package of the wheel by make_deb.py, run by that Python.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from pythons import chosen

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Return 0 where all are made."""
    if len(sys.argv) < 2:
        raise SystemExit("usage: make_debs.py OUT [PYTHON...]")
    out = Path(sys.argv[1]).resolve()
    for version, python in chosen("deb", sys.argv[2:]).items():
        work = ROOT / "build" / "deb" / version
        shutil.rmtree(work, ignore_errors=True)
        own = work / "environment" / "bin" / "python"
        step(f"environment for {version}", python, "-m", "venv", work / "environment")
        step(f"wheel for {version}", own, "-m", "pip", "wheel", "-q", "--no-deps", "-w", work, ROOT)
        (wheel,) = work.glob("*.whl")
        step(f"package for {version}", own, ROOT / "tools" / "make_deb.py", wheel, out)
    for package in sorted(out.glob("edgesnn_*.deb")):
        print(f"{package.stat().st_size / 1e6:.1f} MB  {package}")
    return 0


def step(name: str, *command: str | Path) -> None:
    """Run something long, as other targets do; nothing of another environment comes in."""
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    if shutil.which("ccache"):
        variables.setdefault("CMAKE_CXX_COMPILER_LAUNCHER", "ccache")
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "step.py", f"deb {name}", *command], env=variables, cwd=ROOT
    )
    if done.returncode:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    sys.exit(main())
