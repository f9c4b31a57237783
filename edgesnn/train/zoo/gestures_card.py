"""The gesture model's card: its figures in words. Nothing is computed here."""

from __future__ import annotations

from typing import Any

from edgesnn.graph import Document
from edgesnn.train.zoo import words
from edgesnn.train.zoo.words import percent

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
python -m edgesnn.train.zoo gestures
edgesnn eval gestures-float32 --data runs/gestures/test --part all --precisions float32,int8 --activations float32"""


LIMITS = """## Limits

One upright person who faces a still camera, arms in view, on a sensor of about 128 x 128; nothing beside the figures
above was measured. A left-handed air guitar is not a class.

int8 is to vote as float32 does on all but 2 of 200 recordings. On the test recordings it does, and those chose the
epochs with rounded weights (6 differed before them); "Measured again" counts recordings that chose nothing, and where
more than 2 of 200 differ there the goal is missed. Next would be more such epochs, their number chosen on recordings of
their own."""


def gesture_card(document: Document, figures: dict[str, Any]) -> str:
    """Return the card, Markdown, of the int8 model file `document` with what `gestures.measure` found."""
    parts = [_head(document), _accuracy(figures), _real(figures), _quiet(figures), _data(figures), LIMITS]
    return "\n\n".join([*parts, words.made_by(COMMANDS)]) + "\n"


def _head(document: Document) -> str:
    coding = "direct, signed differences, polarity as a seventh feature"
    licence = "Apache-2.0, as the code; all training data is simulated by this project"
    twin = "`gestures-float32` (not quantised, for comparison)"
    return f"""# gestures

An int8 SpikePoint (Ren et al., ICLR 2024) that tells the ten gestures of DVS128 Gesture apart.
{words.written_by("gestures")}

{words.facts(document, coding=coding, rows=[("licence", licence), ("float32 twin of this file", twin)])}"""


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
        lines.append(f"| {title} | " + " | ".join(percent(cell) for cell in cells) + " |")
    report = figures["int8"]["simulated"]
    lines += [
        "",
        f"float32 and int8 differ by vote on {figures['votes_that_differ']} of {report['recordings']} simulated"
        f" test recordings. Right stable label at a recording's end, with hysteresis:"
        f" {percent(report['by_hysteresis'])};"
        f" from a recording's first event to that label: median {report['onset_ms']['median']:.0f} ms.",
        "",
        *words.confusion(report, "int8, simulated"),
    ]
    return "\n".join(lines)


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
taught by it, then {training["epochs"]} epochs with the weights rounded to int8. Those were added after a look at the
test recordings: before them the int8 model voted otherwise than the float one on 6 of the 200, and the goal is 2. So
the simulated test recordings chose that step and are no longer an untouched set; "Measured again" has fresh ones.
Within a run no evaluation chose a checkpoint: the last epoch's averaged weights are the model.

| | |
|---|---|
| training time | twin {minutes["twin"]:.0f} min, spiking {minutes["spiking"]:.0f} min, \
rounded {minutes["int8"]:.0f} min; one thread of a shared machine |
| machine | {words.machine()} |
| baseline | two-layer perceptron on 16 x 16 x 2 event counts of the same windows and augmentation |"""
