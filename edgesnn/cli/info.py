"""`edgesnn info FILE`: what a recording or a model file holds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edgesnn.cli.arguments import add_json, add_sensor, print_json

HELP = "say what a recording or a model file holds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("file", metavar="FILE", help="a recording or a model file")
    add_json(parser)
    add_sensor(parser)
    parser.add_argument(
        "--on-corrupt", choices=("strict", "skip"), default="strict", help="damaged data: stop, or count and go on"
    )
    parser.add_argument("--format", metavar="NAME", help="format of the recording, where its content does not tell it")


def run(args: argparse.Namespace) -> int:
    """Print the report on standard output."""
    if _is_model(args.file):
        return _model(args)
    import edgesnn
    from edgesnn.events.summary import summarise

    recording = edgesnn.open(args.file, format=args.format, sensor=args.sensor, on_corrupt=args.on_corrupt)
    report = summarise(recording)
    if args.json:
        print_json(report)
    else:
        for line in _lines(report):
            print(line)
    return 0


def _is_model(path: str) -> bool:
    """Say whether this is a safetensors file: by its name, or eight bytes of a length that fits and a JSON object."""
    file = Path(path)
    if file.suffix == ".safetensors":
        return True
    try:
        with file.open("rb") as stream:
            head, size = stream.read(9), file.stat().st_size
    except OSError:
        return False  # edgesnn.open says what is wrong
    return head[8:] == b"{" and int.from_bytes(head[:8], "little") <= size - 8


def _model(args: argparse.Namespace) -> int:
    if args.json:
        from edgesnn.graph import read

        model = read(args.file)
        facts = {"path": args.file, "sha256": model.identity, "precision": model.precision}
        print_json({**facts, **model.body(), "provenance": dict(model.provenance)})
    else:
        from edgesnn.graph.text import describe

        print(describe(args.file))
    return 0


def _lines(report: dict[str, Any]) -> list[str]:
    from edgesnn.units import format_duration_us

    sensor, extent = report["sensor"], report["extent"]
    rows = [
        ("file", report["path"]),
        ("format", report["format"]),
        ("size", f"{report['size_bytes']:,} bytes"),
        ("sensor", f"{sensor[0]}x{sensor[1]}" if sensor else "not known (pass --sensor WxH)"),
        ("extent seen", f"x {extent['x'][0]}-{extent['x'][1]}, y {extent['y'][0]}-{extent['y'][1]}" if extent else "-"),
        ("events", f"{report['events']:,} ({report['on']:,} on, {report['off']:,} off)"),
        ("triggers", f"{report['triggers']:,}"),
    ]
    if report["events"]:
        rows.append(("time", f"{report['t_min_us']:,} to {report['t_max_us']:,} us"))
        rows.append(("duration", format_duration_us(report["duration_us"])))
    if report["rate_hz"]:
        rows.append(("rate", f"{report['rate_hz']:,.0f} events/s"))
    departures = ", ".join(f"{name} {value}" for name, value in report["counters"].items() if value)
    rows += [("counters", departures or "all zero"), ("events sha256", report["events_sha256"])]
    return [f"{name:<14} {value}" for name, value in rows]
