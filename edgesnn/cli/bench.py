"""`edgesnn bench MODEL`: milliseconds per window on this machine, and the share of the model's hop."""

from __future__ import annotations

import argparse

from edgesnn.cli.arguments import add_backend, add_json, print_json

HELP = "measure a model's time per window, and whether it fits its hop"
EPILOG = """Encoding and inference of made-up windows, one thread. The figures are this machine's, as loaded as it is.

examples:
  edgesnn bench gestures
  edgesnn bench my-model.safetensors --events 50000 --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("model", metavar="MODEL", help="a model file, or a name in the zoo")
    parser.add_argument("--events", metavar="N", type=int, help="events in a window (default: 8 a point, or 16 a step)")
    add_backend(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the figures."""
    from edgesnn.errors import UsageError
    from edgesnn.pipeline.bench import bench
    from edgesnn.runtime import load

    if args.events is not None and not 1 <= args.events <= 10_000_000:
        raise UsageError("not a number of events", where="--events", found=str(args.events), expected="1 to 10000000")
    facts = bench(load(args.model, backend=args.backend), events=args.events)
    if args.json:
        print_json(facts)
        return 0
    model = facts["model"]
    print(f"{model['name']}, {model['precision']}, backend {model['backend']}; one thread, {facts['windows']} windows")
    print(f"{'ms per window':<24}{'median':>10}{'p99':>10}")
    rows = {"encode_ms": f"encode {facts['events_per_window']} events", "infer_ms": "inference", "total_ms": "together"}
    for name, title in rows.items():
        print(f"{title:<24}{facts[name]['p50']:>10.3f}{facts[name]['p99']:>10.3f}")
    verdict = "fits" if facts["fits"] else "does not fit"
    shares = f"p99 takes {100 * facts['share_of_hop_p99']:.1f} % of it, the median {100 * facts['share_of_hop']:.1f} %"
    print(f"the hop is {facts['hop_ms']:g} ms: {shares}; it {verdict}")
    return 0
