"""`edgesnn train`: train a model from labelled recordings (extra `train`: torch)."""

from __future__ import annotations

import argparse
import importlib.util
import sys

from edgesnn.cli.arguments import sensor_text
from edgesnn.errors import UsageError

HELP = "train a model on labelled recordings, or on a text"
DESCRIPTION = """Train SpikePoint on labelled recordings, split by recording, or SpikeGPT on a text file, whose last
lines are kept back; write a float32 and an int8 model file. Without --config SpikeGPT takes characters and about ten
minutes on two cores. `head` trains what decides by line on a token model's pooled state (--base): labels are the first
field of each line, and the model itself stays as it is."""
EPILOG = """examples:
  edgesnn train spikepoint --config examples/train/digits.toml --data ../shared/datasets/nmnist_1000.npz --out runs/d
  edgesnn train spikegpt --data notes.txt --out runs/text
  edgesnn train head --base runs/text/model.safetensors --data labelled.txt --out runs/head

The folder --out holds last.safetensors (checkpoint, every epoch), metrics.json, model.safetensors (float32) and
model-int8.safetensors."""

FLAGS = {
    "spikepoint": ("epochs", "seed", "threads", "sensor", "resume"),
    "spikegpt": ("steps", "seed", "threads", "resume"),
    "head": ("base",),
}
"""Flags of some architectures only."""
NUMBERS = ("epochs", "steps", "seed", "threads")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's flags."""
    parser.add_argument("model", choices=sorted(FLAGS), help="architecture")
    parser.add_argument(
        "--config",
        metavar="TOML",
        help="what and how to train (docs/training.md); spikegpt, head: default settings without it",
    )
    parser.add_argument(
        "--data",
        metavar="DATA",
        help="folder with one folder per class, .npz file, or tonic:NAME; spikegpt, head: a text file",
    )
    parser.add_argument("--base", metavar="MODEL", help="of head: the token model, a file or a name in the zoo")
    parser.add_argument("--sensor", metavar="WxH", type=sensor_text, help="sensor size of files that do not say it")
    parser.add_argument("--out", default="runs/last", metavar="DIR", help="folder of the results (default %(default)s)")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--epochs", type=int, metavar="N", help="of spikepoint, instead of the config's")
    parser.add_argument("--steps", type=int, metavar="N", help="of spikegpt, instead of the config's")
    parser.add_argument("--seed", type=int, metavar="N", help="instead of the config's")
    parser.add_argument("--threads", type=int, metavar="N", help="instead of the config's")


def run(args: argparse.Namespace) -> int:
    """Train and write the models; the last epoch's metrics go to standard output as one JSON line."""
    if importlib.util.find_spec("torch") is None:
        raise UsageError("training needs torch", hint="pip install 'edgesnn[train]'")
    own = FLAGS[args.model]
    for name in sorted({name for names in FLAGS.values() for name in names if name not in own}):
        if getattr(args, name) not in (None, False):
            raise UsageError(f"{args.model} has no --{name}", where="train")
    overrides = {name: getattr(args, name) for name in NUMBERS if name in own and getattr(args, name) is not None}
    print(_train(args, overrides))
    return 0


def _train(args: argparse.Namespace, overrides: dict[str, int]) -> str:
    if args.model == "spikegpt":
        from edgesnn.train.text.command import train_text

        return train_text(args.config, args.data, args.out, overrides=overrides, resume=args.resume, report=_report)
    if args.model == "head":
        from edgesnn.train.text.head import train_head

        if args.base is None:
            raise UsageError("a head needs a token model", where="--base", hint="edgesnn train spikegpt makes one")
        return train_head(args.base, args.config, args.data, args.out, report=_report)
    if args.config is None:
        raise UsageError("spikepoint needs --config", where="train", hint="see examples/train")
    from edgesnn.train.command import train

    return train(
        args.config, args.data, args.out, sensor=args.sensor, overrides=overrides, resume=args.resume, report=_report
    )


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
