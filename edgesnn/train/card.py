"""The gesture model's card: its figures in words. Nothing is computed here."""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import Any

from edgesnn.graph import Document
from edgesnn.version import __version__

_SIMULATE = "python -m edgesnn.events.simulator --out runs/gestures"
COMMANDS = f"""{_SIMULATE} --seed 1 --split train --count 60 --duration 1s --mirrored
{_SIMULATE} --seed 1 --split train --count 60 --duration 1s --classes none
{_SIMULATE} --seed 2 --split test --count 20 --duration 1.5s
{_SIMULATE} --seed 2 --split test --count 20 --duration 1.5s --classes none
{_SIMULATE} --seed 3 --split calibrate --count 10 --duration 1.5s
{_SIMULATE} --seed 3 --split calibrate --count 30 --duration 1.5s --classes none
edgesnn train spikepoint --config examples/train/gestures-twin.toml --out runs/gestures-twin
edgesnn train spikepoint --config examples/train/gestures-spiking.toml --out runs/gestures-spiking
edgesnn train spikepoint --config examples/train/gestures.toml --out runs/gestures-int8
python -m edgesnn.train.zoo"""


def gesture_card(document: Document, figures: dict[str, Any]) -> str:
    """Return the card, Markdown, of the int8 model file `document` with what `zoo.measure` found."""
    parts = [_head(document), _accuracy(figures), _real(figures), _quiet(figures), _data(figures), _limits(figures)]
    return "\n\n".join([*parts, f"## Made by\n\n```\n{COMMANDS}\n```"]) + "\n"


def _head(document: Document) -> str:
    given, readout = document.input, document.readout or {}
    return f"""# gestures

An int8 SpikePoint (Ren et al., ICLR 2024) that tells the ten gestures of DVS128 Gesture apart. Written by
`python -m edgesnn.train.zoo`, edgesnn {__version__}, {time.strftime("%Y-%m-%d")}.

| | |
|---|---|
| identity | {document.identity} |
| labels | {", ".join(readout["labels"])} |
| window, hop | {given["window_us"] // 1000} ms, {given["hop_us"] // 1000} ms |
| idle | a window of fewer than {given["min_events"]} events |
| points | {given["points"]}, in {given["groups"]} groups of {given["neighbours"]}, {given["steps"]} time steps |
| coding | direct, signed differences, polarity as a seventh feature |
| readout | temperature {readout["temperature"]:.3f}, rejection {readout["rejection"]:.2f}, \
onset {readout["onset"]["windows"]} windows at {readout["onset"]["confidence"]:.2f}, \
offset {readout["offset"]["windows"]} windows under {readout["offset"]["confidence"]:.2f} |
| licence | Apache-2.0, as the code; all training data is simulated by this project |"""


def _accuracy(figures: dict[str, Any]) -> str:
    lines = [
        "## Accuracy",
        "",
        "Per window: the largest score. By vote: the largest mean probability over a recording's windows.",
        "",
        "| | simulated test, windows | simulated test, by vote | real clips, windows | real clips, by vote |",
        "|---|---|---|---|---|",
    ]
    for name in ("float32", "int8", "baseline"):
        simulated, real = figures[name]["simulated"], figures[name]["real"]
        cells = [simulated["by_window"], simulated["by_vote"], real["by_window"], real["by_vote"]]
        title = (
            f"histogram MLP ({figures[name]['parameters']} parameters)" if name == "baseline" else f"SpikePoint {name}"
        )
        lines.append(f"| {title} | " + " | ".join(f"{100 * cell:.1f} %" for cell in cells) + " |")
    report = figures["int8"]["simulated"]
    lines += [
        "",
        f"float32 and int8 differ by vote on {figures['decisions_that_differ']} of {report['recordings']} simulated"
        f" test recordings. Right stable label at a recording's end, with hysteresis:"
        f" {100 * report['by_hysteresis']:.1f} %;"
        f" from a recording's first event to that label: median {report['onset_ms']['median']:.0f} ms.",
        "",
        "Confusion by vote, int8, simulated (rows: truth):",
        "",
        "```",
        *_confusion(report),
        "```",
    ]
    return "\n".join(lines)


def _confusion(report: dict[str, Any]) -> list[str]:
    width = max(len(label) for label in report["labels"])
    rows = zip(report["labels"], report["confusion"], strict=True)
    return [f"{label:<{width}} " + " ".join(f"{n:3d}" for n in row) for label, row in rows]


def _real(figures: dict[str, Any]) -> str:
    lines = [
        "## The real clips",
        "",
        "Ten clips of IBM's DVS128 Gesture (CC BY 4.0), one a class, 1.45 s each, never trained on and never used to"
        " choose weights. They were looked at to set up the simulator (below), so they are a check of that set-up, not"
        " an independent test; ten clips of few people also say little about everybody.",
        "",
        "| clip | windows (int8) | by vote |",
        "|---|---|---|",
    ]
    for clip in figures["int8"]["real_clips"]:
        lines.append(f"| {clip['label']} | {', '.join(clip['windows'])} | {clip['vote']} |")
    return "\n".join(lines)


def _quiet(figures: dict[str, Any]) -> str:
    quiet = figures["int8"]["quiet"]
    return f"""## Nobody gesturing

{quiet["recordings"]} simulated recordings of a person who stands at rest, or does not move at all, before cameras from
quiet to noisy: of {quiet["windows"]} windows {quiet["idle"]} are idle, {quiet["none"]} get no label, {quiet["label"]}
get one. Other movements of real people (walking past, sitting down) were not trained against."""


def _data(figures: dict[str, Any]) -> str:
    training = figures["training"]
    minutes = {name: seconds / 60 for name, seconds in training["seconds"].items()}
    return f"""## Data and training

All training, calibration and test recordings are simulated (`edgesnn/events/simulator`): articulated people before
random backgrounds, seen by a log-intensity event camera. Seeds 1 (train), 3 (calibrate) and 2 (test); no performer is
in two of them. Tempo, size and place of the movement, proportions, clothes, light, background, where the person stands,
thresholds, bandwidth and noise are drawn at random. The ranges were chosen by looking at the ten real clips: where the
person stands on the sensor, how big, which side is the right hand, how fast, how many events and how much noise. While
the simulator was made, trial networks were scored on the real clips and on simulated ones; what was changed after that
are the ranges of drums, claps and arm rolls, for train and test alike.

{training["recordings"]} training recordings of 1 s (their mirror images, put in the class that they then show, and 60
of nobody gesturing included). First a non-spiking twin, then the spiking network, started from the twin's weights and
taught by it, then {training["epochs"]} epochs with the weights rounded to int8: before those the int8 model voted
otherwise than the float one on 6 of the 200 test recordings, and the goal is 2. The last epoch's averaged weights are
the model; no evaluation chose a checkpoint.

| | |
|---|---|
| training time | twin {minutes["twin"]:.0f} min, spiking {minutes["spiking"]:.0f} min, \
rounded {minutes["int8"]:.0f} min; one thread of a shared machine |
| machine | {processor()}, Python {platform.python_version()} |
| baseline | two-layer perceptron on 16 x 16 x 2 event counts of the same windows and augmentation |"""


def _limits(figures: dict[str, Any]) -> str:
    return """## Limits

One upright person who faces a still camera, arms in view, on a sensor of about 128 x 128; nothing beside the figures
above was measured. A left-handed air guitar is not a class."""


def processor() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
