"""`edgesnn replay FILE -m MODEL`: predictions of a recording or live source, printed and, with `--mqtt`, published."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from edgesnn.cli.arguments import (
    add_adapt,
    add_backend,
    add_filters,
    add_json,
    add_mqtt,
    add_recording,
    broker_argument,
    duration_us,
    filter_list,
    open_source,
    protocol_argument,
    size_bytes,
)
from edgesnn.cli.replay_lines import LINES, add_lines, refuse
from edgesnn.errors import EdgeSnnError, ModelError, RecordingError, UsageError
from edgesnn.tokens.sources.registry import FORMS

if TYPE_CHECKING:
    from edgesnn.events.recording import Recording
    from edgesnn.events.sources.live import LiveSource
    from edgesnn.pipeline import Pipeline
    from edgesnn.pipeline.report import Report
    from edgesnn.publish.publisher import Publisher
    from edgesnn.publish.sinks.base import Sink
    from edgesnn.runtime import Model


def _forms() -> str:
    """Return the forms of addresses of lines, for the end of `--help`."""
    return "\n".join(f"  {form:<34} {text}" for form, text in FORMS)


HELP = "predict from a recording, a log or a live source: print, and publish with --mqtt"
EPILOG = f"""One line per window, or per line of a log where the model reads tokens, on standard output (with --json one
record each), a summary on standard error.

examples:
  edgesnn replay gate.raw -m gestures
  edgesnn replay clip.bin -m gestures --sensor 128x128 --json
  edgesnn replay gate.raw -m gestures --speed 1x --mqtt mqtt://127.0.0.1:1883
  edgesnn replay 'udp://127.0.0.1:3333?format=evt3&sensor=640x480' -m gestures
  edgesnn replay 'udp://127.0.0.1:3333?format=evt3&sensor=640x480' -m gestures --record gate.raw --record-time 10min
  edgesnn replay gate.raw -m gestures --filter hot_pixels --filter stcf:dt=5ms,k=2
  edgesnn replay app.log -m ./logs.safetensors --json
  edgesnn replay 000012-door-label.bundle --check
  edgesnn replay app.log -m ./logs.safetensors --follow --alerts-per-day 2 --normal old.log --normal-time 7d
  journalctl -o export -f | edgesnn replay journal:- -m ./logs.safetensors --key origin --threshold 3.5

{filter_list()}

sources of lines:
{_forms()}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "file",
        metavar="FILE",
        help="a recording, a log, the address of a live source, a bundle of the flight recorder",
    )
    parser.add_argument(
        "-m", "--model", metavar="MODEL", help="a model file, or a name in the zoo; of a bundle: where its model is now"
    )
    parser.add_argument(
        "--check", action="store_true", help="of a bundle: only say where what it gives differs from what was published"
    )
    parser.add_argument(
        "--speed",
        metavar="max|1x|4x",
        type=_speed,
        default="max",
        help="as fast as possible (default), or the recording's own pace",
    )
    add_json(parser)
    add_recording(parser)
    add_backend(parser)
    parser.add_argument("--window-events", metavar="N", type=int, help="windows of N events, not the model's by time")
    parser.add_argument("--hop-events", metavar="N", type=int, help="from one such window to the next (default: N)")
    add_adapt(parser)
    add_filters(parser)
    group = parser.add_argument_group("recording of a live source, while it is processed")
    group.add_argument("--record", metavar="FILE", help="write its events to FILE, whose suffix says the format")
    group.add_argument("--record-format", metavar="NAME", help="its format, where the suffix does not say it")
    group.add_argument("--record-size", metavar="SIZE", type=size_bytes, help="begin another file at this size (100MB)")
    group.add_argument(
        "--record-time", metavar="TIME", type=duration_us("--record-time"), help="begin another file after TIME (10min)"
    )
    add_lines(parser)
    parser.add_argument("--stream", metavar="NAME", default="main", help="name of the stream (default: main)")
    parser.add_argument("--node", metavar="NAME", help="name of this node (default: <host>-replay)")
    add_mqtt(parser)


def _speed(text: str) -> str:
    from edgesnn.units import parse_speed

    parse_speed(text, where="--speed")
    return text


def run(args: argparse.Namespace) -> int:
    """Print a line or a record per window or line of text."""
    broker = broker_argument(args)
    from edgesnn.recorder.bundle import is_bundle

    if is_bundle(args.file):
        from edgesnn.cli import replay_bundle

        return replay_bundle.run(args)
    if args.check:
        raise _no_bundle(args.file)
    if args.model is None:
        raise UsageError("no model", where="--model", hint="name a model file, or a model of the zoo")
    from edgesnn.cli import replay_lines
    from edgesnn.publish.publisher import new_boot_id, replay_node
    from edgesnn.runtime import load

    node, boot_id = replay_node() if args.node is None else args.node, new_boot_id()
    model = load(args.model, backend=args.backend)
    sinks = _sinks(args, broker, node, boot_id)
    if model.input["kind"] == "tokens":
        return replay_lines.run(args, model, sinks, (node, boot_id))
    refuse(args, LINES, "tokens")
    return _run_events(args, model, sinks, (node, boot_id))


def _no_bundle(path: str) -> EdgeSnnError:
    """Return why a file cannot be checked."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return RecordingError(f"cannot be opened: {reason.lower()}", where=path)
    return UsageError("only a bundle is checked", where="--check", found=path)


def _run_events(args: argparse.Namespace, model: Model, sinks: list[Sink], publishing: tuple[str, str]) -> int:
    """Print a line or a record per window; the summary goes to standard error, also after an error or Ctrl-C."""
    from edgesnn.events.sources.live import LiveSource
    from edgesnn.pipeline import Pipeline
    from edgesnn.pipeline.report import Report
    from edgesnn.publish.publisher import Publisher

    node, boot_id = publishing
    source = open_source(args)
    with Pipeline(
        source,
        model,
        sensor=args.sensor,
        stream=args.stream,
        node=node,
        speed=args.speed,
        window_events=args.window_events,
        hop_events=args.hop_events,
        adapt=args.adapt,
        filters=args.filter,
    ) as pipeline:
        _record(args, source)
        if isinstance(source, LiveSource):
            print(f"{source.url}: {source.state}", file=sys.stderr)
        report = Report()
        with Publisher(sinks, node=node, boot_id=boot_id) as publisher:
            try:
                _play(pipeline, publisher, report)
            finally:
                if sys.exc_info()[0] is None or report.windows:  # an error before any decision speaks for itself
                    for line in report.lines(pipeline.counters, sinks[-1].stats() if len(sinks) > 1 else None):
                        print(line, file=sys.stderr)
                    if isinstance(source, LiveSource):
                        print(_counted(source), file=sys.stderr)
    return 0


def _counted(source: LiveSource) -> str:
    counted = ", ".join(f"{name} {value}" for name, value in source.counters.items() if value)
    return f"source: {counted or 'nothing came'}"


def _record(args: argparse.Namespace, source: Recording | LiveSource) -> None:
    from edgesnn.events.recording import Recording

    if args.record is None:
        for flag in ("record_format", "record_size", "record_time"):
            if getattr(args, flag) is not None:
                raise UsageError("this flag needs --record", where=f"--{flag.replace('_', '-')}")
    elif isinstance(source, Recording):
        hint = "`edgesnn convert` writes a recording in another format"
        raise UsageError("only live sources are recorded", where="--record", found=args.file, hint=hint)
    else:
        source.record(args.record, format=args.record_format, rotate_bytes=args.record_size, rotate_us=args.record_time)


def _play(pipeline: Pipeline, publisher: Publisher, report: Report) -> None:
    """Write every prediction; what was written before an error of the recording is delivered too."""
    try:
        for prediction in pipeline:
            report.add(publisher.write(prediction))
    except (RecordingError, ModelError):
        publisher.finish()
        raise
    publisher.finish()


def _sinks(args: argparse.Namespace, broker: Any, node: str, boot_id: str) -> list[Sink]:
    from edgesnn.publish.registry import make_sink

    sinks = [make_sink("jsonl" if args.json else "terminal")]
    if broker is not None:
        protocol = protocol_argument(args)
        sinks.append(make_sink("mqtt", broker=broker, node=node, boot_id=boot_id, role="replay", protocol=protocol))
    return sinks
