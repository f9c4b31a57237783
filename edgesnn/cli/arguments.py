"""Flags that several commands share, so that one thing has one name everywhere."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from edgesnn.errors import UsageError
from edgesnn.units import parse_duration_us, parse_sensor, parse_size_bytes

if TYPE_CHECKING:
    from edgesnn.broker_url import Broker
    from edgesnn.events.recording import Recording
    from edgesnn.events.sources.live import LiveSource


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`: one JSON document (or one a line) on standard output instead of text."""
    parser.add_argument("--json", action="store_true", help="print JSON on standard output")


def add_mqtt(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say where to publish: `--mqtt` and what its connection needs."""
    group = parser.add_argument_group("publishing")
    group.add_argument(
        "--mqtt",
        metavar="URL",
        help="broker, mqtt://[user@]host[:port], ws://.../path, or mqtts://, wss:// (TLS, verified)",
    )
    group.add_argument(
        "--mqtt-password-file", metavar="FILE", help="file with the broker password (or set EDGESNN_MQTT_PASSWORD)"
    )
    group.add_argument("--mqtt-ca-file", metavar="FILE", help="certificate authority for mqtts:// (default: system's)")
    group.add_argument(
        "--mqtt-cert-file", metavar="FILE", help="our certificate, for a broker that asks for one (mTLS)"
    )
    group.add_argument("--mqtt-key-file", metavar="FILE", help="its key (default: in the file of the certificate)")
    group.add_argument("--mqtt-protocol", choices=("auto", "5", "3.1.1"), help="MQTT version (default: auto)")


_CERTIFICATES = ("mqtt_ca_file", "mqtt_cert_file", "mqtt_key_file")


def broker_argument(args: argparse.Namespace) -> Broker | None:
    """Return the broker that the flags of `add_mqtt` name, or None without `--mqtt`.

    Raises:
        UsageError: the URL is wrong, holds a password, or a flag needs `--mqtt`.
    """
    from edgesnn.broker_url import parse_broker
    from edgesnn.mqtt.sockets import tls_context

    if args.mqtt is None:
        for flag in ("mqtt_password_file", *_CERTIFICATES, "mqtt_protocol"):
            if getattr(args, flag) is not None:
                raise UsageError("this flag needs --mqtt", where=f"--{flag.replace('_', '-')}")
        return None
    files = {name.removeprefix("mqtt_"): getattr(args, name) for name in _CERTIFICATES}
    broker = parse_broker(args.mqtt, password_file=args.mqtt_password_file, **files)
    if broker.tls:
        tls_context(broker)
    return broker


def protocol_argument(args: argparse.Namespace) -> str:
    """Return what `--mqtt-protocol` says."""
    return args.mqtt_protocol or "auto"


def add_recording(parser: argparse.ArgumentParser, *, format_flag: str = "--format") -> None:
    """Add what says how a recording is to be read: `--sensor`, `--format`, `--columns`, `--topic`, `--on-corrupt`."""
    parser.add_argument(
        "--sensor", metavar="WxH", type=parse_sensor, help="sensor size, where the recording does not say it"
    )
    parser.add_argument(
        format_flag, dest="format", metavar="NAME", help="format of the recording, where its content does not tell it"
    )
    add_columns(parser)
    parser.add_argument("--topic", metavar="NAME", help="of a ROS bag in which more than one topic has events")
    parser.add_argument(
        "--on-corrupt", choices=("strict", "skip"), help="damaged data: stop (default of files), or count and go on"
    )


def add_columns(parser: argparse.ArgumentParser) -> None:
    """Add `--columns`, as `edgesnn.open` takes it."""
    parser.add_argument(
        "--columns",
        metavar="T,X,Y,P",
        help="columns of a table that does not name them; - for one to leave out",
    )


def open_source(args: argparse.Namespace) -> Recording | LiveSource:
    """Open `args.file`, a file or an address, as the flags of `add_recording` say. Raises as `edgesnn.open`."""
    import edgesnn

    opened: Recording | LiveSource = edgesnn.open(
        args.file,
        format=args.format,
        sensor=args.sensor,
        on_corrupt=args.on_corrupt,
        columns=args.columns,
        topic=args.topic,
    )
    return opened


def open_recording(args: argparse.Namespace) -> Recording:
    """Open `args.file`, which is a file, as `open_source` does."""
    from edgesnn.events.recording import Recording
    from edgesnn.events.sources.registry import is_source

    if is_source(args.file):
        hint = "name a file; `edgesnn replay` records live sources with --record"
        raise UsageError("a live source is no recording", where=args.file, hint=hint)
    opened = open_source(args)
    assert isinstance(opened, Recording)
    return opened


def add_adapt(group: Any) -> None:
    """Add `--adapt` to a parser or a group of one: how events of another sensor become a model's."""
    group.add_argument(
        "--adapt",
        choices=("letterbox", "crop", "downsample"),
        help="how events of another sensor come onto the model's",
    )


def add_activations(parser: argparse.ArgumentParser) -> None:
    """Add `--activations` of commands that quantise."""
    text = "what a quantised matrix does with float32 input: round it to int8, or not (default: int8)"
    parser.add_argument("--activations", choices=("int8", "float32"), help=text)


def add_backend(parser: argparse.ArgumentParser) -> None:
    """Add `--backend` of commands that run a model."""
    parser.add_argument(
        "--backend",
        choices=("auto", "native", "onnx", "reference", "tensorrt"),
        default="auto",
        help="what runs the model (default: auto)",
    )


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add `--filter`, any number of times; `args.filter` is a list of texts."""
    parser.add_argument(
        "--filter",
        metavar="NAME[:KEY=VALUE,...]",
        action="append",
        default=[],
        help="filter the events (again for the next one), e.g. refractory:period=1ms; the list is below",
    )


def filter_list() -> str:
    """Return what `--filter` takes, for the end of a command's `--help`."""
    from edgesnn.events.filters.registry import usage

    return f"filters (docs/filters.md), in the order given:\n{usage()}"


def encoder_list() -> str:
    """Return what `--encode` takes, for the end of a command's `--help`."""
    from edgesnn.encode.registry import usage

    return f"encoders (docs/encoders.md):\n{usage()}"


def add_readout(parser: argparse.ArgumentParser) -> None:
    """Add the flags that set numbers of a model's readout: see `readout_numbers`."""
    group = parser.add_argument_group("decisions of the written model (docs/pipeline.md)")
    group.add_argument("--temperature", metavar="T", type=float, help="divides the scores before the softmax")
    group.add_argument("--rejection", metavar="P", type=float, help="a confidence below it is no label")
    group.add_argument("--early-exit", metavar="P", type=float, help="a window stops once its confidence exceeds it")
    group.add_argument(
        "--min-steps", metavar="N", type=int, help="of --early-exit: the first step that may (default: 1)"
    )


def readout_numbers(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the flags of `add_readout` say, as `edgesnn.graph.with_readout` takes it."""
    return {name: getattr(args, name) for name in ("temperature", "rejection", "early_exit", "min_steps")}


def sensor_text(text: str) -> str:
    """Return a sensor size as it was written, after a look at it; for `type=` of an argument that passes it on."""
    parse_sensor(text)
    return text


def duration_us(flag: str) -> Callable[[str], int]:
    """Return what reads a duration with its unit, for `type=` of the argument `flag`."""
    return partial(parse_duration_us, where=flag)


def size_bytes(text: str) -> int:
    """Parse a size with its unit; for `type=` of an argument."""
    return parse_size_bytes(text)


def print_json(value: Any) -> None:
    """Print one JSON document on one line of standard output and flush it; NaN and infinity are refused."""
    sys.stdout.write(json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False) + "\n")
    sys.stdout.flush()
