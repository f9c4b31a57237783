"""Small helpers for commands that talk to a person."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def say(text: str = "") -> None:
    """Print one line for a person and flush it, so that it is seen at once off a terminal too."""
    print(text, flush=True)


def program() -> str:
    """Return how this `edgesnn` is called in a shell, so that a printed command runs as it stands.

    `edgesnn` where that name on PATH is this program, else its path (short if it lies below the current folder), else
    `python -m edgesnn`.
    """
    script = Path(sys.argv[0])
    if script.name != "edgesnn":
        return f"{shlex.quote(sys.executable)} -m edgesnn"
    found = shutil.which("edgesnn")
    if found is not None and os.path.exists(script) and os.path.samefile(found, script):
        return "edgesnn"
    return shlex.quote(short_path(script.resolve()))


def short_path(path: Path) -> str:
    """Return the path relative to the current folder if it lies below it, else as it is."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def quantity(value: float) -> str:
    """Return a count for a person to read.

    >>> quantity(1234567)
    '1.23 M'
    """
    for unit, size in ((" G", 1e9), (" M", 1e6), (" k", 1e3)):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"
