"""`edgesnn import FILE --from nir|spikegpt|rwkv4 -o MODEL`: another tool's model as a model file of ours."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesnn.cli.arguments import (
    add_adapt,
    add_filters,
    add_json,
    add_readout,
    duration_us,
    filter_list,
    print_json,
    readout_numbers,
)
from edgesnn.errors import UsageError
from edgesnn.units import parse_sensor

if TYPE_CHECKING:
    from edgesnn.graph import Document

HELP = "make a model file of another tool's model"
EPILOG = f"""A NIR file holds continuous-time constants only: --profile says whose discrete update to write down, --dt
its step, --reset what a spike does, --set changes single flags (docs/import.md). Without --bin, --sensor and --steps
the model is stepped from Python; with them it says how events become its input.

Checkpoints of SpikeGPT and RWKV-4 (.pth, official keys) are read by torch 2.10 or newer, weights only: one that holds
more than tensors is refused, and nothing in it is executed (docs/token-models.md). Sizes are found in the file.

examples:
  edgesnn import braille.nir --from nir --profile snntorch-no-delay --reset zero --input spikes -o braille.safetensors
  edgesnn import cnn.nir --from nir --profile sinabs --input spikes --bin 1ms --sensor 34x34 --steps 300 \\
      --origin zero --labels digits.txt --temperature 20 --early-exit 0.95 --min-steps 50 -o cnn.safetensors
  edgesnn import net.nir --from nir --profile plain --set lif1.compare=ge --set lif1.v_th=0.5 -o net.safetensors
  edgesnn import SpikeGPT-216M.pth --from spikegpt --tokenizer 20B_tokenizer.json -o spikegpt.safetensors

{filter_list()}"""

_TEXT = ("tokenizer", "drop_fields", "masks")
_FLAGS = {
    "nir": (
        *("profile", "reset", "dt", "set", "input", "value", "bin", "sensor", "steps", "hop_steps", "origin"),
        *("rounding", "polarity_order", "adapt", "filter", "labels"),
        *("temperature", "rejection", "early_exit", "min_steps"),
    ),
    "spikegpt": ("mode", "binarise", *_TEXT),
    "rwkv4": ("mode", *_TEXT),
}
"""Flags that change something, by what the file is."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("file", metavar="FILE", help="the other tool's file")
    parser.add_argument(
        "--from", dest="source", metavar="KIND", required=True, help="what the file is: nir, spikegpt or rwkv4"
    )
    parser.add_argument("-o", "--output", metavar="MODEL", required=True, help="model file to write")
    _add_neurons(parser)
    _add_tokens(parser)
    _add_events(parser)
    add_readout(parser)
    add_json(parser)


def _add_neurons(parser: argparse.ArgumentParser) -> None:
    neurons = parser.add_argument_group("neurons (nir)")
    profiles = "plain, norse, snntorch, snntorch-no-delay, sinabs, spikingjelly or rockpool"
    neurons.add_argument("--profile", metavar="NAME", help=f"whose update (needed): {profiles}")
    neurons.add_argument("--reset", metavar="HOW", help="zero or subtract (default: the profile's)")
    neurons.add_argument("--dt", metavar="TIME", type=duration_us("--dt"), help="time of a step (default: 100us)")
    neurons.add_argument(
        "--set",
        metavar="LAYER.FLAG=VALUE",
        action="append",
        default=[],
        help="change one flag of one layer; repeatable",
    )


def _add_tokens(parser: argparse.ArgumentParser) -> None:
    tokens = parser.add_argument_group("token models (spikegpt, rwkv4)")
    tokens.add_argument(
        "--mode",
        choices=("author", "train"),
        help="author halves the residual every 6 layers, as the published inference does (default of spikegpt); train"
        " does not, as in training (default of rwkv4)",
    )
    tokens.add_argument(
        "--binarise",
        choices=("auto", "yes", "no"),
        help="embedding to zeros and ones; auto (default): where there are 77 tokens, as the published inference does",
    )
    tokens.add_argument(
        "--tokenizer",
        metavar="FILE|bytes",
        help="how text becomes tokens: a tokenizer.json, a vocab.json of characters (docs/tokens.md)",
    )
    tokens.add_argument("--drop-fields", metavar="N,...", type=_numbers, help="fields of a line that it does not see")
    tokens.add_argument(
        "--masks",
        metavar="NAME,...|all",
        type=_masks,
        help="words in place of what differs every time, or all",
    )


def _add_events(parser: argparse.ArgumentParser) -> None:
    events = parser.add_argument_group("input (nir)")
    events.add_argument(
        "--input", choices=("dense", "spikes"), help="float32 values (dense, default), or small integers"
    )
    events.add_argument("--value", choices=("count", "binary"), help="of spikes (default: count)")
    events.add_argument("--bin", metavar="TIME", type=duration_us("--bin"), help="time of a step of events")
    events.add_argument("--sensor", metavar="WxH", type=parse_sensor, help="sensor whose events the model takes")
    events.add_argument("--steps", metavar="N", type=int, help="steps of a window of events")
    events.add_argument("--hop-steps", metavar="N", type=int, help="steps from window to window (default: --steps)")
    events.add_argument("--origin", choices=("first", "zero"), help="where bins count from (default: first)")
    events.add_argument("--rounding", choices=("floor", "nearest"), help="how a time becomes a bin (default: floor)")
    events.add_argument(
        "--polarity-order",
        choices=("off-on", "on-off"),
        help="polarity of channel 0 and of channel 1 (default: off-on)",
    )
    add_adapt(events)
    add_filters(parser)
    events.add_argument("--labels", metavar="FILE", help="names of the classes, one a line")


def run(args: argparse.Namespace) -> int:
    """Write the model file and say what is in it."""
    from edgesnn.graph import with_readout
    from edgesnn.importers.registry import find

    importer = find(args.source)
    _check_flags(args)
    own = [name for name in _FLAGS[args.source] if name not in _TEXT]
    options = _nir_options(args) if args.source == "nir" else _given(args, own)
    document = with_readout(importer(args.file, **options), **readout_numbers(args))
    document = _with_text(document, args)
    document.save(args.output)
    if args.json:
        print_json({"path": args.output, "sha256": document.identity, "provenance": dict(document.provenance)})
    else:
        for line in _lines(args.output, document):
            print(line)
    return 0


def _with_text(document: Document, args: argparse.Namespace) -> Document:
    from edgesnn.graph import with_tokenizer
    from edgesnn.tokens.tokenizers.files import describe

    if args.tokenizer is None:
        for name in _given(args, _TEXT):
            raise UsageError("this flag needs --tokenizer", where=_flag(name))
        return document
    more = {"drop_fields": args.drop_fields or (), "masks": args.masks or ()}
    return with_tokenizer(document, describe(args.tokenizer), **more)


def _numbers(text: str) -> list[int]:
    if not re.fullmatch(r"\d{1,3}(,\d{1,3})*", text):
        raise UsageError("not numbers of fields", where="--drop-fields", found=repr(text), expected="such as 0,3")
    return sorted({int(number) for number in text.split(",")})


def _masks(text: str) -> list[str]:
    from edgesnn.tokens.masks import MASKS

    return list(MASKS) if text == "all" else text.split(",")


def _given(args: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(args, name) for name in names if getattr(args, name) not in (None, [])}


def _check_flags(args: argparse.Namespace) -> None:
    """Refuse flags that belong to files of another kind."""
    own = _FLAGS[args.source]
    for name in _given(args, [name for names in _FLAGS.values() for name in names if name not in own]):
        whose = ", ".join(source for source, names in _FLAGS.items() if name in names)
        found = f"--from {args.source}"
        raise UsageError("flag of another kind of file", where=_flag(name), found=found, expected=f"--from {whose}")
    if args.source == "nir" and args.profile is None:
        raise UsageError("a NIR file needs a profile", where="--profile", hint="name whose update it is; see --help")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _nir_options(args: argparse.Namespace) -> dict[str, Any]:
    return {
        "profile": args.profile,
        "reset": args.reset,
        "dt_us": args.dt,
        "flags": _flags(args.set),
        "input": args.input or "dense",
        "value": args.value,
        "events": _events(args),
        "labels": _labels(args.labels),
        "filters": args.filter,
    }


def _flags(texts: list[str]) -> dict[str, dict[str, Any]]:
    """Return layer -> flag -> value of `--set`; a value that is JSON is what it says, any other a text."""
    flags: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        layer, dot, flag = name.rpartition(".")
        if not (equals and dot and layer and flag):
            raise UsageError("not a flag of a layer", where="--set", found=repr(text), expected="LAYER.FLAG=VALUE")
        try:
            flags.setdefault(layer, {})[flag] = json.loads(value)
        except ValueError:  # no JSON, or an integer of thousands of digits
            flags.setdefault(layer, {})[flag] = value
    return flags


def _events(args: argparse.Namespace) -> dict[str, Any] | None:
    given = {"bin_us": args.bin, "sensor": args.sensor, "steps": args.steps}
    more = {name: getattr(args, name) for name in ("hop_steps", "origin", "rounding", "polarity_order", "adapt")}
    more = {name: value for name, value in more.items() if value is not None}
    if all(value is None for value in given.values()):
        for name in more:
            expected = "--bin, --sensor and --steps too"
            raise UsageError("no events become the input", where=_flag(name), expected=expected)
        return None
    missing = [f"--{name.removesuffix('_us')}" for name, value in given.items() if value is None]
    if missing:
        raise UsageError("events need all of --bin, --sensor and --steps", expected=" and ".join(missing))
    if "polarity_order" in more:
        more["polarity_order"] = [0, 1] if args.polarity_order == "off-on" else [1, 0]
    return {**given, "sensor": list(args.sensor), **more}


def _labels(path: str | None) -> list[str] | None:
    if path is None:
        return None
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("labels cannot be read", where=path, found=str(error)) from None
    return [line.strip() for line in lines if line.strip()]


def _lines(path: str, document: Document) -> list[str]:
    made = document.provenance["imported"]
    first = f"{path}: {len(document.nodes)} nodes, {document.precision}, sha256 {document.identity[:12]}"
    if made["from"] != "nir":
        sizes = f"{made['layers']} layers, width {made['width']}, {made['vocab']:,} tokens"
        return [first, f"{sizes}, mode {made['mode']}, embedding {'binarised' if made['binarise'] else 'as it is'}"]
    delays = ", ".join(f"{a} -> {b}" for a, b in made["cycles_cut"]) or "none"
    return [
        first,
        f"profile {made['profile']}, reset {made['reset']}, dt {made['dt_us']:g} us",
        f"recurrent connections, one step late: {delays}",
    ]
