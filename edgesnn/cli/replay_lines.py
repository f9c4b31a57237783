"""`edgesnn replay` of a model of tokens: log lines to predictions."""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING, Any

from edgesnn.cli.arguments import duration_us
from edgesnn.errors import ConfigError, EdgeSnnError, UsageError

if TYPE_CHECKING:
    from edgesnn.pipeline import TokenStream
    from edgesnn.pipeline.report import TokenReport
    from edgesnn.publish.publisher import Publisher
    from edgesnn.publish.sinks.base import Sink
    from edgesnn.runtime import Model

LINES: dict[str, Any] = {
    "follow": False,
    "key": None,
    "sessions": None,
    "reset": None,
    "idle": None,
    "threshold": None,
    "alerts_per_day": None,
    "normal": None,
    "normal_time": None,
    "save_model": None,
    "publish_text": False,
}
"""Flags that only models of tokens have, and what they are when they are not given."""

EVENTS: dict[str, Any] = {
    "speed": "max",
    "sensor": None,
    "format": None,
    "columns": None,
    "topic": None,
    "on_corrupt": None,
    "window_events": None,
    "hop_events": None,
    "adapt": None,
    "filter": [],
    "record": None,
    "record_format": None,
    "record_size": None,
    "record_time": None,
}
"""The same of models of events."""


def add_lines(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of lines."""
    group = parser.add_argument_group("lines, where the model reads tokens (docs/tokens.md)")
    group.add_argument("--follow", action="store_true", help="go on at the end of a log file, as tail -F")
    group.add_argument(
        "--key",
        metavar="origin|N",
        type=_key,
        help="a session for each sender, or for each value of field N (0: first)",
    )
    group.add_argument("--sessions", metavar="N", type=int, help="at most so many sessions (default: 64)")
    group.add_argument(
        "--reset",
        metavar="line|tokens:N|never",
        type=_reset,
        help="when states begin anew (default: as the model says)",
    )
    group.add_argument(
        "--idle", metavar="TIME", type=duration_us("--idle"), help="of --reset: also after silence, such as 30s"
    )
    group.add_argument(
        "--threshold",
        metavar="BITS",
        type=float,
        help="bits per token above which a line is an alert (default: as the model says)",
    )
    group.add_argument("--alerts-per-day", metavar="N", type=float, help="the threshold of so many, by a normal log")
    group.add_argument("--normal", metavar="FILE", help="of --alerts-per-day: a log without anything unusual")
    group.add_argument(
        "--normal-time", metavar="TIME", type=duration_us("--normal-time"), help="the time that it covers, such as 7d"
    )
    group.add_argument("--save-model", metavar="FILE", help="write the model with this threshold in it")
    group.add_argument("--publish-text", action="store_true", help="predictions carry the text that the model saw")


def refuse(args: argparse.Namespace, flags: dict[str, Any], what: str) -> None:
    """Raise a UsageError about the first flag that was given and that this model has no use for."""
    for name, default in flags.items():
        if getattr(args, name, default) != default:
            flag = "--" + name.replace("_", "-")
            raise UsageError(f"this flag is of models that read {what}", where=flag, found=args.model)


def run(args: argparse.Namespace, model: Model, sinks: list[Sink], publishing: tuple[str, str]) -> int:
    """Print a line or a record per line; the summary goes to standard error, also after an error or Ctrl-C."""
    from edgesnn.pipeline import TokenStream
    from edgesnn.pipeline.report import TokenReport
    from edgesnn.publish.publisher import Publisher

    refuse(args, EVENTS, "events")
    options: dict[str, Any] = {"reset": _policy(args), "key": args.key}
    if args.sessions is not None:
        options["sessions"] = args.sessions
    threshold = _threshold(args, model, options)
    _save(args, model, threshold)
    node, boot_id = publishing
    with TokenStream(
        args.file,
        model,
        stream=args.stream,
        follow=args.follow,
        threshold=threshold,
        publish_text=args.publish_text,
        **options,
    ) as stream:
        report = TokenReport()
        with Publisher(sinks, node=node, boot_id=boot_id) as publisher:
            try:
                _play(stream, publisher, report)
            finally:
                if sys.exc_info()[0] is None or report.windows:
                    for line in report.lines(stream.counters, sinks[-1].stats() if len(sinks) > 1 else None):
                        print(line, file=sys.stderr)
    return 0


def _play(stream: TokenStream, publisher: Publisher, report: TokenReport) -> None:
    try:
        for prediction in stream:
            report.add(publisher.write(prediction))
    except EdgeSnnError as error:
        if not isinstance(error, ConfigError):
            publisher.finish()
        raise
    publisher.finish()


def _threshold(args: argparse.Namespace, model: Model, options: dict[str, Any]) -> float | None:
    """Return the threshold that the flags say; a normal log is scored for it."""
    if args.alerts_per_day is None:
        for name in ("normal", "normal_time"):
            if getattr(args, name) is not None:
                raise UsageError("this flag needs --alerts-per-day", where=f"--{name.replace('_', '-')}")
        threshold: float | None = args.threshold
        return threshold
    if args.threshold is not None:
        raise UsageError("the threshold is said twice", where="--threshold", expected="it or --alerts-per-day")
    if args.normal is None or args.normal_time is None or args.alerts_per_day < 0:
        hint = "name a normal log and the time that it covers: --normal FILE --normal-time 7d"
        raise UsageError("a number of alerts a day needs a normal log", where="--alerts-per-day", hint=hint)
    from edgesnn.pipeline.alerts import threshold_by_log

    days = args.normal_time / 86_400e6
    threshold, lines = threshold_by_log(model, args.normal, days, args.alerts_per_day, **options)
    print(f"threshold: {threshold:.4f} bits per token, by {lines} lines of {args.normal}", file=sys.stderr)
    return threshold


def _save(args: argparse.Namespace, model: Model, threshold: float | None) -> None:
    if args.save_model is None:
        return
    if threshold is None:
        expected = "--threshold, or --alerts-per-day"
        raise UsageError("no threshold to write", where="--save-model", expected=expected)
    from edgesnn.graph import with_alert

    with_alert(model.document, threshold).save(args.save_model)


def _policy(args: argparse.Namespace) -> dict[str, Any] | None:
    if args.reset is None:
        if args.idle is not None:
            raise UsageError("this flag needs --reset", where="--idle")
        return None
    idle = {} if args.idle is None else {"idle_ms": max(1, args.idle // 1000)}
    return {**args.reset, **idle}


def _key(text: str) -> str | int:
    if text != "origin" and not re.fullmatch(r"\d{1,3}", text):
        raise UsageError(
            "not a key of sessions", where="--key", found=repr(text), expected="origin, or a field's number"
        )
    return text if text == "origin" else int(text)


def _reset(text: str) -> dict[str, Any]:
    match = re.fullmatch(r"(line|never)|tokens:(\d{1,9})", text)
    if match is None or match[2] == "0":
        raise UsageError("no such reset", where="--reset", found=repr(text), expected="line, tokens:N or never")
    return {"policy": match[1]} if match[1] else {"policy": "tokens", "tokens": int(match[2])}
