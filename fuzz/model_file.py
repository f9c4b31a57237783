"""Fuzz the reader of model files: the bytes of a file as they are, or edits of a good file's document and tensors.

Anything but a model or a ModelError is a finding. A small model that loads does three steps on the native backend,
begins a window, which resets what its policies say, and does one of events where it says how they become its input.
"""

from __future__ import annotations

import json
import tempfile
from copy import deepcopy
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from edgesnn.encode.native import encode_spikes
from edgesnn.encode.spikes import SpikeEncoding
from edgesnn.errors import ModelError
from edgesnn.events.types import EVENT
from edgesnn.graph import Document, container, read
from edgesnn.runtime import Model, Session
from edgesnn.runtime.windows import encoding_of, readout_of, run_window
from fuzz.choices import Choices
from tests.small_graphs import integers, language, of_events, recurrent, with_resets


def _mixed() -> Document:
    """Return a document of every reset policy."""
    policies = (
        {"reset": "tokens", "tokens": 3},
        {"reset": "line", "idle_ms": 9},
        {"reset": "window"},
        {"reset": "never"},
    )
    return with_resets(language(), *policies)


DOCUMENTS = (recurrent, language, integers, of_events, _mixed)
MOST_ELEMENTS = 1 << 16  # of the input of a model that is run
STEPS = 3
MOST_STEPS = 64  # of a window that is run
SENSOR_MAX = 65535
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, 2, 3, -1, 4, 16, 255, 256, 4096, 2**28, 2**31, 2**63, 10**30, 0.0, 0.5, -1.5, 1e38, 1e300,
    "", "input", "int", "float32", "int8", "int4", "none", "skip", "value", "vector", "im", "im4", "om16x4", "om16x8",
    "rows", "dense", "spikes", "tokens", "points", "window", "line", "never", "letterbox", "crop", "downsample",
    {"policy": "tokens", "tokens": 3}, {"policy": "window", "idle_ms": 7}, {"policy": "tokens"},
    [], [0], [1], [2, 2], [-1, 3], [2**28, 2**28], {}, [[1]], [None],
)  # fmt: skip


@cache
def _file() -> Path:
    return Path(tempfile.mkdtemp()) / "model.safetensors"


@cache
def _good(number: int) -> tuple[str, dict[str, Any]]:
    """Return (document as text, tensors) of a good file."""
    DOCUMENTS[number]().save(_file())
    metadata, arrays = container.map_file(_file())
    return metadata["edgesnn"], {name: array.copy() for name, array in arrays.items()}


def one_input(data: bytes) -> None:
    """Load a file that the bytes describe."""
    choices = Choices(data)
    if choices.byte() % 4 == 0:
        _file().write_bytes(choices.rest())
    else:
        _edited(choices)
    try:
        document = read(_file(), copy=True)
        model = Model(document, backend="native")
    except ModelError as error:
        if len(str(error)) > 2000:
            raise AssertionError("an error that nobody reads") from error
        return
    _step(model, document)


def _edited(choices: Choices) -> None:
    text, arrays = _good(choices.below(len(DOCUMENTS)))
    document, tensors = json.loads(text), {name: array.copy() for name, array in arrays.items()}
    for _ in range(1 + choices.below(4)):
        if choices.below(5) == 0:
            _edit_tensor(choices, tensors)
        else:
            _edit_json(choices, document)
    container.write(_file(), tensors, {"edgesnn": json.dumps(document)})


def _edit_json(choices: Choices, root: Any) -> None:
    """Walk some way down the document, then replace, remove, double or move what is there."""
    at = root
    for _ in range(8):
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            return
        key = keys[choices.below(len(keys))]
        if isinstance(at[key], (dict, list)) and at[key] and choices.byte() % 8 != 0:
            at = at[key]
            continue
        break
    action = choices.below(4)
    if action == 0:
        del at[key]
    elif action == 1 and isinstance(at, list):
        at.insert(choices.below(len(at) + 1), deepcopy(at[key]))
    elif action == 2:
        at[key] = deepcopy(at[keys[choices.below(len(keys))]])
    else:
        at[key] = deepcopy(VALUES[choices.below(len(VALUES))])


def _edit_tensor(choices: Choices, tensors: dict[str, Any]) -> None:
    names = list(tensors)
    if not names:
        return
    name = names[choices.below(len(names))]
    array = tensors[name]
    action = choices.below(5)
    if action == 0:
        del tensors[name]
    elif action == 1:
        types = ("f4", "i1", "u1", "i4", "f8", "i8")
        tensors[name] = array.reshape(-1).view(np.uint8).astype(types[choices.below(len(types))])
    elif action == 2:
        tensors[name] = array[: choices.below(len(array) + 1)]
    elif array.size:
        flat = array.reshape(-1)
        value = (0, 1, -128, 127, 255, np.nan, np.inf, -1, 3e38)[choices.below(9)]
        with np.errstate(all="ignore"):
            flat[choices.number() % flat.size] = np.float64(value).astype(array.dtype)


def _step(model: Model, document: Document) -> None:
    section = document.input
    if section["kind"] == "points" or prod(section.get("shape", [1])) > MOST_ELEMENTS:
        return
    states = sum(prod(state.shape) for state in document.states)
    if states + sum(value.elements for value in document.analysis.values.values()) > 1 << 20:
        return
    model.session().run(np.zeros((STEPS, *section.get("shape", [])), np.int64))
    session = model.session()
    session.run(np.ones((STEPS, *section.get("shape", [])), np.int64) * min(section.get("vocab", 2) - 1, 1))
    _begin_window(session, document)
    if section.get("events") is not None:
        _see_events(model, document)


def _begin_window(session: Session, document: Document) -> None:
    """Begin a new window: states of that policy are as at first, the others stay."""
    before, first = (
        {name: array.copy() for name, array in s.state.items()} for s in (session, session.model.session())
    )
    session.new_window()
    for state in document.states:
        expected = first if state.reset == "window" else before
        assert np.array_equal(session.state[state.name], expected[state.name], equal_nan=state.dtype == "float32")


def _see_events(model: Model, document: Document) -> None:
    """Do a window of events of the model's own sensor and of another."""
    width, height = document.input["events"]["sensor"]
    if document.input["events"]["steps"] > MOST_STEPS:
        return
    for sensor in ((width, height), (min(2 * width + 1, SENSOR_MAX), height + 2)):
        try:
            encoding, readout = encoding_of(model), readout_of(model)
            assert isinstance(encoding, SpikeEncoding)
            events = np.zeros(2, EVENT)
            events["t"] = [encoding.bin_us, 2 * encoding.bin_us]
            window = encode_spikes(events, encoding, sensor)
        except ModelError:
            continue
        run_window(model.session(), window, readout)
