"""Windows of events through a session: what a model needs for that, and one window's steps.

`native/pipeline/executor_model.cpp` is what runs in the chain; both give the same bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgesnn.encode.adapt import ADAPTS, Adapt
from edgesnn.encode.points import PointEncoding, PointWindow
from edgesnn.encode.spikes import SpikeEncoding, SpikeWindow
from edgesnn.errors import ModelError, UsageError
from edgesnn.events.filters import Chain, Filter, FilterLike, parse_filters
from edgesnn.graph.readout import check_windows_stop
from edgesnn.runtime.arithmetic import FloatArray
from edgesnn.runtime.decide import Readout
from edgesnn.runtime.model import Model
from edgesnn.runtime.session import Session
from edgesnn.runtime.work import Work

Encoding = PointEncoding | SpikeEncoding
Window = PointWindow | SpikeWindow


@dataclass(frozen=True, eq=False)
class Inference:
    """What one window gave.

    Attributes:
        scores: float32 [classes], the readout's output after the last step that was done.
        steps: that were done.
        spikes, synops, macs: of those steps, all layers together.
    """

    scores: FloatArray
    steps: int
    spikes: int
    synops: int
    macs: int


def encoding_of(model: Model) -> Encoding:
    """Return how events become the model's input.

    Raises:
        ModelError: the model does not say it, or no windows of events fit its states; names the field and what to do.
    """
    section = model.input
    if section["kind"] == "points":
        return PointEncoding.from_section(section)
    if section.get("events") is None:
        raise ModelError(
            "the model does not say how events become its input",
            where=f"{model.name}, input.events",
            found=f"none, of input.kind {section['kind']!r}",
            expected="sensor, bin_us and steps of input.kind 'spikes' or 'dense'",
            hint="import it with --input spikes --bin --sensor --steps, or step it with edgesnn.load(...).session()",
        )
    encoding = SpikeEncoding.from_section(section)
    if goes_on(model) and encoding.hop_steps != encoding.steps:
        raise ModelError(
            "states that windows do not reset need windows that follow each other",
            where=f"{model.name}, input.events.hop_steps",
            found=str(encoding.hop_steps),
            expected=f"steps, {encoding.steps}",
            hint="no step may be seen twice or left out; import it with --hop-steps as --steps",
        )
    return encoding


def filters_of(model: Model, first: Iterable[FilterLike] = ()) -> tuple[Filter, ...]:
    """Return the filters before the model's windows: the caller's, then those of the model file.

    Raises:
        UsageError: of the caller's, what cannot be.
    """
    return (*parse_filters(first), *parse_filters(model.input.get("filters", ())))


def sensor_before(model: Model) -> tuple[int, int]:
    """Return the sensor of events whose source does not say it: the model's, where its filters leave the size.

    Raises:
        UsageError: they do not, so that nothing says what comes before them.
    """
    assert model.sensor is not None  # encoding_of has seen to it
    try:
        kept = Chain(filters_of(model), sensor=model.sensor).sensor == model.sensor
    except UsageError:
        kept = False
    if not kept:
        raise UsageError(
            "the model's filters change the sensor's size, and nothing says what it is before them",
            where=f"{model.name}, input.filters",
            hint="pass --sensor WxH or sensor=(w, h)",
        )
    return model.sensor


def adapted(encoding: Encoding, adapt: Adapt | None) -> Encoding:
    """Return the encoding for another sensor, where a caller says how; None leaves it as it is.

    Raises:
        UsageError: not a way to adapt one, or a model of points, which takes any sensor.
    """
    if adapt is None:
        return encoding
    if adapt not in ADAPTS:
        raise UsageError("no such way to adapt a sensor", where="adapt", found=repr(adapt), expected=", ".join(ADAPTS))
    if isinstance(encoding, PointEncoding):
        raise UsageError("a model of points takes any sensor as it is", where="adapt", found=repr(adapt))
    return replace(encoding, adapt=adapt)


def readout_of(model: Model) -> Readout:
    """Return how the model's scores become decisions.

    Raises:
        ModelError: it has no readout, or one that may leave out steps that its states need.
    """
    if model.readout is None:
        hint = "import it with --labels FILE (docs/import.md)"
        raise ModelError("the model cannot decide", where=f"{model.name}, readout", found="none", hint=hint)
    readout = Readout.from_document(model.readout)
    if readout.early_exit is not None:
        check_windows_stop(model.document, model.name)
    return readout


def goes_on(model: Model) -> bool:
    """Say whether a state of a model of time steps goes on from window to window: then it sees idle windows too."""
    return model.input["kind"] != "points" and _never_reset(model)


def run_window(session: Session, window: Window, readout: Readout, work: Work | None = None) -> Inference:
    """Run a window's steps, from a new window by the reset policy, until the last or until the readout stops it.

    Args:
        work: what each layer does is added to it.

    Raises:
        ModelError: a window that the model does not take.
    """
    if readout.early_exit is not None:
        return _step_by_step(session, window, readout, work)
    if isinstance(window, PointWindow):
        output, steps = session.run(window, keep="last"), int(session.model.input["steps"])
    else:
        session.new_window()
        output, steps = session.run(**run_arguments(session.model, window), keep="last"), len(window.offsets) - 1
    if work is not None:
        work.add(session)
    return _inference(session, output, steps)


def window_scores(session: Session, window: Window) -> FloatArray:
    """Return the scores after each of a window's steps: float32 [steps, classes]."""
    if isinstance(window, PointWindow):
        return _scores(session, session.run(window))
    session.new_window()
    return _scores(session, session.run(**run_arguments(session.model, window)))


def run_arguments(model: Model, window: SpikeWindow) -> dict[str, Any]:
    """Return a window's steps as `Session.run` takes them."""
    if model.input["kind"] == "spikes":
        return {"active": (window.indices, window.offsets)}
    return {"xs": window.counts(model.input["shape"])}


def _never_reset(model: Model) -> bool:
    return any(state.reset != "window" for state in model.document.states)


def _step_by_step(session: Session, window: Window, readout: Readout, work: Work | None) -> Inference:
    session.new_window()
    done = Inference(np.zeros(0, dtype=np.float32), 0, 0, 0, 0)
    for step, arguments in enumerate(_each_step(session.model, window)):
        made = _inference(session, session.step(**arguments), 1)
        if work is not None:
            work.add(session)
        done = Inference(
            made.scores,
            step + 1,
            done.spikes + made.spikes,
            done.synops + made.synops,
            done.macs + made.macs,
        )
        if readout.stops(done.scores, done.steps):
            break
    return done


def _each_step(model: Model, window: Window) -> Iterator[dict[str, Any]]:
    """Yield a window's steps as `Session.step` takes them."""
    if isinstance(window, PointWindow):
        yield from ({"x": window} for _ in range(model.input["steps"]))
    elif model.input["kind"] == "spikes":
        ends = zip(window.offsets[:-1], window.offsets[1:], strict=True)
        yield from ({"active": window.indices[begin:end]} for begin, end in ends)
    else:
        yield from ({"x": counts} for counts in window.counts(model.input["shape"]))


def _inference(session: Session, output: Any, steps: int) -> Inference:
    return Inference(_scores(session, output), steps, session.spikes, session.synops, session.macs)


def _scores(session: Session, output: Any) -> FloatArray:
    assert session.model.readout is not None
    scores: FloatArray = output[session.model.readout["node"]] if isinstance(output, dict) else output
    return scores
