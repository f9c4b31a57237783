"""The zoo's gesture model and its card, from training runs.

The readout is fitted on recordings of its own (`DATA/calibrate`), so that the test recordings judge all of it. Every
figure of the card is measured here, through the runtime, on the model files that are written.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import edgesnn
from edgesnn.encode.points import PointEncoding
from edgesnn.errors import ConfigError
from edgesnn.graph import Document
from edgesnn.models.spikepoint import parameter_count
from edgesnn.train.checkpoint import CHECKPOINT, load_checkpoint
from edgesnn.train.config import TrainConfig
from edgesnn.train.datasets import BACKGROUND, DataConfig, Dataset, Sample, load_dataset
from edgesnn.train.evaluate import Scored, summarise, votes_that_differ
from edgesnn.train.histogram import baseline_accuracy, train_baseline
from edgesnn.train.zoo import common
from edgesnn.train.zoo.gestures_card import gesture_card

HELP = "build the gesture model (simulated recordings) and its card"
NAME = "gestures"
REAL_CLIPS = "recordings/gesture_bin/dvs128_gesture_class{}.bin"
REAL_SENSOR = (128, 128)
LICENCE = "Apache-2.0; trained only on recordings that this project simulated"


def build(run: Path, before: dict[str, Path], real: list[Sample], out: Path) -> dict[str, Any]:
    """Write out/gestures.safetensors (int8), out/gestures-float32.safetensors and out/gestures.md; return the figures.

    Args:
        run: folder of the last training run.
        before: folders of the runs that led to it, by name: "twin" and "spiking".
        real: recordings that nobody simulated, one a class.
        out: the zoo.
    """
    net, config, state = load_checkpoint(run / CHECKPOINT)
    dataset = load_dataset(config.data)
    calibrate = load_dataset(replace(config.data, source=str(Path(config.data.source) / "calibrate")))
    documents = common.make_documents(net, config, dataset, calibrate.train + calibrate.validate)
    figures = measure(documents, config, dataset, real)
    seconds = {name: common.run_summary(folder)["seconds"] for name, folder in {**before, "int8": run}.items()}
    figures["training"] = {"recordings": len(dataset.train), "epochs": state["epoch"], "seconds": seconds}
    metrics = {precision: headline(figures[precision]) for precision in documents}
    documents = common.with_provenance(documents, NAME, config, {"licence": LICENCE, "metrics": metrics})
    common.save(documents, gesture_card(documents["int8"], figures), NAME, out)
    return figures


def measure(
    documents: dict[str, Document], config: TrainConfig, dataset: Dataset, real: list[Sample]
) -> dict[str, Any]:
    """Return accuracies of both precisions and of the baseline, on simulated, quiet and real recordings."""
    parts = {"simulated": dataset.validate, "quiet": quiet_recordings(config.data), "real": real}
    results = {
        precision: {part: common.scored(document, samples, dataset.sensor) for part, samples in parts.items()}
        for precision, document in documents.items()
    }
    figures: dict[str, Any] = {p: _figures(rows, dataset.labels, config.encoding) for p, rows in results.items()}
    figures["votes_that_differ"] = votes_that_differ(*(rows["simulated"] for rows in results.values()))
    net = train_baseline(dataset, config.encoding, config.augment)
    figures["baseline"] = {
        part: baseline_accuracy(net, parts[part], config.encoding, dataset.sensor) for part in ("simulated", "real")
    }
    figures["baseline"]["parameters"] = parameter_count(net)
    return figures


def headline(figures: dict[str, Any]) -> dict[str, Any]:
    """Return what the demo says at its end."""
    simulated, real = figures["simulated"], figures["real"]
    right = round(real["by_vote"] * real["recordings"])
    return {
        "simulated_test": {"by_window": simulated["by_window"], "by_vote": simulated["by_vote"]},
        "real_clips": {"by_window": real["by_window"], "by_vote": f"{right} of {real['recordings']}"},
    }


def quiet_recordings(data: DataConfig) -> list[Sample]:
    """Return the test recordings of nobody gesturing."""
    config = DataConfig(source=str(Path(data.source) / "test"), classes=(data.background,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the gestures beside them are meant to be left out
        part = load_dataset(config)
    return [replace(sample, label=BACKGROUND) for sample in part.train + part.validate]


def real_clips(shared: Path, classes: int = 10) -> list[Sample]:
    """Return the DVS128 Gesture clips, one a class. Raises ConfigError where the folder lacks them."""
    paths = [shared / REAL_CLIPS.format(label) for label in range(classes)]
    for path in paths:
        if not path.is_file():
            raise ConfigError("no such clip", where=str(path), hint="set EDGESNN_SHARED to the shared folder")
    return [Sample(path.name, edgesnn.open(path, sensor=REAL_SENSOR).read(), label) for label, path in enumerate(paths)]


def _figures(results: dict[str, list[Scored]], labels: Sequence[str], encoding: PointEncoding) -> dict[str, Any]:
    reports: dict[str, Any] = {part: summarise(results[part], labels) for part in ("simulated", "real")}
    reports["quiet"] = common.quiet_figures(results["quiet"], encoding)
    reports["real_clips"] = [
        {
            "label": labels[r.sample.label],
            "windows": [labels[int(c)] for c in r.scores.argmax(axis=1)],
            "vote": None if r.vote is None else labels[r.vote],
        }
        for r in results["real"]
    ]
    return reports


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--run", type=Path, default=Path("runs/gestures-int8"), help="of gestures.toml")
    parser.add_argument("--spiking", type=Path, default=Path("runs/gestures-spiking"), help="of gestures-spiking.toml")
    parser.add_argument("--twin", type=Path, default=Path("runs/gestures-twin"), help="of gestures-twin.toml")
    parser.add_argument("--out", type=Path, default=common.ZOO)


def run(options: argparse.Namespace) -> str:
    """Build the model and its card; return its accuracies as JSON."""
    before = {"twin": options.twin, "spiking": options.spiking}
    figures = build(options.run, before, real_clips(common.shared_folder()), options.out)
    return json.dumps(headline(figures["int8"]))
