"""What building any shipped model takes: figures of runs and files, provenance, and the files themselves."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import edgesnn
from edgesnn.encode.spans import every_span
from edgesnn.graph import Document
from edgesnn.models.export import export
from edgesnn.quantize import quantize
from edgesnn.runtime.windows import Encoding
from edgesnn.train.calibrate import calibrate
from edgesnn.train.config import TrainConfig, as_document
from edgesnn.train.datasets import Dataset, Sample, filter_dataset
from edgesnn.train.evaluate import Scored, score
from edgesnn.train.loop import METRICS, predict, validation_windows

ZOO = Path("edgesnn/zoo")
SUFFIXES = {"int8": "", "float32": "-float32"}


def make_documents(net: Any, config: TrainConfig, dataset: Dataset, held_out: Sequence[Sample]) -> dict[str, Document]:
    """Return the float32 and the int8 model, their readout fitted on recordings that trained nothing."""
    filters = config.input.filters
    seen = filter_dataset(replace(dataset, train=[], validate=list(held_out)), filters)
    windows, owner = validation_windows(seen.validate, config, seen.sensor)
    readout = calibrate(predict(net, windows, config), owner, [sample.label for sample in held_out])
    document = export(net, config.encoding, seen.sensor, dataset.labels, filters=filters, readout=readout)
    return {"float32": document, "int8": quantize(document, activations="float32")}


def scored(document: Document, samples: Sequence[Sample], sensor: tuple[int, int]) -> list[Scored]:
    """Return what a model says on recordings, through a file, as a user's `edgesnn.load` reads it."""
    with tempfile.TemporaryDirectory(prefix="edgesnn-zoo-") as folder:
        path = Path(folder) / "model.safetensors"
        document.save(path)
        return score(edgesnn.load(path, copy=True), samples, sensor, lambda done: None)


def run_summary(run: Path) -> dict[str, Any]:
    """Return a training run's config, epochs, seconds and last accuracies."""
    document = json.loads((run / METRICS).read_text(encoding="utf-8"))
    last = document["epochs"][-1]
    seconds = float(sum(row["seconds"] for row in document["epochs"]))
    return {"config": document["config"], "seconds": seconds, **{k: last[k] for k in ("epoch", "by_window", "by_vote")}}


def with_provenance(
    documents: Mapping[str, Document], name: str, config: TrainConfig, provenance: Mapping[str, Any]
) -> dict[str, Document]:
    """Return the models with where they come from.

    Args:
        provenance: of both; "metrics" is precision -> metrics.
    """
    data = replace(config.data, source=Path(config.data.source).name)
    training = as_document(replace(config, data=data))
    made = {}
    for precision, document in documents.items():
        own = {
            "source": f"SpikePoint (arXiv 2310.07189), trained by examples/train/{name}.toml",
            "training": training,
            **provenance,
            "metrics": provenance["metrics"][precision],
        }
        made[precision] = replace(document, provenance={**document.provenance, **own})
    return made


def save(documents: Mapping[str, Document], card: str, name: str, out: Path) -> None:
    """Write out/NAME.safetensors (int8), out/NAME-float32.safetensors and out/NAME.md.

    The card is made before, so that the commit in it says whether anything else had changed.
    """
    for precision, document in documents.items():
        document.save(out / f"{name}{SUFFIXES[precision]}.safetensors")
    (out / f"{name}.md").write_text(card, encoding="utf-8")


def quiet_figures(results: Sequence[Scored], encoding: Encoding) -> dict[str, int]:
    """Return what recordings of no class get: recordings, windows, idle, none, label."""
    decided = [active for result in results for active in result.decided]
    windows = (span for result in results for span in every_span(result.sample.events, encoding))
    possible = sum(span.last > span.first for span in windows)
    return {
        "recordings": len(results),
        "windows": possible,
        "idle": possible - len(decided),
        "none": sum(active is None for active in decided),
        "label": sum(active is not None for active in decided),
    }


def shared_folder() -> Path:
    """Return the folder of other people's recordings."""
    return Path(os.environ.get("EDGESNN_SHARED", "../shared"))
