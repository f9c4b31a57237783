"""`edgesnn quantize`: from a model file with float32 weights to one with int8 or int4 weights."""

from __future__ import annotations

import argparse
from typing import Any, Literal

from edgesnn.cli.arguments import add_activations, add_columns, add_json, add_readout, print_json, readout_numbers
from edgesnn.errors import UsageError

HELP = "make a model file with int8 or int4 weights of one with float32 weights"
DESCRIPTION = """Round the weights of every matrix to nearest: per output channel, or for int4 with graded input in
groups of inputs. Biases, thresholds and decays stay float32; matrices that are integer already are kept. It needs no
data. With --calibrate it runs the model over recordings first and clips the range of each channel or group where that
makes the error of its sums on these inputs smaller."""
EPILOG = """examples:
  edgesnn quantize digits-float32 --weights int4 -o digits-int4.safetensors
  edgesnn quantize digits-float32 --weights int4 --calibrate one.bin two.bin -o digits-int4.safetensors"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("model", metavar="MODEL", help="model file, or a name in the zoo")
    parser.add_argument("--weights", required=True, choices=("int8", "int4"), help="bits of a weight")
    parser.add_argument(
        "--group", type=int, choices=(32, 64, 128), help="of int4: inputs that share a multiplier (default: 32)"
    )
    parser.add_argument("--calibrate", metavar="RECORDING", nargs="+", default=[], help="recordings to clip ranges by")
    parser.add_argument("--windows", metavar="N", type=int, help="of the recordings to run, all together (default: 64)")
    add_columns(parser)
    add_activations(parser)
    add_readout(parser)
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="model file to write")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Quantise, write, and print what became of each layer."""
    from edgesnn.graph import read, with_readout
    from edgesnn.quantize import quantize
    from edgesnn.runtime.model import locate

    before = read(locate(args.model))
    if args.group is not None and args.weights == "int8":
        raise UsageError("groups of inputs belong to int4", where="--group", found="--weights int8")
    group = 32 if args.group is None else args.group
    activations: Literal["int8", "float32"] = args.activations or "int8"
    after = quantize(before, args.weights, group=group, activations=activations, calibration=_calibration(args, before))
    if args.group is not None and not any("multiplier" in node.tensors for node in after.nodes):
        raise UsageError(
            "the model has no matrix that takes groups",
            where="--group",
            found="int4 weights of spikes, which have one scale per output channel",
            hint="leave it out",
        )
    after = with_readout(after, **readout_numbers(args))
    after.save(args.output)
    report = _report(args.output, before, after)
    if args.json:
        print_json(report)
        return 0
    for layer in report["layers"]:
        print(f"{layer['node']:<24} {layer['weights']:<9} {layer['bytes_before']:>12,} -> {layer['bytes']:,} bytes")
    for recording in report["calibrated"]:
        print(f"calibrated by {recording['windows']} windows of {recording['file']}")
    print(
        f"{report['path']}: {report['precision']}, {report['bytes_before']:,} -> {report['bytes']:,} bytes of tensors"
    )
    return 0


def _calibration(args: argparse.Namespace, document: Any) -> Any:
    from edgesnn.quantize.calibrate import WINDOWS, calibrate

    if not args.calibrate:
        for flag in ("windows", "columns"):
            if getattr(args, flag) is not None:
                raise UsageError(f"{flag} of no recording", where=f"--{flag}", hint="name recordings with --calibrate")
        return None
    most = WINDOWS if args.windows is None else args.windows
    return calibrate(document, args.calibrate, most=most, columns=args.columns)


def _report(path: str, before: Any, after: Any) -> dict[str, Any]:
    layers = []
    for old, new in zip(before.nodes, after.nodes, strict=True):
        if "weight" in new.tensors and after.tensors[new.tensors["weight"]].layout != "vector":
            weight = after.tensors[new.tensors["weight"]]
            size = before.tensors[old.tensors["weight"]].data.nbytes
            layers.append(
                {"node": new.name, "weights": weight.number, "bytes_before": size, "bytes": weight.data.nbytes}
            )
    return {
        "path": path,
        "sha256": after.identity,
        "precision": after.precision,
        "calibrated": after.provenance["quantized"].get("calibrated", []),
        "bytes_before": sum(t.data.nbytes for t in before.tensors.values()),
        "bytes": sum(t.data.nbytes for t in after.tensors.values()),
        "layers": layers,
    }
