"""Labelled lines for a head, and the TOML file of its training: sections [data] and [head]; every key has a default."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edgesnn.errors import ConfigError
from edgesnn.tokens.masks import MOST_FIELD, drop_fields, field_of
from edgesnn.train.config import parse_sections, read_toml
from edgesnn.train.ranges import Range
from edgesnn.train.text.corpus import read_lines

NORMAL, ALERT = "normal", "alert"
MOST_CLASSES = 1000


@dataclass(frozen=True)
class LinesConfig:
    """Which lines, and where their labels stand.

    Attributes:
        source: a text file in UTF-8; `--data` replaces it.
        label: the field of a line that is its label, 0 the first.
        normal: lines with this label are "normal", all others "alert"; empty: every label is a class.
        test: share of the lines, the last ones, that never train.
    """

    source: str = ""
    label: int = 0
    normal: str = ""
    test: float = 0.25


@dataclass(frozen=True)
class FitConfig:
    """How the head is made.

    Attributes:
        pool: see `edgesnn.graph.with_head`; the mean begins anew with each line.
        surprise: the model still gives the surprise of its tokens; without, its largest matrix is left out.
        decay: weight of the squares of the head's weights, of features that vary by 1.
        steps: of the optimiser, at most.
        rejection: confidence below which a line has no label.
    """

    pool: Literal["mean", "last"] = "mean"
    surprise: bool = True
    decay: float = 1e-3
    steps: int = 300
    rejection: float = 0.0


@dataclass(frozen=True)
class HeadConfig:
    """The whole file."""

    data: LinesConfig = field(default_factory=LinesConfig)
    head: FitConfig = field(default_factory=FitConfig)


RANGES = {
    "data.label": Range(0, MOST_FIELD),
    "data.test": Range(0, 1, open_low=True, open_high=True),
    "head.decay": Range(0, 1e3),
    "head.steps": Range(1, 10**5),
    "head.rejection": Range(0, 1),
}


def load_head_config(path: str | Path | None) -> HeadConfig:
    """Read a TOML file, None: all defaults. Raises ConfigError, as `edgesnn.train.config.load_config`."""
    return HeadConfig() if path is None else parse_sections(HeadConfig, read_toml(path), RANGES, str(path))


@dataclass(frozen=True)
class LabelledLines:
    """Lines with their classes, in the file's order.

    Attributes:
        classes: names; those of the lines that train.
        texts: what the model file's `drop_fields` and `masks` are for.
        labels: the class of each line by name; in the test part also such as never trained.
        first_test: number of the first line that does not train.
    """

    classes: tuple[str, ...]
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    first_test: int


def load_labelled(config: LinesConfig, dropped: tuple[int, ...]) -> LabelledLines:
    """Read the lines; blank ones and those without a label are left out.

    The model never sees the label: where its `drop_fields` (`dropped`) leave that field out a line stays as it is, else
    the field is taken out here, and the model's lines are such as have none.

    Raises:
        ConfigError: no such file, not UTF-8, or fewer than two classes train.
    """
    lines = [one for one in read_lines(config.source) if field_of(one, config.label)]
    labels = tuple(_label(field_of(one, config.label), config.normal) for one in lines)
    hidden = config.label in dropped
    texts = tuple(one if hidden else drop_fields(one, [config.label]) for one in lines)
    first_test = len(lines) - max(1, round(config.test * len(lines)))
    counts = Counter(labels[: max(0, first_test)])
    if not 2 <= len(counts) <= MOST_CLASSES:
        found = f"{len(counts)} classes in {max(0, first_test)} lines"
        expected = f"2 to {MOST_CLASSES} labels in field {config.label} of the lines that train"
        raise ConfigError("lines cannot train a head", where=config.source, found=found, expected=expected)
    return LabelledLines(tuple(sorted(counts)), texts, labels, first_test)


def _label(text: str, normal: str) -> str:
    return text if not normal else NORMAL if text == normal else ALERT


def as_json(lines: LabelledLines) -> dict[str, Any]:
    """Return how many lines of each class there are, for a report."""
    parts = {"train": lines.labels[: lines.first_test], "test": lines.labels[lines.first_test :]}
    return {f"{name}_lines": dict(Counter(part).most_common()) for name, part in parts.items()}
