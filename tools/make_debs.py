"""Makes the Debian package of each CPython that is here: `make deb`.

Usage: python tools/make_debs.py OUT [PYTHON...]     PYTHON: interpreters; else those that are found

For each it makes an environment, the wheel in it, under the tag of the oldest systems that it runs on, and the package
of that wheel by make_deb.py, run by that Python.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from pythons import chosen
from target import ROOT, TAGGERS, Target

DEB = Target("deb")


def main() -> int:
    """Return 0 where all are made."""
    if len(sys.argv) < 2:
        raise SystemExit("usage: make_debs.py OUT [PYTHON...]")
    out = Path(sys.argv[1]).resolve()
    for version, python in chosen("deb", sys.argv[2:]).items():
        work = ROOT / "build" / "deb" / version
        shutil.rmtree(work, ignore_errors=True)
        commands = DEB.environment(work / "environment", python, TAGGERS)
        own, raw, tagged = commands / "python", work / "raw", work / "tagged"
        DEB.step(f"wheel for {version}", own, "-m", "pip", "wheel", "-q", "--no-deps", "-w", raw, ROOT)
        (wheel,) = raw.glob("*.whl")
        tagged.mkdir()
        wheel = DEB.tag(commands, wheel, tagged)
        DEB.step(f"package for {version}", own, ROOT / "tools" / "make_deb.py", wheel, out)
    for package in sorted(out.glob("edgesnn_*.deb")):
        print(f"{package.stat().st_size / 1e6:.1f} MB  {package}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
