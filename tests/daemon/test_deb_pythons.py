"""The Debian package for the Pythons of JetPack 6 and 7: made, unpacked, and run by such a Python.

dpkg has not installed it on a system of theirs: Debian 12, in which test_deb.py does that, has Python 3.11 alone.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.scripts import load_script

ROOT = Path(__file__).resolve().parents[2]
REPLAY = (
    "replay",
    str(ROOT / "recordings" / "left_arm_clockwise_noisy.raw"),
    "-m",
    "gestures",
    "--speed",
    "max",
    "--json",
)
SAME = ("window", "decision", "label", "confidence")


def run(*command: str | Path, **variables: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500, env={**kept, **variables})
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def predicted(text: str) -> list[Any]:
    return [[record.get(key) for key in SAME] for record in map(json.loads, text.splitlines())]


@pytest.mark.full
@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb is not installed")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("version", ["3.10", "3.12"])
def test_the_package_runs_with_its_python(version, tmp_path):
    python = {load_script("tools/pythons.py").version_of(one): one for one in interpreters()}.get(version)
    if python is None:
        pytest.skip(f"there is no CPython {version} here, which the package is for")
    run(sys.executable, ROOT / "tools" / "make_debs.py", tmp_path, python)
    (package,) = tmp_path.glob("*.deb")
    tag = version.replace(".", "")
    assert package.name.split("_")[1].endswith(f"~py{tag}")
    needs = run("dpkg-deb", "-f", package, "Depends").strip().split(", ")
    assert needs[:3] == ["python3", f"python{version}", "libstdc++6"]
    assert re.fullmatch(r"libc6 \(>= 2\.\d+\)", needs[3])
    assert len(needs) == 4

    tree = tmp_path / "tree"
    run("dpkg-deb", "-x", package, tree)
    site = tree / "usr/lib/edgesnn"
    cached = {path.name.split(".")[-2] for path in (site / "edgesnn").rglob("*.pyc")}
    assert cached == {f"cpython-{tag}"}
    text = (tree / "usr/bin/edgesnn").read_text()
    assert text.startswith(f"#!/usr/bin/python{version} -I\n")
    command = tmp_path / "edgesnn"
    command.write_text(text.replace('SITE = "/usr/lib/edgesnn"', f'SITE = "{site}"'))
    about = json.loads(run(python, "-I", command, "doctor", "--json"))
    assert about["native"]["available"] is True
    assert run(python, "-I", command, "run", "-c", tree / "etc/edgesnn/config.toml", "--print-url")
    here = run(sys.executable, "-m", "edgesnn", *REPLAY, PYTHONPATH=str(ROOT))
    assert predicted(run(python, "-I", command, *REPLAY)) == predicted(here)
    assert any(label for _, _, label, _ in predicted(here))


def interpreters() -> list[str]:
    return load_script("tools/pythons.py").found("deb")  # type: ignore[no-any-return]
