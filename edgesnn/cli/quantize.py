"""`edgesnn quantize`: from a model file with float32 weights to one with int8 or int4 weights."""

from __future__ import annotations

import argparse
from typing import Any

from edgesnn.cli.arguments import add_json, print_json

HELP = "make a model file with int8 or int4 weights of one with float32 weights"
DESCRIPTION = """Round the weights of every matrix to nearest: per output channel, or for int4 with graded input in
groups of inputs. Biases, thresholds and decays stay float32; matrices that are integer already are kept. It needs no
data."""
EPILOG = """example:
  edgesnn quantize digits-float32 --weights int4 -o digits-int4.safetensors"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("model", metavar="MODEL", help="model file, or a name in the zoo")
    parser.add_argument("--weights", required=True, choices=("int8", "int4"), help="bits of a weight")
    parser.add_argument(
        "--group", type=int, choices=(32, 64, 128), default=32, help="inputs that share a multiplier (default: 32)"
    )
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="model file to write")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Quantise, write, and print what became of each layer."""
    from edgesnn.graph import read
    from edgesnn.quantize import quantize
    from edgesnn.runtime.model import locate

    before = read(locate(args.model))
    after = quantize(before, args.weights, group=args.group)
    after.save(args.output)
    report = _report(args.output, before, after)
    if args.json:
        print_json(report)
        return 0
    for layer in report["layers"]:
        print(f"{layer['node']:<24} {layer['weights']:<9} {layer['bytes_before']:>12,} -> {layer['bytes']:,} bytes")
    print(
        f"{report['path']}: {report['precision']}, {report['bytes_before']:,} -> {report['bytes']:,} bytes of tensors"
    )
    return 0


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
        "bytes_before": sum(t.data.nbytes for t in before.tensors.values()),
        "bytes": sum(t.data.nbytes for t in after.tensors.values()),
        "layers": layers,
    }
