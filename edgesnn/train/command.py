"""What `edgesnn train` does: config and data in, a trained checkpoint and two model files out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgesnn.models.export import export
from edgesnn.quantize import quantize
from edgesnn.train.calibrate import calibrate
from edgesnn.train.checkpoint import CHECKPOINT, load_checkpoint
from edgesnn.train.config import as_document, load_config
from edgesnn.train.datasets import DataConfig, filter_dataset, load_dataset
from edgesnn.train.loop import Report, Trainer, predict, validation_windows
from edgesnn.train.ranges import RANGES, check_overrides

FLOAT_FILE, INT8_FILE = "model.safetensors", "model-int8.safetensors"


def train(
    config_path: str,
    data: str | None,
    out: str,
    *,
    sensor: str | None = None,
    overrides: Mapping[str, int],
    resume: bool,
    report: Report,
) -> str:
    """Train by a TOML file and return the last epoch's metrics as one JSON line.

    Args:
        config_path: the TOML file.
        data: replaces `data.source`.
        out: folder of the results.
        sensor: replaces `data.sensor`.
        overrides: fields of `train` to replace.
        resume: go on from the checkpoint in `out`.
        report: takes progress lines.

    Raises:
        UsageError: an override is out of its range.
        ConfigError, RecordingError, ModelError: as `load_config`, `load_dataset` and `Trainer`.
    """
    check_overrides(overrides, RANGES)
    config = load_config(config_path)
    if data is not None:
        config = replace(config, data=replace(config.data, source=data))
    if sensor is not None:
        config = replace(config, data=replace(config.data, sensor=sensor))
    config = replace(config, train=replace(config.train, **dict[str, Any](overrides)))
    dataset = load_dataset(config.data)
    folder = Path(out)
    trainer = Trainer(config, dataset, folder, resume=resume)
    metrics = trainer.run(report)
    if trainer.config.model.neuron == "plif":
        write_models(folder, trainer.config.data, {"source": dataset.source}, report)
    return json.dumps(metrics)


def write_models(folder: Path, data: DataConfig, provenance: Mapping[str, Any], report: Report) -> None:
    """Write the checkpoint of `folder` as float32 and int8 model files, with its readout calibrated.

    The readout (temperature, rejection, hysteresis) is fitted on every second validation recording; the weights have
    seen none of them. It changes neither the scores nor the vote.
    """
    model, config, state = load_checkpoint(folder / CHECKPOINT)
    dataset = filter_dataset(load_dataset(data), config.input.filters)
    held_out = dataset.validate[::2]
    windows, owner = validation_windows(held_out, config, dataset.sensor)
    readout = calibrate(predict(model, windows, config), owner, [s.label for s in held_out])
    document = export(
        model,
        config.encoding,
        dataset.sensor,
        dataset.labels,
        filters=config.input.filters,
        readout=readout,
        provenance={**provenance, "training": as_document(config), "epochs": state["epoch"]},
    )
    document.save(folder / FLOAT_FILE)
    quantize(document, activations="float32").save(folder / INT8_FILE)
    report(f"wrote {folder / FLOAT_FILE} and {folder / INT8_FILE}")
