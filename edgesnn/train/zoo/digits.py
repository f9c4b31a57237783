"""The zoo's digits model and its card, from training runs.

The weights are the last epoch's averaged ones; nothing here chooses. The model's accuracies in the card are measured
here, through the runtime, on the model files that are written; those of the other runs are of their last epoch.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgesnn.graph import Document
from edgesnn.models.spikepoint import parameter_count
from edgesnn.train.checkpoint import CHECKPOINT, load_checkpoint
from edgesnn.train.datasets import Dataset, load_dataset
from edgesnn.train.evaluate import summarise, votes_that_differ
from edgesnn.train.histogram import baseline_accuracy, train_baseline
from edgesnn.train.zoo import common
from edgesnn.train.zoo.digits_card import digits_card

HELP = "build the digits model (N-MNIST) and its card"
NAME = "digits"
DATA = "datasets/nmnist_1000.npz"
LICENCE = "weights Apache-2.0; trained on N-MNIST (CC BY-SA 4.0 by its authors' page: Orchard et al. 2015)"
CODER_SEEDS = 5


def build(runs: dict[str, Path], data: Path, out: Path, looks: int) -> dict[str, Any]:
    """Write out/digits.safetensors (int8), out/digits-float32.safetensors and out/digits.md; return the figures.

    Args:
        runs: folders of training runs: "net" (the model), "eight" and "four" (the nets it came from), "twin" (where
            those started, and who taught them all) and, if there is one, "rate" (the rate-coded net).
        data: the .npz of recordings.
        out: the zoo.
        looks: how many spiking configurations were compared on the validation recordings before this one was kept.
    """
    net, config, state = load_checkpoint(runs["net"] / CHECKPOINT)
    dataset = load_dataset(replace(config.data, source=str(data)))
    documents = common.make_documents(net, config, dataset, dataset.validate[::2])
    figures = measure(documents, dataset)
    figures["draws"] = accuracy_over_draws(documents["int8"], dataset)
    figures["looks"], figures["parameters"] = looks, parameter_count(net)
    figures["runs"] = {name: common.run_summary(path) for name, path in runs.items()}
    baseline = train_baseline(dataset, config.encoding, config.augment)
    figures["baseline"] = baseline_accuracy(baseline, dataset.validate, config.encoding, dataset.sensor)
    figures["baseline_parameters"] = parameter_count(baseline)
    metrics = {
        precision: {"validation": {name: figures[precision][name] for name in ("by_window", "by_vote")}}
        for precision in documents
    }
    provenance = {"licence": LICENCE, "epochs": state["epoch"], "metrics": metrics}
    documents = common.with_provenance(documents, NAME, config, provenance)
    common.save(documents, digits_card(documents["int8"], figures), NAME, out)
    return figures


def measure(documents: dict[str, Document], dataset: Dataset) -> dict[str, Any]:
    """Return the reports of both precisions on the validation recordings, and how many votes differ."""
    results = {p: common.scored(document, dataset.validate, dataset.sensor) for p, document in documents.items()}
    figures: dict[str, Any] = {}
    for precision, rows in results.items():
        figures[precision] = summarise(rows, dataset.labels)
        figures[precision]["later_half"] = summarise(rows[1::2], dataset.labels)
    figures["votes_that_differ"] = votes_that_differ(results["int8"], results["float32"])
    return figures


def accuracy_over_draws(document: Document, dataset: Dataset) -> dict[str, list[float]]:
    """Return the accuracies with other seeds of the drawn points: how much luck is in the figures."""
    rows: dict[str, list[float]] = {"by_window": [], "by_vote": []}
    for seed in range(1000, 1000 + CODER_SEEDS):
        other = replace(document, input={**document.input, "seed": seed})
        report = summarise(common.scored(other, dataset.validate, dataset.sensor), dataset.labels)
        for name, values in rows.items():
            values.append(report[name])
    return rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--run", type=Path, default=Path("runs/digits"), help="of digits.toml")
    parser.add_argument("--eight", type=Path, default=Path("runs/digits-eight"), help="of digits-eight.toml")
    parser.add_argument("--four", type=Path, default=Path("runs/digits-four"), help="of digits-four.toml")
    parser.add_argument("--twin", type=Path, default=Path("runs/digits-twin"), help="of digits-twin.toml")
    parser.add_argument("--rate", type=Path, help="of digits-rate.toml")
    parser.add_argument("--data", type=Path, help="default: the shared folder's N-MNIST recordings")
    parser.add_argument("--out", type=Path, default=common.ZOO)
    parser.add_argument("--looks", type=int, required=True, help="configurations compared on the validation part")


def run(options: argparse.Namespace) -> str:
    """Build the model and its card; return its accuracies as JSON."""
    runs = {"net": options.run, "eight": options.eight, "four": options.four, "twin": options.twin}
    if options.rate:
        runs["rate"] = options.rate
    figures = build(runs, options.data or common.shared_folder() / DATA, options.out, options.looks)
    return json.dumps({name: figures["int8"][name] for name in ("by_window", "by_vote")})
