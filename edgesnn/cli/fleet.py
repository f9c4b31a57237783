"""`edgesnn fleet --mqtt URL`: which nodes there are at a broker, and how they are."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from edgesnn.cli.arguments import add_json, add_mqtt, broker_argument, print_json, protocol_argument
from edgesnn.errors import UsageError

if TYPE_CHECKING:
    from edgesnn.publish.fleet import Node

HELP = "list the nodes at a broker: status, version, health, streams and their models"
EPILOG = """From what nodes retain at edgesnn/<node>/status and /health (docs/mqtt.md); nothing is published.
A node that was taken away for good stays until its retained messages are removed: mosquitto_pub -r -n -t TOPIC.

examples:
  edgesnn fleet --mqtt mqtt://broker.local
  edgesnn fleet --mqtt mqtt://broker.local --unwell
  edgesnn fleet --mqtt mqtts://viewer@broker.local --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_mqtt(parser)
    parser.add_argument("--unwell", action="store_true", help="only nodes that are not online, or degraded")
    parser.add_argument(
        "--wait", metavar="S", type=float, default=5.0, help="wait at most so many seconds for the broker (default: 5)"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Ask the broker, and print."""
    from edgesnn.publish.fleet import fleet

    broker = broker_argument(args)
    if broker is None:
        raise UsageError("no broker", where="--mqtt", expected="its URL, such as mqtt://127.0.0.1:1883")
    if not 0 < args.wait <= 3600:
        raise UsageError("not a time to wait", where="--wait", found=f"{args.wait:g}", expected="seconds, 3600 at most")
    found = fleet(broker, protocol=protocol_argument(args), wait_s=args.wait)
    shown = [node for node in found if not (args.unwell and node.well)]
    if args.json:
        print_json({"schema": "edgesnn.fleet/1", "nodes": [asdict(node) for node in shown]})
        return 0
    for node in shown:
        print("\n".join(_lines(node)))
    print(_sum(found))
    return 0


def _lines(node: Node) -> list[str]:
    """Return what is said of a node; what it says of itself may come from anybody."""
    from edgesnn.events.formats.base import printable

    words = [node.name, node.status, node.version or "", node.health or ""]
    if node.status != "online" and node.ts:
        words.append(f"since {node.ts}" if node.status != "offline" else f"came {node.ts}")
    lines = [printable("  ".join(word for word in words if word))]
    lines += [printable(f"    ! {text}") for text in (node.note, *node.reasons) if text]
    lines += [f"    ! its {kind} is no record of edgesnn" for kind in node.unreadable]
    for name, one in node.streams.items():
        facts = one["model"], one["precision"], (one["sha256"] or "")[:12], one["backend"]
        words = [name, one["state"] or "no state", " ".join(word for word in facts if word) or "no model"]
        lines.append(printable(f"    {'  '.join(words)}"))
        lines += [printable(f"      ! {one['why']}")] if one["why"] else []
    return lines


def _sum(found: Sequence[Node]) -> str:
    if not found:
        return "no nodes: none has said its status at this broker, or we may not read edgesnn/#"
    from edgesnn.events.formats.base import printable

    states = Counter("degraded" if node.status == "online" and not node.well else node.status for node in found)
    versions = Counter(node.version for node in found if node.version and node.status == "online")
    text = ", ".join(f"{count} {printable(state)}" for state, count in states.most_common())
    mixed = "; versions " + ", ".join(f"{printable(v)} ({count})" for v, count in versions.most_common())
    return f"{len(found)} nodes: {text}{mixed if len(versions) > 1 else ''}"
