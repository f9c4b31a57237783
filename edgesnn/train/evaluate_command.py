"""What `edgesnn eval` does: model and data in, a report out (no torch)."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import edgesnn
from edgesnn.errors import ModelError, UsageError
from edgesnn.train.datasets import DataConfig, Dataset, OtherClassesError, Sample, load_dataset
from edgesnn.train.evaluate import score, summarise
from edgesnn.train.progress import Progress

SCHEMA = "edgesnn.eval/1"


def evaluate(
    model_name: str, data: str, *, part: str | None, ids: str | None, sensor: str | None = None, backend: str
) -> dict[str, Any]:
    """Return the report of `edgesnn.train.evaluate.summarise`, and of what model on what data.

    Args:
        model_name: model file or zoo name.
        data: as `edgesnn.train.datasets` reads it.
        part: "validate", "train" or "all"; None: "validate", or "all" where the data are not split.
        ids: "first-last" of an .npz file's validation part.
        sensor: "WxH" of files that do not say it; None: the model's.
        backend: of `edgesnn.load`.

    Raises:
        ModelError: the data has a class that the model lacks, or its input is not points.
        UsageError: no recording of the part, or of the ids, that was asked for.
    """
    model = edgesnn.load(model_name, backend=backend)
    labels = tuple(model.readout["labels"]) if model.readout is not None else ()
    width, height = model.input.get("sensor", (0, 0))
    if ids is not None and (part not in (None, "validate") or not data.endswith(".npz")):
        raise UsageError("ids choose validation recordings of an .npz file", where="--ids", found=f"{ids} of {data}")
    config = DataConfig(source=data, classes=labels, sensor=sensor or f"{width}x{height}")
    if ids is not None:
        config = dataclasses.replace(config, validate_ids=_ids(ids))
    dataset = _load(config)
    if len(labels) != len(dataset.labels):
        raise ModelError("the data has other classes", where=data, found=", ".join(dataset.labels))
    part = part or ("validate" if dataset.split else "all")
    samples = _chosen(dataset, part, ids)
    bar = Progress(len(samples), "recordings")
    results = score(model, samples, dataset.sensor, bar.update)
    bar.clear()
    head = {"name": model.name, "sha256": model.identity, "precision": model.precision, "backend": model.backend}
    return {"schema": SCHEMA, "model": head, "data": dataset.source, "part": part, **summarise(results, labels)}


def _load(config: DataConfig) -> Dataset:
    try:
        return load_dataset(config)
    except OtherClassesError as error:
        hint = "the model does not know them: is it the right one for these data?"
        raise ModelError(
            "the data has other classes", where=error.where, found=error.found, expected=error.expected, hint=hint
        ) from None


def _chosen(dataset: Dataset, part: str, ids: str | None) -> list[Sample]:
    samples = {
        "validate": dataset.validate,
        "train": dataset.train,
        "all": dataset.train + dataset.validate,
    }[part]
    if not samples:
        where = f"--ids {ids}" if ids is not None else f"--part {part}"
        raise UsageError("no recording to evaluate", where=where, found=f"none in {dataset.source}")
    return samples


def _ids(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,18})-(\d{1,18})", text)
    if match is None or int(match[1]) > int(match[2]):
        expected = "the first and the last id, for example 801-1000"
        raise UsageError("not a range of ids", where="--ids", found=repr(text), expected=expected)
    return int(match[1]), int(match[2])
