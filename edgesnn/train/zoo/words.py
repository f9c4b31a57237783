"""The pieces that all cards have in common. Nothing is computed here but means."""

from __future__ import annotations

import platform
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgesnn.graph import Document
from edgesnn.version import __version__

Row = tuple[str, str]


def written_by(command: str) -> str:
    """Return who wrote a card, from which commit and when."""
    today = time.strftime("%Y-%m-%d")
    return f"Written by\n`python -m edgesnn.train.zoo {command}`, edgesnn {__version__}, commit {commit()}, {today}."


def facts(document: Document, *, coding: str, rows: Sequence[Row]) -> str:
    """Return the table on top of a card; `rows` come last."""
    given, readout = document.input, document.readout or {}
    onset, offset = readout["onset"], readout["offset"]
    table: list[Row] = [
        ("identity", document.identity),
        ("labels", ", ".join(readout["labels"])),
        ("window, hop", f"{given['window_us'] // 1000} ms, {given['hop_us'] // 1000} ms"),
        ("idle", f"a window of fewer than {given['min_events']} events"),
        (
            "points",
            f"{given['points']}, in {given['groups']} groups of {given['neighbours']}, {given['steps']} time steps",
        ),
        ("coding", coding),
        (
            "readout",
            f"temperature {readout['temperature']:.3f}, rejection {readout['rejection']:.2f},"
            f" onset {onset['windows']} windows at {onset['confidence']:.2f},"
            f" offset {offset['windows']} windows under {offset['confidence']:.2f}",
        ),
        *rows,
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in table)])


def confusion(report: dict[str, Any], title: str) -> list[str]:
    """Return the confusion matrix of a report of `edgesnn.train.evaluate`, as lines."""
    width = max(len(label) for label in report["labels"])
    rows = zip(report["labels"], report["confusion"], strict=True)
    lines = [f"{label:<{width}} " + " ".join(f"{n:3d}" for n in row) for label, row in rows]
    return [f"Confusion by vote, {title} (rows: truth):", "", "```", *lines, "```"]


def made_by(commands: str) -> str:
    """Return the section of commands."""
    return f"## Made by\n\n```\n{commands}\n```"


def percent(share: float) -> str:
    """Return a share for a person to read.

    >>> percent(0.955)
    '95.5 %'
    """
    return f"{100 * share:.1f} %"


def machine() -> str:
    """Return the processor's name and the Python."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, Python {platform.python_version()}"


def commit() -> str:
    """Return the commit that this tree is at; `-dirty` where files have changed since."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()
