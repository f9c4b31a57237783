"""`edgesnn run -c config.toml`: the service."""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from edgesnn.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from edgesnn.daemon.reading import Read

HELP = "run the streams of a configuration file as a service, and publish them over MQTT"
EPILOG = """The configuration: docs/daemon.md. Passwords come from a file that it names, or from EDGESNN_MQTT_PASSWORD.

examples:
  edgesnn run --print-config > config.toml
  edgesnn run -c config.toml --check
  edgesnn run -c config.toml
  curl -s "$(edgesnn run -c config.toml --print-url)/readyz"

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
    does.add_argument(
        "--print-url",
        action="store_true",
        help="print where its pages are; nothing where no one can know (docs/daemon.md)",
    )


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
    from edgesnn.daemon.reading import WrongConfigError, read

    try:
        configuration = read(args.config)
        if args.print_url:
            return _print_url(configuration)
        return _check(configuration) if args.check else _serve(configuration)
    except WrongConfigError as errors:
        for error in errors.errors:
            print(f"edgesnn: error: {error}", file=sys.stderr)
        return ConfigError.exit_code


def _print_url(configuration: Read) -> int:
    from edgesnn.daemon.pages import url_of

    url = url_of(configuration.config.http)
    if url is not None:
        print(url)
    return 0


def _check(configuration: Read) -> int:
    from edgesnn.daemon.check import ask_broker, check

    check(configuration, os.environ)
    ask_broker(configuration, os.environ)
    config = configuration.config
    print(f"{configuration.path}: ok: node {config.node.name}, {len(config.stream)} streams")
    return 0


def _serve(configuration: Read) -> int:
    from edgesnn.daemon.service import serve

    return serve(configuration, os.environ)
