"""How good a model file is on labelled recordings, through the runtime (no torch): what `edgesnn eval` prints.

A recording is one stream: windows from its first event on, the last unfinished one dropped. Its label by vote is the
class of the largest mean score over its windows; a recording without any window counts as wrong.
"Onset" is the sensor time from the recording's first event to the end of the window at which the readout's hysteresis
first says a label that it then keeps to the end of the recording.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.encode.spans import encode_span, every_span
from edgesnn.runtime import Model
from edgesnn.runtime.decide import Decide, Readout
from edgesnn.runtime.windows import encoding_of, filters_of, goes_on, readout_of, run_window
from edgesnn.runtime.work import SUMS, Work
from edgesnn.train.datasets import Sample, filter_sample


@dataclass(frozen=True, eq=False)
class Scored:
    """A recording's windows: scores [windows, classes] and, per window, the decision, its end (us), the steps done."""

    sample: Sample
    scores: npt.NDArray[np.float32]
    decided: list[int | None]
    ends_us: list[int]
    steps: list[int] = field(default_factory=list)

    @property
    def vote(self) -> int | None:
        """The class of the largest mean score; None without a window."""
        return int(self.scores.mean(axis=0).argmax()) if len(self.scores) else None

    @property
    def onset_us(self) -> int | None:
        """Time from the first event to the first decision that stays; None if the last one is no label."""
        if not self.decided or self.decided[-1] is None:
            return None
        first = len(self.decided) - 1
        while first > 0 and self.decided[first - 1] == self.decided[-1]:
            first -= 1
        return self.ends_us[first] - int(self.sample.events["t"][0])


def score(
    model: Model,
    samples: Sequence[Sample],
    sensor: tuple[int, int],
    progress: Callable[[int], None],
    work: Work | None = None,
) -> list[Scored]:
    """Run every window of every recording; `progress` is told how many recordings are done.

    What the layers do in windows that are not idle is added to `work`.

    Raises:
        ModelError: events do not become the model's input, or it has no readout.
    """
    results: list[Scored] = []
    for sample in samples:
        results.append(_scored(model, sample, sensor, work))
        progress(len(results))
    return results


def _scored(model: Model, sample: Sample, sensor: tuple[int, int], work: Work | None) -> Scored:
    encoding, readout, session = encoding_of(model), readout_of(model), model.session()
    seen, sensor = filter_sample(sample, filters_of(model), sensor)
    silence_too = goes_on(model)
    scores: list[Any] = []
    steps: list[int] = []
    ends_us: list[int] = []
    for span in every_span(seen.events, encoding, seen.t_end_us):
        if span.idle and not silence_too:
            continue
        window = encode_span(seen.events, span, encoding, sensor)
        made = run_window(session, window, readout, None if span.idle else work)
        if not span.idle:
            scores.append(made.scores)
            steps.append(made.steps)
            ends_us.append(span.t1_us)
    return _decided(sample, scores, ends_us, steps, readout)


def _decided(sample: Sample, scores: list[Any], ends_us: list[int], steps: list[int], readout: Readout) -> Scored:
    decide = Decide(readout)
    rows = np.zeros((len(scores), len(readout.labels)), dtype=np.float32)
    decided: list[int | None] = []
    for i, row in enumerate(scores):
        rows[i] = row
        decided.append(decide.push(rows[i]).active)
    return Scored(sample, rows, decided, ends_us, steps)


def summarise(results: Sequence[Scored], labels: Sequence[str]) -> dict[str, Any]:
    """Return the report: accuracies, confusion matrix (rows: truth; last column: no decision), onset times."""
    truth = np.concatenate([np.full(len(r.scores), r.sample.label) for r in results])
    best = np.concatenate([r.scores.argmax(axis=1) if len(r.scores) else np.zeros(0, np.int64) for r in results])
    confusion = np.zeros((len(labels), len(labels) + 1), dtype=np.int64)
    for r in results:
        confusion[r.sample.label, len(labels) if r.vote is None else r.vote] += 1
    right = [r for r in results if r.vote == r.sample.label]
    stable = [r for r in results if r.onset_us is not None and r.decided[-1] == r.sample.label]
    onsets = np.array([r.onset_us for r in stable], dtype=np.float64)
    return {
        "recordings": len(results),
        "windows": len(truth),
        "without_a_window": sum(r.vote is None for r in results),
        "by_window": float((best == truth).mean()) if len(truth) else 0.0,
        "by_vote": len(right) / max(1, len(results)),
        "by_hysteresis": len(stable) / max(1, len(results)),
        "mean_steps": _mean([n for r in results for n in r.steps]),
        "onset_ms": {"median": _ms(onsets, 50), "p90": _ms(onsets, 90)},
        "labels": list(labels),
        "confusion": confusion.tolist(),
    }


def votes_that_differ(a: Sequence[Scored], b: Sequence[Scored]) -> int:
    """Return on how many recordings two models vote otherwise."""
    return sum(x.vote != y.vote for x, y in zip(a, b, strict=True))


def _mean(values: Sequence[int]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _ms(values_us: npt.NDArray[np.float64], share: float) -> float | None:
    return float(np.percentile(values_us, share)) / 1e3 if len(values_us) else None


def as_text(report: dict[str, Any]) -> str:
    """Return the report for a person to read."""
    onset, labels = report["onset_ms"], report["labels"]
    lines = [
        f"{report['recordings']} recordings, {report['windows']} windows",
        f"recordings without a window: {report['without_a_window']}",
        f"right by vote of a recording's windows: {100 * report['by_vote']:.1f} %",
        f"right windows: {100 * report['by_window']:.1f} %",
        f"right stable label (onset and offset hysteresis): {100 * report['by_hysteresis']:.1f} %",
        f"time to the first stable label: median {_text(onset['median'])}, 90th percentile {_text(onset['p90'])}",
        "confusion by vote (rows: truth; last column: no decision)",
    ]
    width = max(len(label) for label in labels)
    for label, row in zip(labels, report["confusion"], strict=True):
        lines.append(f"  {label:<{width}} " + " ".join(f"{n:4d}" for n in row))
    lines += _work(report.get("work"), report["windows"])
    lines += _precisions(report.get("precisions", {})) + _early_exit(report.get("early_exit", []))
    return "\n".join(lines)


def _work(work: dict[str, Any] | None, windows: int) -> list[str]:
    if work is None or not work["layers"]:  # not one window was run
        return []
    width = max(5, *(len(row["node"]) for row in work["layers"]))
    head = "".join(f"{name:>16}" for name in ("spikes", "synops", "MACs", "bytes", "bit budget", "uJ, estimate"))
    lines = [f"work of a window, mean of {windows}", f"  {'layer':<{width}}{head}"]
    for row in [*work["layers"], {"node": "all", **work}]:
        counts = "".join(f"{row[name]:>16,.1f}" for name in SUMS)
        lines.append(f"  {row['node']:<{width}}{counts}{row['energy_uj']:>16.4g}")
    return lines


def _precisions(reports: dict[str, Any]) -> list[str]:
    if not reports:
        return []
    head = f"{'precision':<12}{'by vote':>10}{'windows':>10}{'stable':>10}{'onset':>10}{'votes differ':>14}"
    lines = [head + "  stored as"]
    for name, report in reports.items():
        shares = (report["by_vote"], report["by_window"], report["by_hysteresis"])
        row = "".join(f"{100 * share:>8.1f} %" for share in shares)
        row += f"{_text(report['onset_ms']['median']):>10}{report['votes_that_differ']:>14}"
        lines.append(f"{name:<12}{row}  {report['model']['precision']}")
    return lines


def _early_exit(rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return []
    lines = [f"{'early exit at':<16}{'steps':>8}{'of all':>10}{'windows':>10}{'by vote':>10}"]
    for row in rows:
        name = "never" if row["confidence"] is None else f"{row['confidence']:g}"
        steps, share = row["mean_steps"] or 0.0, row["share_of_steps"] or 0.0
        shares = "".join(f"{100 * value:>8.1f} %" for value in (share, row["by_window"], row["by_vote"]))
        lines.append(f"{name:<16}{steps:>8.1f}{shares}")
    return lines


def _text(ms: float | None) -> str:
    return "none" if ms is None else f"{ms:.0f} ms"
