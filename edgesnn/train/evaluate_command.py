"""What `edgesnn eval` does: model and data in, a report out (no torch)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any

import edgesnn
from edgesnn.encode.adapt import check_adapt
from edgesnn.encode.spikes import SpikeEncoding
from edgesnn.errors import ModelError, UsageError
from edgesnn.events.filters import Chain
from edgesnn.graph.readout import check_windows_stop
from edgesnn.quantize import quantize
from edgesnn.runtime import Model
from edgesnn.runtime.windows import encoding_of, filters_of, readout_of, sensor_before
from edgesnn.runtime.work import Work
from edgesnn.train.datasets import DataConfig, Dataset, OtherClassesError, Sample, load_dataset
from edgesnn.train.early_exit import curve
from edgesnn.train.evaluate import Scored, score, summarise, votes_that_differ
from edgesnn.train.progress import Progress

SCHEMA = "edgesnn.eval/1"
PRECISIONS = ("float32", "int8", "int4")


def evaluate(
    model_name: str,
    data: str,
    *,
    part: str | None,
    ids: str | None,
    sensor: str | None = None,
    backend: str,
    precisions: Sequence[str] = (),
    activations: str = "int8",
    early_exit: Sequence[float] = (),
) -> dict[str, Any]:
    """Return the report of `edgesnn.train.evaluate.summarise`, of what model on what data, and of the mean work of a
    window by layer (`edgesnn.runtime.work.Work.mean`).

    Args:
        model_name: model file or zoo name.
        data: as `edgesnn.train.datasets` reads it.
        part: "validate", "train" or "all"; None: "validate", or "all" where the data are not split.
        ids: "first-last" of an .npz file's validation part.
        sensor: "WxH" of files that do not say it; None: the model's.
        backend: of `edgesnn.load`.
        precisions: of `PRECISIONS`: report "precisions", the same figures of the model at each; other precisions than
            its own are quantised from a float32 model; "votes_that_differ": on how many recordings from the model's.
        activations: of the models that are quantised, as `edgesnn.quantize.quantize` takes it.
        early_exit: thresholds of the confidence: report "early_exit", the rows of `edgesnn.train.early_exit.curve`.

    Raises:
        ModelError: the data has a class or a sensor that the model lacks, events do not become its input, it cannot
            decide, or it is no float32 model and other precisions are asked for.
        UsageError: no recording of the part, or of the ids, that was asked for; a precision or threshold that is none.
    """
    model = edgesnn.load(model_name, backend=backend)
    encoding_of(model)
    labels = readout_of(model).labels
    if early_exit:
        check_windows_stop(model.document, model.name)
    others = _others(model, precisions, activations)
    dataset = _dataset(model, labels, data, part, ids, sensor)
    part = part or ("validate" if dataset.split else "all")
    samples = _chosen(dataset, part, ids)

    def report(one: Model) -> tuple[dict[str, Any], list[Scored]]:
        work = Work()
        results = _with_progress(samples, lambda told: score(one, samples, dataset.sensor, told, work))
        head = {"name": one.name, "sha256": one.identity, "precision": one.precision, "backend": one.backend}
        summary = summarise(results, labels)
        return {"model": head, **summary, "work": work.mean(summary["windows"])}, results

    own, results = report(model)
    made = {"schema": SCHEMA, "model": own.pop("model"), "data": dataset.source, "part": part, **own}
    if others:
        made["precisions"] = {}
        for name, other in others.items():
            part_report, part_results = report(other)
            differ = votes_that_differ(part_results, results)
            made["precisions"][name] = {**part_report, "votes_that_differ": differ}
    if early_exit:
        made["early_exit"] = _with_progress(
            samples, lambda told: curve(model, samples, dataset.sensor, early_exit, told)
        )
    return made


def _others(model: Model, precisions: Sequence[str], activations: str) -> dict[str, Model]:
    """Return the model at each precision."""
    for name in precisions:
        if precisions.count(name) > 1:
            raise UsageError("a precision stands twice", where="--precisions", found=repr(name))
    return {name: _at(model, name, activations) for name in precisions}


def _dataset(
    model: Model, labels: tuple[str, ...], data: str, part: str | None, ids: str | None, sensor: str | None
) -> Dataset:
    """Return the recordings, which must be of the model's classes and of a sensor that it takes."""
    config = DataConfig(source=data, classes=labels, sensor=sensor or _usual_sensor(model, data))
    if ids is not None:
        if part not in (None, "validate") or not data.endswith(".npz"):
            found = f"{ids} of {data}"
            raise UsageError("ids choose validation recordings of an .npz file", where="--ids", found=found)
        config = dataclasses.replace(config, validate_ids=_ids(ids))
    dataset = _load(config)
    if len(labels) != len(dataset.labels):
        raise ModelError("the data has other classes", where=data, found=", ".join(dataset.labels))
    _check_sensor(model, dataset)
    return dataset


def _usual_sensor(model: Model, data: str) -> str:
    """Return the sensor of recordings that do not say it; "": none, where those of a folder may all do."""
    try:
        width, height = sensor_before(model)
    except UsageError:
        if data.endswith(".npz"):
            raise
        return ""
    return f"{width}x{height}"


def _with_progress(samples: Sequence[Sample], work: Callable[[Callable[[int], None]], Any]) -> Any:
    bar = Progress(len(samples), "recordings")
    result = work(bar.update)
    bar.clear()
    return result


def _at(model: Model, precision: str, activations: str) -> Model:
    """Return the model at a precision: itself, or quantised."""
    if precision == model.precision:
        return model
    if precision not in PRECISIONS:
        expected = ", ".join(PRECISIONS)
        raise UsageError("no such precision", where="--precisions", found=repr(precision), expected=expected)
    if model.precision != "float32":
        hint = "give the float32 model that it was made of"
        raise ModelError(
            "only a float32 model has other precisions", where=model.name, found=model.precision, hint=hint
        )
    rounded = quantize(model.document, precision, activations=activations)  # type: ignore[arg-type]
    return Model(rounded, backend=model.backend)


def _check_sensor(model: Model, dataset: Dataset) -> None:
    """Refuse recordings of a sensor that the model does not take."""
    encoding = encoding_of(model)
    sensor = Chain(filters_of(model), sensor=dataset.sensor).sensor
    if isinstance(encoding, SpikeEncoding):
        try:
            check_adapt(encoding.adapt, sensor, encoding.sensor)
        except ModelError as error:
            error.where = dataset.source
            raise


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
