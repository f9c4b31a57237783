"""The interpreters that packages are made for, found or named: for make_wheels.py and make_debs.py."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

VERSIONS = ("3.10", "3.11", "3.12", "3.13")


def chosen(target: str, named: Sequence[str]) -> dict[str, str]:
    """Return version -> interpreter of those that are named, else of those that are found; else it is the end.

    Args:
        target: of make, whose name errors begin with; its variable is WHEEL_PYTHONS or DEB_PYTHONS.
        named: interpreters.
    """
    pythons: dict[str, str] = {}
    for python in named or found(target):
        if not usable(python):
            raise SystemExit(f"make {target}: {python}: not a Python with venv and ensurepip; name another")
        version = version_of(python)
        if version in pythons:
            raise SystemExit(f"make {target}: {pythons[version]} and {python} are both Python {version}; name one")
        pythons[version] = python
    if not pythons:
        wanted = f"none of CPython {', '.join(VERSIONS)} is here; name one"
        variable = f"{target.rstrip('s').upper()}_PYTHONS"
        raise SystemExit(f"make {target}: {wanted}: make {target} {variable}=/path/python3")
    return pythons


def found(target: str) -> list[str]:
    """Return an interpreter of each version that is here: on PATH, or of pyenv."""
    pythons = []
    for version in VERSIONS:
        managed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python3"))
        candidates = [shutil.which(f"python{version}"), *map(str, managed[::-1])]
        path = next((path for path in candidates if path is not None and usable(path)), None)
        if path is None:
            print(f"make {target}: no CPython {version} here, nothing for it")
        else:
            pythons.append(path)
    return pythons


def usable(python: str) -> bool:
    """Return whether an interpreter runs and can make environments: a shim may do neither."""
    try:
        return subprocess.run([python, "-c", "import ensurepip, venv"], capture_output=True).returncode == 0
    except OSError:
        return False


def version_of(python: str) -> str:
    """Return the version of an interpreter, such as 3.12."""
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
