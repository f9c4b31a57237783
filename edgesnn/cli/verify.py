"""`edgesnn verify MODEL --against OUTPUTS`: a model's spikes, or values, beside those of somebody else's code."""

from __future__ import annotations

import argparse
from typing import Any

from edgesnn.cli.arguments import add_backend, add_json, print_json

HELP = "compare a model's spikes with another program's"
EPILOG = """OUTPUTS.npz holds `input` [samples, steps, ...], `spikes/LAYER` and, where known, `membrane/LAYER`
(docs/import.md).
python:MODULE imports MODULE and calls its outputs(), which returns the same as a mapping.
Layers that are no neurons are compared by their values, bit for bit.
Exit code 0: all are equal; 4: they differ.

example:
  edgesnn verify braille.safetensors --against snntorch_outputs.npz --write"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("model", metavar="MODEL", help="a model file, or a name in the zoo")
    parser.add_argument("--against", metavar="OUTPUTS", required=True, help="an .npz file, or python:MODULE")
    parser.add_argument("--write", action="store_true", help="put the result into the model file's provenance")
    add_backend(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    from edgesnn.errors import ModelError
    from edgesnn.importers.verify import load_expected, verify, with_result
    from edgesnn.runtime import load
    from edgesnn.runtime.model import locate

    path = locate(args.model)
    model = load(path, backend=args.backend, copy=args.write)
    report = verify(model, load_expected(args.against, model))
    if args.write:
        with_result(model, report).save(path)
    if args.json:
        print_json(report)
    else:
        for line in _lines(report):
            print(line)
    return 0 if report["equal"] else ModelError.exit_code


def _lines(report: dict[str, Any]) -> list[str]:
    what = " and ".join(sorted({fact["kind"] for fact in report["layers"].values()}))
    verdict = f"all {what} are equal" if report["equal"] else f"{what} differ"
    lines = [f"{verdict}: {report['samples']} samples of {report['steps']} steps, backend {report['backend']}"]
    lines.append(f"{'layer':<24}{'values':>14}{'mismatches':>12}{'spikes':>12}{'expected':>12}{'membrane error':>16}")
    for name, fact in report["layers"].items():
        error = "-" if fact["membrane_error"] is None else f"{fact['membrane_error']:.2e}"
        numbers = f"{fact['values']:>14,}{fact['mismatches']:>12,}"
        numbers += "".join(
            f"{'-' if n is None else format(n, ','):>12}" for n in (fact["spikes"], fact["expected_spikes"])
        )
        lines.append(f"{name:<24}{numbers}{error:>16}")
    first = report["first_divergence"]
    if first is not None:
        shown = {key: "not known" if value is None else value for key, value in first.items()}
        shown["kind"] = {"spikes": " spikes", "values": ""}[report["layers"][first["layer"]]["kind"]]
        lines.append(
            "first divergence: sample {sample}, step {step}, layer {layer}, neuron {neuron}: {spikes}{kind}, expected"
            " {expected_spikes}; membrane {membrane}, expected {expected_membrane}; margin {margin}".format(**shown)
        )
    return lines
