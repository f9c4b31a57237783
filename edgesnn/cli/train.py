"""`edgesnn train`: train a model from labelled recordings (extra `train`: torch)."""

from __future__ import annotations

import argparse
import importlib.util
import sys

from edgesnn.cli.arguments import sensor_text
from edgesnn.errors import UsageError

HELP = "train a model on labelled recordings"
DESCRIPTION = "Train SpikePoint on labelled recordings, split by recording; write a float32 and an int8 model file."
EPILOG = """example:
  edgesnn train spikepoint --config examples/train/digits.toml --data ../shared/datasets/nmnist_1000.npz --out runs/d

The folder --out holds last.safetensors (checkpoint, every epoch), metrics.json, model.safetensors (float32) and
model-int8.safetensors."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's flags."""
    parser.add_argument("model", choices=["spikepoint"], help="architecture")
    parser.add_argument("--config", required=True, metavar="TOML", help="what and how to train (docs/training.md)")
    parser.add_argument("--data", metavar="DATA", help="folder with one folder per class, .npz file, or tonic:NAME")
    parser.add_argument("--sensor", metavar="WxH", type=sensor_text, help="sensor size of files that do not say it")
    parser.add_argument("--out", default="runs/last", metavar="DIR", help="folder of the results (default %(default)s)")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--epochs", type=int, metavar="N", help="instead of the config's")
    parser.add_argument("--seed", type=int, metavar="N", help="instead of the config's")
    parser.add_argument("--threads", type=int, metavar="N", help="instead of the config's")


def run(args: argparse.Namespace) -> int:
    """Train and write the models; the last epoch's metrics go to standard output as one JSON line."""
    if importlib.util.find_spec("torch") is None:
        raise UsageError("training needs torch", hint="pip install 'edgesnn[train]'")
    from edgesnn.train.command import train

    overrides = {name: getattr(args, name) for name in ("epochs", "seed", "threads") if getattr(args, name) is not None}
    line = train(
        args.config, args.data, args.out, sensor=args.sensor, overrides=overrides, resume=args.resume, report=_report
    )
    print(line)
    return 0


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
