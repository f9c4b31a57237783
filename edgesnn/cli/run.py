"""`edgesnn run -c config.toml`: the service."""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec

from edgesnn.errors import ConfigError, UsageError

HELP = "run the streams of a configuration file as a service, and publish them over MQTT"
EPILOG = """The configuration: docs/daemon.md. Passwords come from a file that it names, or from EDGESNN_MQTT_PASSWORD.

examples:
  edgesnn run --print-config > config.toml
  edgesnn run -c config.toml --check
  edgesnn run -c config.toml

signals: TERM and INT end it (what was predicted is delivered first), HUP reads the configuration again"""


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
    return _run(args.config, only_check=args.check)


def _run(path: str, *, only_check: bool) -> int:
    from edgesnn.daemon.check import ask_broker, check
    from edgesnn.daemon.reading import WrongConfigError, read
    from edgesnn.daemon.service import serve

    try:
        configuration = read(path)
        if not only_check:
            return serve(configuration, os.environ)
        check(configuration, os.environ)
    except WrongConfigError as errors:
        for error in errors.errors:
            print(f"edgesnn: error: {error}", file=sys.stderr)
        return ConfigError.exit_code
    ask_broker(configuration, os.environ)
    streams = configuration.config.stream
    print(f"{path}: ok: node {configuration.config.node.name}, {len(streams)} streams")
    return 0
