"""`edgesnn eval`: how good a model file is on labelled recordings."""

from __future__ import annotations

import argparse

from edgesnn.cli.arguments import add_activations, add_backend, add_json, print_json, sensor_text
from edgesnn.errors import UsageError

HELP = "measure a model's accuracy on labelled recordings"
DESCRIPTION = """Run a model file over labelled recordings: accuracy per window and by vote over a recording's windows,
confusion matrix, time to the first stable label. A recording that gives no decision counts as wrong."""
EPILOG = """examples:
  edgesnn eval digits --data ../shared/datasets/nmnist_1000.npz --json
  edgesnn eval cnn.safetensors --data digits.npz --precisions float32,int8,int4
  edgesnn eval cnn.safetensors --data digits.npz --early-exit 0.8,0.9,0.99"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's flags."""
    parser.add_argument("model", metavar="MODEL", help="a model file, or a name in the zoo")
    parser.add_argument("--data", required=True, help="folder with one folder per class, .npz file, or tonic:NAME")
    part = "default: the validation part, all of a folder without train/ and test/"
    parser.add_argument("--part", choices=["validate", "train", "all"], help=part)
    parser.add_argument("--ids", metavar="A-B", help="validation recordings of an .npz file (default 801-1000)")
    parser.add_argument(
        "--sensor", metavar="WxH", type=sensor_text, help="of files that do not say it (default: the model's)"
    )
    add_backend(parser)
    parser.add_argument(
        "--precisions", metavar="LIST", type=_names, default=[], help="figures at each, side by side: float32,int8,int4"
    )
    add_activations(parser)
    parser.add_argument(
        "--early-exit", metavar="LIST", type=_shares, default=[], help="accuracy against steps at these confidences"
    )
    add_json(parser)


def _names(text: str) -> list[str]:
    return text.split(",")


def _shares(text: str) -> list[float]:
    shares = []
    for word in text.split(","):
        try:
            shares.append(float(word))
        except ValueError:
            shares.append(-1.0)
        if not 0 <= shares[-1] <= 1:
            raise UsageError("not a confidence", where="--early-exit", found=repr(word), expected="0 to 1")
    return shares


def run(args: argparse.Namespace) -> int:
    """Evaluate and print."""
    from edgesnn.train.evaluate_command import evaluate

    if args.activations is not None and not args.precisions:
        raise UsageError("nothing is quantised without --precisions", where="--activations", hint="leave it out")
    report = evaluate(
        args.model,
        args.data,
        part=args.part,
        ids=args.ids,
        sensor=args.sensor,
        backend=args.backend,
        precisions=args.precisions,
        activations=args.activations or "int8",
        early_exit=args.early_exit,
    )
    if args.json:
        print_json(report)
        return 0
    from edgesnn.train.evaluate import as_text

    print(as_text(report))
    return 0
