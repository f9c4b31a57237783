"""`edgesnn doctor`: what this installation can do, and what is missing."""

from __future__ import annotations

import argparse

from edgesnn.cli.arguments import add_json, print_json

HELP = "say what this installation can do and what is missing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    import platform

    from edgesnn.version import __version__

    report = {"version": __version__, "python": platform.python_version()}
    if args.json:
        print_json(report)
    else:
        for name, value in report.items():
            print(f"{name:<10} {value}")
    return 0
