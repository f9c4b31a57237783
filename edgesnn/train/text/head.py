"""What `edgesnn train head` does: a token model and labelled lines in, the same model with a head out.

The model stays as it is: its pooled state of each line, as the runtime computes it, is the input of a softmax
regression (L-BFGS on all lines that train; torch), whose matrix becomes the head.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from edgesnn.errors import ConfigError
from edgesnn.graph import Document, read, with_head
from edgesnn.graph.head import pooled_value
from edgesnn.quantize import quantize
from edgesnn.runtime.model import Model, locate
from edgesnn.tokens.surprise import LineScorer
from edgesnn.train.command import FLOAT_FILE, INT8_FILE
from edgesnn.train.config import as_document
from edgesnn.train.loop import METRICS, Report, make_folder
from edgesnn.train.progress import Progress
from edgesnn.train.text.labelled import FitConfig, LabelledLines, as_json, load_head_config, load_labelled
from edgesnn.train.text.measure import auc

MOST_BYTES = 1 << 31
"""Of the pooled states of all lines."""

Floats = npt.NDArray[np.floating[Any]]


def train_head(base: str, config_path: str | None, data: str | None, out: str, *, report: Report) -> str:
    """Train a head and return how well it decides the lines that never trained, as one JSON line.

    Args:
        base: a token model with a tokenizer and no readout: a file, or a name in the zoo.
        config_path: the TOML file (`labelled.py`); None: all defaults.
        data: replaces `data.source`.
        out: folder of the results.
        report: takes progress lines.

    Raises:
        ConfigError, ModelError, BackendError: as `load_head_config`, `load_labelled`, `edgesnn.load` and `with_head`.
    """
    config = load_head_config(config_path)
    if data is not None:
        config = replace(config, data=replace(config.data, source=data))
    document = read(locate(base))
    lines = load_labelled(config.data, tuple(document.input.get("drop_fields", ())))
    folder = Path(out)
    make_folder(folder)
    report(f"{len(lines.texts)} lines of {config.data.source}: {json.dumps(as_json(lines))}")
    features = pooled(document, lines.texts, config.head)
    weight, bias = fit(
        features[: lines.first_test], _numbers(lines)[: lines.first_test], len(lines.classes), config.head
    )
    made = _with_head(document, lines.classes, weight, bias, config.head)
    made = replace(made, provenance={**made.provenance, "head": {"base": document.identity, **as_document(config)}})
    documents = _write(folder, made, document.precision, report)
    measured = {name: judge(one, lines) for name, one in documents.items()}
    told = {**as_json(lines), "always_one_class": _one_class(lines), **measured}
    (folder / METRICS).write_text(json.dumps(told, indent=1), encoding="utf-8")
    return json.dumps(told)


def pooled(document: Document, texts: Sequence[str], config: FitConfig) -> Floats:
    """Return the pooled state of each line after the lines before it, float32 [lines, D].

    Raises:
        ConfigError: more than 2 GiB.
    """
    width = document.analysis.values[pooled_value(document)].shape[-1]
    size = len(texts) * width * 4
    if size > MOST_BYTES:
        expected = f"at most {MOST_BYTES // (4 * width)} lines"
        raise ConfigError(
            "too many lines for a head", where="data.source", found=f"{len(texts)} lines", expected=expected
        )
    names = [str(i) for i in range(width)]
    same = with_head(document, names, np.eye(width), np.zeros(width), pool=config.pool, logits=False)
    return np.stack(scores(same, texts))


def scores(document: Document, texts: Sequence[str]) -> list[Floats]:
    """Return the readout's scores of each line, as the runtime computes them over all lines as one stream."""
    scorer, made = LineScorer(Model(document).session()), []
    bar = Progress(len(texts), "lines")
    for number, text in enumerate(texts):
        given = scorer.line(text.encode()).scores
        made.append(np.zeros(len(document.readout["labels"]), np.float32) if given is None else given)  # type: ignore[index]
        bar.update(number + 1)
    bar.clear()
    return made


def fit(features: Floats, classes: npt.NDArray[np.int64], count: int, config: FitConfig) -> tuple[Floats, Floats]:
    """Return weight [count, D] and bias [count] of a softmax regression.

    Args:
        features: [lines, D].
        classes: of each line, 0 to count - 1.
        count: of classes.
        config: its decay and steps.
    """
    torch.set_num_threads(1)
    mean, spread = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
    spread = np.where(spread > 1e-6, spread, 1.0)
    x, y = torch.from_numpy((features - mean) / spread), torch.from_numpy(classes)
    weight = torch.zeros(count, x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(count, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=config.steps,
        tolerance_grad=1e-8,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(x @ weight.T + bias, y) + config.decay / 2 * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    scaled = weight.detach().numpy() / spread
    return scaled, bias.detach().numpy() - scaled @ mean


def judge(document: Document, lines: LabelledLines) -> dict[str, Any]:
    """Return how a model decides the lines that never trained.

    Returns:
        accuracy; recall by class; their mean, balanced; auc of two classes: the area under the curve of right against
        false alarms of the second one's score.
    """
    made = np.stack(scores(document, lines.texts)[lines.first_test :])
    wanted = np.array(lines.labels[lines.first_test :])
    found = np.array(lines.classes)[made.argmax(axis=1)]
    recall = {name: float((found == wanted)[wanted == name].mean()) for name in sorted(set(wanted.tolist()))}
    told: dict[str, Any] = {"accuracy": float((found == wanted).mean()), "recall": recall}
    told["balanced"] = float(np.mean(list(recall.values())))
    positive = wanted == lines.classes[-1]
    if len(lines.classes) == 2 and positive.any() and not positive.all():
        told["auc"] = auc((made[:, 1] - made[:, 0]).astype(np.float64), positive)
    return told


def _with_head(document: Document, classes: Sequence[str], weight: Floats, bias: Floats, config: FitConfig) -> Document:
    more = {"rejection": config.rejection}
    return with_head(document, classes, weight, bias, pool=config.pool, logits=config.surprise, readout=more)


def _write(folder: Path, made: Document, precision: str, report: Report) -> Mapping[str, Document]:
    """Write the model file, and one in int8 where the base was float32; return them, and int4, by precision."""
    made.save(folder / FLOAT_FILE)
    if precision != "float32":
        report(f"wrote {folder / FLOAT_FILE}")
        return {precision: made}
    int8 = quantize(made, "int8")
    int8.save(folder / INT8_FILE)
    report(f"wrote {folder / FLOAT_FILE} and {folder / INT8_FILE}")
    return {"float32": made, "int8": int8, "int4": quantize(made, "int4")}


def _numbers(lines: LabelledLines) -> npt.NDArray[np.int64]:
    """Return the class of each line as a number; -1 of one that never trained."""
    places = {name: i for i, name in enumerate(lines.classes)}
    return np.array([places.get(name, -1) for name in lines.labels], np.int64)


def _one_class(lines: LabelledLines) -> float:
    """Return the accuracy of who always says the class that most lines have that train."""
    train, test = lines.labels[: lines.first_test], lines.labels[lines.first_test :]
    most = max(lines.classes, key=train.count)
    return test.count(most) / len(test)
