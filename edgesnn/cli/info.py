"""`edgesnn info FILE`: what a recording or a model holds."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from edgesnn.cli.arguments import add_json, add_recording, open_recording, print_json
from edgesnn.errors import UsageError

HELP = "say what a recording or a model holds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("file", metavar="FILE", help="a recording, a model file, or a model of the zoo")
    add_json(parser)
    add_recording(parser)
    parser.add_argument("--verify", action="store_true", help="compare a model's tensors with their checksums")


def run(args: argparse.Namespace) -> int:
    """Print the report on standard output."""
    model = _model_file(args.file)
    if model is not None:
        return _model(model, args)
    if args.verify:
        raise UsageError("only models have checksums", where="--verify", found=args.file)
    from edgesnn.events.summary import summarise

    report = summarise(open_recording(args))
    if args.json:
        print_json(report)
    else:
        for line in _lines(report):
            print(line)
    return 0


def _model_file(name: str) -> str | None:
    """Return the path of a model, None for a recording.

    A model is a name in the zoo that no file has, a file of that suffix, or one that begins like a safetensors file:
    eight bytes of a length that fits, then a JSON object.
    """
    file = Path(name)
    if file.suffix == ".safetensors":
        return name
    if not file.exists() and os.sep not in name:
        from edgesnn.runtime.model import ZOO

        shipped = ZOO / f"{name}.safetensors"
        return str(shipped) if shipped.is_file() else None
    try:
        with file.open("rb") as stream:
            head, size = stream.read(9), file.stat().st_size
    except OSError:
        return None  # edgesnn.open says what is wrong
    return name if head[8:] == b"{" and int.from_bytes(head[:8], "little") <= size - 8 else None


def _model(path: str, args: argparse.Namespace) -> int:
    from edgesnn.graph import read

    model = read(path)
    if args.verify:
        model.verify()
    if args.json:
        facts: dict[str, Any] = {"path": path, "sha256": model.identity, "precision": model.precision}
        verified = {"verified": True} if args.verify else {}
        bits = {view.node.name: rules.bit_budget(view) for rules, view in model.analysis.operators if rules.matrix}
        facts["bit_budget_per_step"] = bits
        print_json({**facts, **verified, **model.body(), "provenance": dict(model.provenance)})
        return 0
    from edgesnn.graph.text import describe

    print(describe(model))
    if args.verify:
        print(f"{'verified':<11} all {len(model.tensors)} tensors have their checksums")
    return 0


def _lines(report: dict[str, Any]) -> list[str]:
    from edgesnn.units import format_duration_us

    sensor, extent = report["sensor"], report["extent"]
    layout = f", {report['variant']}" if report["variant"] else ""
    rows = [
        ("file", report["path"]),
        (
            "format",
            report["format"] + layout + ("" if report["verified"] else " (unverified: no real file to compare with)"),
        ),
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
