"""What the matrices of a model see over windows of recordings: the `Moments` that `quantize` clips their weights by."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import edgesnn
from edgesnn.encode.points import PointWindow
from edgesnn.encode.spans import Span, encode_span, every_span, filtered
from edgesnn.errors import UsageError
from edgesnn.events.recording import Recording
from edgesnn.graph import Document, NodeView
from edgesnn.graph.analysis import INPUT
from edgesnn.quantize.moments import Moments
from edgesnn.quantize.weights import MATRICES
from edgesnn.runtime import Model, Session
from edgesnn.runtime.backends.reference.windows import image, pair, windows
from edgesnn.runtime.windows import (
    Encoding,
    Window,
    encoding_of,
    filters_of,
    goes_on,
    run_arguments,
    sensor_before,
)

WINDOWS = 64
"""Windows that are run, all recordings together, where the caller does not say."""

_STEPS = 16  # of a convolution's input whose patches are held at once

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Calibration:
    """What was seen, and where.

    Attributes:
        identity: of the document that ran.
        moments: by node: one of each group of a convolution's channels, one of a `linear`.
        recordings: `file` (its name), `sha256` and `windows` (that were run) of each, for the provenance.
    """

    identity: str
    moments: Mapping[str, Sequence[Moments]]
    recordings: Sequence[Mapping[str, Any]]


def calibrate(
    document: Document,
    paths: Sequence[str | os.PathLike[str]],
    *,
    most: int = WINDOWS,
    backend: str = "auto",
    columns: str | None = None,
) -> Calibration:
    """Run windows of recordings and return the moments of the inputs of every float32 matrix.

    Args:
        document: a model of points, or of spikes or dense frames whose `input.events` is given.
        paths: recordings; each is read into memory.
        most: windows, shared evenly among the recordings, at least one each: spread over a recording, or its first
            ones where the model's states go on from window to window.
        backend: "auto", "native", "onnx", "reference" or "tensorrt".
        columns: of tables, as `edgesnn.open`.

    Raises:
        ModelError: the model does not say how events become its input.
        RecordingError: what cannot be read, or events outside the model's sensor.
        UsageError: `most` is less than 1, a model of tokens, or no recording holds a window.
    """
    if most < 1:
        raise UsageError("not a number of windows", where="calibrate", found=repr(most), expected="1 or more")
    if document.input["kind"] == "tokens":
        raise UsageError(
            "a model of tokens has no windows of recordings to calibrate with",
            where=document.where,
            hint="leave the recordings out: its weights are rounded without data",
        )
    model = Model(document, backend=backend)
    encoding = encoding_of(model)
    watch = _Watch(document)
    recordings = []
    for path in paths:
        recording = edgesnn.open(Path(path), columns=columns)  # a file, whatever its name looks like
        count = _run(model, encoding, recording, max(1, most // len(paths)), watch)
        recordings.append({"file": Path(path).name, "sha256": _sha256(path), "windows": count})
    if not any(entry["windows"] for entry in recordings):
        length = encoding.grid.length * encoding.grid.bin_us
        raise UsageError(
            "no recording holds a window to calibrate with",
            where=", ".join(str(path) for path in paths),
            expected=f"{length} us with at least {max(1, encoding.min_events)} events",
        )
    return Calibration(document.identity, watch.moments, recordings)


def _run(model: Model, encoding: Encoding, recording: Recording, most: int, watch: _Watch) -> int:
    """Run windows of a recording; return how many."""
    seen = filtered(recording.read(), filters_of(model), recording.sensor or sensor_before(model))
    session = model.session(record=watch.record, account=False)
    chosen = _chosen(list(every_span(seen.events, encoding, seen.t_end_us)), most, in_order=goes_on(model))
    for span in chosen:
        window = encode_span(seen.events, span, encoding, seen.sensor)
        _run_window(session, window)
        watch.add(session, window)
    return len(chosen)


def _chosen(spans: list[Span], most: int, *, in_order: bool) -> list[Span]:
    if in_order:
        return spans[:most]
    busy = [span for span in spans if not span.idle]
    places = np.linspace(0, len(busy) - 1, min(most, len(busy))).round().astype(int)
    return [busy[i] for i in places]


def _run_window(session: Session, window: Window) -> None:
    if isinstance(window, PointWindow):
        session.run(window, keep="none")
        return
    session.new_window()
    session.run(**run_arguments(session.model, window), keep="none")


class _Watch:
    """Moments of the float32 matrices of a model, and the nodes to record for them."""

    def __init__(self, document: Document) -> None:
        self._input = document.input
        self._views = [
            view
            for _, view in document.analysis.operators
            if view.node.op in MATRICES and view.tensors["weight"].number == "float32"
        ]
        makers = {value: node.name for node in document.nodes for value in node.outputs}
        sources = [view.node.inputs[0] for view in self._views]
        self.record = sorted({makers[value] for value in sources if value != INPUT})
        self.moments = {
            view.node.name: [Moments(prod(view.tensors["weight"].shape[1:])) for _ in range(_groups(view))]
            for view in self._views
        }

    def add(self, session: Session, window: Window) -> None:
        """Add what a session recorded of a window."""
        for view in self._views:
            value = view.node.inputs[0]
            x = self._events(window) if value == INPUT else session.recorded[value]
            for rows in _rows(view, x):
                for moments, part in zip(self.moments[view.node.name], rows, strict=True):
                    moments.add(part)

    def _events(self, window: Window) -> Array:
        assert not isinstance(window, PointWindow)  # no matrix takes it
        return window.counts(self._input["shape"])


def _rows(view: NodeView, x: Array) -> Iterator[Array]:
    """Yield what the rows of a matrix are multiplied with, [groups, n, K], of inputs [T, ...]."""
    if view.node.op == "linear":
        yield x.reshape(1, -1, x.shape[-1])
        return
    weight, get = view.tensors["weight"].shape, view.attribute
    how = (pair(weight[2:], 1), pair(get("stride"), 1), pair(get("padding"), 0), pair(get("dilation"), 1))
    for first in range(0, len(x), _STEPS):
        steps = x[first : first + _STEPS]
        seen = windows(image(steps.reshape(-1, *steps.shape[2:])), *how)
        patches = seen.reshape(len(steps), get("groups"), prod(weight[1:]), -1)
        yield patches.transpose(1, 0, 3, 2).reshape(get("groups"), -1, prod(weight[1:]))


def _groups(view: NodeView) -> int:
    return 1 if view.node.op == "linear" else int(view.attribute("groups"))


def _sha256(path: str | os.PathLike[str]) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
