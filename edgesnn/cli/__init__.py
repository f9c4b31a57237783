"""The command line. A command parses, calls and prints; it holds no logic of its own.

Start reading in `main.py`: it has the registry of commands and turns errors into exit codes. A command is a module
with `HELP`, `add_arguments(parser)` and `run(args) -> int` (optionally `DESCRIPTION` and `EPILOG`); it imports what it
needs inside `run`, so that `--help` is quick and needs no numpy. `arguments.py` holds the flags that several share.
"""
