"""`edgesnn demo`: a shipped recording and model, a broker on this machine, and what arrives through it."""

from __future__ import annotations

import argparse
import contextlib
from typing import TYPE_CHECKING

from edgesnn.cli.arguments import add_json, add_mqtt, broker_argument, print_json, protocol_argument
from edgesnn.cli.console import say

if TYPE_CHECKING:
    from edgesnn.cli.show import Arrival

HELP = "show predictions of a shipped recording as they arrive through an MQTT broker"
EPILOG = """The broker: --mqtt, else mosquitto if it is installed, else amqtt (pip install 'edgesnn[broker]'); a local
one listens on 127.0.0.1 only and ends with the demo. With none of them the demo predicts without publishing.

examples:
  edgesnn demo
  edgesnn demo --keep
  edgesnn demo --mqtt mqtt://127.0.0.1:1883"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--keep", action="store_true", help="go on, and leave the broker up, until Ctrl-C")
    add_json(parser)
    add_mqtt(parser)


def run(args: argparse.Namespace) -> int:
    """Run the demo to its end, or with `--keep` until Ctrl-C."""
    broker = broker_argument(args)
    if not args.json:
        from edgesnn.version import __version__

        say(f"edgesnn {__version__}: a simulated recording, the model 'gestures', and what it sees")
    from edgesnn.cli.show import Show

    with contextlib.ExitStack() as stack:
        show = Show(stack, broker, protocol_argument(args), args.keep)
        if not args.json:
            for line in show.introduction():
                say(line)
        try:
            for arrival in show.arrivals():
                _print(arrival, args.json)
        except KeyboardInterrupt:
            if not args.keep:
                raise
        show.stop()
        if args.json:
            print_json(show.summary())
        else:
            for line in show.conclusion():
                say(line)
    return 0


def _print(arrival: Arrival, as_json: bool) -> None:
    if as_json:
        print_json(arrival.record)
        return
    from edgesnn.publish.sinks.terminal import format_line

    travel = f"  {arrival.travel_ms:6.1f} ms over MQTT" if arrival.travel_ms is not None else ""
    say(format_line(arrival.prediction) + travel)
