"""Build the zoo's digits model and its card from training runs: `python -m edgesnn.train.digits`.

The weights are the last epoch's averaged ones; nothing here chooses. The model's accuracies in the card are measured
here, through the runtime, on the model files that are written; those of the other runs are of their last epoch.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import edgesnn
from edgesnn.graph import Document
from edgesnn.models.export import export
from edgesnn.models.spikepoint import parameter_count
from edgesnn.quantize import quantize
from edgesnn.train.calibrate import calibrate
from edgesnn.train.checkpoint import CHECKPOINT, load_checkpoint
from edgesnn.train.config import TrainConfig, as_document
from edgesnn.train.datasets import Dataset, load_dataset
from edgesnn.train.digits_card import digits_card
from edgesnn.train.evaluate import score, summarise
from edgesnn.train.histogram import baseline_accuracy, train_baseline
from edgesnn.train.loop import METRICS, predict, validation_windows

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
    documents = make_documents(net, config, dataset)
    figures = measure(documents, dataset, out)
    figures["draws"] = accuracy_over_draws(documents["int8"], dataset, out)
    figures["looks"], figures["parameters"] = looks, parameter_count(net)
    figures["runs"] = {name: run_summary(path) for name, path in runs.items()}
    baseline = train_baseline(dataset, config.encoding, config.augment)
    figures["baseline"] = baseline_accuracy(baseline, dataset.validate, config.encoding, dataset.sensor)
    figures["baseline_parameters"] = parameter_count(baseline)
    final = _with_provenance(documents, config, figures, state["epoch"])
    for precision, name in (("int8", NAME), ("float32", f"{NAME}-float32")):
        final[precision].save(out / f"{name}.safetensors")
    (out / f"{NAME}.md").write_text(digits_card(final["int8"], figures), encoding="utf-8")
    return figures


def make_documents(net: Any, config: TrainConfig, dataset: Dataset) -> dict[str, Document]:
    """Return the float32 and the int8 model; the readout is fitted on every second validation recording."""
    held_out = dataset.validate[::2]
    windows, owner = validation_windows(held_out, config, dataset.sensor)
    readout = calibrate(predict(net, windows, config), owner, [s.label for s in held_out])
    document = export(net, config.encoding, dataset.sensor, dataset.labels, readout=readout)
    return {"float32": document, "int8": quantize(document)}


def measure(documents: dict[str, Document], dataset: Dataset, out: Path) -> dict[str, Any]:
    """Return the reports of both precisions on the validation recordings, and how many votes differ."""
    figures: dict[str, Any] = {}
    votes: list[list[int | None]] = []
    for precision, document in documents.items():
        results = _scored(document, dataset, out)
        votes.append([result.vote for result in results])
        figures[precision] = summarise(results, dataset.labels)
        figures[precision]["later_half"] = summarise(results[1::2], dataset.labels)
    figures["votes_that_differ"] = sum(a != b for a, b in zip(*votes, strict=True))
    return figures


def accuracy_over_draws(document: Document, dataset: Dataset, out: Path) -> dict[str, list[float]]:
    """Return the accuracies with other seeds of the drawn points: how much luck is in the figures."""
    rows: dict[str, list[float]] = {"by_window": [], "by_vote": []}
    for seed in range(1000, 1000 + CODER_SEEDS):
        other = replace(document, input={**document.input, "seed": seed})
        report = summarise(_scored(other, dataset, out), dataset.labels)
        for name, values in rows.items():
            values.append(report[name])
    return rows


def run_summary(run: Path) -> dict[str, Any]:
    """Return a training run's config, epochs, seconds and last accuracies."""
    document = json.loads((run / METRICS).read_text(encoding="utf-8"))
    last = document["epochs"][-1]
    seconds = float(np.sum([row["seconds"] for row in document["epochs"]]))
    return {"config": document["config"], "seconds": seconds, **{k: last[k] for k in ("epoch", "by_window", "by_vote")}}


def _scored(document: Document, dataset: Dataset, out: Path) -> list[Any]:
    path = out / f".{NAME}-{os.getpid()}.safetensors"
    try:
        document.save(path)
        return score(edgesnn.load(path, copy=True), dataset.validate, dataset.sensor, lambda done: None)
    finally:
        path.unlink(missing_ok=True)


def _with_provenance(
    documents: dict[str, Document], config: TrainConfig, figures: dict[str, Any], epochs: int
) -> dict[str, Document]:
    provenance = {
        "source": "SpikePoint (arXiv 2310.07189), trained by examples/train/digits.toml",
        "licence": LICENCE,
        "training": as_document(replace(config, data=replace(config.data, source=Path(config.data.source).name))),
        "epochs": epochs,
    }
    made = {}
    for precision, document in documents.items():
        metrics = {"validation": {name: figures[precision][name] for name in ("by_window", "by_vote")}}
        made[precision] = replace(document, provenance={**document.provenance, **provenance, "metrics": metrics})
    return made


def main() -> None:
    """Build the model and its card."""
    parser = argparse.ArgumentParser(prog="python -m edgesnn.train.digits", description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/digits"), help="of digits.toml")
    parser.add_argument("--eight", type=Path, default=Path("runs/digits-eight"), help="of digits-eight.toml")
    parser.add_argument("--four", type=Path, default=Path("runs/digits-four"), help="of digits-four.toml")
    parser.add_argument("--twin", type=Path, default=Path("runs/digits-twin"), help="of digits-twin.toml")
    parser.add_argument("--rate", type=Path, help="of digits-rate.toml")
    parser.add_argument("--data", type=Path, help="default: the shared folder's N-MNIST recordings")
    parser.add_argument("--out", type=Path, default=Path("edgesnn/zoo"))
    parser.add_argument("--looks", type=int, required=True, help="configurations compared on the validation part")
    options = parser.parse_args()
    data = options.data or Path(os.environ.get("EDGESNN_SHARED", "../shared")) / DATA
    runs = {"net": options.run, "eight": options.eight, "four": options.four, "twin": options.twin}
    if options.rate:
        runs["rate"] = options.rate
    figures = build(runs, data, options.out, options.looks)
    print(json.dumps({name: figures["int8"][name] for name in ("by_window", "by_vote")}))


if __name__ == "__main__":
    main()
