"""Runs a bundle again, and says where what it gives is not what was published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy.typing as npt

from edgesnn.errors import ModelError, RecordingError, UsageError
from edgesnn.events.formats.base import printable
from edgesnn.graph import with_readout
from edgesnn.pipeline import Pipeline, TokenStream
from edgesnn.prediction import Prediction
from edgesnn.recorder.bundle import Bundle
from edgesnn.runtime import Model, load

FIELDS = ("window", "sensor", "tokens", "decision", "label", "class", "confidence", "topk", "spikes", "synops")
"""What "the same prediction" means (docs/pipeline.md)."""


@dataclass(frozen=True)
class Difference:
    """A field of the prediction of a window that came out otherwise."""

    window: int | None
    field: str
    expected: Any
    found: Any

    def __str__(self) -> str:
        about = "the stretch" if self.window is None else f"window {self.window}"
        expected, found = (json.dumps(value, ensure_ascii=True)[:200] for value in (self.expected, self.found))
        return f"{about}: {self.field}: expected {expected}, found {found}"


def model_of(bundle: Bundle, model: str | None = None, backend: str = "auto") -> Model:
    """Return the model that decided, its tensors compared with their checksums.

    Args:
        bundle: says which.
        model: where it is now, a file or a name in the zoo; None: where it was.
        backend: as `edgesnn.load`.

    Raises:
        ModelError: it is not there, another one, or holds other bytes than its document says.
        RecordingError: the bundle names none, or numbers of a readout that it cannot have.
    """
    about = bundle.about["model"]
    if not isinstance(about.get("path"), str) or not isinstance(about.get("readout", ""), (dict, type(None))):
        raise RecordingError("the bundle names no model", where=printable(bundle.path))
    hint = "say where it is: -m MODEL"
    try:
        made = load(model or about["path"], backend=backend)
        made.document.verify()
        if about["readout"] is not None:
            made = Model(with_readout(made.document, **_numbers(bundle, about["readout"])), backend=backend)
    except ModelError as error:
        raise ModelError(
            error.what, where=error.where, found=error.found, expected=error.expected, hint=error.hint or hint
        ) from None
    except UsageError as error:
        where = f"{printable(bundle.path)}: {error.where}"
        raise RecordingError(error.what, where=where, found=error.found, expected=error.expected) from None
    if made.identity != about.get("sha256"):
        raise ModelError(
            "another model than the bundle's",
            where=made.document.where,
            found=f"sha256 {made.identity}",
            expected=f"sha256 {str(about.get('sha256'))[:64]}",
            hint=hint,
        )
    return made


def again(bundle: Bundle, model: Model) -> Iterator[Prediction]:
    """Yield the decisions of the stretch, all of them, published or not.

    Raises:
        RecordingError: its state or its configuration is none of such a stream.
    """
    try:
        runs = _events(bundle, model) if bundle.kind == "events" else _lines(bundle, model)
        yield from islice(runs, bundle.about["decisions"])
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise RecordingError(
            "the bundle's configuration is none", where=printable(bundle.path), found=str(error)[:120]
        ) from None
    except (UsageError, ModelError) as error:
        raise RecordingError(
            error.what,
            where=f"{printable(bundle.path)}: {error.where or 'start'}",
            found=error.found,
            expected=error.expected,
        ) from None


def differences(bundle: Bundle, model: Model) -> Iterator[Difference]:
    """Yield what does not come out as it was published; nothing: everything does, bit for bit.

    Raises:
        RecordingError: as `again`.
    """
    published = {prediction.window: prediction for prediction in bundle.published}
    if len(published) != len(bundle.published):
        yield Difference(None, "predictions of a window of their own", len(bundle.published), len(published))
    made = 0
    for prediction in again(bundle, model):
        made += 1
        expected = published.pop(prediction.window, None)
        if expected is not None:
            yield from _compared(expected, prediction)
    for window in published:
        yield Difference(window, "window", window, None)
    if made != bundle.about["decisions"]:
        yield Difference(None, "decisions", bundle.about["decisions"], made)


def _compared(expected: Prediction, found: Prediction) -> Iterator[Difference]:
    one, other = (json.loads(prediction.to_json()) for prediction in (expected, found))
    for name in FIELDS:
        if one.get(name) != other.get(name):
            yield Difference(expected.window, name, one.get(name), other.get(name))
    if expected.model.sha256 != found.model.sha256:
        yield Difference(expected.window, "model.sha256", expected.model.sha256, found.model.sha256)


def _numbers(bundle: Bundle, readout: dict[str, Any]) -> dict[str, Any]:
    known = ("rejection", "temperature", "early_exit", "min_steps")
    if not readout.keys() <= set(known):
        raise RecordingError("the bundle's readout is none", where=printable(bundle.path), found=str(readout)[:80])
    return readout


def _events(bundle: Bundle, model: Model) -> Iterator[Prediction]:
    config = bundle.about["config"]
    width, height = config["sensor"]
    if any(isinstance(one, str) and one.strip().startswith("bitmap") for one in config["filters"]):
        raise ValueError("a filter that names a file")
    with Pipeline(
        None,
        model,
        sensor=(int(width), int(height)),
        stream=bundle.about["stream"],
        window_events=config["window_events"],
        hop_events=config["hop_events"],
        adapt=config["adapt"],
        filters=config["filters"],
    ) as pipeline:
        pipeline.restore(bundle.start)
        yield from iter(pipeline.poll, None)
        at, no_time = 0, -(1 << 63)
        for events, t_end_us, lost in _rows(bundle.taken["packets"]):
            packet = bundle.taken["events"][at : at + events]
            pipeline.push(packet, t_end_us=None if t_end_us == no_time else t_end_us, lost=lost)
            at += events
            yield from iter(pipeline.poll, None)


def _lines(bundle: Bundle, model: Model) -> Iterator[Prediction]:
    config = bundle.about["config"]
    stream = TokenStream(
        None,
        model,
        stream=bundle.about["stream"],
        reset=config["reset"],
        key=config["key"],
        sessions=config["sessions"],
        threshold=config["threshold"],
        publish_text=config["publish_text"],
    )
    with closing(stream):
        stream.restore(bundle.start)
        at, text = 0, bundle.taken["text"].tobytes()
        for (size, sender), idle_ms in zip(_rows(bundle.taken["lines"]), _rows(bundle.taken["idle_ms"]), strict=True):
            line, origin = text[at : at + size], text[at + size : at + size + sender]
            at += size + sender
            yield stream.push(line, origin.decode("utf-8", "surrogatepass"), idle_ms=idle_ms)


def _rows(array: npt.NDArray[Any]) -> Iterator[Any]:
    """Yield the rows as Python's numbers, a few at a time: a bundle from elsewhere may have millions of nothing."""
    for at in range(0, len(array), 4096):
        yield from array[at : at + 4096].tolist()
