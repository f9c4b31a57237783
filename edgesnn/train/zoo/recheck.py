"""Measure a shipped model again, on recordings that its making never saw, and write that into its card.

The section "Measured again" of the card is replaced; nothing else of it changes, and no weight does.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import edgesnn
from edgesnn.errors import ConfigError
from edgesnn.graph import Document
from edgesnn.runtime import Model
from edgesnn.runtime.windows import encoding_of, readout_of
from edgesnn.train.datasets import DataConfig, load_dataset
from edgesnn.train.evaluate import Scored, score, votes_that_differ
from edgesnn.train.evaluate_command import evaluate
from edgesnn.train.zoo import common, words
from edgesnn.train.zoo.words import percent

HELP = "measure a shipped model again and say so in its card"
TITLE = "## Measured again"
BEFORE = "## Made by"
DRAWS = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("name", choices=("digits", "gestures"))
    parser.add_argument("--data", required=True, help="labelled recordings, as `edgesnn eval` reads them")
    parser.add_argument("--quiet", metavar="NAME", help="folder in DATA with recordings of no class")
    parser.add_argument("--about", required=True, help="one sentence: what the recordings are")
    parser.add_argument("--zoo", type=Path, default=common.ZOO)


def run(options: argparse.Namespace) -> str:
    """Measure, change the card, and return the section."""
    card = options.zoo / f"{options.name}.md"
    model = str(options.zoo.resolve() / f"{options.name}.safetensors")
    report = evaluate(model, options.data, part="all", ids=None, backend="auto")
    quiet = quiet_of(model, options.data, options.quiet) if options.quiet else None
    twin = options.zoo.resolve() / f"{options.name}{common.SUFFIXES['float32']}.safetensors"
    differ = differences(edgesnn.load(model), edgesnn.load(twin), options.data)
    text = section(options.about, report, differ, quiet, options.name)
    card.write_text(with_section(card.read_text(encoding="utf-8"), text, str(card)), encoding="utf-8")
    return text


def differences(model: Model, twin: Model, data: str) -> list[int]:
    """Return on how many recordings of DATA the float32 twin votes otherwise than the model, and, for comparison, than
    itself with each of `DRAWS` other draws of the points."""
    labels = readout_of(model).labels
    own = scored(twin, data, labels)
    seed = twin.document.input["seed"]
    others = [model, *(Model(_drawn_by(twin.document, seed + i + 1)) for i in range(DRAWS))]
    return [votes_that_differ(own, scored(other, data, labels)) for other in others]


def _drawn_by(document: Document, seed: int) -> Document:
    return replace(document, input={**document.input, "seed": seed})


def quiet_of(name: str, data: str, folder: str) -> dict[str, int]:
    """Return what the model says of the recordings in DATA/folder."""
    model = edgesnn.load(name)
    return common.quiet_figures(scored(model, data, (folder,)), encoding_of(model))


def scored(model: Model, data: str, folders: tuple[str, ...]) -> list[Scored]:
    """Return what the model says of the recordings in these folders of DATA."""
    dataset = load_dataset(DataConfig(source=data, classes=folders))
    return score(model, dataset.train + dataset.validate, dataset.sensor, lambda done: None)


def section(about: str, report: dict[str, Any], differ: list[int], quiet: dict[str, int] | None, name: str) -> str:
    """Return the section's text."""
    model, onset = report["model"], report["onset_ms"]
    lines = [
        TITLE,
        "",
        f"{time.strftime('%Y-%m-%d')}, commit {words.commit()}, identity {model['sha256'][:12]}, backend"
        f" {model['backend']}: {about}",
        "",
        "| | recordings | by window | by vote | stable label |",
        "|---|---|---|---|---|",
        f"| {name} ({model['precision']}) | {report['recordings']} | {percent(report['by_window'])} |"
        f" {percent(report['by_vote'])} | {percent(report['by_hysteresis'])} |",
        "",
        f"From the first event to the stable label: median {onset['median']:.0f} ms."
        if onset["median"] is not None
        else "No recording got a stable label.",
        "",
        f"float32 and int8 differ by vote on {differ[0]} of {report['recordings']} recordings. For comparison: float32"
        f" and itself with other draws of the points, on {' and '.join(map(str, differ[1:]))}.",
    ]
    if quiet is not None:
        lines += [
            "",
            f"Nobody gesturing, {quiet['recordings']} recordings: of {quiet['windows']} windows {quiet['idle']} are"
            f" idle, {quiet['none']} get no label, {quiet['label']} get one.",
        ]
    return "\n".join([*lines, "", *words.confusion(report, "measured again")])


def with_section(card: str, text: str, where: str) -> str:
    """Return the card with this section in the place of the one that it had; ConfigError: no card of ours."""
    before, found, after = card.partition(BEFORE)
    if not found:
        raise ConfigError("not a card of the zoo's builder", where=where, expected=f"a section {BEFORE!r}")
    return before.partition(TITLE)[0].rstrip() + f"\n\n{text}\n\n{BEFORE}{after}"
