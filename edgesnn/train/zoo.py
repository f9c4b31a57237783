"""Build the zoo's gesture model and its card from a training run: `python -m edgesnn.train.zoo`.

The readout is fitted on recordings of its own (`DATA/calibrate`), so that the test recordings judge all of it. Every
figure of the card is measured here, through the runtime, on the model files that are written.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import edgesnn
from edgesnn.encode.points import PointEncoding
from edgesnn.errors import ConfigError
from edgesnn.graph import Document
from edgesnn.models.export import export
from edgesnn.quantize import quantize
from edgesnn.train.calibrate import calibrate
from edgesnn.train.card import gesture_card
from edgesnn.train.checkpoint import CHECKPOINT, load_checkpoint
from edgesnn.train.config import TrainConfig, as_document
from edgesnn.train.datasets import BACKGROUND, DataConfig, Dataset, Sample, load_dataset
from edgesnn.train.evaluate import Scored, score, summarise
from edgesnn.train.histogram import baseline_accuracy, train_baseline
from edgesnn.train.loop import METRICS, predict, validation_windows
from edgesnn.train.spans import spans

NAME = "gestures"
REAL_CLIPS = "recordings/gesture_bin/dvs128_gesture_class{}.bin"
REAL_SENSOR = (128, 128)
LICENCE = "Apache-2.0; trained only on recordings that this project simulated"


def build(run: Path, before: dict[str, Path], shared: Path, out: Path) -> dict[str, Any]:
    """Write out/gestures.safetensors (int8) and out/gestures.md; return the figures.

    Args:
        run: folder of the last training run.
        before: folders of the runs that led to it, by name: "twin" and "spiking".
        shared: folder of other people's recordings; where it is absent the card says so.
        out: the zoo.
    """
    net, config, state = load_checkpoint(run / CHECKPOINT)
    dataset = load_dataset(config.data)
    documents = make_documents(net, config, dataset)
    figures = measure(documents, config, dataset, real_clips(shared, len(dataset.labels)), run)
    seconds = {name: training_seconds(folder) for name, folder in {**before, "int8": run}.items()}
    figures["training"] = {"recordings": len(dataset.train), "epochs": state["epoch"], "seconds": seconds}
    provenance = {
        "source": "SpikePoint (arXiv 2310.07189), trained by examples/train/gestures.toml",
        "licence": LICENCE,
        "training": as_document(replace(config, data=replace(config.data, source=Path(config.data.source).name))),
        "metrics": headline(figures),
    }
    final = replace(documents["int8"], provenance={**documents["int8"].provenance, **provenance})
    final.save(out / f"{NAME}.safetensors")
    (out / f"{NAME}.md").write_text(gesture_card(final, figures), encoding="utf-8")
    return figures


def make_documents(net: Any, config: TrainConfig, dataset: Dataset) -> dict[str, Document]:
    """Return the float32 and the int8 model, their readout fitted on DATA/calibrate."""
    part = load_dataset(replace(config.data, source=str(Path(config.data.source) / "calibrate")))
    samples = part.train + part.validate
    windows, owner = validation_windows(samples, config, dataset.sensor)
    readout = calibrate(predict(net, windows, config), owner, [sample.label for sample in samples])
    document = export(net, config.encoding, dataset.sensor, dataset.labels, readout=readout)
    return {"float32": document, "int8": quantize(document)}


def measure(
    documents: dict[str, Document], config: TrainConfig, dataset: Dataset, real: list[Sample], run: Path
) -> dict[str, Any]:
    """Return accuracies of both precisions and of the baseline, on simulated, quiet and real recordings."""
    quiet = quiet_recordings(config.data)
    figures: dict[str, Any] = {}
    labels: dict[str, list[int | None]] = {}
    for precision, document in documents.items():
        path = run / f"{NAME}-{precision}.safetensors"
        document.save(path)
        model = edgesnn.load(path)
        results = {
            part: score(model, samples, dataset.sensor, lambda done: None)
            for part, samples in (("simulated", dataset.validate), ("quiet", quiet), ("real", real))
        }
        labels[precision] = [result.vote for result in results["simulated"]]
        figures[precision] = _figures(results, dataset.labels, config.encoding)
    figures["decisions_that_differ"] = sum(a != b for a, b in zip(*labels.values(), strict=True))
    net = train_baseline(dataset, config.encoding, config.augment)
    figures["baseline"] = {
        part: baseline_accuracy(net, samples, config.encoding, dataset.sensor)
        for part, samples in (("simulated", dataset.validate), ("real", real))
    }
    figures["baseline"]["parameters"] = sum(p.numel() for p in net.parameters())
    return figures


def headline(figures: dict[str, Any]) -> dict[str, Any]:
    """Return what the demo says at its end."""
    simulated, real = figures["int8"]["simulated"], figures["int8"]["real"]
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


def real_clips(shared: Path, classes: int) -> list[Sample]:
    """Return the DVS128 Gesture clips, one a class. Raises ConfigError where the folder lacks them."""
    paths = [shared / REAL_CLIPS.format(label) for label in range(classes)]
    for path in paths:
        if not path.is_file():
            raise ConfigError("no such clip", where=str(path), hint="set EDGESNN_SHARED to the shared folder")
    return [Sample(path.name, edgesnn.open(path, sensor=REAL_SENSOR).read(), label) for label, path in enumerate(paths)]


def training_seconds(run: Path) -> float:
    """Return how long a run's epochs took together."""
    epochs = json.loads((run / METRICS).read_text(encoding="utf-8"))["epochs"]
    return float(sum(row["seconds"] for row in epochs))


def _figures(results: dict[str, list[Scored]], labels: Sequence[str], encoding: PointEncoding) -> dict[str, Any]:
    reports: dict[str, Any] = {part: summarise(results[part], labels) for part in ("simulated", "real")}
    decided = [active for result in results["quiet"] for active in result.decided]
    possible = sum(_possible_windows(result.sample, encoding) for result in results["quiet"])
    reports["quiet"] = {
        "recordings": len(results["quiet"]),
        "windows": possible,
        "idle": possible - len(decided),
        "none": sum(active is None for active in decided),
        "label": sum(active is not None for active in decided),
    }
    reports["real_clips"] = [
        {
            "label": labels[r.sample.label],
            "windows": [labels[int(c)] for c in r.scores.argmax(axis=1)],
            "vote": _name(r, labels),
        }
        for r in results["real"]
    ]
    return reports


def _possible_windows(sample: Sample, encoding: PointEncoding) -> int:
    return sum(1 for _ in spans(sample.events, replace(encoding, min_events=0)))


def _name(result: Scored, labels: Sequence[str]) -> str | None:
    return None if result.vote is None else labels[result.vote]


def main() -> None:
    """Build the model and its card."""
    parser = argparse.ArgumentParser(prog="python -m edgesnn.train.zoo", description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/gestures-int8"), help="of gestures.toml")
    parser.add_argument("--spiking", type=Path, default=Path("runs/gestures-spiking"), help="of gestures-spiking.toml")
    parser.add_argument("--twin", type=Path, default=Path("runs/gestures-twin"), help="of gestures-twin.toml")
    parser.add_argument("--out", type=Path, default=Path("edgesnn/zoo"))
    options = parser.parse_args()
    shared = Path(os.environ.get("EDGESNN_SHARED", "../shared"))
    figures = build(options.run, {"twin": options.twin, "spiking": options.spiking}, shared, options.out)
    print(json.dumps(headline(figures)))


if __name__ == "__main__":
    main()
