"""The `edgesnn` command: finds the command's module, runs it, and turns its errors into one line and an exit code.

Exit codes: 0 ok, 1 internal error, 2 usage, 3 recording, 4 model, 5 config, 6 broker, 7 backend, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import os
import re
import signal
import sys
from collections.abc import Sequence
from types import ModuleType

from edgesnn.cli.parser import Parser, nearest
from edgesnn.errors import EdgeSnnError, UsageError, unloadable

# name -> module; a command is listed here on the day it works
COMMANDS = {
    "bench": "edgesnn.cli.bench",
    "convert": "edgesnn.cli.convert",
    "demo": "edgesnn.cli.demo",
    "doctor": "edgesnn.cli.doctor",
    "eval": "edgesnn.cli.eval",
    "export": "edgesnn.cli.export",
    "fleet": "edgesnn.cli.fleet",
    "generate": "edgesnn.cli.generate",
    "import": "edgesnn.cli.import_model",
    "info": "edgesnn.cli.info",
    "quantize": "edgesnn.cli.quantize",
    "replay": "edgesnn.cli.replay",
    "run": "edgesnn.cli.run",
    "train": "edgesnn.cli.train",
    "verify": "edgesnn.cli.verify",
}

INTERRUPTED = 128 + signal.SIGINT
OUTPUT_FAILED = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EBADF)  # of a write


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code; nothing that a user's data can cause escapes as a traceback.

    Args:
        argv: the arguments after the program's name; None takes those of the process.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _open_output()
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
        return code
    except EdgeSnnError as error:
        _say(f"error: {_one_line(error)}")
        return error.exit_code
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        return _reader_left()
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0
    except ImportError as error:
        if "/edgesnn/_native." not in (error.path or ""):
            return _internal_error(error)
        broken = unloadable(error)
        _say(f"error: {_one_line(broken)}")
        return broken.exit_code
    except Exception as error:
        if isinstance(error, OSError) and error.errno in OUTPUT_FAILED:
            _leave_output()
            _say(f"error: standard output cannot be written: {error.strerror}")
            return EdgeSnnError.exit_code
        return _internal_error(error)


def _open_output() -> None:
    """Make sure that standard output takes any file name, and that there is one."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _dispatch(arguments: list[str]) -> int:
    if not arguments:
        _top_level().print_help(sys.stderr)
        return UsageError.exit_code
    if arguments[0].startswith("-"):
        _top_level().parse_args(arguments)
        raise UsageError("no command given", expected=f"one of {', '.join(COMMANDS)}", hint="see `edgesnn --help`")
    module = _command(arguments[0])
    _route_notices()
    parser = _command_parser(arguments[0], module)
    code: int = module.run(parser.parse_args(arguments[1:]))
    return code


def _command(name: str) -> ModuleType:
    if name not in COMMANDS:
        close = nearest(name, COMMANDS)
        hint = f"did you mean `edgesnn {close}`?" if close else "see `edgesnn --help`"
        raise UsageError("no such command", found=repr(name), expected=f"one of {', '.join(COMMANDS)}", hint=hint)
    return importlib.import_module(COMMANDS[name])


def _command_parser(name: str, module: ModuleType) -> Parser:
    parser = Parser(
        prog=f"edgesnn {name}",
        description=getattr(module, "DESCRIPTION", module.HELP),
        epilog=getattr(module, "EPILOG", None),
    )
    module.add_arguments(parser)
    return parser


def _top_level() -> Parser:
    from edgesnn.version import __version__

    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {importlib.import_module(module).HELP}" for name, module in COMMANDS.items()]
    parser = Parser(
        prog="edgesnn",
        usage="edgesnn COMMAND [options]",
        description="Run spiking models on event-camera recordings and publish what they see over MQTT.",
        epilog="commands:\n" + "\n".join(lines) + "\n\n`edgesnn COMMAND --help` explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"edgesnn {__version__}")
    return parser


def _route_notices() -> None:
    """Send the library's warnings and log records to standard error, one line each."""
    import logging
    import warnings

    def show(message: Warning | str, category: type[Warning], *_rest: object, **_more: object) -> None:
        _say(f"warning: {_one_line(message)}")

    class Line(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return f"edgesnn: {record.levelname.lower()}: {_one_line(super().format(record))}"

    warnings.showwarning = show
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Line())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # standard error may be closed; the exit code still tells
        print(f"edgesnn: {text}", file=sys.stderr, flush=True)


def _one_line(text: object) -> str:
    """Return a text as one line; what would steer a terminal, such as a name out of a file, is replaced."""
    return re.sub("[\x00-\x1f\x7f-\x9f]", "\ufffd", " ".join(str(text).split()))


def _reader_left() -> int:
    """End quietly when the reader of our standard output has gone (`| head`)."""
    _leave_output()
    return 0


def _leave_output() -> None:
    """Point standard output at nothing, so that what is still buffered cannot fail again at exit."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError, ValueError):
        os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)


def _internal_error(error: Exception) -> int:
    import traceback

    traceback.print_exception(error, file=sys.stderr)
    _say(
        f"internal error: {type(error).__name__}: {_one_line(error)}; this is a fault of edgesnn: please report it with"
        " the command, the lines above and the output of `edgesnn doctor --json`"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
