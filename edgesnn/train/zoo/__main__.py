"""`python -m edgesnn.train.zoo digits|gestures|shakespeare|recheck`: a shipped model and its card, or figures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from edgesnn.errors import EdgeSnnError
from edgesnn.train.zoo import digits, gestures, recheck, shakespeare

COMMANDS = {"digits": digits, "gestures": gestures, "recheck": recheck, "shakespeare": shakespeare}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m edgesnn.train.zoo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, module in COMMANDS.items():
        module.add_arguments(commands.add_parser(name, help=module.HELP))
    options = parser.parse_args(arguments)
    try:
        print(COMMANDS[options.command].run(options))
    except EdgeSnnError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
