"""`edgesnn run -c config.toml`: the service."""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec

from edgesnn.errors import ConfigError, UsageError

HELP = "check the configuration of streams for the service, or print a default one"
EPILOG = """The configuration: docs/daemon.md. Passwords come from a file that it names, or from EDGESNN_MQTT_PASSWORD.

examples:
  edgesnn run --print-config > config.toml
  edgesnn run -c config.toml --check"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("-c", "--config", metavar="FILE", help="the configuration, TOML")
    does = parser.add_mutually_exclusive_group()
    does.add_argument(
        "--check",
        action="store_true",
        help="only say whether the configuration is right (exit code 5 where not, 6 where the broker refuses)",
    )
    does.add_argument("--print-config", action="store_true", help="print a commented default configuration")


def run(args: argparse.Namespace) -> int:
    """Check, print, or run."""
    for package in ("pydantic", "prometheus_client"):
        if find_spec(package) is None:
            raise ConfigError(f"{package} is not installed", hint="pip install 'edgesnn[daemon]'")
    if args.print_config:
        from edgesnn.daemon.template import template

        print(template(), end="")
        return 0
    if args.config is None:
        raise UsageError("no configuration", where="-c", hint="`edgesnn run --print-config` prints one to begin with")
    if not args.check:
        raise UsageError("nothing to do", expected="--check")
    return _check(args.config)


def _check(path: str) -> int:
    from edgesnn.daemon.check import ask_broker, check
    from edgesnn.daemon.reading import WrongConfigError, read

    try:
        configuration = read(path)
        check(configuration, os.environ)
    except WrongConfigError as errors:
        for error in errors.errors:
            print(f"edgesnn: error: {error}", file=sys.stderr)
        return ConfigError.exit_code
    ask_broker(configuration, os.environ)
    streams = configuration.config.stream
    print(f"{path}: ok: node {configuration.config.node.name}, {len(streams)} streams")
    return 0
