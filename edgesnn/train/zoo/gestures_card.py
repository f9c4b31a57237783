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

## Where int8 and float32 part

int8 is to vote as float32 does on all but 2 of 200 recordings. That goal is missed by a little: on the test recordings
1 differs, but those chose the epochs with rounded weights (6 differed before them). On recordings that chose nothing,
drawn as the test recordings are, 200 of each seed, 3 (seed 11), 2 (12), 5 (20261125) and 1 (20261126, "Measured again")
differ: 11 of 800, or 2.75 of 200. int8 is right as often as float32: 95.5 / 97.0 % by vote beside 95.5 / 96.0 %
(seeds 11 / 12).

The votes that change are near a tie, where single spikes decide. With seeds 11 and 12, float32 differs from itself on
6 to 10 of 200 when other points of a window are drawn; with 3 % of the rounding error instead of all of it still 2 and
1 votes change. Finer weights would therefore not mend it.

Tried, and no better (votes that differ, seeds 11 / 12; the file that ships: 3 / 2):

| | votes that differ | |
|---|---|---|
| without the epochs of rounded weights | 5 / not measured | |
| weights rounded by the moments of their inputs, biases corrected | 3 / not measured | |
| 10 epochs that pull the rounded net to the float one, squared difference | 11 / 8 | float32 92.0 / 94.0 % by vote |
| the same, five times as strong, stopped after 2 | 7 / not measured | float32 90.0 % |
| the same by symmetric KL divergence, stopped after 5 | 6 / not measured | float32 89.5 % |
| the same twice as strong, without smoothed labels, stopped after 5 | 7 / not measured | float32 85.0 % |
| 20 rounded epochs at twice the rate | 5 / 5 | |
| the same without smoothed labels, teacher at temperature 1 | 4 / 3 | |

Next would be surer votes instead of finer weights: more training recordings, a longer spiking run, less weight on
single spikes before the largest value of a group is taken."""


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
        "Per window: the largest score. By vote: the largest mean score over a recording's windows; the"
        " perceptron's, the largest mean probability.",
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
