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
from edgesnn.train.config import DataConfig, TrainConfig, as_document, load_config
from edgesnn.train.datasets import load_dataset
from edgesnn.train.loop import CHECKPOINT, Report, Trainer, load_checkpoint, predict, validation_windows

FLOAT_FILE, INT8_FILE = "model.safetensors", "model-int8.safetensors"


def train(
    config_path: str,
    data: str | None,
    out: str,
    *,
    overrides: Mapping[str, int],
    resume: bool,
    report: Report,
) -> str:
    """Train by a TOML file and return the last epoch's metrics as one JSON line.

    Args:
        config_path: the TOML file.
        data: replaces `data.source`.
        out: folder of the results.
        overrides: fields of `train` to replace.
        resume: go on from the checkpoint in `out`.
        report: takes progress lines.
    """
    config = load_config(config_path)
    if data is not None:
        config = replace(config, data=replace(config.data, source=data))
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

    The readout is fitted on the training recordings as the runtime cuts them (not augmented), never on the validation
    part.
    """
    model, config, state = load_checkpoint(folder / CHECKPOINT)
    dataset = load_dataset(data)
    windows, owner = validation_windows(dataset.train, config, dataset.sensor)
    scores = predict(model, windows, config)
    readout = calibrate(scores, owner, [s.label for s in dataset.train])
    document = export(
        model,
        config.encoding,
        dataset.sensor,
        dataset.labels,
        readout=readout,
        provenance={**provenance, "training": as_document(config), "epochs": state["epoch"]},
    )
    document.save(folder / FLOAT_FILE)
    quantize(document).save(folder / INT8_FILE)
    report(f"wrote {folder / FLOAT_FILE} and {folder / INT8_FILE}")


__all__ = ["TrainConfig", "train", "write_models"]
