"""`edgesnn convert IN OUT`: a recording, or a part of it, in another format."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgesnn.cli.arguments import (
    add_filters,
    add_json,
    add_recording,
    duration_us,
    encoder_list,
    filter_list,
    open_recording,
    print_json,
)
from edgesnn.errors import UsageError

if TYPE_CHECKING:
    from edgesnn.events.recording import Recording

HELP = "write a recording, or a part of it, in another format"
EPILOG = f"""The suffix of OUT says its format where --format does not. OUT is replaced when it is whole.

examples:
  edgesnn convert gate.raw gate.csv
  edgesnn convert gate.raw part.npz --start 2s --end 5s --roi 100,50,640,480 --rebase
  edgesnn convert events.txt gate.raw --sensor 346x260 --columns t_s,x,y,p --json
  edgesnn convert gate.raw clean.raw --filter hot_pixels --filter background:dt=5ms
  edgesnn convert 000012-door-label.bundle door.raw
  edgesnn convert gate.raw gate.npz --encode voxel:bins=5 --window 50ms --hop 25ms

{filter_list()}

{encoder_list()}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("file", metavar="IN", help="a recording, or a bundle of the flight recorder")
    parser.add_argument("target", metavar="OUT", help="file to write")
    parser.add_argument("--format", dest="to", metavar="NAME", help="format of OUT, where its suffix does not say it")
    parser.add_argument("--compression", metavar="none|lz4|zstd|deflate", help="of OUT, for formats that have it")
    parser.add_argument("--layout", metavar="NAME", default="", help="which of its format's layouts OUT has")
    parser.add_argument(
        "--start", metavar="TIME", type=duration_us("--start"), help="leave out what is earlier in sensor time (2s)"
    )
    parser.add_argument("--end", metavar="TIME", type=duration_us("--end"), help="leave out what is later")
    parser.add_argument("--roi", metavar="X,Y,W,H", help="keep this rectangle; its corner becomes 0,0")
    add_filters(parser)
    windows = parser.add_argument_group("arrays instead of events (docs/encoders.md); OUT is an .npz file")
    windows.add_argument("--encode", metavar="NAME[:KEY=VALUE,...]", help="an encoder of the list below")
    windows.add_argument("--window", metavar="TIME", type=duration_us("--window"), help="length of a window")
    windows.add_argument(
        "--hop", metavar="TIME", type=duration_us("--hop"), help="from window to window (default: --window)"
    )
    windows.add_argument("--window-events", metavar="N", type=int, help="windows of so many events instead")
    windows.add_argument("--hop-events", metavar="N", type=int, help="from window to window (default: --window-events)")
    parser.add_argument("--rebase", action="store_true", help="count the times of OUT from its first event or trigger")
    add_json(parser)
    add_recording(parser, format_flag="--from")


def _opened(args: argparse.Namespace) -> Recording:
    """Open IN; a bundle's room lies above that of the formats, so that no registry of theirs has it."""
    from edgesnn.recorder.bundle import is_bundle

    if not is_bundle(args.file):
        return open_recording(args)
    from edgesnn.recorder.recording import recording

    for flag, value in (("--from", args.format), ("--columns", args.columns), ("--topic", args.topic)):
        if value is not None:
            raise UsageError("not of a bundle", where=flag, hint="it says that itself")
    return recording(args.file, sensor=args.sensor)


def run(args: argparse.Namespace) -> int:
    """Write the file; say on standard output what it holds."""
    from edgesnn.events.convert import convert, parse_region

    if args.encode is not None:
        if args.window is None and args.window_events is None:
            raise UsageError(
                "arrays are of windows", where="--encode", expected="--window or --window-events beside it"
            )
        return _encode(args)
    for name in ("window", "hop", "window_events", "hop_events"):
        if getattr(args, name) is not None:
            raise UsageError("events are written without windows", where=f"--{name.replace('_', '-')}", hint="--encode")
    region = None if args.roi is None else parse_region(args.roi)
    report = convert(
        _opened(args),
        args.target,
        format=args.to,
        compression=args.compression,
        variant=args.layout,
        start_us=args.start,
        stop_us=args.end,
        region=region,
        filters=args.filter,
        rebase=args.rebase,
        progress=_progress() if sys.stderr.isatty() else None,
    )
    if args.json:
        print_json(report)
    else:
        print(f"{report['output']}: {report['events']:,} events, {report['format']}, {report['size_bytes']:,} bytes")
    return 0


def _encode(args: argparse.Namespace) -> int:
    from edgesnn.encode.export import export_windows

    for name in ("to", "compression", "layout", "start", "end", "roi", "rebase"):
        if getattr(args, name):
            flag = "--format" if name == "to" else f"--{name}"
            raise UsageError("arrays are written of whole recordings", where=flag, hint="convert that first")
    lengths = {name: getattr(args, name) for name in ("window", "hop", "window_events", "hop_events")}
    report = export_windows(_opened(args), args.target, args.encode, filters=args.filter, **lengths)
    if args.json:
        print_json(report)
    else:
        shape = "x".join(map(str, report["shape"]))
        print(f"{report['output']}: {report['dtype']} {shape}, {report['size_bytes']:,} bytes")
    return 0


def _progress() -> Callable[[float], None]:
    """Return what draws the share that is done on the terminal, a few times a second."""
    next_s = 0.0

    def show(share: float) -> None:
        nonlocal next_s
        now_s = time.monotonic()
        if now_s >= next_s or share >= 1:
            next_s = now_s + 0.2
            end = "\r\x1b[K" if share >= 1 else ""
            print(f"\r{share:4.0%} {end}", end="", file=sys.stderr, flush=True)

    return show
