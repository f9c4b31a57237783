"""`edgesnn doctor`: what this installation can do, and what is missing."""

from __future__ import annotations

import argparse
from typing import Any

from edgesnn.cli.arguments import add_json, add_mqtt, broker_argument, print_json, protocol_argument

HELP = "say what this installation can do and what is missing"
EPILOG = """exit codes: 0 ready, 6 the broker named with --mqtt does not accept us, 7 no native module or arm

examples:
  edgesnn doctor
  edgesnn doctor --mqtt mqtt://127.0.0.1:1883
  edgesnn doctor --power 60s      what the board takes while nothing runs: telemetry.idle_power of the service"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_json(parser)
    add_mqtt(parser)
    parser.add_argument(
        "--power", metavar="TIME", help="measure the mean power of the board's rails for so long, up to 1h"
    )


def run(args: argparse.Namespace) -> int:
    """Print the report; the exit code says what is broken."""
    from edgesnn.cli.diagnosis import diagnose, exit_code
    from edgesnn.events.formats.base import printable

    report = diagnose(broker_argument(args), protocol_argument(args), _power_s(args.power))
    if args.json:
        print_json({**report, "exit_code": exit_code(report)})
    else:
        for name, text in _lines(report):
            print(f"{name:<10} {printable(text)}")
    return exit_code(report)


def _power_s(text: str | None) -> float | None:
    if text is None:
        return None
    from edgesnn.errors import UsageError
    from edgesnn.units import parse_duration_us

    seconds = parse_duration_us(text, where="--power") / 1e6
    if not 1 <= seconds <= 3600:
        raise UsageError("out of range", where="--power", found=text, expected="1s to 1h")
    return seconds


def _lines(report: dict[str, Any]) -> list[tuple[str, str]]:
    native, broker, clock = report["native"], report["broker"], report["clock"]
    packages = ", ".join(f"{name} {version or 'missing'}" for name, version in report["packages"].items())
    lines = [("edgesnn", report["version"]), ("system", report["system"]), ("packages", packages)]
    arms = f"arm {native['arm']} (of {', '.join(native['arms'])})"
    lines.append(("native", arms if native["available"] else f"not usable: {native['reason']}"))
    lines += [("backend", f"{name}: {reason or 'ready'}") for name, reason in report["backends"].items()]
    lines += [("model", f"{name}: {_model(facts)}") for name, facts in report["zoo"].items()]
    lines.append(("broker", _broker(broker)))
    lines.append(("clock", _clock(clock)))
    lines += [("board", text) for text in _board(report["board"])]
    lines += [("extra", f"{name}: {_extra(versions)}") for name, versions in report["extras"].items()]
    return lines


def _extra(versions: dict[str, str | None]) -> str:
    if not any(versions.values()):
        return "not installed"
    return ", ".join(f"{module} {version or 'missing'}" for module, version in versions.items())


def _model(facts: dict[str, Any]) -> str:
    if facts["error"]:
        return f"not usable: {facts['error']}"
    if facts["kind"] == "tokens":
        return f"{facts['precision']}, tokens: lines of text"
    width, height = facts["sensor"] or ("?", "?")
    return f"{facts['precision']}, sensor {width}x{height}, window {(facts['window_us'] or 0) / 1000:g} ms"


def _broker(broker: dict[str, Any]) -> str:
    startable = ", ".join(broker["startable"]) or "none (apt install mosquitto, or pip install 'edgesnn[broker]')"
    answer = "accepts us" if broker["named"] else "answers"
    state = f"{broker['url']} {answer}" if broker["reachable"] else f"{broker['url']}: {broker['reason']}"
    return f"{state}; can start here: {startable}"


def _board(board: dict[str, Any]) -> list[str]:
    whole = f" (the whole board: {', '.join(board['whole'])})" if board["whole"] else ""
    lines = [f"power rails: {', '.join(board['rails'])}{whole}" if board["rails"] else "no power rails"]
    lines += [f"rail {name} has no power: {why}" for name, why in board["silent"].items()]
    if board["temperature_c"]:
        lines.append(", ".join(f"{zone} {value:g} C" for zone, value in board["temperature_c"].items()))
    events = {**board["throttle_events"], **board["slowed_by"]}
    if events:
        lines.append("throttling: " + ", ".join(f"{name} {count}" for name, count in events.items()))
    if board["mean_power_w"] is not None:
        means = ", ".join(f"{name} {value:.3f} W" for name, value in board["mean_power_w"].items())
        lines.append(f"mean power: {means or 'not known'}")
    return lines


def _clock(clock: dict[str, Any]) -> str:
    words = {True: "synchronised", False: "not synchronised", None: "synchronisation unknown"}
    return f"{words[clock['synchronised']]}, monotonic resolution {clock['monotonic_resolution_ns']} ns"
