"""What `edgesnn train spikegpt` does: a text in, a trained checkpoint and two model files out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgesnn.graph import Document
from edgesnn.importers.spikegpt import Plan, token_model
from edgesnn.models.spikegpt import SpikeGPT
from edgesnn.quantize import quantize
from edgesnn.train.command import FLOAT_FILE, INT8_FILE
from edgesnn.train.config import as_document
from edgesnn.train.loop import Report
from edgesnn.train.ranges import check_overrides
from edgesnn.train.text.config import RANGES, load_text_config
from edgesnn.train.text.corpus import Corpus, load_corpus
from edgesnn.train.text.loop import TextTrainer
from edgesnn.train.text.measure import Measured, measure, say


def train_text(
    config_path: str | None,
    data: str | None,
    out: str,
    *,
    overrides: Mapping[str, int],
    resume: bool,
    report: Report,
) -> str:
    """Train a token model and return its bits per character as one JSON line.

    Args:
        config_path: the TOML file (`config.py`); None: all defaults.
        data: replaces `data.source`.
        out: folder of the results.
        overrides: fields of `train` to replace.
        resume: go on from the checkpoint in `out`.
        report: takes progress lines.

    Raises:
        UsageError: an override is out of its range.
        ConfigError, ModelError, BackendError: as `load_text_config`, `load_corpus` and `TextTrainer`.
    """
    check_overrides(overrides, RANGES)
    config = load_text_config(config_path)
    if data is not None:
        config = replace(config, data=replace(config.data, source=data))
    config = replace(config, train=replace(config.train, **dict[str, Any](overrides)))
    corpus = load_corpus(config.data)
    folder = Path(out)
    trainer = TextTrainer(config, corpus, folder, resume=resume)
    metrics = trainer.run(report)
    measured = write_models(folder, trainer.model, corpus, {"training": as_document(config)}, report)
    return json.dumps({**metrics, **measured})


def document_of(model: SpikeGPT, corpus: Corpus, provenance: Mapping[str, Any]) -> Document:
    """Return the float32 model file of a trained network."""
    config = model.config
    weights = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    plan = Plan(
        config.layers, config.width, 4 * config.width, config.vocab, config.spiking, config.rescale, config.binarise
    )
    return token_model(plan, weights.__getitem__, input=corpus.input, provenance=provenance)


def write_models(
    folder: Path, model: SpikeGPT, corpus: Corpus, provenance: Mapping[str, Any], report: Report
) -> Measured:
    """Write the float32 and int8 model files; return the bits per character of both, int4 and the n-gram."""
    document = document_of(model, corpus, {"source": corpus.source, **provenance})
    document.save(folder / FLOAT_FILE)
    int8 = quantize(document, "int8")
    int8.save(folder / INT8_FILE)
    report(f"wrote {folder / FLOAT_FILE} and {folder / INT8_FILE}")
    measured = measure({"float32": document, "int8": int8, "int4": quantize(document, "int4")}, corpus)
    report(say(measured))
    return measured
