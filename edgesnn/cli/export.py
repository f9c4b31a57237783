"""`edgesnn export MODEL --to onnx -o FILE`: a model's step for other engines."""

from __future__ import annotations

import argparse
from typing import Any

from edgesnn.cli.arguments import add_json, print_json

HELP = "write a model's step as a file of another engine"
EPILOG = """The ONNX graph is one time step: the input x, each state as an input and an output of its own. Windows of
points stay outside: their coded values are inputs (docs/backends.md). Needs the extra `onnx`.

example:
  edgesnn export digits --to onnx -o digits.onnx"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("model", metavar="MODEL", help="model file, or a name in the zoo")
    parser.add_argument("--to", metavar="FORMAT", required=True, help="format to write: onnx")
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="file to write")
    parser.add_argument(
        "--form",
        choices=("onnxruntime", "qdq"),
        default="onnxruntime",
        help="integer matrices as onnxruntime is quickest and most exact (default), or as quantised and dequantised"
        " numbers of ONNX's own operators",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Write the file and say what is in it."""
    from edgesnn.exporters.registry import find
    from edgesnn.graph import read
    from edgesnn.runtime.model import locate

    export = find(args.to)
    document = read(locate(args.model))
    about: dict[str, Any] = {"path": args.output, "format": args.to, "form": args.form, "sha256": document.identity}
    report = {**about, **export(document, args.output, args.form)}
    if args.json:
        print_json(report)
        return 0
    print(f"{report['path']}: one step, opset {report['opset']}, {report['bytes']:,} bytes")
    for kind in ("inputs", "outputs"):
        print(f"{kind}: {', '.join(report[kind])}")
    print(f"states: {len(document.states)}, each as state/NAME in and next/NAME out")
    return 0
