"""`edgesnn info FILE`: what a recording or a model holds, what a live source gives."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesnn.cli.arguments import add_json, add_recording, open_recording, open_source, print_json
from edgesnn.errors import UsageError

if TYPE_CHECKING:
    from edgesnn.events.sources.devices import Lists

HELP = "say what a recording, a model or a bundle holds, or a live source gives"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "file", metavar="FILE", help="a recording, a live source, a model file or one of the zoo, a bundle"
    )
    add_json(parser)
    add_recording(parser)
    parser.add_argument("--seconds", metavar="N", type=_seconds, help="how long to look at a live source (default: 3)")
    parser.add_argument("--verify", action="store_true", help="compare a model's tensors with their checksums")


def run(args: argparse.Namespace) -> int:
    """Print the report on standard output."""
    from edgesnn.events.sources.registry import is_source, lister

    if (kind := lister(args.file)) is not None:
        return _devices(kind, args)
    if is_source(args.file):
        return _live(args)
    if args.seconds is not None:
        raise UsageError("only live sources are looked at for a time", where="--seconds", found=args.file)
    from edgesnn.recorder.bundle import is_bundle

    if is_bundle(args.file):
        return _bundle(args)
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


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d{1,6}(\.\d+)?", text) or float(text) <= 0:
        raise UsageError("not a number of seconds", where="--seconds", found=repr(text), expected="such as 5")
    return float(text)


def _devices(kind: Lists, args: argparse.Namespace) -> int:
    """Print the devices that are there, and what to do where one cannot be opened."""
    devices = kind.devices()
    if args.json:
        print_json({"devices": [one._asdict() for one in devices]})
        return 0
    if not devices:
        print(f"{args.file} {kind.nothing}", file=sys.stderr)
    for one in devices:
        print(f"{one.address:<24} {one.name}{f': {one.problem}' if one.problem else ''}")
    for hint in dict.fromkeys(one.hint for one in devices if one.hint):
        print(f"{'to do':<24} {hint}")
    return 0


def _live(args: argparse.Namespace) -> int:
    from edgesnn.events.sources.live import LiveSource
    from edgesnn.events.sources.watch import watch

    if args.verify:
        raise UsageError("only models have checksums", where="--verify", found=args.file)
    source = open_source(args)
    assert isinstance(source, LiveSource)
    with source:
        report = watch(source, args.seconds or 3.0)
    if args.json:
        print_json(report)
        return 0
    sensor, extent = report["sensor"], report["extent"]
    departures = ", ".join(f"{name} {value}" for name, value in report["counters"].items() if value)
    rows = [
        ("source", report["url"]),
        ("state", report["state"]),
        ("format", report["format"]),
        ("sensor", _sensor(sensor)),
        ("extent seen", _extent(extent)),
        ("events", f"{report['events']:,} in {report['seconds']:.1f} s ({report['on']:,} on, {report['off']:,} off)"),
        ("rate", _rate(report["rate_hz"], report["bytes_per_s"])),
        ("time", "-" if report["t_end_us"] is None else f"{report['t_end_us']:,} us reached"),
        ("counters", departures or "all zero"),
        *((name.removesuffix("_us"), _detail(value)) for name, value in report["details"].items()),
    ]
    for name, value in rows:
        print(f"{name:<14} {value}")
    return 0


def _rate(rate_hz: float | None, bytes_per_s: float | None) -> str:
    return "-" if rate_hz is None else f"{rate_hz:,.0f} events/s, {bytes_per_s:,.0f} bytes/s"


def _detail(value: Any) -> str:
    """Return what a source tells for a person to read; numbers by name are microseconds."""
    from edgesnn.units import format_duration_us

    if isinstance(value, dict):
        return ", ".join(f"{name} {format_duration_us(number)}" for name, number in value.items())
    return "-" if value is None else str(value)


def _sensor(sensor: list[int] | None) -> str:
    return f"{sensor[0]}x{sensor[1]}" if sensor else "not known (pass --sensor WxH)"


def _extent(extent: dict[str, list[int]] | None) -> str:
    return f"x {extent['x'][0]}-{extent['x'][1]}, y {extent['y'][0]}-{extent['y'][1]}" if extent else "-"


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

    for name in ("sensor", "format", "columns", "topic", "on_corrupt"):
        if getattr(args, name) is not None:
            raise UsageError("this flag is of recordings", where=f"--{name.replace('_', '-')}", found=path)
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


def _bundle(args: argparse.Namespace) -> int:
    """Print what a bundle of the flight recorder says of itself."""
    from edgesnn.events.formats.base import printable
    from edgesnn.recorder.bundle import read

    bundle = read(args.file)
    about, taken = bundle.about, bundle.taken
    windows = [prediction.window for prediction in bundle.published]
    held = {"events": len(taken["events"])} if bundle.kind == "events" else {"lines": len(taken["lines"])}
    if args.json:
        span = {"published": len(windows), "windows": [windows[0], windows[-1]] if windows else None}
        print_json({"path": args.file, **about, **held, **span})
        return 0
    model = about["model"]
    rows = [
        ("bundle", f"{about['stream']}, {about['made']}, by edgesnn {about['edgesnn']}"),
        ("trigger", about["trigger"] + (f": {about['why']}" if about["why"] else "")),
        ("holds", ", ".join(f"{count:,} {name}" for name, count in held.items())),
        ("decisions", f"{about['decisions']:,}, {len(windows):,} of them published"),
        ("windows", f"{windows[0]:,} to {windows[-1]:,}" if windows else "-"),
        ("model", f"{model.get('path')}, sha256 {model.get('sha256')}"),
        *((name, str(value)) for name, value in about["config"].items() if value not in (None, [])),
    ]
    for name, value in rows:
        print(f"{printable(name):<14} {printable(value)}")
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
        ("sensor", _sensor(sensor)),
        ("extent seen", _extent(extent)),
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
