"""`edgesnn replay BUNDLE`: the predictions of a bundle of the flight recorder again; `--check` compares them."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from edgesnn.cli.replay_lines import EVENTS, LINES
from edgesnn.errors import RecordingError, UsageError

if TYPE_CHECKING:
    from edgesnn.recorder.bundle import Bundle
    from edgesnn.runtime import Model


def run(args: argparse.Namespace) -> int:
    """Print each prediction, or with `--check` each difference."""
    from edgesnn.recorder.bundle import read
    from edgesnn.recorder.check import model_of

    for name, default in {**LINES, **EVENTS, "stream": "main"}.items():
        if getattr(args, name, default) != default:
            raise UsageError("a bundle says this itself", where="--" + name.replace("_", "-"), found=args.file)
    if args.mqtt is not None:
        raise UsageError("a bundle is not published again", where="--mqtt", found=args.file)
    bundle = read(args.file)
    model = model_of(bundle, args.model, args.backend)
    return _check(bundle, model) if args.check else _print(args, bundle, model)


def _check(bundle: Bundle, model: Model) -> int:
    from edgesnn.recorder.check import differences

    count = 0
    for difference in differences(bundle, model):
        print(f"{bundle.path}: {difference}")
        count += 1
    about = f"{len(bundle.published)} published predictions of {bundle.about['decisions']} decisions"
    print(f"{about}: {count or 'no'} difference{'' if count == 1 else 's'}", file=sys.stderr)
    return RecordingError.exit_code if count else 0


def _print(args: argparse.Namespace, bundle: Bundle, model: Model) -> int:
    from edgesnn.publish.publisher import Publisher, new_boot_id, replay_node
    from edgesnn.publish.registry import make_sink
    from edgesnn.recorder.check import again

    node = replay_node() if args.node is None else args.node
    with Publisher([make_sink("jsonl" if args.json else "terminal")], node=node, boot_id=new_boot_id()) as publisher:
        for prediction in again(bundle, model):
            publisher.write(prediction)
        publisher.finish()
    return 0
